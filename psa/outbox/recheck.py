"""Owns the second look: what was sent twice is looked at once more, for a write the PSA committed late."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from psa.exceptions import PsaError
from psa.models import Connection, Delivery
from psa.models.delivery import DeliveryKind, DeliveryState
from psa.outbox.claim import flowing
from psa.providers.base import Provider
from psa.types import NoteKind, RecordType

AGAIN_AFTER = timedelta(minutes=5)
"""When the look is repeated if the ticket could not be read."""


@dataclass(frozen=True, slots=True)
class Recheck:
    """A delivered note to be counted on its ticket; a lane needs no database for it."""

    delivery_id: int
    ticket_id: str
    record_type: str
    marker: str
    kind: str
    provider: Provider = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rechecked:
    """How often the marker was found; None when the ticket could not be read."""

    delivery_id: int
    found: int | None


def duplicate_problem(kind: str, times: int) -> dict[str, str]:
    """Return what a person reads of what stands on its ticket more than once."""
    thing = {DeliveryKind.TIME: "time entry", DeliveryKind.DOCUMENT: "file"}.get(DeliveryKind(kind), "note")
    return {
        "code": "duplicate",
        "text": f"This {thing} stands {times} times on the ticket.",
        "remedy": f"Remove the extra {thing} in the PSA.",
    }


def rechecks_claim(now: datetime, at_most: int) -> list[Delivery]:
    """Return up to at_most deliveries whose second look is due, each claimed by one conditional UPDATE.

    Only of connections that flow: a sick one is not asked, and tells nothing anyway.
    """
    found = Delivery.objects.filter(
        recheck_at__lte=now, connection__in=Connection.objects.filter(flowing(now))
    )
    due = found.select_related("link", "connection")[: max(at_most, 0)]
    return [
        row
        for row in due
        if Delivery.objects.filter(pk=row.pk, recheck_at=row.recheck_at).update(recheck_at=now + AGAIN_AFTER)
    ]


def recheck_of(row: Delivery, provider: Provider) -> Recheck:
    """Return the job that looks for a delivery once more; row has its link joined."""
    return Recheck(row.pk, row.link.ticket_id, row.link.record_type, row.marker, row.kind, provider)


def recheck(job: Recheck) -> Rechecked:
    """Count the notes with the marker, over HTTP. Never raises a PsaError."""
    try:
        found = marked(job.provider, job.ticket_id, RecordType(job.record_type), job.marker, job.kind)
    except PsaError:
        return Rechecked(job.delivery_id, None)
    return Rechecked(job.delivery_id, found)


def marked(provider: Provider, ticket_id: str, record_type: RecordType, marker: str, kind: str) -> int:
    """Return how often what carries a marker stands on a ticket.

    Raises: ProviderError.
    """
    if kind == DeliveryKind.TIME:
        return len(provider.time_entry_find(ticket_id, record_type, marker))
    if kind == DeliveryKind.DOCUMENT:
        return len(provider.document_find(ticket_id, record_type, marker))
    return len(provider.note_find(ticket_id, record_type, marker, NoteKind(kind)))


def recheck_finish(result: Rechecked) -> None:
    """Write down a second look; one that could not read is already set to be repeated."""
    if result.found is None:
        return
    row = Delivery.objects.filter(pk=result.delivery_id, state=DeliveryState.DELIVERED)
    row.update(recheck_at=None)
    if result.found > 1:
        kind = row.values_list("kind", flat=True).first() or ""
        row.update(problem=duplicate_problem(kind, result.found))
