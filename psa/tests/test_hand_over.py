"""Handing over: which deliveries go to the other person, which stay, and who may do it."""

from __future__ import annotations

import dataclasses

import pytest

from psa import selectors, services
from psa.exceptions import InvalidInputError, RoleError
from psa.models import AuditEntry, MemberMapping
from psa.tests.desk import Desk

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk() -> Desk:
    return Desk()


def hand_over(desk: Desk) -> int:
    return services.deliveries_hand_over(desk.account, desk.eva.pk, desk.ben.pk, scope=desk.scope(desk.lead))


@pytest.mark.parametrize("state", ["ready", "retrying", "dead"])
def test_what_is_open_or_dead_goes_to_the_other_person(desk: Desk, state: str) -> None:
    delivery = desk.delivery(desk.connection(), state)
    assert hand_over(desk) == 1
    delivery.refresh_from_db()
    assert (delivery.created_by, delivery.created_by_name, delivery.state) == (
        desk.ben,
        desk.ben.display_name,
        state,
    )


@pytest.mark.parametrize("state", ["sending", "unknown", "delivered", "discarded"])
def test_what_may_be_on_the_ticket_or_is_settled_stays_with_its_author(desk: Desk, state: str) -> None:
    delivery = desk.delivery(desk.connection(), state)
    assert hand_over(desk) == 0
    delivery.refresh_from_db()
    assert delivery.created_by == desk.eva


def test_what_others_posted_stays_theirs(desk: Desk) -> None:
    theirs = desk.delivery(desk.connection(), by=desk.lead)
    assert hand_over(desk) == 0
    theirs.refresh_from_db()
    assert theirs.created_by == desk.lead


def test_deliveries_of_many_lanes_keep_their_places(desk: Desk) -> None:
    connection = desk.connection()
    link = desk.link(connection)
    rows = [desk.delivery(connection, "ready", link=link) for _ in range(3)]
    rows += [desk.delivery(connection) for _ in range(3)]
    before = [(row.link_id, row.seq, row.held_by) for row in rows]
    assert hand_over(desk) == 6
    for row in rows:
        row.refresh_from_db()
    assert [(row.link_id, row.seq, row.held_by) for row in rows] == before


def test_the_new_person_sees_the_unit(desk: Desk) -> None:
    delivery = desk.delivery(desk.connection())
    hand_over(desk)
    delivery.unit.refresh_from_db()
    assert delivery.unit.created_by == desk.ben


def test_the_author_shown_beforehand_is_the_new_persons_member(desk: Desk) -> None:
    connection = desk.connection()
    note, status = desk.delivery(connection), desk.delivery(connection, kind="status")
    MemberMapping.objects.create(
        tenant=desk.account,
        connection=connection,
        user=desk.ben,
        user_name="ben",
        member_id="8",
        member_name="Ben Boyd",
    )
    hand_over(desk)
    note.refresh_from_db()
    status.refresh_from_db()
    assert (note.author_name, note.author_kind) == ("Ben Boyd", "member")
    assert status.author_name != "Ben Boyd"


def test_each_delivery_is_in_the_audit(desk: Desk) -> None:
    delivery = desk.delivery(desk.connection())
    hand_over(desk)
    entry = AuditEntry.objects.get(verb="delivery.handed_over")
    assert (entry.actor, entry.object_id) == (desk.lead, str(delivery.pk))
    assert entry.facts["before"]["user"] == desk.eva.pk
    assert entry.facts["after"]["user"] == desk.ben.pk


def test_what_is_left_to_hand_over_is_listed(desk: Desk) -> None:
    connection = desk.connection()
    waiting = [desk.delivery(connection, state) for state in ("dead", "ready", "unknown")]
    desk.delivery(connection, "delivered")
    desk.delivery(connection, by=desk.ben)
    assert list(selectors.deliveries_to_hand_over(desk.account, desk.eva.pk)) == waiting


def test_an_engineer_may_not(desk: Desk) -> None:
    with pytest.raises(RoleError):
        services.deliveries_hand_over(desk.account, desk.eva.pk, desk.ben.pk, scope=desk.scope(desk.ben))


def test_somebody_of_another_account_or_switched_off_gets_nothing(desk: Desk) -> None:
    other = Desk("Fabrikam")
    desk.ben.is_active = False
    desk.ben.save()
    delivery = desk.delivery(desk.connection())
    scope = desk.scope(desk.lead)
    for user in (other.eva, desk.ben, desk.eva):
        with pytest.raises(InvalidInputError):
            services.deliveries_hand_over(desk.account, desk.eva.pk, user.pk, scope=scope)
    delivery.refresh_from_db()
    assert delivery.created_by == desk.eva


def test_another_tenants_deliveries_are_out_of_reach(desk: Desk) -> None:
    other = Desk("Fabrikam")
    theirs = other.delivery(other.connection())
    scope = dataclasses.replace(desk.scope(desk.lead), can_manage=True)
    assert services.deliveries_hand_over(desk.account, other.eva.pk, desk.ben.pk, scope=scope) == 0
    theirs.refresh_from_db()
    assert theirs.created_by == other.eva
