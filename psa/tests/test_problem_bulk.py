"""Very many deliveries of one cause: changed in batches of a fixed number of statements, in lane order."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from psa import selectors, services
from psa.models import AuditEntry, Connection, Delivery, TicketLink
from psa.services import problems
from psa.tests.desk import DOUBLED, REFUSED, Desk

ASKED = {"code": "already-closed", "text": "Closed by Ben.", "remedy": "Retry to set it anyway."}


@pytest.fixture
def desk(db: None) -> Desk:
    return Desk()


@pytest.fixture
def psa(desk: Desk) -> Connection:
    return desk.connection()


def change(desk: Desk, name: str, problem_id: int) -> int:
    done: int = getattr(services, f"problem_{name}")(desk.account, problem_id, scope=desk.scope(desk.lead))
    return done


def act(desk: Desk, name: str) -> int:
    [found] = selectors.problems(desk.account)
    return change(desk, name, found.id)


def add(desk: Desk, psa: Connection, case: str, number: int) -> None:
    """Store deliveries in lanes of their own, each with a status that waits for it."""
    for _ in range(number):
        if case == "flaw":
            desk.delivery(psa, "delivered", problem=DOUBLED)
        elif case == "asked":
            desk.delivery(psa, kind="status", payload={"status": "Closed", "notify": False}, problem=ASKED)
        else:
            unit = desk.unit(desk.link(psa))
            desk.delivery(psa, problem=REFUSED, unit=unit)
            desk.delivery(psa, "ready", held_by="dead", kind="status", unit=unit)


@pytest.mark.parametrize(
    ("name", "case"), [("retry", "dead"), ("retry", "asked"), ("discard", "dead"), ("discard", "flaw")]
)
def test_a_batch_takes_as_many_statements_for_much_as_for_little(
    desk: Desk, psa: Connection, name: str, case: str, django_assert_max_num_queries: Any
) -> None:
    counts = []
    for number in (3, 25):
        add(desk, psa, case, number)
        [found] = selectors.problems(desk.account)
        # Ten of them find the problem.
        with django_assert_max_num_queries(24) as queries:
            change(desk, name, found.id)
        counts.append(len(queries))
        assert selectors.problems(desk.account) == []
    assert counts[0] == counts[1]


@pytest.mark.parametrize(("name", "times"), [("retry", 1), ("discard", 2)])
def test_several_batches_take_a_few_statements_each(
    desk: Desk, psa: Connection, name: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(problems, "BATCH", 10)
    add(desk, psa, "dead", 30)
    with CaptureQueriesContext(database) as queries:
        assert act(desk, name) == 30
    assert len(queries) <= 3 * 22
    assert AuditEntry.objects.count() == 30 * times


def test_nothing_overtakes_what_is_put_back_with_a_later_batch(
    desk: Desk, psa: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(problems, "BATCH", 2)
    link = desk.link(psa)
    rows = [desk.delivery(psa, problem=REFUSED, link=link).pk for _ in range(5)]
    # The first in the lane is the youngest row, as after an edit.
    Delivery.objects.filter(pk=rows[-1]).update(seq=0)
    real = problems._change
    ready: list[list[int]] = []

    def watched(*given: Any) -> int:
        done = real(*given)
        ready.append(list(Delivery.objects.filter(state="ready", held_by="").values_list("pk", flat=True)))
        return done

    monkeypatch.setattr(problems, "_change", watched)
    assert act(desk, "retry") == 5
    assert ready == [[rows[-1]]] * 3


def test_a_batch_that_fails_leaves_those_before_it_done_and_itself_undone(
    desk: Desk, psa: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(problems, "BATCH", 2)
    add(desk, psa, "dead", 5)
    told = problems.deliveries_tell
    batches: list[int] = []

    def broken(ids: Any) -> None:
        batches.append(len(ids))
        if len(batches) == 2:
            raise DatabaseError("gone")
        told(ids)

    monkeypatch.setattr(problems, "deliveries_tell", broken)
    with pytest.raises(DatabaseError):
        act(desk, "retry")
    assert Delivery.objects.filter(state="dead").count() == 3
    assert AuditEntry.objects.count() == 2
    assert act(desk, "retry") == 3
    assert AuditEntry.objects.count() == 5


def test_what_is_merged_into_another_ticket_meanwhile_is_done_there(
    desk: Desk, psa: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, parent = desk.delivery(psa, problem=REFUSED), desk.link(psa)
    lock = problems._lanes_lock

    def merged(link_ids: set[int]) -> set[int]:
        Delivery.objects.filter(pk=row.pk).update(link=parent)
        lock(link_ids)
        return set()  # somebody holds it

    monkeypatch.setattr(problems, "_lanes_lock", merged)
    assert act(desk, "retry") == 1
    row.refresh_from_db()
    assert (row.state, row.held_by, row.link) == ("ready", "", parent)


def test_a_retry_gives_every_delivery_a_new_age(desk: Desk, psa: Connection) -> None:
    rows = [desk.delivery(psa, problem=REFUSED) for _ in range(2)]
    for row, hours in zip(rows, (3, 50), strict=True):
        Delivery.objects.filter(pk=row.pk).update(created_at=row.created_at - timedelta(hours=hours))
    act(desk, "retry")
    held = Delivery.objects.order_by("pk").values_list("held_s", flat=True)
    assert all(0 <= found - hours * 3600 < 300 for found, hours in zip(held, (3, 50), strict=True))


def test_a_delivery_of_the_future_has_no_negative_age(desk: Desk, psa: Connection) -> None:
    row = desk.delivery(psa, problem=REFUSED)
    Delivery.objects.filter(pk=row.pk).update(created_at=row.created_at + timedelta(hours=1))
    act(desk, "retry")
    row.refresh_from_db()
    assert row.held_s == 0


def test_every_lane_is_given_back_its_own_order(desk: Desk, psa: Connection) -> None:
    for link in [desk.link(psa) for _ in range(3)]:
        desk.delivery(psa, problem=REFUSED, link=link)
        desk.delivery(psa, "ready", held_by="", link=link)
        desk.delivery(psa, problem=REFUSED, link=link)
    act(desk, "retry")
    assert TicketLink.objects.count() == 3
    found = Delivery.objects.order_by("link_id", "seq").values_list("state", "held_by")
    assert list(found) == [("ready", ""), ("ready", "earlier"), ("ready", "earlier")] * 3
