"""Owns notes: reading all kinds, adding one, finding one again by its marker."""

from __future__ import annotations

from datetime import UTC, datetime

from psa.exceptions import (
    MovedError,
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    RejectedError,
    UnavailableError,
)
from psa.providers.connectwise import mapping
from psa.providers.connectwise.conditions import as_id, contains
from psa.providers.connectwise.paging import PAGE_MAX_ROWS
from psa.providers.connectwise.parts import ConnectWisePart, at, ticket_path
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
        if not draft.text.strip():
            raise _refused("text", "The note is empty.", operation)
        if len(draft.text) > self.body_max_chars:
            sentence = f"The note has {len(draft.text)} characters; {self.body_max_chars} is the most."
            raise _refused("text", sentence, operation)
        if draft.notify and not draft.kind.customer_visible:
            # ConnectWise mails the ticket's contact even for an internal note.
            raise _refused("notify", "An internal note is never mailed to anyone.", operation)

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

    def note_remove(self, ticket_id: str, record_type: RecordType, note_id: str) -> None:
        operation = at("note_remove", record_type)
        path = ticket_path(ticket_id, record_type)
        try:
            self.api.call("DELETE", f"{path}/notes/{as_id(note_id)}", operation=operation, write=True)
        except (NotFoundError, ValueError):
            return

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


def _author(draft: NoteDraft, operation: str) -> int | None:
    if not draft.author_member_id:
        return None
    try:
        return as_id(draft.author_member_id)
    except ValueError as exc:
        raise _refused("author", "There is no such member.", operation) from exc


def _refused(field: str, sentence: str, operation: str) -> ProviderError:
    return RejectedError(sentence, fields={field: [sentence]}, operation=operation)
