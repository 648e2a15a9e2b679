"""Tests of Django admin: an account's admin works on that account, sees no other and makes no superuser."""

from __future__ import annotations

import re

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP
from django.test import Client

from resolutionflow.accounts.models import Account, ApiToken, Role, User
from resolutionflow.accounts.services import token_create, token_digest

USERS = "/admin/accounts/user/"
TOKENS = "/admin/accounts/apitoken/"
FACTORS = "/admin/mfa/authenticator/"
SECRET = "JBSWY3DPEHPK3PXP"


@pytest.fixture
def as_owner(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


def person(**changes: str) -> dict[str, str]:
    return {
        "username": "newbie",
        "usable_password": "true",
        "password1": "a long enough one",
        "password2": "a long enough one",
        "time_zone": "UTC",
        "role": "engineer",
    } | changes


def test_engineer_is_sent_away(client: Client, member: User) -> None:
    client.force_login(member)
    assert client.get("/admin/").status_code == 302


def test_index_shows_accounts_to_an_account_admin(as_owner: Client) -> None:
    assert "API token" in as_owner.get("/admin/").content.decode()


def test_list_shows_people_of_the_own_account_only(as_owner: Client, member: User, outsider: User) -> None:
    page = as_owner.get(USERS).content.decode()
    assert (member.username in page, outsider.username in page) == (True, False)


def test_person_of_another_account_cannot_be_opened(as_owner: Client, outsider: User) -> None:
    assert as_owner.get(f"{USERS}{outsider.pk}/change/").status_code == 302


def test_password_of_another_account_cannot_be_set(as_owner: Client, outsider: User) -> None:
    data = {"password1": "a long enough one", "password2": "a long enough one", "usable_password": "true"}
    as_owner.post(f"{USERS}{outsider.pk}/password/", data)
    assert not User.objects.get(pk=outsider.pk).check_password("a long enough one")


def test_password_of_a_superuser_in_the_account_cannot_be_set(as_owner: Client, member: User) -> None:
    User.objects.filter(pk=member.pk).update(is_superuser=True)
    data = {"password1": "a long enough one", "password2": "a long enough one", "usable_password": "true"}
    as_owner.post(f"{USERS}{member.pk}/password/", data)
    assert not User.objects.get(pk=member.pk).check_password("a long enough one")


def test_new_person_joins_the_own_account(as_owner: Client, account: Account) -> None:
    as_owner.post(f"{USERS}add/", person(role="lead"))
    membership = User.objects.get(username="newbie").membership
    assert (membership.account, membership.role) == (account, Role.LEAD)


def test_new_person_cannot_be_put_into_another_account(
    as_owner: Client, account: Account, other_account: Account
) -> None:
    as_owner.post(f"{USERS}add/", person(account=str(other_account.pk)))
    assert User.objects.get(username="newbie").membership.account == account


def test_nobody_becomes_a_superuser(as_owner: Client, member: User) -> None:
    data = {"username": "mia", "time_zone": "UTC", "role": "admin", "is_active": "on", "is_superuser": "on"}
    as_owner.post(f"{USERS}{member.pk}/change/", data)
    member = User.objects.get(pk=member.pk)
    assert (member.membership.role, member.is_superuser) == (Role.ADMIN, False)


def test_nobody_removes_themselves(as_owner: Client, owner: User) -> None:
    as_owner.post(f"{USERS}{owner.pk}/delete/", {"post": "yes"})
    assert User.objects.filter(pk=owner.pk).exists()


def test_account_cannot_be_removed_by_its_admin(as_owner: Client, account: Account) -> None:
    assert as_owner.get(f"/admin/accounts/account/{account.pk}/delete/").status_code == 403


def test_new_token_shows_its_key_once(as_owner: Client, member: User) -> None:
    page = as_owner.post(f"{TOKENS}add/", {"name": "export", "user": member.pk}).content.decode()
    token = ApiToken.objects.get(name="export")
    key = re.search(r"rf_[0-9a-f]{8}_[\w-]{43}", page)[0]
    assert token_digest(key.split("_", 2)[2]) == token.digest
    assert key not in as_owner.get(f"{TOKENS}{token.pk}/change/").content.decode()


def test_digest_is_never_shown(as_owner: Client, member: User) -> None:
    token = token_create(member, name="export").token
    assert token.digest not in as_owner.get(f"{TOKENS}{token.pk}/change/").content.decode()


def test_token_for_another_account_is_refused(as_owner: Client, outsider: User) -> None:
    as_owner.post(f"{TOKENS}add/", {"name": "export", "user": outsider.pk})
    assert not ApiToken.objects.exists()


def test_token_is_revoked_by_an_action(as_owner: Client, member: User) -> None:
    token = token_create(member, name="export").token
    as_owner.post(TOKENS, {"action": "revoke", "_selected_action": token.pk})
    assert ApiToken.objects.get(pk=token.pk).is_revoked


def test_token_of_another_account_is_not_revoked(as_owner: Client, outsider: User) -> None:
    token = token_create(outsider, name="export").token
    as_owner.post(TOKENS, {"action": "revoke", "_selected_action": token.pk})
    assert not ApiToken.objects.get(pk=token.pk).is_revoked


def test_superuser_sees_every_account(client: Client, member: User, outsider: User) -> None:
    client.force_login(User.objects.create_superuser("root", "", "x"))
    page = client.get(USERS).content.decode()
    assert member.username in page
    assert outsider.username in page


def test_superuser_puts_a_person_into_an_account(client: Client, other_account: Account) -> None:
    client.force_login(User.objects.create_superuser("root", "", "x"))
    client.post(f"{USERS}add/", person(account=str(other_account.pk)))
    assert User.objects.get(username="newbie").membership.account == other_account


def test_lost_second_factor_is_removed_by_an_admin(as_owner: Client, member: User) -> None:
    factor = TOTP.activate(member, SECRET).instance
    assert "mia" in as_owner.get(FACTORS).content.decode()
    assert SECRET not in as_owner.get(f"{FACTORS}{factor.pk}/change/").content.decode()
    as_owner.post(f"{FACTORS}{factor.pk}/delete/", {"post": "yes"})
    assert not Authenticator.objects.exists()


def test_second_factor_of_another_account_is_out_of_reach(as_owner: Client, outsider: User) -> None:
    factor = TOTP.activate(outsider, SECRET).instance
    assert "otto" not in as_owner.get(FACTORS).content.decode()
    as_owner.post(f"{FACTORS}{factor.pk}/delete/", {"post": "yes"})
    assert Authenticator.objects.exists()


def test_second_factor_of_a_superuser_is_out_of_reach(as_owner: Client, member: User) -> None:
    User.objects.filter(pk=member.pk).update(is_superuser=True)
    factor = TOTP.activate(member, SECRET).instance
    as_owner.post(f"{FACTORS}{factor.pk}/delete/", {"post": "yes"})
    assert Authenticator.objects.exists()


@pytest.mark.parametrize("bulk", [False, True])
def test_own_second_factor_is_not_removed_here(as_owner: Client, owner: User, bulk: bool) -> None:
    factor = TOTP.activate(owner, SECRET).instance
    if bulk:
        chosen = {"action": "delete_selected", "_selected_action": str(factor.pk), "post": "yes"}
        as_owner.post(FACTORS, chosen)
    else:
        as_owner.post(f"{FACTORS}{factor.pk}/delete/", {"post": "yes"})
    assert Authenticator.objects.exists()


def test_second_factors_are_neither_added_nor_changed(as_owner: Client, member: User) -> None:
    factor = TOTP.activate(member, SECRET).instance
    assert as_owner.get(f"{FACTORS}add/").status_code == 403
    assert as_owner.post(f"{FACTORS}{factor.pk}/change/", {"type": "totp"}).status_code == 403
