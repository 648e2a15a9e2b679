"""Owns a PSA without a network whose answers a test chooses, and what it saw that must never happen."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

from psa.exceptions import (
    ConnectFailedError,
    InvalidStatusError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitedError,
    RejectedError,
    UnavailableError,
)
from psa.providers.base import Provider
from psa.providers.write_trace import mark_write_sent
from psa.types import Endpoint, Note, NoteDraft, NoteKind, RecordType, Ref, Status, Ticket

WRITE_FATES = ("ok", "lost-done", "lost-not-done", "late", "refused", "poison-before", "poison-after")
"""What a write may meet: done, done without an answer, not done without an answer, done later, refused, …"""
READ_FATES = ("ok", "unreadable", "read-refused")
CALL_FATES = ("rate-limited", "unreachable", "forbidden")
"""What any call may meet; nothing is done."""

LOOKS = 2
"""Reads of the ticket that must lie between a write without an answer and the next one."""

STATUSES = (
    Status("1", "New", "1"),
    Status("2", "In Progress", "1"),
    Status("3", "Waiting", "1"),
    Status("4", "Closed", "1", closed=True),
)


@dataclass(frozen=True, slots=True)
class Written:
    """One note on a ticket."""

    ticket_id: str
    marker: str
    draft: NoteDraft


class FakePsa(Provider):
    """Tickets in memory. `fate` decides over the next call that it fits; `violations` must stay empty."""

    key = "connectwise"
    label = "Fake"

    def __init__(self) -> None:
        self.http: Any = SimpleNamespace(one_deadline=nullcontext, close=lambda: None)
        self.fate = "ok"
        self.merged: dict[str, str] = {}
        """Ticket → the ticket it was merged into."""
        self.notes: list[Written] = []
        self.pending: list[Written] = []
        """Writes whose answer said nothing and which are committed only when the test calls `land`."""
        self.status: dict[str, Status] = {}
        self.statuses_set: set[tuple[str, str]] = set()
        """(ticket, status name) of every status a ticket ever had."""
        self.writes: list[str] = []
        """Markers of the notes that were done or will be, in the order in which they were sent."""
        self.reads_since_write: Counter[str] = Counter()
        self.unseen: set[tuple[str, str]] = set()
        """(ticket, marker) of what a late commit put there after the last look for it."""
        self.late_doubles: set[str] = set()
        """Markers that stand twice because the PSA committed late: no look could have seen it."""
        self.violations: list[str] = []

    @property
    def endpoint(self) -> Endpoint | None:
        return None

    def count(self, marker: str, ticket_id: str = "") -> int:
        """Return how many notes carry a marker, on one ticket or on all."""
        return sum(note.marker == marker and ticket_id in ("", note.ticket_id) for note in self.notes)

    def markers(self, ticket_id: str) -> list[str]:
        """Return the markers of a ticket's notes, in the order in which they came to it."""
        return [note.marker for note in self.notes if note.ticket_id == ticket_id]

    def must_look(self, marker: str) -> None:
        """From now on a note must be looked up before it is sent, as if it had just been sent."""
        self.reads_since_write[marker] = 0

    def land(self, number: int | None = None) -> None:
        """Commit the oldest late writes."""
        landing, self.pending = self.pending[:number], self.pending[len(self.pending[:number]) :]
        for note in landing:
            if self.count(note.marker):
                self.late_doubles.add(note.marker)
            self.unseen.add((note.ticket_id, note.marker))
            self.notes.append(note)

    # what a provider does -----------------------------------------------------------------------

    def check_access(self) -> None:
        """Always answered."""

    def ticket_get(self, ticket_id: str, record_type: RecordType) -> Ticket:
        self._read()
        status = self.status.setdefault(ticket_id, STATUSES[0])
        self.statuses_set.add((ticket_id, status.name))
        return Ticket(
            ticket_id,
            record_type,
            "Printer",
            board=Ref("1", "Help Desk"),
            status=status,
            merged_into=self.merged.get(ticket_id, ""),
        )

    def statuses_for(self, ticket: Ticket) -> list[Status]:
        return list(STATUSES)

    def note_find(self, ticket_id: str, record_type: RecordType, marker: str, kind: NoteKind) -> list[Note]:
        self._read()
        self.reads_since_write[marker] += 1
        self.unseen.discard((ticket_id, marker))
        return [
            Note(str(number), ticket_id, note.draft.kind, note.draft.text, note.draft.kind.customer_visible)
            for number, note in enumerate(self.notes, start=1)
            if (note.ticket_id, note.marker, note.draft.kind) == (ticket_id, marker, kind)
        ]

    def note_add(self, ticket_id: str, record_type: RecordType, draft: NoteDraft) -> Note:
        note = Written(ticket_id, draft.text.rsplit("\n", 1)[-1], draft)
        fate = self._write()
        self._check_send(note)
        self.writes.append(note.marker)
        self.reads_since_write[note.marker] = 0
        if fate == "late":
            self.pending.append(note)
        elif fate != "lost-not-done":
            self.notes.append(note)
        self._answer(fate)
        return Note(str(len(self.notes)), ticket_id, draft.kind, draft.text, draft.kind.customer_visible)

    def _check_send(self, note: Written) -> None:
        if note.marker in self.writes and self.reads_since_write[note.marker] < LOOKS:
            self.violations.append(f"{note.marker} was sent again before the last look")
        there = {(other.ticket_id, other.marker) for other in self.notes if other.marker == note.marker}
        if there:
            self.late_doubles.add(note.marker)
            if there - self.unseen:
                self.violations.append(f"{note.marker} was sent again though a look had seen it")

    def status_set(
        self, ticket_id: str, record_type: RecordType, status_id: str, *, notify: bool = False
    ) -> Ticket:
        fate = self._write()
        wanted = next((status for status in STATUSES if status.id == status_id), None)
        if wanted is None:
            raise InvalidStatusError("There is no such status.", valid_names=[row.name for row in STATUSES])
        ticket = Ticket(ticket_id, record_type, "Printer", board=Ref("1", "Help Desk"))
        if fate not in ("lost-not-done", "late"):
            self.status[ticket_id] = wanted
            self.statuses_set.add((ticket_id, wanted.name))
        self._answer(fate)
        return replace(ticket, status=wanted)

    # fates --------------------------------------------------------------------------------------

    def _take(self, *fates: str) -> str:
        """Return the fate and forget it, if it is one of these; a fate befalls one call only."""
        if self.fate not in fates:
            return "ok"
        taken, self.fate = self.fate, "ok"
        if taken == "unreachable":
            raise ConnectFailedError("It cannot be reached.")
        if taken == "rate-limited":
            raise RateLimitedError("Too many calls.", retry_after_s=30.0, status=429)
        if taken == "forbidden":
            raise PermissionDeniedError("The role lacks a row.", feature="notes", grant="Service Tickets")
        return taken

    def _read(self) -> None:
        fate = self._take(*READ_FATES, *CALL_FATES)
        if fate == "unreadable":
            raise UnavailableError("No usable answer.")
        if fate == "read-refused":
            raise RejectedError("The filter is not valid.", status=400)

    def _write(self) -> str:
        if self.fate == "poison-before":
            self.fate = "ok"
            raise KeyError("nobody foresaw this")
        if self.fate != "unreachable":
            mark_write_sent()
        fate = self._take(*WRITE_FATES, *CALL_FATES)
        if fate == "refused":
            raise RejectedError("The text is not accepted.", status=400)
        return fate

    def _answer(self, fate: str) -> None:
        if fate in ("lost-done", "lost-not-done", "late"):
            raise OutcomeUnknownError("No clear answer came.")
        if fate == "poison-after":
            raise KeyError("our own mapping")
