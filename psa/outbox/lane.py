"""Owns one attempt: it speaks HTTP and reports an `Outcome`. It never touches the database."""

from __future__ import annotations

import logging
from dataclasses import replace

from psa.conf import psa_settings
from psa.exceptions import (
    InvalidStatusError,
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    UnsupportedOperationError,
)
from psa.models.delivery import API_MEMBER, NOTE_KINDS, DeliveryKind
from psa.outbox.claim import Claim
from psa.outbox.document import document_send
from psa.outbox.outcome import Health, Next, Outcome, outcome_of
from psa.outbox.reconcile import look
from psa.outbox.text import note_text
from psa.outbox.time_entry import time_send
from psa.providers.write_trace import trace_writes
from psa.types import NoteDraft, NoteKind, RecordType, Status, Ticket

log = logging.getLogger("psa.outbox")

MERGES_MAX = 5
"""How far a chain of merged tickets is followed."""


def attempt(claim: Claim) -> Outcome:
    """Send or look up one delivery and return what came of it. Never raises."""
    if too_short := _lease_too_short(claim):
        return too_short
    with trace_writes() as trace:
        try:
            outcome = _attempt(claim)
        except NotFoundError as exc:
            outcome = _not_found(claim, exc)
        except Exception as exc:
            if not isinstance(exc, ProviderError):
                log.exception("delivery %s failed unexpectedly", claim.delivery_id)
            outcome = outcome_of(exc, sent=trace.sent and not claim.look)
    return replace(
        outcome,
        request_id=outcome.request_id or trace.request_id,
        http_status=outcome.http_status or trace.http_status,
    )


def _attempt(claim: Claim) -> Outcome:
    if claim.look:
        return look(claim)
    if claim.kind in NOTE_KINDS:
        return _send_note(claim)
    if claim.kind == DeliveryKind.STATUS:
        # Several calls, one deadline: the lease is as long as one.
        with claim.provider.http.one_deadline():
            return _send_status(claim)
    if claim.kind in _SEND_OPTIONAL:
        with claim.provider.http.one_deadline():
            return _send_optional(claim)
    return Outcome(Next.DEAD, "unsupported", f"A delivery of kind {claim.kind} cannot be sent yet.")


def _lease_too_short(claim: Claim, ticket: Ticket | None = None) -> Outcome | None:
    """Return why nothing may be sent any more: a call begun now could outlive the lease."""
    current = psa_settings()
    if claim.lease_left_s() >= current.CONNECT_TIMEOUT_S + current.CALL_DEADLINE_S:
        return None
    text = "The worker was held up; nothing was sent."
    return Outcome(Next.WAIT, "lease-too-short", text, wait_s=0.0, ticket=ticket)


def _merged(claim: Claim, ticket: Ticket) -> Outcome | None:
    """Return what leads to the ticket this one was merged into, over several merges; None if it was not."""
    parent = ticket
    for _ in range(MERGES_MAX):
        if not parent.merged_into:
            break
        parent = claim.provider.ticket_get(parent.merged_into, ticket.record_type)
    if parent is ticket:
        return None
    text = f"Ticket {ticket.id} was merged into ticket {parent.id}; what waited for it goes there."
    return Outcome(Next.FOLLOW, "ticket-merged", text, health=Health.GOOD, ticket=parent)


def _read_first(claim: Claim, *, always: bool = False) -> tuple[Ticket | None, Outcome | None]:
    """Read a ticket that was not read for a while; return it, and what keeps us from writing to it."""
    if not claim.snapshot_stale and not always:
        return None, None
    ticket = claim.provider.ticket_get(claim.ticket_id, RecordType(claim.record_type))
    return ticket, _merged(claim, ticket) or _lease_too_short(claim, ticket)


def _send_note(claim: Claim) -> Outcome:
    ticket, hindered = _read_first(claim)
    if hindered:
        return hindered
    text = note_text(
        claim.payload["text"],
        part=claim.part,
        parts=claim.parts,
        marker=claim.marker,
        posted_by="" if claim.author_member_id else claim.author_name,
    )
    kind = NoteKind(claim.kind)
    note = claim.provider.note_add(
        claim.ticket_id,
        RecordType(claim.record_type),
        NoteDraft(kind, text, claim.author_member_id, bool(claim.payload.get("notify"))),
    )
    leaked = note.customer_visible and not kind.customer_visible
    return Outcome(
        next=Next.DELIVERED,
        code="shown-to-customer" if leaked else "delivered",
        text="The PSA made this internal note visible to the customer." if leaked else "",
        remedy="Open the ticket and hide or remove the note now." if leaked else "",
        health=Health.GOOD,
        sent=True,
        external_id=note.id,
        written=text,
        author_name=claim.author_name if claim.author_member_id else API_MEMBER,
        author_kind="member" if claim.author_member_id else "api_member",
        ticket=ticket,
    )


