"""Changed tickets are read again, polled, and told to the host; callbacks stay registered as we want them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from psa.models import (
    CallbackSubscription,
    Connection,
    Delivery,
    MemberMapping,
    TicketLink,
    TicketSighting,
    WorkUnit,
)
from psa.outbox import worker as worker_module
from psa.outbox.worker import Worker
from psa.providers.connectwise.provider import ConnectWiseProvider
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.signals import bulk_changed, ticket_changed
from psa.types import Actor, Capability
from psa.webhooks import changes as changes_module
from psa.webhooks.changes import Changes
from psa.webhooks.tests.conftest import Send
from resolutionflow.accounts.services import user_create

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

ADMIN = Actor(None, "Ada")


@pytest.fixture
def told() -> Iterator[list[tuple[str, frozenset[str]]]]:
    """What hosts are told: (ticket, what changed)."""
    heard: list[tuple[str, frozenset[str]]] = []

    def listen(*, ticket_id: str, what: frozenset[str], **_more: Any) -> None:
        heard.append((ticket_id, what))

    ticket_changed.connect(listen, weak=False)
    yield heard
    ticket_changed.disconnect(listen)


def put(sandbox: SandboxServer, number: int, **values: Any) -> None:
    """Change a ticket as somebody in ConnectWise would, a second after its last change."""
    table = sandbox.store.table("service/tickets")
    row = table.rows[number]
    info = {**row.data["_info"], "lastUpdated": f"{timezone.now():%Y-%m-%dT%H:%M:%SZ}"}
    table.put(row, {**row.data, **values, "_info": info})


def reads(sandbox: SandboxServer) -> list[str]:
    found = [row["path"].partition("/apis/3.0")[2] for row in sandbox.requests if row["method"] == "GET"]
    return [path for path in found if path]


def again(*, after: float = 60) -> None:
    """Let all waiting times be over."""
    long_ago = timezone.now() - timedelta(seconds=after)
    TicketSighting.objects.filter(read_at__isnull=False).update(read_at=long_ago)


# Reading again ----------------------------------------------------------------------------------


def test_first_sight_of_an_old_ticket_tells_nothing_and_a_change_tells_what(
    send: Send, message: Callable[..., bytes], changes: Changes, sandbox: SandboxServer, told: list[Any]
) -> None:
    send(message())
    changes.settle(5)
    sighting = TicketSighting.objects.get()
    assert (sighting.record_type, sighting.changed_at, sighting.seen["closed"]) == ("service", None, False)
    assert told == []
    for values, what in (
        ({"board": {"id": 2, "name": "Network Operations"}}, {"board"}),
        ({"type": {"id": 101, "name": "Software"}}, {"type"}),
        ({"resources": "zhang"}, {"assigned"}),
        ({"closedFlag": True}, {"closed"}),
        ({"closedFlag": False}, {"reopened"}),
        ({"summary": "another"}, None),
    ):
        put(sandbox, 57001, **values)
        again()
        send(message())
        changes.settle(5)
        assert told[-1:] == ([("57001", frozenset(what))] if what else told[-1:]), values
    assert len(told) == 5, "an update of nothing that matters is not told"


def test_a_new_ticket_is_told_with_the_users_it_is_assigned_to(
    send: Send,
    message: Callable[..., bytes],
    changes: Changes,
    sandbox: SandboxServer,
    connection: Connection,
) -> None:
    user = user_create(connection.tenant, username="eva", password="x")
    owner = sandbox.ticket(57001)["owner"]["identifier"]
    MemberMapping.objects.create(
        tenant=connection.tenant,
        connection=connection,
        user=user,
        user_name="eva",
        member_id="7",
        member_identifier=owner.upper(),
        member_name="x",
    )
    heard: list[dict[str, Any]] = []

    def listen(**facts: Any) -> None:
        heard.append(facts)

    ticket_changed.connect(listen, weak=False)
    try:
        now = f"{timezone.now():%Y-%m-%dT%H:%M:%SZ}"
        info = sandbox.ticket(57001)["_info"]
        put(sandbox, 57001, _info={**info, "dateEntered": now})
        table = sandbox.store.table("service/tickets")
        row = table.rows[57001]
        table.put(row, {**row.data, "_info": {**info, "dateEntered": now, "lastUpdated": now}})
        send(message(action="added"))
        changes.settle(5)
    finally:
        ticket_changed.disconnect(listen)
    [facts] = heard
    assert facts["what"] == {"created"}
    assert facts["user_ids"] == (user.pk,)
    assert facts["ticket"].id == "57001"
    assert facts["connection"].pk == connection.pk


def test_many_changes_cost_one_read(
    send: Send, message: Callable[..., bytes], changes: Changes, sandbox: SandboxServer
) -> None:
    for number in range(57001, 57051):
        send(message(number))
        send(message(number))
    before = len(reads(sandbox))
    changes.settle(10)
    asked = [path for path in reads(sandbox)[before:] if path.endswith("/tickets")]
    assert asked == ["/service/tickets"], "fifty tickets by one call; none of them is of a project"
    assert TicketSighting.objects.filter(changed_at=None).count() == 50


def test_a_ticket_that_changes_all_the_time_is_read_every_half_minute(
    send: Send, message: Callable[..., bytes], changes: Changes, sandbox: SandboxServer
) -> None:
    send(message())
    changes.settle(5)
    before = len(reads(sandbox))
    for _ in range(5):
        send(message())
        changes.settle(5)
    assert len(reads(sandbox)) == before
    assert TicketSighting.objects.get().changed_at, "it is still due"
    again()
    changes.settle(5)
    assert len(reads(sandbox)) > before
    assert TicketSighting.objects.get().changed_at is None


def test_a_change_that_is_heard_of_while_reading_is_read_later(
    send: Send, message: Callable[..., bytes], changes: Changes, sandbox: SandboxServer
) -> None:
    sandbox.faults.add("latency", path="/service/tickets$", seconds=0.6)
    send(message())
    changes.step()
    time.sleep(0.2)
    send(message())
    changes.settle(5)
    assert TicketSighting.objects.get().changed_at, "the answer may be older than the second message"


def test_a_ticket_that_is_gone_is_told(
    send: Send, message: Callable[..., bytes], changes: Changes, told: list[Any]
) -> None:
    send(message(99999))
    changes.settle(5)
    assert TicketSighting.objects.get().gone_at
    send(message(57001, "deleted"))
    changes.settle(5)
    assert told == [("99999", frozenset({"gone"})), ("57001", frozenset({"gone"}))]


def test_a_limit_on_reads_pauses_reads_and_never_notes(
    send: Send,
    message: Callable[..., bytes],
    changes: Changes,
    sandbox: SandboxServer,
    connection: Connection,
) -> None:
    sandbox.faults.add("status", method="GET", path="/service/tickets$", status=429, seconds=120)
    send(message())
    changes.settle(5)
    connection.refresh_from_db()
    assert connection.reads_not_before
    assert connection.reads_not_before > timezone.now() + timedelta(seconds=30)
    assert connection.not_before is None
    before = len(reads(sandbox))
    changes.settle(5)
    assert len(reads(sandbox)) == before
    assert TicketSighting.objects.get().changed_at, "nothing was lost"


def test_notes_that_are_due_go_first(
    send: Send,
    message: Callable[..., bytes],
    changes: Changes,
    sandbox: SandboxServer,
    connection: Connection,
) -> None:
    link = TicketLink.objects.create(
        tenant=connection.tenant, connection=connection, record_type="service", ticket_id="57002", next_seq=2
    )
    unit = WorkUnit.objects.create(tenant=connection.tenant, link=link, created_by_name="Eva")
    Delivery.objects.create(
        tenant=connection.tenant, connection=connection, link=link, unit=unit, kind="analysis", seq=1,
        payload={"text": "x"}, marker="RF-X", due_at=timezone.now(), created_by_name="Eva",
    )  # fmt: skip
    send(message())
    before = len(reads(sandbox))
    changes.settle(3)
    assert len(reads(sandbox)) == before
    TicketSighting.objects.update(changed_at=timezone.now() - timedelta(seconds=11))
    changes.settle(5)
    assert len(reads(sandbox)) > before, "but they do not keep reading away for ever"


def test_a_bulk_change_is_one_line_and_nothing_of_each(
    send: Send,
    message: Callable[..., bytes],
    changes: Changes,
    connection: Connection,
    settings: Any,
    told: list[Any],
    sandbox: SandboxServer,
) -> None:
    settings.PSA = {**settings.PSA, "BULK_CHANGE": (20, 300.0)}
    bulk: list[int] = []

    def listen(*, tickets: int, **_more: Any) -> None:
        bulk.append(tickets)

    bulk_changed.connect(listen, weak=False)
    try:
        for number in range(57001, 57041):
            put(sandbox, number, _info={**sandbox.ticket(number)["_info"]})
            send(message(number, "added"))
        changes.settle(10)
    finally:
        bulk_changed.disconnect(listen)
    assert told == []
    assert bulk
    assert bulk[-1] == 40
    connection.refresh_from_db()
    assert connection.bulk_change["tickets"] == 40


def test_a_listener_that_fails_harms_nothing(
    send: Send, message: Callable[..., bytes], changes: Changes, sandbox: SandboxServer
) -> None:
    def broken(**_facts: Any) -> None:
        CallbackSubscription.objects.create(type="x")
        raise RuntimeError("listener")

    send(message())
    changes.settle(5)
    put(sandbox, 57001, resources="zhang")
    again()
    send(message())
    ticket_changed.connect(broken, weak=False)
    try:
        changes.settle(5)
    finally:
        ticket_changed.disconnect(broken)
    assert "zhang" in TicketSighting.objects.get().seen["assigned"]


# Polling ----------------------------------------------------------------------------------------


def test_without_callbacks_changes_are_polled(
    connection: Connection, changes: Changes, sandbox: SandboxServer, told: list[Any]
) -> None:
    changes.settle(3)
    connection.refresh_from_db()
    assert connection.poll_cursor
    assert connection.next_poll_at
    wait = connection.next_poll_at - timezone.now()
    assert timedelta(seconds=110) < wait <= timedelta(seconds=120)
    put(sandbox, 57001, summary="first seen")
    Connection.objects.update(next_poll_at=None)
    Changes().settle(5)
    assert TicketSighting.objects.get().ticket_id == "57001"
    put(sandbox, 57001, resources="zhang")
    put(sandbox, 57002, summary="x")
    again()
    Connection.objects.update(next_poll_at=None)
    Changes().settle(5)
    assert told == [("57001", frozenset({"assigned"}))]
    assert TicketSighting.objects.count() == 2


def test_a_second_change_in_the_same_second_is_not_missed(
    connection: Connection, changes: Changes, sandbox: SandboxServer, told: list[Any]
) -> None:
    changes.settle(3)
    put(sandbox, 57001)
    stamp = sandbox.ticket(57001)["_info"]
    Connection.objects.update(next_poll_at=None)
    Changes().settle(5)
    put(sandbox, 57001, resources="zhang")
    table = sandbox.store.table("service/tickets")
    table.put(table.rows[57001], {**table.rows[57001].data, "_info": stamp})
    TicketSighting.objects.update(read_at=TicketSighting.objects.get().updated_at)
    Connection.objects.update(next_poll_at=None)
    later = Changes()
    later.settle(1)
    assert TicketSighting.objects.get().changed_at, "it is read again"


def test_beside_callbacks_changes_are_polled_less_often(
    connection: Connection, callback: CallbackSubscription, changes: Changes
) -> None:
    changes.settle(3)
    connection.refresh_from_db()
    assert connection.next_poll_at
    assert connection.next_poll_at - timezone.now() > timedelta(seconds=550)


def test_what_no_message_told_is_found_by_the_poll(
    connection: Connection, callback: CallbackSubscription, changes: Changes, sandbox: SandboxServer
) -> None:
    changes.settle(3)
    put(sandbox, 57009, summary="lost message")
    Connection.objects.update(next_poll_at=None)
    Changes().settle(5)
    assert TicketSighting.objects.filter(ticket_id="57009", read_at__isnull=False).exists()


def test_a_psa_that_is_down_is_polled_later(
    connection: Connection, changes: Changes, sandbox: SandboxServer
) -> None:
    changes.settle(3)
    Connection.objects.update(next_poll_at=None)
    sandbox.faults.add("status", path=".", status=503)
    Changes().settle(5)
    connection.refresh_from_db()
    assert connection.reads_not_before
    cursor = connection.poll_cursor
    sandbox.faults.clear()
    put(sandbox, 57003, summary="meanwhile")
    Connection.objects.update(reads_not_before=None)
    Changes().settle(5)
    connection.refresh_from_db()
    assert connection.poll_cursor
    assert cursor
    assert connection.poll_cursor >= cursor - timedelta(seconds=1)
    assert TicketSighting.objects.filter(ticket_id="57003").exists()


def test_a_disabled_or_broken_connection_is_not_polled(
    connection: Connection, changes: Changes, sandbox: SandboxServer
) -> None:
    for state in ("disabled", "broken", "degraded"):
        Connection.objects.update(state=state, next_poll_at=None)
        before = len(sandbox.requests)
        Changes().settle(2)
        assert len(sandbox.requests) == before


# Mistakes and limits ----------------------------------------------------------------------------


def test_a_provider_without_changes_is_not_asked(
    connection: Connection, changes: Changes, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = ConnectWiseProvider.capabilities - {Capability.CHANGES}
    monkeypatch.setattr(ConnectWiseProvider, "capabilities", known)
    before = len(sandbox.requests)
    Connection.objects.update(poll_cursor=timezone.now())
    changes.settle(2)
    assert len(sandbox.requests) == before
    connection.refresh_from_db()
    assert connection.reads_not_before is None


def test_a_mistake_of_ours_does_not_stop_what_follows(
    send: Send,
    message: Callable[..., bytes],
    changes: Changes,
    connection: Connection,
    sandbox: SandboxServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_args: Any) -> None:
        raise RuntimeError("a mistake")

    with monkeypatch.context() as patched:
        patched.setattr(changes_module, "finish", broken)
        send(message())
        before = len(sandbox.requests)
        changes.settle(3)
    assert TicketSighting.objects.get().changed_at, "it is still to be read"
    assert len(sandbox.requests) - before < 10, "the PSA is not asked over and over"
    Connection.objects.update(reads_not_before=None)
    changes.settle(5)
    assert TicketSighting.objects.get().changed_at is None


def test_a_mistake_in_looking_does_not_end_the_workers_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker(1)
    steps: list[str] = []

    class Broken(Changes):
        def step(self) -> bool:
            steps.append("step")
            if len(steps) > 1:
                worker.stop()
                return False
            raise RuntimeError("a mistake")

    monkeypatch.setattr(worker_module, "Changes", Broken)
    monkeypatch.setattr(worker_module, "CHANGES_IDLE_S", 0.01)
    worker._run_changes()
    assert steps == ["step", "step"]
