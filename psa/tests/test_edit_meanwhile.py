"""An edit looks at the ticket first. What happens during that look is not overlooked."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import transaction

from psa import services
from psa.database import database_now
from psa.exceptions import ConflictError
from psa.models import Connection, Delivery
from psa.outbox.merge import lane_follow
from psa.services import deliveries
from psa.tests.desk import REFUSED, Desk
from psa.types import RecordType, Ticket

PARENT = "2000"


@pytest.fixture
def desk(db: None) -> Desk:
    return Desk()


@pytest.fixture
def psa(desk: Desk) -> Connection:
    return desk.connection()


@pytest.fixture
def dead(desk: Desk, psa: Connection) -> Delivery:
    """A note that may be on its ticket, with another one before it in the lane."""
    before = desk.delivery(psa, "delivered")
    return desk.delivery(psa, link=before.link, problem=REFUSED, sends=1)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Return a function that sets what happens during each look, and the tickets that were looked at."""

    def use(*happens: Callable[[], bool]) -> list[str]:
        seen: list[str] = []

        def look(delivery: Delivery) -> bool:
            seen.append(Delivery.objects.get(pk=delivery.pk).link.ticket_id)
            return happens[len(seen) - 1]()

        monkeypatch.setattr(deliveries, "_posted", look)
        return seen

    return use


def merge(dead: Delivery) -> bool:
    """Merge the ticket of a delivery into another one, as a worker does that notices it."""
    with transaction.atomic():
        lane_follow(dead.link, Ticket(PARENT, RecordType.SERVICE, "Parent"), database_now())
    return False


def edit(desk: Desk, dead: Delivery) -> Delivery:
    return services.delivery_edit(desk.account, dead.pk, scope=desk.scope(desk.eva), text="Better text")


def test_a_ticket_that_is_merged_meanwhile_is_looked_at_where_the_note_goes_now(
    desk: Desk, psa: Connection, dead: Delivery, looks: Callable[..., list[str]]
) -> None:
    child = dead.link
    # The parent's lane has had other deliveries: a place of the old lane would be taken there.
    parent = desk.link(psa)
    type(parent).objects.filter(pk=parent.pk).update(ticket_id=PARENT, next_seq=3)
    others = [desk.delivery(psa, "delivered", link=parent) for _ in range(2)]
    seen = looks(lambda: merge(dead), lambda: False)
    new = edit(desk, dead)
    assert seen == [child.ticket_id, PARENT]
    dead.refresh_from_db()
    assert (new.link.ticket_id, new.state, new.held_by) == (PARENT, "ready", "")
    assert (dead.link_id, dead.state) == (parent.pk, "discarded")
    assert {new.seq, dead.seq}.isdisjoint({row.seq for row in others})
    assert new.seq < dead.seq
    new.unit.refresh_from_db()
    assert (new.unit.link_id, new.unit.state) == (parent.pk, "open")


def test_a_note_found_on_the_parent_is_not_edited(
    desk: Desk, dead: Delivery, looks: Callable[..., list[str]]
) -> None:
    looks(lambda: merge(dead), lambda: True)
    with pytest.raises(ConflictError) as caught:
        edit(desk, dead)
    assert caught.value.code == "already-posted"
    assert Delivery.objects.filter(state="dead").count() == 1


def test_a_note_that_is_sent_again_meanwhile_is_looked_for_again(
    desk: Desk, dead: Delivery, looks: Callable[..., list[str]]
) -> None:
    def send_again() -> bool:
        Delivery.objects.filter(pk=dead.pk).update(sends=2)
        return False

    seen = looks(send_again, lambda: False)
    assert edit(desk, dead).supersedes_id == dead.pk
    assert len(seen) == 2


@pytest.mark.parametrize("state", ["ready", "sending", "delivered", "discarded"])
def test_a_note_that_is_dead_no_more_after_the_look_is_not_edited(
    desk: Desk, dead: Delivery, looks: Callable[..., list[str]], state: str
) -> None:
    def change() -> bool:
        Delivery.objects.filter(pk=dead.pk).update(state=state)
        return False

    looks(change)
    with pytest.raises(ConflictError) as caught:
        edit(desk, dead)
    assert caught.value.code == "not-dead"
    assert not Delivery.objects.filter(supersedes=dead).exists()


def test_without_a_send_nothing_is_looked_for(
    desk: Desk, dead: Delivery, looks: Callable[..., list[str]]
) -> None:
    Delivery.objects.filter(pk=dead.pk).update(sends=0)
    seen = looks()
    assert edit(desk, dead).supersedes_id == dead.pk
    assert seen == []
