"""Owns what the tests of corrections look at: notes as the PSA has them, entries of the audit, lanes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from psa.models import AuditEntry, Delivery, TicketLink
from psa.provider_pool import provider_for
from psa.types import NoteDraft, NoteKind, RecordType

Post = Callable[..., Delivery]
Run = Callable[..., None]
Stored = Callable[[], list[dict[str, Any]]]
NOTE = r"/service/tickets/\d+/notes/\d+$"
OTHER = "57001"
"""A ticket that notes are moved to."""
REFUSALS = [403, 405, 400]
UNCLEAR = [
    {"kind": "drop_before"},
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 409},
]
DONE_ALL_THE_SAME = [
    {"kind": "drop_after"},
    {"kind": "garbage"},
    {"kind": "status", "status": 504, "after": True},
]
SECTIONS = ("detailDescriptionFlag", "internalAnalysisFlag", "resolutionFlag")


def section(note: dict[str, Any]) -> list[str]:
    """Return the sections a note lies in."""
    return [name for name in note if name.endswith("Flag") and note[name] and name in SECTIONS]


def verbs() -> list[str]:
    """Return what the audit says, without what was posted."""
    found = AuditEntry.objects.filter(object_type="delivery").exclude(verb="note.delivered")
    return list(found.order_by("pk").values_list("verb", flat=True))


def double(delivery: Delivery, stored: Stored) -> None:
    """Let the PSA commit a delivered note a second time."""
    text = next(note["text"] for note in stored() if delivery.marker in note["text"])
    draft = NoteDraft(NoteKind(delivery.kind), text)
    provider = provider_for(delivery.connection)
    provider.note_add(delivery.link.ticket_id, RecordType.SERVICE, draft)


def is_free(delivery: Delivery) -> bool:
    """True when nobody holds the lane and nothing says that a change is under way."""
    delivery.refresh_from_db()
    return not TicketLink.objects.get(pk=delivery.link_id).lease_token and (
        "correcting" not in delivery.payload
    )


def counts(texts: Any) -> tuple[int, int]:
    """Return how many of our notes are on the old and on the new ticket."""
    old, new = texts()
    return len(old), len(new)