_SEND_OPTIONAL = {DeliveryKind.TIME: time_send, DeliveryKind.DOCUMENT: document_send}


def _send_optional(claim: Claim) -> Outcome:
    try:
        # Time on a merged ticket would be on the wrong one, and nothing takes it back.
        ticket, hindered = _read_first(claim, always=claim.kind == DeliveryKind.TIME)
        return hindered or replace(_SEND_OPTIONAL[DeliveryKind(claim.kind)](claim), ticket=ticket)
    except PermissionDeniedError as exc:
        # It needs a person, but must not hold the notes and the status behind it.
        return replace(outcome_of(exc, sent=False), next=Next.DEAD)


def status_named(statuses: list[Status], wanted: str) -> Status:
    """Return the active status with that id or exact name.

    Raises: InvalidStatusError, naming the valid ones.
    """
    active = [status for status in statuses if status.active]
    by_name = [status for status in active if status.name == wanted]
    found = by_name or [status for status in active if status.id == wanted]
    if not found:
        names = [status.name for status in active]
        raise InvalidStatusError(
            f"The ticket's board has no active status {wanted!r}. It has: {', '.join(names)}.",
            valid_names=names,
        )
    return found[0]


def _send_status(claim: Claim) -> Outcome:
    record_type = RecordType(claim.record_type)
    ticket = claim.provider.ticket_get(claim.ticket_id, record_type)
    if merged := _merged(claim, ticket):
        return merged
    if ticket.status is not None and claim.payload["status"] in (ticket.status.name, ticket.status.id):
        return _status_delivered(claim, ticket, sent=False)
    refusal = _needs_person(claim, ticket)
    if refusal:
        return refusal
    wanted = status_named(claim.provider.statuses_for(ticket), claim.payload["status"])
    seen = claim.provider.status_set(
        claim.ticket_id, record_type, wanted.id, notify=bool(claim.payload.get("notify"))
    )
    outcome = _status_delivered(claim, seen, sent=True, wanted=wanted)
    return replace(outcome, before=ticket.status.name if ticket.status else "")


def _needs_person(claim: Claim, ticket: Ticket) -> Outcome | None:
    """Return why a person must decide before the status is set, None when nothing stands against it."""
    if claim.payload.get("force"):
        return None
    if claim.board_id and ticket.board is not None and ticket.board.id != claim.board_id:
        return Outcome(
            Next.DEAD,
            "board-changed",
            f"The ticket has moved to the board {ticket.board.name} since this was posted.",
            "Retry to set the status there anyway, or discard it.",
            Health.GOOD,
        )
    if ticket.closed:
        when = f" at {ticket.updated_at:%H:%M} UTC" if ticket.updated_at else ""
        who = f" by {ticket.updated_by}" if ticket.updated_by else ""
        name = ticket.status.name if ticket.status else "closed"
        return Outcome(
            Next.DEAD,
            "already-closed",
            f"The ticket was closed{who}{when} with the status {name}.",
            "Retry to set the status anyway, or discard it to leave the ticket as it is.",
            Health.GOOD,
        )
    return None


def _status_delivered(claim: Claim, ticket: Ticket, *, sent: bool, wanted: Status | None = None) -> Outcome:
    seen = ticket.status.name if ticket.status else ""
    moved_on = wanted is not None and ticket.status is not None and ticket.status.id != wanted.id
    return Outcome(
        next=Next.DELIVERED,
        code="moved-on" if moved_on else ("delivered" if sent else "already-there"),
        text=f"The PSA moved it on to {seen}." if moved_on else "",
        health=Health.GOOD,
        sent=sent,
        external_id=claim.ticket_id,
        status_seen=seen,
        author_name=API_MEMBER,
        author_kind="api_member",
    )


def _not_found(claim: Claim, exc: NotFoundError) -> Outcome:
    """Believe a 404 only after the same keys could read something else, and the ticket is of no other kind.

    A ticket that was converted keeps its id: what waits for it follows it, what is looked for is looked for
    there.
    """
    try:
        claim.provider.check_access()
        converted = _converted(claim)
        if converted is None:
            return outcome_of(exc, sent=False)
        if claim.look:
            return look(replace(claim, record_type=converted.record_type.value))
    except Exception as probe:  # noqa: BLE001  whatever the probe says, nothing was written by it
        return outcome_of(probe, sent=False)
    text = f"Ticket {converted.id} is a {converted.record_type.value} ticket now; what waited follows it."
    return Outcome(Next.FOLLOW, "ticket-converted", text, health=Health.GOOD, ticket=converted)


def _converted(claim: Claim) -> Ticket | None:
    """Return the ticket as one of the other kind, None when there is none of that id either."""
    service = RecordType(claim.record_type) is RecordType.SERVICE
    try:
        return claim.provider.ticket_get(
            claim.ticket_id, RecordType.PROJECT if service else RecordType.SERVICE
        )
    except (NotFoundError, PermissionDeniedError, UnsupportedOperationError):
        return None
