"""Owns how a note that stands on its ticket is changed or removed: looked at, written, looked at again.

Speaks HTTP, never the database. Both writes may be repeated: sent twice they end as sent once. What a PSA
answers to a write is not raised: `Correction` says how far it came.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from psa.exceptions import (
    BusyError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    ProviderError,
    RejectedError,
)
from psa.models import Delivery
from psa.providers.base import Provider
from psa.types import Note, NoteKind, RecordType


@dataclass(frozen=True, slots=True)
class Place:
    """Where the notes of a delivery stand."""

    provider: Provider = field(repr=False)
    ticket_id: str
    record_type: RecordType


@dataclass(frozen=True, slots=True)
class Change:
    """One note before and after; after is None once it is gone."""

    before: Note
    after: Note | None
    sent: bool
    """False when it was as wanted already."""


@dataclass(slots=True)
class Correction:
    """What came of changing notes, in the order in which they were changed."""

    changes: list[Change] = field(default_factory=list)
    stopped_at: Note | None = None
    """The note that could not be changed; those behind it were not tried."""
    error: ProviderError | None = None

    @property
    def refused(self) -> bool:
        """True when the PSA said no, and will say so again."""
        return isinstance(self.error, PermissionDeniedError | RejectedError)

    @property
    def unknown(self) -> bool:
        """True when a write may or may not have been made."""
        return isinstance(self.error, OutcomeUnknownError)


def notes_of(place: Place, delivery: Delivery) -> list[Note]:
    """Return the notes a delivery left on its ticket, oldest first: one, none, or a double.

    Those with its marker, and the one it was answered with, even if somebody has taken the marker out.
    Raises: ProviderError, when the ticket cannot be read; NotFoundError, when it is not there or hidden.
    """
    found = marked(place, delivery)
    if delivery.external_id and delivery.external_id not in {note.id for note in found}:
        try:
            found.append(place.provider.note_get(place.ticket_id, place.record_type, delivery.external_id))
        except NotFoundError:
            # The ticket could be read a moment ago, so it is the note that is gone.
            return found
    return sorted(found, key=_age)


def marked(place: Place, delivery: Delivery) -> list[Note]:
    """Return the notes that carry a delivery's marker, oldest first. Raises: as `notes_of`."""
    found = place.provider.note_find(
        place.ticket_id, place.record_type, delivery.marker, NoteKind(delivery.kind)
    )
    return sorted(found, key=_age)


def notes_change(
    place: Place, notes: list[Note], *, text: str | None = None, kind: NoteKind | None = None
) -> Correction:
    """Give notes another text or kind; stops at the first that cannot be changed."""
    result = Correction()
    for note in notes:
        if _is_so(note, text, kind):
            result.changes.append(Change(note, note, sent=False))
            continue
        try:
            after = _change(place, note, text, kind)
        except ProviderError as exc:
            result.stopped_at, result.error = note, exc
            break
        result.changes.append(Change(note, after, sent=True))
    return result


def notes_remove(place: Place, notes: list[Note]) -> Correction:
    """Take notes off their ticket; stops at the first that stays."""
    result = Correction()
    for note in notes:
        try:
            _remove(place, note)
        except ProviderError as exc:
            result.stopped_at, result.error = note, exc
            break
        result.changes.append(Change(note, None, sent=True))
    return result


def _change(place: Place, note: Note, text: str | None, kind: NoteKind | None) -> Note:
    ticket_id = _ticket_of(place, note)
    try:
        return place.provider.note_change(ticket_id, place.record_type, note.id, text=text, kind=kind)
    except (OutcomeUnknownError, BusyError) as exc:
        try:
            seen = place.provider.note_get(ticket_id, place.record_type, note.id)
        except ProviderError:
            raise _unclear(exc) from exc
        if not _is_so(seen, text, kind):
            # It may still come: some servers go on working on what they did not answer.
            raise _unclear(exc) from exc
        return seen


def _remove(place: Place, note: Note) -> None:
    ticket_id = _ticket_of(place, note)
    answered = True
    reason: ProviderError | None = None
    try:
        place.provider.note_remove(ticket_id, place.record_type, note.id)
    except (OutcomeUnknownError, BusyError) as exc:
        answered, reason = False, exc
    try:
        place.provider.note_get(ticket_id, place.record_type, note.id)
    except NotFoundError:
        return
    except ProviderError as exc:
        raise _unclear(reason or exc) from exc
    if answered:
        raise RejectedError("The PSA answered but kept the note.", operation="note_remove")
    raise _unclear(reason)


def _is_so(note: Note, text: str | None, kind: NoteKind | None) -> bool:
    same_kind = kind is None or (note.kind is kind and note.customer_visible is kind.customer_visible)
    return same_kind and (text is None or note.text.split() == text.split())


def _ticket_of(place: Place, note: Note) -> str:
    """Return the ticket a note belongs to: a list may hold notes of child tickets, too."""
    return note.ticket_id or place.ticket_id


def _unclear(exc: ProviderError | None) -> OutcomeUnknownError:
    return OutcomeUnknownError(
        "The PSA gave no clear answer, so the note may or may not have been changed. "
        "Do the same again: the ticket is looked at first, and nothing is done twice.",
        operation=exc.operation if exc else "",
        status=exc.status if exc else None,
        request_id=exc.request_id if exc else "",
        retry_after_s=exc.retry_after_s if exc else None,
        vendor_text=exc.vendor_text if exc else "",
    )


def _age(note: Note) -> tuple[int, str]:
    """Order notes as their ids do: a smaller number is older, as `reconcile` has it."""
    return len(note.id), note.id
