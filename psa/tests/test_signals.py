"""Hosts hear of what people do: after the commit, once for each delivery or connection that changed state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from psa import selectors, services
from psa.models import Connection, Delivery
from psa.services import announce
from psa.signals import connection_changed, delivery_changed
from psa.tests.desk import DOUBLED, REFUSED, Desk
from psa.types import NoteKind, NotePart, Scope, StatusPart

pytestmark = pytest.mark.usefixtures("dummy")
PARTS = [NotePart(NoteKind.ANALYSIS, "x"), StatusPart("Completed")]
Commit = Callable[..., Any]


@pytest.fixture
def desk(db: None) -> Desk:
    return Desk()


@pytest.fixture
def psa(desk: Desk) -> Connection:
    return desk.connection()


@pytest.fixture
def lead(desk: Desk) -> Scope:
    return desk.scope(desk.lead)


@pytest.fixture
def told() -> Iterator[list[tuple[int, str]]]:
    """Return the (id, state) of each delivery that was told of, in order."""
    found: list[tuple[int, str]] = []

    def listen(delivery: Delivery, **_: Any) -> None:
        found.append((delivery.pk, delivery.state))

    delivery_changed.connect(listen)
    yield found
    delivery_changed.disconnect(listen)


@pytest.fixture
def connections_told() -> Iterator[list[tuple[int, str]]]:
    """Return the (id, state) of each connection that was told of, in order."""
    found: list[tuple[int, str]] = []

    def listen(connection_id: int, **_: Any) -> None:
        found.append((connection_id, Connection.objects.get(pk=connection_id).state))

    connection_changed.connect(listen)
    yield found
    connection_changed.disconnect(listen)


def test_what_is_queued_is_told_once_it_is_stored(
    desk: Desk, psa: Connection, lead: Scope, told: list[Any], django_capture_on_commit_callbacks: Commit
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        unit = services.unit_enqueue(desk.account, desk.link(psa).pk, PARTS, actor=lead.actor)
        assert told == []
    assert told == [(row.pk, "ready") for row in unit.deliveries.order_by("pk")]


@pytest.mark.parametrize("state", ["dead", "retrying"])
def test_a_retry_is_told(
    desk: Desk,
    psa: Connection,
    lead: Scope,
    told: list[Any],
    state: str,
    django_capture_on_commit_callbacks: Commit,
) -> None:
    row = desk.delivery(psa, state)
    with django_capture_on_commit_callbacks(execute=True):
        services.delivery_retry(desk.account, row.pk, scope=lead)
    assert told == [(row.pk, "ready")]


def test_a_retry_of_what_is_queued_but_held_changes_no_state(
    desk: Desk, psa: Connection, lead: Scope, told: list[Any], django_capture_on_commit_callbacks: Commit
) -> None:
    row = desk.held(psa)
    with django_capture_on_commit_callbacks(execute=True):
        services.delivery_retry(desk.account, row.pk, scope=lead)
    assert told == []


def test_a_discard_is_told_with_the_rest_of_the_unit(
    desk: Desk, psa: Connection, lead: Scope, told: list[Any], django_capture_on_commit_callbacks: Commit
) -> None:
    unit = desk.unit(desk.link(psa))
    rows = [desk.delivery(psa, unit=unit), desk.delivery(psa, "ready", unit=unit, held_by="dead")]
    with django_capture_on_commit_callbacks(execute=True):
        services.delivery_discard(desk.account, rows[0].pk, scope=lead)
    assert told == [(row.pk, "discarded") for row in rows]


def test_an_edit_is_told_of_both(
    desk: Desk, psa: Connection, lead: Scope, told: list[Any], django_capture_on_commit_callbacks: Commit
) -> None:
    old = desk.delivery(psa)
    with django_capture_on_commit_callbacks(execute=True):
        new = services.delivery_edit(desk.account, old.pk, scope=lead, text="better")
    assert told == [(old.pk, "discarded"), (new.pk, "ready")]


def test_what_an_unlink_discards_is_told(
    desk: Desk, psa: Connection, lead: Scope, told: list[Any], django_capture_on_commit_callbacks: Commit
) -> None:
    row = desk.delivery(psa)
    with django_capture_on_commit_callbacks(execute=True):
        services.open_deliveries_discard(
            desk.account, row.link_id, actor=lead.actor, origin="", reason="Unlinked"
        )
    assert told == [(row.pk, "discarded")]


def test_a_whole_problem_is_told_in_batches(
    desk: Desk,
    psa: Connection,
    lead: Scope,
    told: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Commit,
) -> None:
    monkeypatch.setattr(announce, "TOLD_AT_ONCE", 2)
    rows = [desk.delivery(psa, problem=REFUSED) for _ in range(5)]
    [found] = selectors.problems(desk.account)
    with django_capture_on_commit_callbacks(execute=True):
        services.problem_retry(desk.account, found.id, scope=lead)
    assert sorted(told) == [(row.pk, "ready") for row in rows]


def test_deleting_a_connection_tells_of_it_and_of_what_it_discards(
    desk: Desk,
    psa: Connection,
    lead: Scope,
    told: list[Any],
    connections_told: list[Any],
    django_capture_on_commit_callbacks: Commit,
) -> None:
    rows = [desk.delivery(psa), desk.delivery(psa, "ready")]
    desk.delivery(psa, "delivered", problem=DOUBLED)
    with django_capture_on_commit_callbacks(execute=True):
        services.connection_delete(desk.account, psa.pk, actor=lead.actor)
    assert told == [(row.pk, "discarded") for row in rows]
    assert connections_told == [(psa.pk, "disabled")]


def test_switching_a_connection_is_told_once(
    desk: Desk,
    psa: Connection,
    lead: Scope,
    connections_told: list[Any],
    django_capture_on_commit_callbacks: Commit,
) -> None:
    for switch in (services.connection_disable, services.connection_enable):
        for _ in range(2):
            with django_capture_on_commit_callbacks(execute=True):
                switch(desk.account, psa.pk, actor=lead.actor)
    assert connections_told == [(psa.pk, "disabled"), (psa.pk, "unverified")]


@pytest.mark.parametrize(("verify", "state"), [(True, "connected"), (False, "unverified")])
def test_a_new_connection_is_told_once(
    desk: Desk,
    lead: Scope,
    connections_told: list[Any],
    verify: bool,
    state: str,
    django_capture_on_commit_callbacks: Commit,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        made = services.connection_create(
            desk.account,
            actor=lead.actor,
            provider="dummy",
            name="New",
            site="new.example",
            credentials={"api_key": "k"},
            verify=verify,
        )
    assert connections_told == [(made.pk, state)]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": "Other"}, []),
        ({"credentials": {"api_key": "new"}}, ["connected"]),
        ({"credentials": {"api_key": "new"}, "verify": False}, ["unverified"]),
    ],
)
def test_a_change_is_told_when_the_state_is_another_one(
    desk: Desk,
    lead: Scope,
    connections_told: list[Any],
    change: dict[str, Any],
    expected: list[str],
    django_capture_on_commit_callbacks: Commit,
) -> None:
    broken = desk.connection("broken")
    with django_capture_on_commit_callbacks(execute=True):
        services.connection_update(desk.account, broken.pk, actor=lead.actor, **change)
    assert connections_told == [(broken.pk, state) for state in expected]


def test_nothing_is_read_for_a_signal_nobody_listens_to(
    desk: Desk, psa: Connection, lead: Scope, django_capture_on_commit_callbacks: Commit
) -> None:
    row = desk.delivery(psa)
    with django_capture_on_commit_callbacks() as callbacks, CaptureQueriesContext(database) as queries:
        assert announce.listened_to(Delivery.objects.all()) == []
        announce.deliveries_tell([row.pk])
    assert (callbacks, len(queries)) == ([], 0)


def test_a_listener_that_fails_harms_nothing(
    desk: Desk, psa: Connection, lead: Scope, told: list[Any], django_capture_on_commit_callbacks: Commit
) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError("listener")

    delivery_changed.connect(fail)
    try:
        row = desk.delivery(psa)
        with django_capture_on_commit_callbacks(execute=True):
            services.delivery_retry(desk.account, row.pk, scope=lead)
    finally:
        delivery_changed.disconnect(fail)
    assert told == [(row.pk, "ready")]
