"""The indexes that keep pages fast among a great many rows are the ones the database takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection as database
from django.utils import timezone

from psa import selectors
from psa.models import AuditEntry, Connection, Delivery, TicketLink
from psa.outbox.lanes import lanes_mend
from psa.outbox.schedule import leases_expire, mapping_held_release
from psa.tests.desk import DENIED, DOUBLED, Desk

HISTORY = 3_000


@pytest.fixture
def desk(db: None) -> Desk:
    """A tenant with a long history, much that is ready, and one thing of every kind that needs a person."""
    desk = Desk()
    psa = desk.connection()
    link = desk.link(psa)
    unit = desk.unit(link)
    moved_on = {"code": "moved-on", "text": "Moved on.", "remedy": ""}
    shared = {
        "tenant": desk.account,
        "connection": psa,
        "link": link,
        "unit": unit,
        "kind": "status",
        "payload": {"status": "Closed"},
        "due_at": timezone.now(),
        "created_by_name": "eva",
    }
    Delivery.objects.bulk_create(
        Delivery(
            **shared,
            seq=1_000 + number,
            state="delivered" if number % 3 else "ready",
            held_by="" if number % 3 else "earlier",
            problem=moved_on if number % 3 == 1 else None,
        )
        for number in range(HISTORY)
    )
    AuditEntry.objects.bulk_create(
        AuditEntry(
            tenant=desk.account, actor_name="eva", verb="status.set", object_type="delivery", object_id=number
        )
        for number in range(HISTORY)
    )
    desk.delivery(psa, "delivered", problem=DOUBLED)
    desk.delivery(psa, "ready", held_by="permission", problem=DENIED)
    desk.delivery(psa, "ready", held_by="mapping")
    with database.cursor() as cursor:
        cursor.execute("ANALYZE")
    return desk


def plans_of(operation: Callable[[], object], *having: str) -> list[str]:
    """Return the plans of an operation's SELECTs that have these words in text or parameters.

    With the parameters beside the text: SQLite plans one with the values written into it differently.
    """
    asked: list[tuple[str, Any]] = []

    def listen(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        asked.append((sql, params))
        return execute(sql, params, many, context)

    with database.execute_wrapper(listen):
        operation()
    command = "EXPLAIN QUERY PLAN" if database.vendor == "sqlite" else "EXPLAIN"
    found = []
    for sql, params in asked:
        words = [sql, *map(str, params or ())]
        if sql.lstrip().startswith("SELECT") and all(any(word in text for text in words) for word in having):
            with database.cursor() as cursor:
                cursor.execute(f"{command} {sql}", params)
                found.append("\n".join(str(line[-1]) for line in cursor.fetchall()))
    return found


@pytest.mark.parametrize(
    ("indexes", "word"),
    [
        (["psa_delivery_flawed"], "shown-to-customer"),
        # PostgreSQL may as well read all of the other one.
        (["psa_delivery_unpermitted", "psa_delivery_held_permission"], "permission"),
        (["psa_delivery_unmapped"], "mapping"),
    ],
)
def test_what_needs_a_person_is_found_without_reading_the_history(
    desk: Desk, indexes: list[str], word: str
) -> None:
    assert len(selectors.problems(desk.account)) == 3
    [plan] = plans_of(lambda: selectors.problems(desk.account), word, "COUNT(")
    assert any(index in plan for index in indexes)


def test_what_a_new_mapping_releases_is_found_without_reading_the_history(desk: Desk) -> None:
    [plan] = plans_of(lambda: mapping_held_release(timezone.now()), "mapping")
    assert "psa_delivery_unmapped" in plan


def test_expired_leases_are_found_without_looking_at_every_lane(desk: Desk) -> None:
    psa = Connection.objects.get()
    TicketLink.objects.bulk_create(
        TicketLink(tenant=desk.account, connection=psa, record_type="service", ticket_id=f"9{number}")
        for number in range(HISTORY)
    )
    with database.cursor() as cursor:
        cursor.execute("ANALYZE")
    [plan] = plans_of(lambda: leases_expire(timezone.now()), "lease_expires_at")
    assert "psa_ticket_link_by_lease" in plan


def test_open_lanes_are_found_without_looking_at_those_that_are_done(desk: Desk) -> None:
    plans = plans_of(lambda: lanes_mend(timezone.now()), "SUM(")
    assert plans
    assert not any("psa_ticketlink" in plan for plan in plans)


def test_a_list_of_one_connection_is_counted_by_its_index(desk: Desk) -> None:
    quiet = desk.connection()
    [plan] = plans_of(lambda: selectors.deliveries(desk.account).filter(connection=quiet).count(), "COUNT(")
    assert "psa_delivery_by_connection" in plan


def test_the_audit_of_one_delivery_is_found_without_reading_the_rest(desk: Desk) -> None:
    found = selectors.audit_entries(desk.account).filter(object_type="delivery", object_id="7")
    [plan] = plans_of(lambda: list(found))
    assert "psa_audit_by_object" in plan


def test_samples_are_the_newest_whether_there_are_few_or_many(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    psa = Connection.objects.get()
    rows = [desk.delivery(psa, "delivered", problem=DOUBLED).pk for _ in range(7)]
    newest = tuple(reversed(rows[-5:]))

    def shown() -> Any:
        return next(row for row in selectors.problems(desk.account) if row.code == "duplicate").deliveries

    assert shown() == newest
    monkeypatch.setattr("psa.selectors.problem.NEWEST", 6)
    assert shown() == newest
