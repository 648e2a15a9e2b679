"""Owns the note that asks to ignore another one, for a PSA that lets nobody change what stands there."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC

from psa.models import Delivery
from psa.models.delivery import DeliveryState
from psa.outbox.enqueue import enqueue, plan
from psa.providers.base import Provider
from psa.types import Actor, NoteKind, NotePart, RecordType

IGNORES = "ignores"
"""Name in the payload of such a note: the id of the delivery it is about."""


def ignore_enqueue(row: Delivery, provider: type[Provider], why: str, *, actor: Actor) -> Delivery:
    """Queue a note that asks to ignore a delivered one, for the same readers, and return its first delivery.

    One that was queued or delivered with the same words is returned instead: asking twice is no help. The old
    marker is not repeated, or it would look like a double. row has its link, connection and unit joined.
    Runs in the caller's transaction. Raises: InvalidInputError `text-too-long`.
    """
    part = NotePart(NoteKind(row.kind), ignore_text(row, why))
    drafts = plan(provider, RecordType(row.link.record_type), [part])
    same = Delivery.objects.filter(supersedes=row, text_hash=drafts[0].text_hash, payload__ignores=row.pk)
    known = same.exclude(state=DeliveryState.DISCARDED).order_by("pk").first()
    if known is not None:
        return known
    drafts = [replace(draft, payload={**draft.payload, IGNORES: row.pk}) for draft in drafts]
    unit = enqueue(row.connection, row.link, drafts, actor=actor, origin=row.unit.origin)
    queued = Delivery.objects.filter(unit=unit)
    queued.update(supersedes=row)
    return queued.earliest("seq")


def ignore_text(row: Delivery, why: str) -> str:
    """Return the words of such a note: `Please ignore the note of 2026-03-02 14:02 UTC: …`."""
    moment = (row.delivered_at or row.created_at).astimezone(UTC)
    return f"Please ignore the note of {moment:%Y-%m-%d %H:%M} UTC: {why}"
