"""Switching a person off and on in the admin, and handing over what they left behind."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.test import Client

from resolutionflow.accounts.models import Account, ApiToken, Role, User
from resolutionflow.accounts.services import token_create, user_create
from resolutionflow.accounts.tests.conftest import PASSWORD
from resolutionflow.accounts.tests.test_deactivation import delivery_of, mapping_of, signed_in

USERS = "/admin/accounts/user/"


@pytest.fixture
def as_owner(owner: User) -> Client:
    client = Client()
    client.force_login(owner)
    return client


@pytest.fixture
def as_root(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root", "", PASSWORD))
    return client


def save(client: Client, person: User, *, active: bool, **changes: str) -> tuple[Any, list[str]]:
    """Store the form of a person; return the answer and what it tells."""
    data = {"username": person.username, "time_zone": "UTC", "role": "engineer"} | changes
    answer = client.post(
        f"{USERS}{person.pk}/change/", data | ({"is_active": "on"} if active else {}), follow=True
    )
    return answer, [str(message) for message in answer.context["messages"]]


def test_switched_off_ends_all(as_owner: Client, account: Account, member: User) -> None:
    browser = signed_in()
    mapping = mapping_of(account, member)
    token_create(member, name="export")
    assert browser.get("/integrations/").status_code == 200
    _, told = save(as_owner, member, active=False)
    assert "Sessions and password ended, with them 1 API token and 1 member mapping." in told[0]
    member.refresh_from_db()
    mapping.refresh_from_db()
    assert (member.is_active, mapping.active, ApiToken.objects.get().is_revoked) == (False, False, True)
    assert browser.get("/integrations/").status_code == 302
    save(as_owner, member, active=True)
    assert not Client().login(username="mia", password=PASSWORD)


def test_what_is_left_is_told_with_a_way_to_hand_it_over(
    as_owner: Client, account: Account, member: User
) -> None:
    delivery_of(mapping_of(account, member), member, "ready")
    answer, told = save(as_owner, member, active=False)
    assert told[1].startswith("1 post of theirs are on their way")
    assert f'href="{USERS}{member.pk}/hand-over/"' in answer.content.decode()


def test_switched_on_tells_what_is_missing(as_owner: Client, member: User) -> None:
    save(as_owner, member, active=False)
    _, told = save(as_owner, member, active=True)
    member.refresh_from_db()
    assert (member.is_active, member.has_usable_password()) == (True, False)
    assert "set a password here or send an invitation" in told[0]


def test_other_changes_switch_nothing(as_owner: Client, member: User) -> None:
    browser = signed_in()
    _, told = save(as_owner, member, active=True, first_name="Maria")
    member.refresh_from_db()
    assert (member.first_name, len(told)) == ("Maria", 1)
    assert browser.get("/integrations/").status_code == 200


@pytest.mark.parametrize("others", [0, 1])
def test_nobody_switches_themselves_off(as_owner: Client, account: Account, owner: User, others: int) -> None:
    for number in range(others):
        user_create(account, username=f"admin-{number}", password="x", role=Role.ADMIN)
    answer, told = save(as_owner, owner, active=False, role="admin", first_name="Other")
    owner.refresh_from_db()
    assert (owner.is_active, owner.first_name == "Other") == (True, False)
    assert told == ["Nothing was saved. You cannot switch yourself off. Ask another admin."]
    assert answer.redirect_chain[-1] == (f"{USERS}{owner.pk}/change/", 302)


def test_the_last_admin_stays_also_when_a_superuser_asks(
    as_root: Client, account: Account, owner: User
) -> None:
    _, told = save(as_root, owner, active=False, role="engineer", account=str(account.pk))
    owner.refresh_from_db()
    assert (owner.is_active, owner.membership.role) == (True, Role.ADMIN)
    assert told == ["Nothing was saved. An account needs an admin. Make somebody else one first."]


def test_who_moves_to_another_account_leaves_the_old_one_in_order(
    as_root: Client, account: Account, member: User, other_account: Account
) -> None:
    mapping = mapping_of(account, member)
    save(as_root, member, active=False, account=str(other_account.pk))
    mapping.refresh_from_db()
    assert not mapping.active
    assert User.objects.get(pk=member.pk).membership.account == other_account


def test_superuser_without_an_account_is_switched_off(as_root: Client, db: None) -> None:
    other = User.objects.create_superuser("second", "", PASSWORD)
    save(as_root, other, active=False)
    assert not Client().login(username="second", password=PASSWORD)
    other.refresh_from_db()
    assert not other.has_usable_password()


def test_posts_are_handed_over(as_owner: Client, account: Account, owner: User, member: User) -> None:
    delivery = delivery_of(mapping_of(account, member), member, "ready")
    page = as_owner.get(f"{USERS}{member.pk}/hand-over/").content.decode()
    assert f"/admin/psa/delivery/{delivery.pk}/change/" in page
    delivery.refresh_from_db()
    assert delivery.created_by == member
    answer = as_owner.post(f"{USERS}{member.pk}/hand-over/", {"to": owner.pk}, follow=True)
    delivery.refresh_from_db()
    assert delivery.created_by == owner
    assert [str(row) for row in answer.context["messages"]] == ["olga answers for 1 post of Mia Stone."]
    entry = apps.get_model("psa.AuditEntry").objects.latest("pk")
    assert (entry.verb, entry.actor) == ("delivery.handed_over", owner)


def test_nothing_to_hand_over_is_told(as_owner: Client, member: User) -> None:
    assert "has nothing on its way" in as_owner.get(f"{USERS}{member.pk}/hand-over/").content.decode()


def test_only_active_colleagues_can_be_chosen(
    as_owner: Client, account: Account, member: User, outsider: User
) -> None:
    gone = user_create(account, username="gone", password="x")
    User.objects.filter(pk=gone.pk).update(is_active=False)
    delivery = delivery_of(mapping_of(account, member), member, "ready")
    address = f"{USERS}{member.pk}/hand-over/"
    page = as_owner.get(address).content.decode()
    for person in (gone, member, outsider):
        assert f'<option value="{person.pk}"' not in page
        answer = as_owner.post(address, {"to": person.pk})
        assert (answer.status_code, "errorlist" in answer.content.decode()) == (200, True)
    delivery.refresh_from_db()
    assert delivery.created_by == member


def test_people_of_another_account_have_no_such_page(as_owner: Client, outsider: User) -> None:
    address = f"{USERS}{outsider.pk}/hand-over/"
    assert (as_owner.get(address).status_code, as_owner.post(address, {"to": "1"}).status_code) == (404, 404)


def test_superuser_without_an_account_has_no_such_page(as_root: Client) -> None:
    assert as_root.get(f"{USERS}{User.objects.get(username='root').pk}/hand-over/").status_code == 404


def test_superuser_hands_over(as_root: Client, account: Account, owner: User, member: User) -> None:
    delivery = delivery_of(mapping_of(account, member), member, "dead")
    as_root.post(f"{USERS}{member.pk}/hand-over/", {"to": owner.pk})
    delivery.refresh_from_db()
    assert delivery.created_by == owner
