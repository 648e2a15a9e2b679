"""Owns the context of a ticket: everything that is known around it, and what could not be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from psa.types.records import (
    Agreement,
    Article,
    Company,
    Configuration,
    Contact,
    Note,
    Site,
    Sla,
    Ticket,
)


@dataclass(frozen=True, slots=True)
class PartProblem:
    """A part of a context that is missing or old, and why."""

    part: str
    """Name of the field of `TicketContext`."""
    code: str
    """`permission`, `not-found`, `unavailable` or the code of another error."""
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to know before the rest is read: `merged`, `closed`."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class PastWork:
    """Earlier work of the host on the same device or for the same company.

    Units: ended_at is aware UTC.
    """

    id: str
    title: str
    outcome: str
    ended_at: datetime | None
    summary: str = ""
    """How it was solved, in the words of whoever solved it."""
    ticket_id: str = ""
    device: str = ""
    """Name of a device that both have; empty when only the company is the same."""


def asked_for(notes: Sequence[Note]) -> Note | None:
    """Return the oldest note the customer can read: what was asked for. Shape: notes come newest first."""
    return next((note for note in reversed(notes) if note.customer_visible), None)


@dataclass(frozen=True, slots=True)
class TicketDetails:
    """What is read of a ticket besides when somebody is to be told of it."""

    description: str = ""
    """The oldest text the customer can read: what was asked for."""
    devices: tuple[Configuration, ...] = ()

    @classmethod
    def of(cls, notes: Sequence[Note], devices: Sequence[Configuration]) -> TicketDetails:
        """Return them from what was read. Shape: notes come newest first."""
        asked = asked_for(notes)
        return cls(asked.text if asked else "", tuple(devices))


@dataclass(frozen=True, slots=True)
class TicketContext:
    """What a PSA tells around one ticket. Parts that could not be read are empty and named in `problems`.

    Units: told holds when each part was told, aware UTC.
    """

    connection_id: int
    provider: str
    """Label of the PSA product."""
    ticket: Ticket
    notes: tuple[Note, ...] = ()
    """All kinds, those of time entries included, the newest first."""
    devices: tuple[Configuration, ...] = ()
    company: Company | None = None
    contact: Contact | None = None
    site: Site | None = None
    sla: Sla | None = None
    agreement: Agreement | None = None
    articles: tuple[Article, ...] = ()
    """Articles of the PSA's knowledge base that fit the summary, the best first."""
    past: tuple[PastWork, ...] = ()
    problems: tuple[PartProblem, ...] = ()
    notices: tuple[Notice, ...] = ()
    told: Mapping[str, datetime] = field(default_factory=dict)
    away: str = ""
    """Why the ticket itself is not newer: a sentence, empty while the PSA answers."""

    @property
    def fetched_at(self) -> datetime:
        """Moment the ticket itself was told."""
        return self.told.get("ticket", datetime.min.replace(tzinfo=UTC))

    @property
    def details(self) -> TicketDetails:
        """The part of it that ranking takes beside the ticket."""
        return TicketDetails.of(self.notes, self.devices)
