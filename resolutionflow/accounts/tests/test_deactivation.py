"""Switching a person off: what ends with it, what stays to be handed over, and what does not come back."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from psa.exceptions import ConflictError, MissingError
from psa.types import Actor
from resolutionflow.accounts.models import Account, ApiToken, Membership, Role, User
from resolutionflow.accounts.people import people
from resolutionflow.accounts.services import (
    Deactivation,
    token_create,
    user_create,
    user_deactivate,
    user_reactivate,
)
from resolutionflow.accounts.tests.conftest import PASSWORD

PAGE = "/api/v1/connections/"


@pytest.fixture
def actor(owner: User) -> Actor:
    return Actor(owner.pk, owner.display_name)


@pytest.fixture
def off(account: Account, member: User, actor: Actor) -> Any:
    """Return a function that switches the member off."""

    def off() -> Deactivation:
        return user_deactivate(account, member.pk, actor=actor)

    return off


def signed_in() -> Client:
    client = Client()
    assert client.login(username="mia", password=PASSWORD)
    return client


def mapping_of(account: Account, user: User) -> Any:
    connection = apps.get_model("psa.Connection").objects.create(
        tenant=account, provider="connectwise", name="PSA", site="psa.example", credentials={"x": "y"}
    )
    return apps.get_model("psa.MemberMapping").objects.create(
        tenant=account,
        connection=connection,
        user=user,
        user_name="Mia",
        member_id="105",
        member_name="Mia Stone",
    )


def delivery_of(mapping: Any, user: User, state: str) -> Any:
    shared = {"tenant": mapping.tenant}
    link = apps.get_model("psa.TicketLink").objects.create(
        **shared, connection=mapping.connection, record_type="service", ticket_id="1"
    )
    person = {"created_by": user, "created_by_name": "Mia"}
    unit = apps.get_model("psa.WorkUnit").objects.create(**shared, link=link, **person)
    return apps.get_model("psa.Delivery").objects.create(
        **shared,
        **person,
        connection=mapping.connection,
        link=link,
        unit=unit,
        kind="analysis",
        seq=1,
        payload={"text": "x"},
        state=state,
        due_at=timezone.now(),
    )


def test_sessions_end(member: User, off: Any) -> None:
    client = signed_in()
    assert client.get(PAGE).status_code == 200
    off()
    assert client.get(PAGE).status_code == 401


def test_tokens_end(member: User, off: Any) -> None:
    client = APIClient(HTTP_AUTHORIZATION=f"Token {token_create(member, name='export').key}")
    assert client.get(PAGE).status_code == 200
    assert off().tokens == 1
    assert client.get(PAGE).status_code == 401


def test_nobody_signs_in_as_them(member: User, off: Any) -> None:
    off()
    assert not Client().login(username="mia", password=PASSWORD)


def test_mappings_end(account: Account, member: User, off: Any) -> None:
    mapping = mapping_of(account, member)
    assert [row.pk for row in off().mappings] == [mapping.pk]
    mapping.refresh_from_db()
    assert (mapping.active, mapping.closed_at is None) == (False, False)


def test_what_they_have_on_its_way_is_listed_to_be_handed_over(
    account: Account, member: User, off: Any
) -> None:
    delivery = delivery_of(mapping_of(account, member), member, "ready")
    assert list(off().deliveries) == [delivery]


def test_nothing_comes_back_by_itself(account: Account, member: User, off: Any) -> None:
    mapping = mapping_of(account, member)
    client, key = signed_in(), token_create(member, name="export").key
    off()
    assert user_reactivate(account, member.pk).is_active
    mapping.refresh_from_db()
    assert client.get(PAGE).status_code == 401
    assert APIClient(HTTP_AUTHORIZATION=f"Token {key}").get(PAGE).status_code == 401
    assert not Client().login(username="mia", password=PASSWORD)
    assert not mapping.active


def test_a_second_time_changes_nothing_more(member: User, off: Any) -> None:
    token_create(member, name="export")
    off()
    revoked_at = ApiToken.objects.get().revoked_at
    again = off()
    assert (again.tokens, again.mappings, ApiToken.objects.get().revoked_at) == (0, (), revoked_at)


def test_nobody_switches_themselves_off(account: Account, owner: User, actor: Actor) -> None:
    user_create(account, username="second", password="x", role=Role.ADMIN)
    with pytest.raises(ConflictError) as caught:
        user_deactivate(account, owner.pk, actor=actor)
    assert caught.value.code == "own-user"


def test_the_last_admin_stays(account: Account, owner: User, member: User) -> None:
    gone = user_create(account, username="second", password="x", role=Role.ADMIN)
    User.objects.filter(pk=gone.pk).update(is_active=False)
    with pytest.raises(ConflictError) as caught:
        user_deactivate(account, owner.pk, actor=Actor(member.pk, "Mia"))
    assert caught.value.code == "last-admin"
    owner.refresh_from_db()
    assert owner.is_active


def test_one_of_two_admins_can_go(account: Account, owner: User, actor: Actor) -> None:
    second = user_create(account, username="second", password="x", role=Role.ADMIN)
    user_deactivate(account, second.pk, actor=actor)
    assert Membership.objects.get(user=second).role == Role.ADMIN


def test_who_works_in_no_account_is_switched_off_and_on(account: Account, actor: Actor) -> None:
    root = User.objects.create_superuser("root", "", PASSWORD)
    token_create(root, name="export")
    gone = user_deactivate(None, root.pk, actor=actor)
    assert (gone.tokens, gone.mappings, list(gone.deliveries)) == (1, (), [])
    assert not Client().login(username="root", password=PASSWORD)
    assert user_reactivate(None, root.pk).is_active
    assert not Client().login(username="root", password=PASSWORD)


def test_without_an_account_its_people_are_out_of_reach(member: User, actor: Actor) -> None:
    with pytest.raises(MissingError):
        user_deactivate(None, member.pk, actor=actor)


def test_people_of_another_account_are_out_of_reach(account: Account, outsider: User, actor: Actor) -> None:
    for call in (
        lambda: user_deactivate(account, outsider.pk, actor=actor),
        lambda: user_reactivate(account, outsider.pk),
    ):
        with pytest.raises(MissingError):
            call()
    outsider.refresh_from_db()
    assert outsider.is_active


def test_people_are_those_of_the_account_with_their_state(
    account: Account, owner: User, member: User, outsider: User, off: Any
) -> None:
    off()
    assert [(row.id, row.name, row.email, row.active) for row in people(account)] == [
        (owner.pk, "olga", "olga@northwind.example", True),
        (member.pk, "Mia Stone", "", False),
    ]
