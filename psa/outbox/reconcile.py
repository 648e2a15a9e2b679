"""Owns the look: is a delivery whose outcome is unknown on its ticket already?"""

from __future__ import annotations

from psa.models.delivery import API_MEMBER, NOTE_KINDS, DeliveryKind
from psa.outbox.claim import Claim
from psa.outbox.document import document_look
from psa.outbox.outcome import Health, Next, Outcome
from psa.outbox.time_entry import time_look
from psa.types import NoteKind, RecordType


def look(claim: Claim) -> Outcome:
    """Return DELIVERED when the write is found, UNKNOWN with `looked` when it is not.

    Raises: ProviderError, when the ticket could not be read: such a look does not count.
    """
    record_type = RecordType(claim.record_type)
    if claim.kind in NOTE_KINDS:
        found = claim.provider.note_find(claim.ticket_id, record_type, claim.marker, NoteKind(claim.kind))
        if not found:
            return Outcome(Next.UNKNOWN, "not-found", health=Health.GOOD, looked=True)
        oldest = min(found, key=lambda note: (len(note.id), note.id))
        return Outcome(
            next=Next.DELIVERED,
            code="found",
            health=Health.GOOD,
            looked=True,
            external_id=oldest.id,
            written=oldest.text,
            author_name=claim.author_name if claim.author_member_id else API_MEMBER,
            author_kind="member" if claim.author_member_id else "api_member",
            doubles=len(found) - 1,
        )
    # A list of time or files may be empty for a ticket that is not there, or is of the other kind now: only a
    # ticket that could be read can tell that something is missing.
    ticket = claim.provider.ticket_get(claim.ticket_id, record_type)
    if claim.kind == DeliveryKind.TIME:
        return time_look(claim)
    if claim.kind == DeliveryKind.DOCUMENT:
        return document_look(claim)
    if ticket.status is not None and claim.payload["status"] in (ticket.status.name, ticket.status.id):
        return Outcome(
            Next.DELIVERED,
            "found",
            health=Health.GOOD,
            looked=True,
            external_id=claim.ticket_id,
            status_seen=ticket.status.name,
            author_name=API_MEMBER,
            author_kind="api_member",
        )
    return Outcome(Next.UNKNOWN, "not-found", health=Health.GOOD, looked=True)
