"""Tests of the second factor: setting it up, signing in with it, and asking it of admins."""

from __future__ import annotations

import time
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value
from django.test import Client, override_settings
from rest_framework.test import APIClient

from resolutionflow.accounts.models import Role, User
from resolutionflow.accounts.services import membership_set, token_create
from resolutionflow.accounts.tests.conftest import PASSWORD

FACTOR = "/accounts/2fa/"
SET_UP = f"{FACTOR}totp/activate/"
SWITCH_OFF = f"{FACTOR}totp/deactivate/"
CODES = f"{FACTOR}recovery-codes/"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"

required = override_settings(ADMIN_SECOND_FACTOR_REQUIRED=True)


def code_of(secret: str) -> str:
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30))


def give_factor(user: User) -> list[str]:
    """Give a user a second factor and return their recovery codes."""
    TOTP.activate(user, SECRET)
    return RecoveryCodes.activate(user).get_unused_codes()


def confirm(client: Client, url: str) -> Any:
    """Open a page that asks for the password first, and return the page itself."""
    answer = client.get(url)
    assert answer["Location"].startswith("/accounts/reauthenticate/")
    client.post(answer["Location"], {"password": PASSWORD})
    return client.get(url)


def password_given(client: Client, **data: str) -> Any:
    return client.post("/accounts/login/", {"login": "mia", "password": PASSWORD, **data})


def test_second_factor_is_set_up_by_a_code(client: Client, member: User) -> None:
    client.force_login(member)
    page = confirm(client, SET_UP)
    assert 'src="data:image/svg+xml;base64,' in page.content.decode()
    answer = client.post(SET_UP, {"code": code_of(page.context["form"].secret)})
    assert answer["Location"] == CODES
    assert "10 of 10 are left" in client.get(CODES).content.decode()


def test_wrong_code_sets_nothing_up_and_keeps_the_key(client: Client, member: User) -> None:
    client.force_login(member)
    secret = confirm(client, SET_UP).context["form"].secret
    page = client.post(SET_UP, {"code": "000000"})
    assert "Incorrect code." in page.content.decode()
    assert page.context["form"].secret == secret
    assert not Authenticator.objects.exists()


def test_sign_in_asks_for_a_code_after_the_password(client: Client, member: User) -> None:
    give_factor(member)
    assert password_given(client)["Location"].startswith(f"{FACTOR}authenticate/")
    assert client.get("/integrations/").status_code == 302
    answer = client.post(f"{FACTOR}authenticate/", {"code": code_of(SECRET)})
    assert answer["Location"] == "/integrations/"
    assert client.get("/integrations/").status_code == 200


def test_wrong_code_signs_nobody_in(client: Client, member: User) -> None:
    give_factor(member)
    password_given(client)
    page = client.post(f"{FACTOR}authenticate/", {"code": "000000"})
    assert "Incorrect code." in page.content.decode()
    assert client.get("/integrations/").status_code == 302


def test_a_code_is_good_once(client: Client, member: User) -> None:
    give_factor(member)
    code = code_of(SECRET)
    for one, status in ((client, 302), (Client(), 200)):
        password_given(one)
        assert one.post(f"{FACTOR}authenticate/", {"code": code}).status_code == status


def test_a_code_is_good_once_as_long_as_a_late_clock_is_forgiven(client: Client, member: User) -> None:
    give_factor(member)
    begin = int(time.time()) // 30 * 30 + 5
    with time_machine.travel(begin, tick=False):
        code = code_of(SECRET)
        password_given(client)
        assert client.post(f"{FACTOR}authenticate/", {"code": code}).status_code == 302
    with time_machine.travel(begin + 45, tick=False):
        late = Client()
        password_given(late)
        assert late.post(f"{FACTOR}authenticate/", {"code": code}).status_code == 200
    with time_machine.travel(begin + 50, tick=False):
        TOTP.activate(User.objects.create_user("nina", password=PASSWORD), SECRET)
        other = Client()
        other.post("/accounts/login/", {"login": "nina", "password": PASSWORD})
        assert other.post(f"{FACTOR}authenticate/", {"code": code}).status_code == 302


def test_guessing_codes_is_held_up(client: Client, member: User) -> None:
    give_factor(member)
    password_given(client)
    for _ in range(5):
        client.post(f"{FACTOR}authenticate/", {"code": "000000"})
    page = client.post(f"{FACTOR}authenticate/", {"code": code_of(SECRET)})
    assert "Too many failed" in page.content.decode()


def test_recovery_code_opens_the_door_once(client: Client, member: User) -> None:
    code = give_factor(member)[0]
    for one, status in ((client, 302), (Client(), 200)):
        password_given(one)
        assert one.post(f"{FACTOR}authenticate/", {"code": code}).status_code == status


