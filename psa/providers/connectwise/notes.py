"""Owns notes: reading all kinds, adding one, finding it again by its marker, changing and removing it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from psa.exceptions import (
    MovedError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    ProviderError,
    RejectedError,
    UnavailableError,
)
from psa.providers.connectwise import mapping
from psa.providers.connectwise.conditions import as_id, contains
from psa.providers.connectwise.paging import PAGE_MAX_ROWS
from psa.providers.connectwise.parts import ConnectWisePart, at, ticket_path
from psa.providers.connectwise.permissions import removal_grant
from psa.types import Note, NoteDraft, NoteKind, RecordType

READ_MAX_PAGES = 5
"""Pages of 1000 notes that are read of one ticket. More would be a runaway integration, not a ticket."""

FIRST_LOOK_ROWS = 100
"""Notes looked through, newest first, when the PSA's own text filter found nothing."""

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class NoteOperations(ConnectWisePart):
    """Notes of service and project tickets."""

    def ticket_notes(self, ticket_id: str, record_type: RecordType, *, limit: int = 200) -> list[Note]:
        path = ticket_path(ticket_id, record_type)
        operation = at("ticket_notes", record_type)
        try:
            found = self._notes(f"{path}/allNotes", ticket_id, operation)
        except (MovedError, PermissionDeniedError, RejectedError):
            # Not offered by every release, and readable only with time-entry rights in some roles.
            found = self._notes(f"{path}/notes", ticket_id, operation)
        found.sort(key=lambda note: (note.created_at or _LONG_AGO, abs(int(note.id))), reverse=True)
        return found[:limit]

    def note_add(self, ticket_id: str, record_type: RecordType, draft: NoteDraft) -> Note:
        operation = at("note_add", record_type)
        path = ticket_path(ticket_id, record_type)
        self._refuse_draft(draft, operation)
        author = _author(draft, operation)
        with self.http.one_deadline():
            return self.api.write(
                "POST",
                f"{path}/notes",
                lambda raw: mapping.note(raw, str(ticket_id)),
                operation=operation,
                json=mapping.note_body(draft.kind, draft.text, author, draft.notify),
            )

    def _refuse_draft(self, draft: NoteDraft, operation: str) -> None:
        """Raise RejectedError for what must never leave."""
        self._refuse_text(draft.text, operation)
        if draft.notify and not draft.kind.customer_visible:
            # ConnectWise mails the ticket's contact even for an internal note.
            raise _refused("notify", "An internal note is never mailed to anyone.", operation)

    def _refuse_text(self, text: str, operation: str) -> None:
        if not text.strip():
            raise _refused("text", "The note is empty.", operation)
        if len(text) > self.body_max_chars:
            sentence = f"The note has {len(text)} characters; {self.body_max_chars} is the most."
            raise _refused("text", sentence, operation)

    def note_find(self, ticket_id: str, record_type: RecordType, marker: str, kind: NoteKind) -> list[Note]:
        path = f"{ticket_path(ticket_id, record_type)}/notes"
        operation = at("note_find", record_type)
        if not marker.strip():
            raise UnavailableError("A note can only be found by its marker.", operation=operation)

        def ours(notes: list[Note]) -> list[Note]:
            return [note for note in notes if _is_ours(note, marker, kind)]

        try:
            hits = ours(self._notes(path, ticket_id, operation, conditions=contains("text", marker)))
        except RejectedError:
            return ours(self._notes_newest_first(path, ticket_id, operation, READ_MAX_PAGES, PAGE_MAX_ROWS))
        if hits:
            return hits
        # No source says that `text` may be filtered here (`noteType` may not), and an empty answer decides
        # that a note is sent again. One more read makes sure.
        return ours(self._notes_newest_first(path, ticket_id, operation, 1, FIRST_LOOK_ROWS))

    def note_get(self, ticket_id: str, record_type: RecordType, note_id: str) -> Note:
        return self._note_get(ticket_id, record_type, note_id, at("note_get", record_type))

    def _note_get(self, ticket_id: str, record_type: RecordType, note_id: str, operation: str) -> Note:
        return self.api.get(
            _note_path(ticket_id, record_type, note_id),
            lambda raw: mapping.note(raw, str(ticket_id)),
            operation=operation,
        )

    def note_change(
        self,
        ticket_id: str,
        record_type: RecordType,
        note_id: str,
        *,
        text: str | None = None,
        kind: NoteKind | None = None,
    ) -> Note:
        operation = at("note_change", record_type)
        path = _note_path(ticket_id, record_type, note_id)
        if text is None and kind is None:
            raise _refused("text", "There is nothing to change.", operation)
        if text is not None:
            self._refuse_text(text, operation)
        with self.http.one_deadline():
            self.api.write(
                "PATCH",
                path,
                lambda raw: mapping.note(raw, str(ticket_id)),
                operation=operation,
                json=_change_steps(text, kind),
            )
            # An answer may echo what was sent and store something else, so only a second read counts.
            try:
                stored = self._note_get(ticket_id, record_type, note_id, operation)
            except NotFoundError:
                raise
            except ProviderError as exc:
                raise OutcomeUnknownError(
                    "ConnectWise took the change, but the note could not be read again.",
                    operation=operation,
                    status=exc.status,
                    request_id=exc.request_id,
                    retry_after_s=exc.retry_after_s,
                    vendor_text=exc.vendor_text,
                ) from exc
        if kind is not None and not _lies_only_in(stored, kind):
            readers = "the customer still reads it" if stored.customer_visible else "only staff reads it"
            raise _refused("kind", f"ConnectWise answered but left the note as it was: {readers}.", operation)
        if text is not None and stored.text.split() != text.split():
            raise _refused("text", "ConnectWise answered but kept another text.", operation)
        return stored

    def note_remove(self, ticket_id: str, record_type: RecordType, note_id: str) -> None:
        operation = at("note_remove", record_type)
        try:
            path = _note_path(ticket_id, record_type, note_id)
            self.api.call("DELETE", path, operation=operation, write=True)
        except NotFoundError:
            return
        except PermissionDeniedError as exc:
            raise _removal_denied(exc, record_type) from exc

    def _notes_newest_first(
        self, path: str, ticket_id: str, operation: str, pages: int, rows: int
    ) -> list[Note]:
        try:
            return self._notes(path, ticket_id, operation, order_by="id desc", pages=pages, rows=rows)
        except RejectedError:
            # Without an order the newest may be anywhere, so everything is read.
            return self._notes(path, ticket_id, operation)

    def _notes(
        self,
        path: str,
        ticket_id: str,
        operation: str,
        *,
        conditions: str = "",
        order_by: str = "",
        pages: int = READ_MAX_PAGES,
        rows: int = PAGE_MAX_ROWS,
    ) -> list[Note]:
        found: list[Note] = []
        number: int | None = 1
        while number is not None and number <= pages:
            page = self.api.page(
                path,
                lambda raw: mapping.note(raw, str(ticket_id)),
                operation=operation,
                conditions=conditions,
                order_by=order_by,
                page=number,
                page_size=rows,
            )
            found += page.items
            number = page.next_page
        return found


