"""Owns the neutral words every provider speaks. Add a field here only when two providers could fill it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

T = TypeVar("T")

Tenant = Any
"""An object of the host's `PSA_TENANT_MODEL`; its class is the host's own business."""

Raw = Mapping[str, Any]
"""The vendor's own answer, kept beside the neutral form."""


class NoteKind(StrEnum):
    """Who reads a note. The kind alone decides; there is no other visibility switch."""

    ANALYSIS = "analysis"
    """Internal: only the MSP's staff read it."""
    RESOLUTION = "resolution"
    """The customer reads it, as the answer to the ticket."""
    DISCUSSION = "discussion"
    """The customer reads it, as part of the conversation."""

    @property
    def customer_visible(self) -> bool:
        """True when the customer can read notes of this kind."""
        return self is not NoteKind.ANALYSIS


class RecordType(StrEnum):
    """Which of a PSA's two ticket collections holds a ticket."""

    SERVICE = "service"
    """A help-desk ticket."""
    PROJECT = "project"
    """A ticket or issue inside a project."""


class Capability(StrEnum):
    """An operation group a provider may offer. Core code asks for one, it never names a vendor."""

    SERVICE_TICKETS = "service_tickets"
    PROJECT_TICKETS = "project_tickets"
    NOTES = "notes"
    NOTE_REMOVAL = "note_removal"
    NOTE_CHANGES = "note_changes"
    STATUS = "status"
    MEMBERS = "members"
    BOARDS = "boards"
    COMPANIES = "companies"
    CONTACTS = "contacts"
    CONFIGURATIONS = "configurations"
    SLA = "sla"
    PRIORITIES = "priorities"
    TIME_ENTRIES = "time_entries"
    DOCUMENTS = "documents"
    ARTICLES = "articles"
    CALLBACKS = "callbacks"
    PROJECTS = "projects"
    AGREEMENTS = "agreements"
    ACTIVITIES = "activities"
    WORKFLOWS = "workflows"


class Feature(StrEnum):
    """What a product feature is called in a permission result."""

    CONNECTION = "connection"
    LISTS = "lists"
    MEMBERS = "members"
    TICKETS = "tickets"
    COMPANIES = "companies"
    CONTACTS = "contacts"
    CONFIGURATIONS = "configurations"
    SLA = "sla"
    NOTES = "notes"
    STATUS = "status"
    STATUS_CLOSE = "status_close"
    PROJECT_TICKETS = "project_tickets"
    TIME_ENTRIES = "time_entries"
    DOCUMENTS = "documents"
    ARTICLES = "articles"
    CALLBACKS = "callbacks"


class FeatureStatus(StrEnum):
    """What a probe found out about one feature."""

    OK = "ok"
    """All records can be used."""
    LIMITED = "limited"
    """Only records of the API member itself can be used."""
    DENIED = "denied"
    """The security role lacks a row or level; `grant` says which."""
    UNKNOWN = "unknown"
    """Neither the role nor a list read could tell; the first delivery will."""


@dataclass(frozen=True, slots=True)
class CredentialField:
    """One field of a provider's credential form."""

    name: str
    label: str
    secret: bool = False
    required: bool = True
    help: str = ""
    pattern: str = ""
    """Regular expression the whole stripped value must match; empty accepts anything."""
    pattern_hint: str = ""
    """Sentence shown when the pattern does not match."""
    max_chars: int = 200
    advanced: bool = False
    """True when forms tuck the field away under Advanced."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a connection's API was found, as a `discover` stored it."""

    site: str
    """Host the person gave, cut from whatever was pasted: `na.myconnectwise.net`, `127.0.0.1:9000`."""
    base_url: str
    """Everything before an operation's path, without a slash at the end."""
    version: str = ""
    """The PSA's own version, shown to people."""
    api_version: str = ""
    """API model asked for in the Accept header; empty asks for the newest."""

    def as_dict(self) -> dict[str, str]:
        """Return the endpoint as plain JSON for storage."""
        return {
            "site": self.site,
            "base_url": self.base_url,
            "version": self.version,
            "api_version": self.api_version,
        }


