"""Owns what tests of deliveries and of the audit stand on: posts to a ticket of the sandbox, in any state."""

from __future__ import annotations

from typing import Any

import requests
from django.utils import timezone

from integrations_ui.tests.session_desk import TICKET, actor_of
from psa import services
from psa.models import Connection, Delivery, DeliveryAttempt
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import NoteKind, NotePart, StatusPart
from resolutionflow.accounts.models import User

REFUSED = {"code": "psa-refused", "text": "ConnectWise refused the text.", "remedy": "Shorten the note."}
NOTES = r"/service/tickets/\d+/notes$"


def post(
    connection: Connection,
    user: User,
    *texts: str,
    kind: str = "analysis",
    ticket: int = TICKET,
    notify: bool = False,
) -> Delivery:
    """Queue notes as one piece of work and return the first."""
    link = services.ticket_link(connection.tenant, connection.pk, str(ticket))
    parts = [NotePart(NoteKind(kind), text, notify=notify) for text in texts or ("Restarted the spooler.",)]
    unit = services.unit_enqueue(connection.tenant, link.pk, parts, actor=actor_of(user), origin="session:1")
    return unit.deliveries.order_by("seq").first()


def post_status(connection: Connection, user: User, status: str) -> Delivery:
    """Queue a change of status."""
    link = services.ticket_link(connection.tenant, connection.pk, str(TICKET))
    unit = services.unit_enqueue(connection.tenant, link.pk, [StatusPart(status)], actor=actor_of(user))
    return unit.deliveries.get()


def put(delivery: Delivery, state: str, **values: Any) -> Delivery:
    """Put a delivery into a state, as an attempt would have left it."""
    given: dict[str, Any] = {"held_by": ""}
    if state == "dead":
        given["problem"] = REFUSED
    if state == "delivered":
        given |= {"delivered_at": timezone.now(), "external_id": "410999"}
    Delivery.objects.filter(pk=delivery.pk).update(state=state, **{**given, **values})
    return Delivery.objects.get(pk=delivery.pk)


def attempt(delivery: Delivery, outcome: str = "psa-refused", **values: Any) -> DeliveryAttempt:
    """Store an attempt at a delivery."""
    given = {
        "action": "send",
        "started_at": timezone.now(),
        "duration_ms": 84,
        "http_status": 400,
        "request_id": "req-1234",
        "error": "ConnectWise refused the text.\nInvalidObject: text is too long",
    }
    return DeliveryAttempt.objects.create(delivery=delivery, outcome=outcome, **{**given, **values})


def notes_on(sandbox: SandboxServer, ticket: int = TICKET) -> list[dict[str, Any]]:
    """Return our notes on a ticket, read over the wire with the sandbox's own keys, oldest first."""
    keys = sandbox.credentials
    answer = requests.get(
        f"{sandbox.url}/v4_6_release/apis/3.0/service/tickets/{ticket}/notes",
        params={"pageSize": "1000", "orderBy": "id"},
        auth=(f"{keys.company_id}+{keys.public_key}", keys.private_key),
        headers={"clientId": keys.client_id},
        timeout=5,
    )
    return [note for note in answer.json() if "Ref RF-" in note["text"]]