def test_recovery_codes_are_shown_after_the_password_was_asked_again(client: Client, member: User) -> None:
    codes = give_factor(member)
    client.force_login(member)
    assert codes[0] not in client.get(FACTOR).content.decode()
    assert "10 are left" in client.get(FACTOR).content.decode()
    page = confirm(client, CODES).content.decode()
    assert all(code in page for code in codes)
    assert client.get(f"{CODES}download/").content.decode().split() == codes


def test_new_recovery_codes_end_the_old_ones(client: Client, member: User) -> None:
    old = give_factor(member)
    client.force_login(member)
    assert "The 10 that are left" in confirm(client, f"{CODES}generate/").content.decode()
    client.post(f"{CODES}generate/")
    page = client.get(CODES).content.decode()
    assert "10 of 10 are left" in page
    assert not any(code in page for code in old)


def test_switching_off_asks_first_and_takes_the_recovery_codes_along(client: Client, member: User) -> None:
    give_factor(member)
    client.force_login(member)
    assert "Switch off the second factor?" in confirm(client, SWITCH_OFF).content.decode()
    client.post(SWITCH_OFF)
    assert not Authenticator.objects.exists()
    assert password_given(Client())["Location"] == "/integrations/"


def test_password_can_be_confirmed_by_a_code(client: Client, member: User) -> None:
    give_factor(member)
    client.force_login(member)
    way = f"{FACTOR}reauthenticate/?next={CODES}"
    assert "Use your password instead" in client.get(way).content.decode()
    assert client.post(way, {"code": code_of(SECRET)})["Location"] == CODES


def test_reset_by_mail_does_not_pass_by_the_second_factor(client: Client, member: User) -> None:
    give_factor(member)
    member.set_password("another horse battery")
    member.save()
    assert password_given(client, password="another horse battery")["Location"].startswith(FACTOR)


@pytest.mark.parametrize("path", ["/integrations/", "/accounts/", "/accounts/password/change/", "/admin/"])
@required
def test_admin_without_one_is_led_to_its_set_up(client: Client, owner: User, path: str) -> None:
    client.force_login(owner)
    assert client.get(path)["Location"] == SET_UP
    assert client.post(path)["Location"] == SET_UP


@required
def test_admin_sets_it_up_and_goes_on(client: Client, owner: User) -> None:
    client.force_login(owner)
    page = confirm(client, SET_UP)
    assert "Admins need a second factor here." in page.content.decode()
    client.post(SET_UP, {"code": code_of(page.context["form"].secret)})
    assert client.get("/integrations/").status_code == 200


@required
def test_admin_without_one_can_sign_out(client: Client, owner: User) -> None:
    client.force_login(owner)
    assert client.post("/accounts/logout/")["Location"] == "/accounts/login/"


@required
def test_recovery_codes_alone_are_no_second_factor(client: Client, owner: User) -> None:
    RecoveryCodes.activate(owner)
    client.force_login(owner)
    assert client.get("/integrations/")["Location"] == SET_UP


@required
def test_admin_may_change_phones_and_is_led_to_the_next_set_up(client: Client, owner: User) -> None:
    give_factor(owner)
    client.force_login(owner)
    assert "you set up another one right after" in confirm(client, SWITCH_OFF).content.decode()
    client.post(SWITCH_OFF)
    assert client.get("/integrations/")["Location"] == SET_UP


@required
def test_part_of_a_page_makes_the_whole_page_go_there(client: Client, owner: User) -> None:
    client.force_login(owner)
    answer = client.get("/integrations/live/", headers={"HX-Request": "true"})
    assert answer["HX-Redirect"] == SET_UP


@required
def test_superuser_needs_one_too(client: Client, db: None) -> None:
    client.force_login(User.objects.create_superuser("root"))
    assert client.get("/admin/")["Location"] == SET_UP


@pytest.mark.parametrize("role", [Role.ENGINEER, Role.LEAD])
@required
def test_others_are_not_asked(client: Client, member: User, role: Role) -> None:
    membership_set(member, member.membership.account, role)
    client.force_login(User.objects.get(pk=member.pk))
    assert client.get("/integrations/").status_code == 200


@required
def test_rest_by_the_login_cookie_is_refused(owner: User) -> None:
    client = APIClient()
    client.login(username="olga", password=PASSWORD)
    answer = client.get("/api/v1/flows/")
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/second-factor")
    give_factor(owner)
    assert client.get("/api/v1/flows/").status_code == 200


@required
def test_rest_by_token_goes_on(owner: User) -> None:
    client = APIClient(HTTP_AUTHORIZATION=f"Token {token_create(owner, name='export').key}")
    client.force_login(owner)
    assert client.get("/api/v1/flows/").status_code == 200


@required
def test_a_wrong_token_opens_no_page(client: Client, owner: User) -> None:
    client.force_login(owner)
    answer = client.get("/integrations/", headers={"Authorization": "Token nonsense"})
    assert answer["Location"] == SET_UP


def test_nobody_is_asked_where_the_site_does_not_want_it(client: Client, owner: User) -> None:
    client.force_login(owner)
    assert client.get("/integrations/").status_code == 200