@dataclass(frozen=True, slots=True)
class ConnectionConfig:
    """Everything a provider needs to reach one PSA. Its repr shows no credential.

    Units: connect_timeout_s and call_deadline_s are seconds; the deadline covers the whole answer.
    """

    key: str
    """Stable name of the connection in cache keys and logs."""
    site: str
    """Address as the person typed it; a provider cuts it to its host."""
    credentials: Mapping[str, str] = field(repr=False)
    endpoint: Endpoint | None = None
    """What an earlier `discover` found; None makes the provider discover on first use."""
    trusted_hosts: tuple[str, ...] = ()
    """`host`, `host:port` or CIDR that may be private or plain HTTP."""
    ca_bundle: str | None = None
    """Path of a CA file; None uses the bundle that ships with requests."""
    connect_timeout_s: float = 5.0
    call_deadline_s: float = 30.0
    pool_size: int = 20
    """Keep-alive sockets one client holds at most."""


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
    owner: str = ""
    """Name of the member who owns it, empty when nobody does."""
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
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Contact:
    """A person at a customer."""

    id: str
    name: str
    company: Ref | None = None
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Configuration:
    """A device or other asset of a customer."""

    id: str
    name: str
    type: str = ""
    company: Ref | None = None
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list. `next_page` is None on the last one."""

    items: tuple[T, ...]
    next_page: int | None = None


@dataclass(frozen=True, slots=True)
class FeatureResult:
    """What a probe says of one product feature."""

    feature: Feature
    status: FeatureStatus
    grant: str = ""
    """Security-role row and level to grant, in the vendor's own words; empty when all is well."""


@dataclass(frozen=True, slots=True)
class RoleNeed:
    """One row of the PSA's security role that a feature needs.

    Shape: levels are the vendor's own words in small letters: ("add", "edit", "inquire").
    """

    feature: Feature
    module: str
    row: str
    levels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RoleRow:
    """One row of the PSA's security role with everything that all features together need in it."""

    module: str
    row: str
    levels: frozenset[str]
    features: tuple[Feature, ...]


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Answer of a probe: it read, it wrote nothing."""

    version: str
    features: tuple[FeatureResult, ...]
    hidden_boards: tuple[str, ...] = ()
    """Names (or ids) of boards the API member cannot see."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something: the user's id (None for the system) and the name that is stored beside it."""

    user_id: int | None
    name: str


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may post, as the host's `PSA["PEOPLE"]` function lists them."""

    id: int
    """The user's id."""
    name: str
    email: str = ""
    active: bool = True


@dataclass(frozen=True, slots=True)
class Scope:
    """What a request may do, as the host's `PSA["SCOPE"]` function found it."""

    tenant: Any
    actor: Actor
    can_manage: bool = False
    """True for an MSP admin: connections, callbacks."""
    can_lead: bool = False
    """True for an admin or lead: members, status rules, everyone's deliveries."""
    can_post: bool = False
    """True for everyone who works on tickets."""


@dataclass(frozen=True, slots=True)
class NotePart:
    """A note to be queued as part of a unit of work.

    Shape: text is the plain text without marker; a long one is delivered in several parts.
    """

    kind: NoteKind
    text: str
    notify: bool = False
    source_hash: str = ""
    """Hash of what the text was made from, for `selectors.note_posted`; empty uses the text itself."""


@dataclass(frozen=True, slots=True)
class StatusPart:
    """A status change to be queued as part of a unit of work."""

    status: str
    """Id or exact name of a status of the ticket's board."""
    notify: bool = False
    """True lets the PSA mail as its own rules say; False asks it to stay silent."""


@dataclass(frozen=True, slots=True)
class PartPreview:
    """What one delivery would do. Nothing is stored."""

    kind: str
    part: int
    parts: int
    text: str
    """Text as it would stand on the ticket, without its marker; for a status its name."""
    visible_to: str
    """`staff` or `customer`."""
    mails: tuple[str, ...]
    """Who is mailed, in words; empty means nobody that we know of."""
    author: str
    author_kind: str
    """`member` or `api_member`."""
    status: str = ""
    """Resulting status, for a status delivery."""
    notes: tuple[str, ...] = ()
    """What the person should know: characters dropped, workflow rules that may mail, …"""
