"""Owns the provider "dummy": every operation of the first product step, against a PSA in memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import ClassVar, TypeVar

from psa.exceptions import (
    AuthenticationFailedError,
    InvalidStatusError,
    NotFoundError,
    RejectedError,
)
from psa.providers.base import Cache
from psa.providers.dummy.callbacks import DummyCallbacks
from psa.providers.dummy.customers import DummyCustomers
from psa.providers.dummy.documents import DummyDocuments
from psa.providers.dummy.server import API_MEMBER, DummyServer
from psa.providers.dummy.time_entries import DummyTime
from psa.providers.http import HttpClient, mark_write_sent
from psa.types import (
    Board,
    Capability,
    Company,
    Configuration,
    ConnectionConfig,
    Contact,
    CredentialField,
    Endpoint,
    Feature,
    FeatureResult,
    FeatureStatus,
    Member,
    Note,
    NoteDraft,
    NoteKind,
    Page,
    ProbeResult,
    RecordType,
    Status,
    Ticket,
)

T = TypeVar("T")

REFUSED_KEY = "refused"
"""An API key with this value is refused, so that a wrong key can be tried without a network."""


class DummyProvider(DummyTime, DummyDocuments, DummyCustomers, DummyCallbacks):
    """A PSA in memory. What is written stays until the process ends or `DummyServer.reset` is called."""

    key = "dummy"
    label = "Dummy PSA (in memory)"
    site_example = "dummy.example"
    capabilities = frozenset(
        {
            Capability.SERVICE_TICKETS,
            Capability.PROJECT_TICKETS,
            Capability.NOTES,
            Capability.NOTE_REMOVAL,
            Capability.NOTE_CHANGES,
            Capability.STATUS,
            Capability.MEMBERS,
            Capability.BOARDS,
            Capability.COMPANIES,
            Capability.CONTACTS,
            Capability.CONFIGURATIONS,
            Capability.TIME_ENTRIES,
            Capability.DOCUMENTS,
            Capability.AGREEMENTS,
            Capability.SLA,
            Capability.ARTICLES,
            Capability.CHANGES,
            Capability.CALLBACKS,
        }
    )
    callback_levels: ClassVar = {"ticket": ("owner", "board")}
    credential_schema = (
        CredentialField(
            "api_key",
            "API key",
            secret=True,
            help=f'Anything but "{REFUSED_KEY}".',
            pattern=r"[\x21-\x7e]+",
            pattern_hint="The API key has no spaces.",
        ),
    )

    def __init__(self, config: ConnectionConfig, http: HttpClient, cache: Cache) -> None:
        super().__init__(config, http, cache)
        self.server = DummyServer.of(config.key)
        self._endpoint = config.endpoint

    @classmethod
    def site_clean(cls, site: str) -> str:
        cleaned = site.strip().lower().removeprefix("https://").strip("/")
        if not re.fullmatch(r"[a-z0-9.-]+(?::\d{1,5})?", cleaned):
            raise ValueError("Enter a host name, for example dummy.example.")
        return cleaned

    @property
    def endpoint(self) -> Endpoint | None:
        return self._endpoint

    # connection ---------------------------------------------------------------------------------

    def _reading(self, operation: str) -> AbstractContextManager[None]:
        self._check_key(operation)
        return self.server.operation(operation)

    def _writing(self, operation: str) -> AbstractContextManager[None]:
        self._check_key(operation)
        return self.server.operation(operation, mark_write_sent)

    def _check_key(self, operation: str) -> None:
        if self.config.credentials.get("api_key") == REFUSED_KEY:
            raise AuthenticationFailedError(
                "The dummy PSA refused the API key.", operation=operation, status=401
            )

    def discover(self) -> Endpoint:
        with self.server.operation("discover"):
            self._endpoint = Endpoint(
                site=self.config.site, base_url=f"https://{self.config.site}/api", version="1.0"
            )
            return self._endpoint

    def probe(self) -> ProbeResult:
        self.discover()
        with self._reading("probe"):
            features = tuple(FeatureResult(feature, FeatureStatus.OK) for feature in Feature)
            return ProbeResult("1.0", features)

    def check_access(self) -> None:
        with self._reading("check_access"):
            return

    # tickets ------------------------------------------------------------------------------------

    def _place(self, ticket_id: str, record_type: RecordType) -> tuple[RecordType, str]:
        place = (record_type, str(ticket_id))
        if place not in self.server.tickets:
            raise NotFoundError(f"There is no {record_type.value} ticket {ticket_id}.", status=404)
        return place

    def ticket_get(self, ticket_id: str, record_type: RecordType) -> Ticket:
        with self._reading("ticket_get"):
            return self.server.tickets[self._place(ticket_id, record_type)]

    def ticket_search(
        self,
        query: str = "",
        *,
        record_type: RecordType = RecordType.SERVICE,
        board_id: str = "",
        member_identifier: str = "",
        page: int = 1,
        page_size: int = 50,
    ) -> Page[Ticket]:
        wanted = query.strip().casefold().removeprefix("#")

        def fits(place: tuple[RecordType, str], ticket: Ticket) -> bool:
            return (
                place[0] is record_type
                and (not wanted or wanted == ticket.id or wanted in ticket.summary.casefold())
                and (not board_id or (ticket.board is not None and ticket.board.id == board_id))
                and (not member_identifier or member_identifier in self.server.resources.get(place, ()))
            )

        with self._reading("ticket_search"):
            found = [ticket for place, ticket in self.server.tickets.items() if fits(place, ticket)]
            found.sort(key=lambda t: t.updated_at.timestamp() if t.updated_at else 0, reverse=True)
            found.sort(key=lambda t: t.closed)
            return _page(found, page, page_size)

    # notes --------------------------------------------------------------------------------------

    def ticket_notes(self, ticket_id: str, record_type: RecordType, *, limit: int = 200) -> list[Note]:
        with self._reading("ticket_notes"):
            notes = self.server.notes.get(self._place(ticket_id, record_type), [])
            return list(reversed(notes))[:limit]

    def note_add(self, ticket_id: str, record_type: RecordType, draft: NoteDraft) -> Note:
        self._refuse_text(draft.text)
        if draft.notify and not draft.kind.customer_visible:
            raise _refused("notify", "An internal note is never mailed to anyone.")
        with self._writing("note_add"):
            place = self._place(ticket_id, record_type)
            author = self._author(draft.author_member_id)
            if draft.notify:
                self.server.mails.append(("note", place[1]))
            return self.server.note_store(place, draft, author)

    def _refuse_text(self, text: str) -> None:
        if not text.strip():
            raise _refused("text", "The note is empty.")
        if len(text) > self.body_max_chars:
            raise _refused("text", f"The note is longer than {self.body_max_chars} characters.")

    def _author(self, member_id: str) -> str:
        if not member_id:
            return API_MEMBER.name
        member = self.server.members.get(member_id)
        if member is None or not member.active:
            raise _refused("author", "There is no such active member.")
        return member.name

    def note_find(self, ticket_id: str, record_type: RecordType, marker: str, kind: NoteKind) -> list[Note]:
        with self._reading("note_find"):
            notes = self.server.notes.get(self._place(ticket_id, record_type), [])
            return [n for n in notes if marker in n.text and n.kind is kind and not n.author_is_contact]

    def note_get(self, ticket_id: str, record_type: RecordType, note_id: str) -> Note:
        with self._reading("note_get"):
            notes = self.server.notes.get(self._place(ticket_id, record_type), [])
            return notes[_position(notes, note_id)]

    def note_change(
        self,
        ticket_id: str,
        record_type: RecordType,
        note_id: str,
        *,
        text: str | None = None,
        kind: NoteKind | None = None,
    ) -> Note:
        if text is None and kind is None:
            raise _refused("text", "There is nothing to change.")
        if text is not None:
            self._refuse_text(text)
        with self._writing("note_change"):
            notes = self.server.notes.get(self._place(ticket_id, record_type), [])
            position = _position(notes, note_id)
            old = notes[position]
            kind = old.kind if kind is None else kind
            text = old.text if text is None else text
            notes[position] = replace(old, text=text, kind=kind, customer_visible=kind.customer_visible)
            return notes[position]

    def note_remove(self, ticket_id: str, record_type: RecordType, note_id: str) -> None:
        with self._writing("note_remove"):
            notes = self.server.notes.get((record_type, str(ticket_id)), [])
            notes[:] = [note for note in notes if note.id != str(note_id)]

    # status -------------------------------------------------------------------------------------

    def statuses_for(self, ticket: Ticket) -> list[Status]:
        return self.statuses_of_board(ticket.board.id if ticket.board else "", ticket.record_type)

    def statuses_of_board(self, board_id: str, record_type: RecordType) -> list[Status]:
        with self._reading("statuses_of_board"):
            if board_id not in self.server.statuses:
                raise NotFoundError(f"There is no board {board_id}.", status=404)
            return list(self.server.statuses[board_id])

    def status_set(
        self, ticket_id: str, record_type: RecordType, status_id: str, *, notify: bool = False
    ) -> Ticket:
        with self._writing("status_set"):
            place = self._place(ticket_id, record_type)
            before = self.server.tickets[place]
            statuses = self.server.statuses[before.board.id] if before.board else []
            wanted = next((s for s in statuses if s.id == str(status_id) and s.active), None)
            if wanted is None:
                names = [s.name for s in statuses if s.active]
                sentence = f"That is no active status of this board. Choose one of: {', '.join(names)}."
                raise InvalidStatusError(sentence, valid_names=names, fields={"status": [sentence]})
            after = replace(before, status=wanted, updated_at=self.server.now(), updated_by=API_MEMBER.name)
            self.server.tickets[place] = after
            if notify and wanted.mails_customer:
                self.server.mails.append(("status", place[1]))
            return after

    # reference data -----------------------------------------------------------------------------

    def members(self) -> list[Member]:
        with self._reading("members"):
            return list(self.server.members.values())

    def boards(self) -> list[Board]:
        with self._reading("boards"):
            return list(self.server.boards.values())

    def companies(self, query: str = "", *, page: int = 1, page_size: int = 50) -> Page[Company]:
        def text(company: Company) -> str:
            return f"{company.name}\n{company.identifier}"

        with self._reading("companies"):
            return _page(_matching(self.server.companies.values(), query, text), page, page_size)

    def contacts(
        self, query: str = "", *, company_id: str = "", page: int = 1, page_size: int = 50
    ) -> Page[Contact]:
        with self._reading("contacts"):
            found = _matching(self.server.contacts.values(), query, lambda contact: contact.name)
            if company_id:
                found = [c for c in found if c.company is not None and c.company.id == company_id]
            return _page(found, page, page_size)

    def configurations_of(self, ticket_id: str, record_type: RecordType) -> Sequence[Configuration]:
        with self._reading("configurations_of"):
            return list(self.server.devices.get(self._place(ticket_id, record_type), ()))


def _position(notes: Sequence[Note], note_id: str) -> int:
    """Return where a note stands. Raises: NotFoundError."""
    for position, note in enumerate(notes):
        if note.id == str(note_id):
            return position
    raise NotFoundError(f"There is no note {str(note_id)[:40]} on this ticket.", status=404)


def _matching(items: Iterable[T], query: str, text: Callable[[T], str]) -> list[T]:
    words = query.casefold().split()
    return [item for item in items if all(word in text(item).casefold() for word in words)]


def _page(items: Sequence[T], page: int, page_size: int) -> Page[T]:
    page, page_size = max(page, 1), max(page_size, 1)
    start = (page - 1) * page_size
    more = len(items) > start + page_size
    return Page(tuple(items[start : start + page_size]), page + 1 if more else None)


def _refused(field: str, sentence: str) -> RejectedError:
    return RejectedError(sentence, fields={field: [sentence]})
