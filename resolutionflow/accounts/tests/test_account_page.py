"""Tests of the page of one's own account, and of what stays closed of allauth."""

from __future__ import annotations

import pytest
from allauth.account import urls as account_urls
from allauth.mfa.totp.internal.auth import TOTP
from django.test import Client
from django.urls import NoReverseMatch, reverse

from resolutionflow.accounts.models import User
from resolutionflow.accounts.tests.conftest import PASSWORD

PAGE = "/accounts/"
LEFT_OUT = {
    "account_email",
    "account_email_verification_sent",
    "account_confirm_login_code",
    "account_confirm_email",
}


def test_it_tells_who_is_signed_in_and_leads_on(client: Client, member: User) -> None:
    client.force_login(member)
    page = client.get(PAGE).content.decode()
    for words in ("Mia Stone", "Northwind IT", "Engineer", "Set up a second factor"):
        assert words in page
    for link in ("/accounts/password/change/", "/accounts/2fa/", "/integrations/tokens/"):
        assert f'href="{link}"' in page


def test_it_says_when_the_second_factor_is_on(client: Client, member: User) -> None:
    TOTP.activate(member, "JBSWY3DPEHPK3PXP")
    client.force_login(member)
    assert "On: signing in takes your password and a code" in client.get(PAGE).content.decode()


def test_every_page_links_to_it(client: Client, member: User) -> None:
    client.force_login(member)
    assert 'href="/accounts/" title="Your account"' in client.get("/integrations/").content.decode()


def test_whoever_works_in_no_account_has_it_without_tokens(client: Client, db: None) -> None:
    client.force_login(User.objects.create_superuser("root"))
    page = client.get(PAGE).content.decode()
    assert "/accounts/password/change/" in page
    assert "/integrations/tokens/" not in page


def test_it_needs_a_sign_in(client: Client, db: None) -> None:
    assert client.get(PAGE)["Location"] == f"/accounts/login/?next={PAGE}"


def test_it_only_reads(client: Client, member: User) -> None:
    client.force_login(member)
    assert client.post(PAGE).status_code == 405


def test_sign_out_asks_first(client: Client, member: User) -> None:
    client.force_login(member)
    assert "Sign out?" in client.get("/accounts/logout/").content.decode()


def test_whoever_is_switched_off_is_told_so(client: Client, member: User) -> None:
    User.objects.filter(pk=member.pk).update(is_active=False)
    answer = client.post("/accounts/login/", {"login": "mia", "password": PASSWORD}, follow=True)
    assert "Your user is switched off" in answer.content.decode()


def test_of_allauth_only_these_pages_are_left_out() -> None:
    names = {str(pattern.name) for pattern in account_urls.urlpatterns}
    missing = set()
    for name in names:
        try:
            reverse(name)
        except NoReverseMatch as exc:
            if "with no arguments" not in str(exc):
                missing.add(name)
    assert missing == LEFT_OUT


@pytest.mark.parametrize("path", ["email/", "confirm-email/", "login/code/", "2fa/webauthn/", "2fa/trust/"])
def test_what_was_left_out_is_not_there(client: Client, member: User, path: str) -> None:
    client.force_login(member)
    assert client.get(f"{PAGE}{path}").status_code == 404