def _is_ours(note: Note, marker: str, kind: NoteKind) -> bool:
    """True for a note with the marker, in the section of its kind, that no customer wrote."""
    in_section = note.raw.get(mapping.SECTION_FLAGS[kind]) is True
    return marker in note.text and in_section and not note.author_is_contact


def _note_path(ticket_id: str, record_type: RecordType, note_id: str) -> str:
    """Return the path of a note. Raises: NotFoundError for an id that no note can have."""
    path = ticket_path(ticket_id, record_type)
    try:
        return f"{path}/notes/{as_id(note_id)}"
    except ValueError as exc:
        raise NotFoundError(f"There is no note {str(note_id)[:40]!r}.") from exc


def _change_steps(text: str | None, kind: NoteKind | None) -> list[dict[str, Any]]:
    """Return the PATCH of a change. The flags go together: one that is left out would keep its value."""
    values: dict[str, Any] = {} if text is None else {"text": text}
    if kind is not None:
        values.update({flag: place is kind for place, flag in mapping.SECTION_FLAGS.items()})
        values["internalFlag"] = not kind.customer_visible
        values["externalFlag"] = kind.customer_visible
    values["processNotifications"] = False
    return [{"op": "replace", "path": name, "value": value} for name, value in values.items()]


def _lies_only_in(note: Note, kind: NoteKind) -> bool:
    """True when the flag of the kind is set and no other one."""
    return all(
        (note.raw.get(flag) is True) == (place is kind) for place, flag in mapping.SECTION_FLAGS.items()
    )


def _removal_denied(exc: PermissionDeniedError, record_type: RecordType) -> PermissionDeniedError:
    """Return a refusal that names the level a removal needs, which the feature's own grant does not."""
    grant = removal_grant(record_type)
    return PermissionDeniedError(
        f"The security role of the API member does not allow to remove notes in ConnectWise. Grant {grant}.",
        feature=exc.feature,
        grant=grant,
        operation=exc.operation,
        status=exc.status,
        request_id=exc.request_id,
        vendor_text=exc.vendor_text,
    )


def _author(draft: NoteDraft, operation: str) -> int | None:
    if not draft.author_member_id:
        return None
    try:
        return as_id(draft.author_member_id)
    except ValueError as exc:
        raise _refused("author", "There is no such member.", operation) from exc


def _refused(field: str, sentence: str, operation: str) -> ProviderError:
    return RejectedError(sentence, fields={field: [sentence]}, operation=operation)
