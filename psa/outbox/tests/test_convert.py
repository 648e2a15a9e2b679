"""A ticket that becomes a project ticket, or a service ticket again, while something waits for it."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import requests
from django.utils import timezone

from psa import selectors, services
from psa.models import Connection, Delivery, MemberMapping, TicketLink
from psa.outbox.tests.conftest import NOTES, sent
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Actor, DocumentPart, NoteKind, NotePart, Scope, StatusPart, TimePart

# Lanes read files in their own threads, so the rows must be committed.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

Convert = Callable[[str], None]
Run = Callable[..., None]


@pytest.fixture
def convert(sandbox: SandboxServer, ticket_id: str) -> Convert:
    """Convert the ticket as a dispatcher would in ConnectWise: to `project` or to `service`."""
    keys = sandbox.credentials

    def convert(to: str) -> None:
        base = f"{sandbox.url}/v4_6_release/apis/3.0"
        http = requests.Session()
        http.auth = (f"{keys.company_id}+{keys.public_key}", keys.private_key)
        http.headers["clientId"] = keys.client_id
        body: dict[str, Any] = {"recordType": "ServiceTicket"}
        if to == "project":
            body = {"recordType": "ProjectTicket", "phase": {"id": 1}, "wbsCode": "1.1"}
        here = "service" if to == "project" else "project"
        http.post(f"{base}/{here}/tickets/{ticket_id}/convert", json=body, timeout=5).raise_for_status()

    return convert


def whole(actor: Actor) -> list[Any]:
    now = timezone.now()
    return [
        NotePart(NoteKind.ANALYSIS, "Found it"),
        TimePart(actor, now - timedelta(hours=1), now, notes="Repaired.", internal_notes="A step."),
        StatusPart("In Progress"),
        DocumentPart("a.html", "A", "text/html", 3, lambda: io.BytesIO(b"abc")),
    ]


@pytest.fixture
def mapped(connection: Connection, actor: Actor) -> None:
    MemberMapping.objects.create(
        tenant_id=connection.tenant_id,
        connection=connection,
        user_id=actor.user_id,
        member_id="103",
        member_name="Ann Lee",
        how="manual",
    )


@pytest.mark.usefixtures("mapped")
def test_note_time_and_file_follow_and_the_status_of_another_board_waits(
    tenant: Any,
    run: Run,
    link: TicketLink,
    actor: Actor,
    scope: Scope,
    convert: Convert,
    sandbox: SandboxServer,
) -> None:
    unit = services.unit_enqueue(tenant, link.pk, whole(actor), actor=actor)
    convert("project")
    run()
    rows = {row.kind: row for row in unit.deliveries.all()}
    assert {kind: row.state for kind, row in rows.items()} == {
        "analysis": "delivered",
        "time": "delivered",
        "status": "dead",
        "document": "delivered",
    }
    assert {row.link.record_type for row in rows.values()} == {"project"}
    assert (rows["status"].problem or {})["code"] == "ticket-converted"
    [entry] = [
        row.data
        for row in sandbox.store.table("time/entries").of(())
        if str(row.id) == rows["time"].external_id
    ]
    assert entry["chargeToType"] == "ProjectTicket"
    files = sandbox.gateway.state.files.values()
    assert [kind for kind, number, _ in files if number == int(link.ticket_id)] == ["ProjectTicket"]
    notes = [note for note in sandbox.notes(int(link.ticket_id)) if rows["analysis"].marker in note["text"]]
    assert len(notes) == 1
    shown = selectors.documents(tenant, link.pk)
    assert [one.id for one in shown] == [rows["document"].external_id], "reads follow, too"


def test_what_may_be_there_already_is_looked_for_where_the_ticket_is_now(
    tenant: Any, run: Run, link: TicketLink, actor: Actor, convert: Convert, sandbox: SandboxServer
) -> None:
    unit = services.unit_enqueue(tenant, link.pk, [NotePart(NoteKind.ANALYSIS, "Found it")], actor=actor)
    sandbox.faults.add("drop_after", method="POST", path=NOTES, count=1)
    run_once(run, lambda: convert("project"), unit)
    run(later=True)
    delivery = unit.deliveries.get()
    assert delivery.state == "delivered"
    assert len(sent(sandbox, "POST", "/notes")) == 1


def test_a_file_that_may_be_there_is_looked_for_where_the_ticket_is_now(
    tenant: Any, run: Run, link: TicketLink, actor: Actor, convert: Convert, sandbox: SandboxServer
) -> None:
    part = DocumentPart("a.html", "A", "text/html", 3, lambda: io.BytesIO(b"abc"))
    unit = services.unit_enqueue(tenant, link.pk, [part], actor=actor)
    sandbox.faults.add("drop_after", method="POST", path="/system/documents$", count=1)
    run_once(run, lambda: convert("project"), unit)
    run(later=True)
    assert unit.deliveries.get().state == "delivered"
    assert len(sent(sandbox, "POST", "/system/documents")) == 1


def run_once(run: Run, between: Callable[[], None], unit: Any) -> None:
    """Send, let something happen at the PSA, and only then look."""
    from psa.outbox import dispatch

    real = dispatch.attempt
    seen: list[bool] = []

    def attempt(claim: Any) -> Any:
        if claim.look and not seen:
            seen.append(True)
            between()
        return real(claim)

    dispatch.attempt = attempt  # type: ignore[assignment]
    try:
        run()
    finally:
        dispatch.attempt = real
    assert seen


def test_ticket_that_is_converted_back_has_its_own_lane_again(
    tenant: Any, run: Run, link: TicketLink, actor: Actor, convert: Convert
) -> None:
    for place, kind in enumerate(("project", "service", "project")):
        services.unit_enqueue(tenant, link.pk, [NotePart(NoteKind.ANALYSIS, f"Note {place}")], actor=actor)
        convert(kind)
        run()
        newest = Delivery.objects.order_by("-pk")[0]
        assert (newest.state, newest.link.record_type) == ("delivered", kind)


def test_ticket_that_is_of_neither_kind_is_gone(
    tenant: Any, run: Run, link: TicketLink, actor: Actor, sandbox: SandboxServer, ticket_id: str
) -> None:
    unit = services.unit_enqueue(tenant, link.pk, [NotePart(NoteKind.ANALYSIS, "Found it")], actor=actor)
    table = sandbox.store.table("service/tickets")
    table.remove(table.rows[int(ticket_id)])
    run()
    delivery = unit.deliveries.get()
    assert (delivery.state, (delivery.problem or {})["code"]) == ("dead", "ticket-gone")
