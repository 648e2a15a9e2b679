"""Owns the PSA that exists only in memory: one `DummyServer` for each connection key.

Tests reach it by `DummyServer.of(config.key)`, make it fail by `fail_next` and start afresh by `reset`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import ClassVar, Literal

from psa.exceptions import ConnectFailedError
from psa.types import (
    Article,
    Board,
    Callback,
    Company,
    Configuration,
    Contact,
    Document,
    Member,
    Note,
    NoteDraft,
    NoteKind,
    RecordType,
    Ref,
    Site,
    Status,
    Ticket,
    TimeEntry,
)

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
"""Time of the seed; every change moves the clock on by a minute, so that two runs look the same."""

API_MEMBER = Ref("90", "Dummy API member")


@dataclass(slots=True)
class Failure:
    """One failure waiting for its operation."""

    operation: str
    make: Callable[[], Exception]
    effect: Literal["before", "after"]
    left: int


@dataclass
class DummyServer:
    """All records of one dummy PSA. Hold `lock` to look at several at once."""

    boards: dict[str, Board] = field(default_factory=dict)
    statuses: dict[str, list[Status]] = field(default_factory=dict)
    """By board id."""
    tickets: dict[tuple[RecordType, str], Ticket] = field(default_factory=dict)
    resources: dict[tuple[RecordType, str], tuple[str, ...]] = field(default_factory=dict)
    """Identifiers of the members on a ticket, its owner first."""
    notes: dict[tuple[RecordType, str], list[Note]] = field(default_factory=dict)
    """Oldest first."""
    members: dict[str, Member] = field(default_factory=dict)
    companies: dict[str, Company] = field(default_factory=dict)
    contacts: dict[str, Contact] = field(default_factory=dict)
    sites: dict[str, Site] = field(default_factory=dict)
    callbacks: dict[str, Callback] = field(default_factory=dict)
    articles: list[Article] = field(default_factory=list)
    devices: dict[tuple[RecordType, str], list[Configuration]] = field(default_factory=dict)
    times: dict[tuple[RecordType, str], list[TimeEntry]] = field(default_factory=dict)
    """Oldest first."""
    files: dict[tuple[RecordType, str], list[tuple[Document, bytes]]] = field(default_factory=dict)
    """Files of tickets and their content, oldest first."""
    file_max_bytes: int = 50_000_000
    time_closed_before: date | None = None
    """Days before it take no time entries; None leaves all open."""
    mails: list[tuple[str, str]] = field(default_factory=list)
    """(what, ticket id) of each mail a change would have sent."""
    calls: list[str] = field(default_factory=list)
    """Operations in the order they were asked for."""
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    _failures: deque[Failure] = field(default_factory=deque, repr=False)
    _ticks: int = 0
    _last_note: int = 5000

    _all: ClassVar[dict[str, DummyServer]] = {}
    _all_lock: ClassVar[threading.Lock] = threading.Lock()

    @classmethod
    def of(cls, key: str) -> DummyServer:
        """Return the server of a connection key, made and filled on first use."""
        with cls._all_lock:
            if key not in cls._all:
                cls._all[key] = seeded()
            return cls._all[key]

    @classmethod
    def reset(cls, key: str | None = None) -> None:
        """Forget one server, or all of them."""
        with cls._all_lock:
            if key is None:
                cls._all.clear()
            else:
                cls._all.pop(key, None)

    def fail_next(
        self,
        operation: str,
        error: Exception | Callable[[], Exception],
        *,
        effect: Literal["before", "after"] = "before",
        times: int = 1,
    ) -> None:
        """Make the next calls of an operation fail.

        Shape: operation is a provider method's name, or "*" for any; effect "before" fails with nothing done,
            "after" fails although the change was made.
        """
        make = error if callable(error) else lambda: error
        with self.lock:
            self._failures.append(Failure(operation, make, effect, times))

    @contextmanager
    def operation(self, name: str, leaving: Callable[[], None] | None = None) -> Iterator[None]:
        """Run one operation alone, with the failures that wait for it; leaving marks a write as sent."""
        with self.lock:
            self.calls.append(name)
            failure = self._take(name)
            if failure and failure.effect == "before":
                error = failure.make()
                if leaving and not isinstance(error, ConnectFailedError):
                    leaving()
                raise error
            if leaving:
                leaving()
            yield
            if failure:
                raise failure.make()

    def _take(self, name: str) -> Failure | None:
        for failure in self._failures:
            if failure.operation in (name, "*"):
                failure.left -= 1
                if failure.left <= 0:
                    self._failures.remove(failure)
                return failure
        return None

    def now(self) -> datetime:
        """Return the next moment of this server's own clock."""
        self._ticks += 1
        return START + timedelta(minutes=self._ticks)

    def note_store(
        self, place: tuple[RecordType, str], draft: NoteDraft, author: str, *, by_contact: bool = False
    ) -> Note:
        """Store a note as written by somebody and return it."""
        with self.lock:
            self._last_note += 1
            note = Note(
                id=str(self._last_note),
                ticket_id=place[1],
                kind=draft.kind,
                text=draft.text,
                customer_visible=draft.kind.customer_visible,
                author=author,
                author_is_contact=by_contact,
                created_at=self.now(),
            )
            self.notes.setdefault(place, []).append(note)
            self.tickets[place] = replace(self.tickets[place], updated_at=note.created_at, updated_by=author)
            return note


