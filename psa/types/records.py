"""Owns the records of a PSA: tickets, notes, members, boards, companies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Generic, TypeVar

from psa.types.kinds import NoteKind, RecordType

T = TypeVar("T")

Raw = Mapping[str, Any]
"""The vendor's own answer, kept beside the neutral form."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A record that is named but not carried along."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Status:
    """One status a ticket of a board can have."""

    id: str
    name: str
    board_id: str = ""
    closed: bool = False
    active: bool = True
    time_entry_allowed: bool = True
    mails_customer: bool = False
    """True when choosing it sends the board's mail template."""
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a customer has contracted for.

    Units: starts_at and ends_at are aware UTC, None for no such bound.
    """

    id: str
    name: str
    type: str = ""
    company: Ref | None = None
    active: bool = True
    """False when it was cancelled, has expired or is not in force."""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    raw: Raw = field(default_factory=dict, repr=False, compare=False)

    def covers(self, day: date) -> bool:
        """True when work of that day can be charged to it; its last day counts."""
        return (
            self.active
            and (self.starts_at is None or self.starts_at.date() <= day)
            and (self.ends_at is None or day <= self.ends_at.date())
        )


@dataclass(frozen=True, slots=True)
class Ticket:
    """One ticket as the PSA holds it now.

    Units: created_at and updated_at are aware UTC, whole seconds, None when the PSA did not tell.
    """

    id: str
    record_type: RecordType
    summary: str
    board: Ref | None = None
    status: Status | None = None
    company: Ref | None = None
    contact: Ref | None = None
    site: Ref | None = None
    agreement: Ref | None = None
    owner: str = ""
    """Name of the member who owns it, empty when nobody does."""
    assigned: tuple[str, ...] = ()
    """Identifiers of the members who work on it, the owner first."""
    type: str = ""
    subtype: str = ""
    item: str = ""
    priority: str = ""
    url: str = ""
    """Deep link a person can open."""
    merged_into: str = ""
    """Id of the ticket this one was merged into, else empty."""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    updated_by: str = ""
    raw: Raw = field(default_factory=dict, repr=False, compare=False)

    @property
    def closed(self) -> bool:
        """True when the ticket's status counts as closed."""
        return self.status is not None and self.status.closed


@dataclass(frozen=True, slots=True)
class NoteDraft:
    """A note about to be written.

    Shape: text is plain text, LF line ends, its last line is the marker; notify mails people.
    """

    kind: NoteKind
    text: str
    author_member_id: str = ""
    """Member shown as the author; empty writes as the API member."""
    notify: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """One note as the PSA stored it. Units: created_at is aware UTC, whole seconds."""

    id: str
    ticket_id: str
    kind: NoteKind
    text: str
    customer_visible: bool
    author: str = ""
    author_is_contact: bool = False
    """True when a customer wrote it: such a note is never ours."""
    from_time_entry: bool = False
    created_at: datetime | None = None
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Member:
    """A person (or API user) of the PSA."""

    id: str
    identifier: str
    name: str
    emails: tuple[str, ...] = ()
    """Lower case, without doubles."""
    active: bool = True
    is_api: bool = False
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Board:
    """A board: a queue of tickets with statuses of its own."""

    id: str
    name: str
    record_type: RecordType = RecordType.SERVICE
    active: bool = True
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Company:
    """A customer of the MSP."""

    id: str
    identifier: str
    name: str
    address: str = ""
    """One line."""
    phone: str = ""
    website: str = ""
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Site:
    """A place of a customer."""

    id: str
    name: str
    address: str = ""
    """One line."""
    phone: str = ""
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Contact:
    """A person at a customer."""

    id: str
    name: str
    company: Ref | None = None
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    title: str = ""
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Configuration:
    """A device or other asset of a customer."""

    id: str
    name: str
    type: str = ""
    company: Ref | None = None
    model: str = ""
    serial_number: str = ""
    os: str = ""
    ip_address: str = ""
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Sla:
    """What was promised for a ticket, and how it stands now.

    Units: all moments are aware UTC, None for what is not promised or has not happened.
    """

    name: str
    kept: bool | None = None
    """False once a goal was missed; None when the PSA does not tell."""
    respond_by: datetime | None = None
    plan_by: datetime | None = None
    resolve_by: datetime | None = None
    responded_at: datetime | None = None
    planned_at: datetime | None = None
    resolved_at: datetime | None = None
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Article:
    """One article of a knowledge base."""

    id: str
    title: str
    issue: str = ""
    resolution: str = ""
    updated_at: datetime | None = None
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list. `next_page` is None on the last one."""

    items: tuple[T, ...]
    next_page: int | None = None
