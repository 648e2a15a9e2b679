"""A session completed with everything is one unit: whatever breaks at any step, each part arrives once."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from psa import services
from psa.database import database_now
from psa.models import Connection, Delivery, MemberMapping, TicketLink, WorkUnit
from psa.models.delivery import OPEN_STATES
from psa.outbox.schedule import leases_expire
from psa.outbox.tests.conftest import notes_of
from psa.outbox.tests.crash_worker import CrashServer, crash_server
from psa.outbox.worker import Worker
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Actor, DocumentPart, NoteKind, NotePart, StatusPart, TimePart
from resolutionflow.accounts.models import Account

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

SECRET = "Door code 4711"
CONTENT = f"<p>{SECRET}</p>".encode() * 40_000
"""1 MB: more than the sockets take at once."""

WRITES = {
    "analysis": ("POST", r"/tickets/\d+/notes$"),
    "resolution": ("POST", r"/tickets/\d+/notes$"),
    "time": ("POST", "/time/entries$"),
    "status": ("PATCH", r"/service/tickets/\d+$"),
    "document": ("POST", "/system/documents$"),
}
"""Kind → the request that writes it, in the order of delivery."""
FAULTS: dict[str, dict[str, Any]] = {
    "before": {"kind": "drop_before"},
    "after": {"kind": "drop_after"},
    "garbage": {"kind": "garbage"},
    "503": {"kind": "status", "status": 503},
    "500 after": {"kind": "status", "status": 500, "after": True},
    "429": {"kind": "status", "status": 429, "seconds": 1},
}


@pytest.fixture(scope="module")
def crash(django_db_setup: None) -> Iterator[CrashServer]:
    with crash_server() as server:
        yield server


@pytest.fixture
def unit(tenant: Account, link: TicketLink, actor: Actor, connection: Connection) -> WorkUnit:
    MemberMapping.objects.create(
        tenant=tenant,
        connection=connection,
        user_id=actor.user_id,
        member_id="103",
        member_name="Ann Lee",
        how="manual",
    )
    now = timezone.now()
    parts = [
        NotePart(NoteKind.ANALYSIS, f"Swapped the fuser. {SECRET}"),
        NotePart(NoteKind.RESOLUTION, "The printer works again."),
        TimePart(actor, now - timedelta(hours=1), now, notes="Printer repaired.", internal_notes=SECRET),
        StatusPart("Closed"),
        DocumentPart("session.html", "Session 1", "text/html", len(CONTENT), lambda: io.BytesIO(CONTENT)),
    ]
    return services.unit_enqueue(tenant, link.pk, parts, actor=actor)


def recover() -> None:
    """Let time pass, and a sound worker do what is due, until nothing is."""
    for _ in range(6):
        if not Delivery.objects.filter(state__in=OPEN_STATES).exists():
            break
        past = timezone.now() - timedelta(seconds=1)
        TicketLink.objects.exclude(lease_token="").update(lease_expires_at=past)
        leases_expire(database_now())
        Delivery.objects.update(due_at=past)
        Connection.objects.update(not_before=None, open_until=None)
        Connection.objects.filter(next_probe_at__isnull=False).update(next_probe_at=past)
        Worker(4).run(once=True)


def assert_complete(unit: WorkUnit, sandbox: SandboxServer) -> None:
    """Each part stands on the ticket exactly once, and the customer reads no step."""
    unit.refresh_from_db()
    rows = {row.kind: row for row in unit.deliveries.order_by("seq")}
    assert {kind: row.state for kind, row in rows.items()} == dict.fromkeys(WRITES, "delivered")
    assert unit.state == "delivered"
    number = unit.link.ticket_id
    notes = notes_of(sandbox, number)
    for kind in ("analysis", "resolution"):
        assert [str(note["id"]) for note in notes if rows[kind].marker in note["text"]] == [
            rows[kind].external_id
        ]
    entries = [
        row.data
        for row in sandbox.store.table("time/entries").of(())
        if rows["time"].marker in str(row.data.get("internalNotes"))
    ]
    assert [str(entry["id"]) for entry in entries] == [rows["time"].external_id]
    files = [found for found in sandbox.files(int(number)) if rows["document"].marker in found[0]["title"]]
    assert [str(stored["id"]) for stored, _content in files] == [rows["document"].external_id]
    assert files[0][1] == CONTENT
    ticket = sandbox.ticket(int(number))
    assert ticket["status"]["name"] == "Closed"
    seen_by_customer = [
        *(str(note["text"]) for note in notes if not note["internalAnalysisFlag"]),
        *(str(entry["notes"]) for entry in entries),
        *(str(stored) for stored, _content in files),
        *(content.decode() for stored, content in files if stored["publicFlag"]),
        *(str(mail) for mail in sandbox.mails),
    ]
    assert not any(SECRET in text for text in seen_by_customer)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", WRITES)
def test_a_fault_at_any_step_leaves_each_part_there_once(
    unit: WorkUnit, sandbox: SandboxServer, kind: str, fault: str
) -> None:
    # Everything before it is delivered first, so that the fault meets this part and no other.
    part = unit.deliveries.filter(kind=kind)
    part.update(held_by="pause")
    Worker(2).run(once=True)
    assert unit.deliveries.filter(state="delivered").count() == list(WRITES).index(kind)
    part.update(held_by="")
    method, path = WRITES[kind]
    sandbox.faults.add(method=method, path=path, count=1, **FAULTS[fault])
    recover()
    assert [fault.count for fault in sandbox.faults.all()] == [0], "the fault was met"
    assert_complete(unit, sandbox)


@pytest.mark.parametrize("point", ["lane started", "write half sent", "call over", "finish not committed"])
@pytest.mark.parametrize("step", range(len(WRITES)), ids=list(WRITES))
def test_a_worker_killed_at_any_step_leaves_each_part_there_once(
    unit: WorkUnit, sandbox: SandboxServer, crash: CrashServer, step: int, point: str
) -> None:
    crash.crash(point, spare=step)
    done = unit.deliveries.filter(state="delivered").count()
    assert done == step
    recover()
    assert_complete(unit, sandbox)