def seeded() -> DummyServer:
    """Return a server with two service boards, a project board, four tickets and three members."""
    server = DummyServer()
    for board in (
        Board("1", "Help Desk"),
        Board("2", "Alerts"),
        Board("3", "Projects", RecordType.PROJECT),
        Board("4", "Old Desk", active=False),
    ):
        server.boards[board.id] = board
    server.statuses = {
        "1": [
            Status("11", "New", "1"),
            Status("12", "In Progress", "1"),
            Status("13", "Waiting on Customer", "1", mails_customer=True),
            Status("14", "Completed", "1", closed=True, mails_customer=True),
            Status("15", "Parked", "1", active=False),
        ],
        "2": [
            Status("21", "New", "2"),
            Status("22", "Completed", "2", closed=True),
        ],
        "3": [
            Status("31", "Open", "3"),
            Status("32", "In Progress", "3", time_entry_allowed=False),
            Status("33", "Done", "3", closed=True),
        ],
        "4": [Status("41", "New", "4")],
    }
    for member in (
        Member("7", "ann", "Ann Ames", ("ann@msp.example",)),
        Member("8", "ben", "Ben Boyd", ("ben@msp.example",)),
        Member("9", "zoe", "Zoe Zander", ("zoe@msp.example",), active=False),
        Member(API_MEMBER.id, "dummyapi", API_MEMBER.name, (), is_api=True),
    ):
        server.members[member.id] = member
    acme, globex = Company("50", "Acme", "Acme Bakery"), Company("51", "Globex", "Globex Law")
    server.companies = {acme.id: acme, globex.id: globex}
    server.contacts = {
        "60": Contact("60", "Carl Cook", Ref(acme.id, acme.name), ("carl@acme.example",), ("+1 555 0100",)),
        "61": Contact("61", "Lena Long", Ref(globex.id, globex.name), ("lena@globex.example",)),
    }
    server.sites = {"80": Site("80", "Bakery", "1 Oven Street, Tampa")}
    server.articles = [
        Article("1", "Printer is silent", "The printer does not print.", "Restart the spooler."),
        Article("2", "VPN drops", "The tunnel goes down every hour.", "Set the same lifetime on both ends."),
    ]
    _ticket(server, "1001", RecordType.SERVICE, "Printer does not print", "1", "11", acme, "ann", "60")
    _ticket(server, "1002", RecordType.SERVICE, "VPN drops every hour", "1", "12", globex, "ben", "61")
    _ticket(server, "1003", RecordType.SERVICE, "Disk almost full", "2", "21", acme)
    _ticket(server, "2001", RecordType.PROJECT, "Move mail to the cloud", "3", "31", globex, "ann")
    server.devices[(RecordType.SERVICE, "1001")] = [
        Configuration("70", "ACME-PRN-01", "Printer", Ref(acme.id, acme.name), serial_number="SN-70")
    ]
    asked = NoteDraft(NoteKind.DISCUSSION, "The printer on the first floor is silent since this morning.")
    server.note_store((RecordType.SERVICE, "1001"), asked, "Carl Cook", by_contact=True)
    return server


def _ticket(
    server: DummyServer,
    number: str,
    record_type: RecordType,
    summary: str,
    board_id: str,
    status_id: str,
    company: Company,
    owner: str = "",
    contact_id: str = "",
) -> None:
    board = server.boards[board_id]
    moment = server.now()
    member = next((m for m in server.members.values() if m.identifier == owner), None)
    contact = server.contacts.get(contact_id)
    place = (record_type, number)
    server.tickets[place] = Ticket(
        id=number,
        record_type=record_type,
        summary=summary,
        board=Ref(board.id, board.name),
        status=next(s for s in server.statuses[board_id] if s.id == status_id),
        company=Ref(company.id, company.name),
        contact=Ref(contact.id, contact.name) if contact else None,
        site=Ref("80", "Bakery") if company.id == "50" else None,
        owner=member.name if member else "",
        assigned=(owner,) if owner else (),
        type="Printer" if "Printer" in summary else "",
        url=f"https://dummy.example/tickets/{number}",
        created_at=moment,
        updated_at=moment,
        updated_by=owner or API_MEMBER.name,
    )
    server.resources[place] = (owner,) if owner else ()
