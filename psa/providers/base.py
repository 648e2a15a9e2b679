"""Owns what a provider must offer. Add an operation here, a capability in `types`, and a contract test.

A provider is a plain library: it is handed a `ConnectionConfig`, an `HttpClient` and a cache, and knows
neither Django's settings nor a database. Every operation raises `ProviderError` subclasses only.
"""

from __future__ import annotations

import re
from abc import ABC
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from psa.exceptions import UnsupportedOperationError
from psa.types import (
    Agreement,
    Article,
    Board,
    Callback,
    CallbackDraft,
    Capability,
    Company,
    Configuration,
    ConnectionConfig,
    Contact,
    CredentialField,
    Document,
    DocumentDraft,
    Download,
    Endpoint,
    Member,
    Note,
    NoteDraft,
    NoteKind,
    Page,
    ProbeResult,
    RecordType,
    RoleNeed,
    RoleRow,
    Site,
    Sla,
    Status,
    Ticket,
    TimeChoices,
    TimeDraft,
    TimeEntry,
    TimeObjection,
    WebhookEvent,
)

if TYPE_CHECKING:
    from psa.providers.http import HttpClient


class Cache(Protocol):
    """What a provider needs of a cache; Django's own caches fit."""

    def get(self, key: str, default: Any = None) -> Any: ...
    def set(self, key: str, value: Any, timeout: float | None = None) -> Any: ...
    def delete(self, key: str) -> Any: ...


class Provider(ABC):
    """One PSA product. An operation whose capability is missing raises `UnsupportedOperationError`."""

    key: ClassVar[str]
    """Name in `PSA["PROVIDERS"]` and in the database."""
    label: ClassVar[str]
    capabilities: ClassVar[frozenset[Capability]]
    credential_schema: ClassVar[tuple[CredentialField, ...]]
    account_field: ClassVar[str] = ""
    """Credential that names the account at the PSA; stored in clear as `Connection.company_id`."""
    identity_fields: ClassVar[frozenset[str]] = frozenset()
    """Credentials whose change needs every secret given again."""
    site_example: ClassVar[str] = ""
    """What a valid address looks like, shown in forms."""
    body_max_chars: ClassVar[int] = 15_000
    """Longest note this PSA is known to keep whole."""
    callback_levels: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Kind of record whose changes can be told → levels: `owner` tells of all, `board` of one board's."""
    role_needs: ClassVar[tuple[RoleNeed, ...]] = ()
    """Rows of the security role each feature needs; empty for a PSA without such roles."""

    def __init__(self, config: ConnectionConfig, http: HttpClient, cache: Cache) -> None:
        self.config = config
        self.http = http
        self.cache = cache

    @classmethod
    def supports(cls, capability: Capability) -> bool:
        """True when the provider offers the operations of a capability."""
        return capability in cls.capabilities

    @classmethod
    def require(cls, capability: Capability) -> None:
        """Raise `UnsupportedOperationError` unless the capability is there."""
        if not cls.supports(capability):
            raise UnsupportedOperationError(cls.label, capability.value)

    @classmethod
    def site_clean(cls, site: str) -> str:
        """Return a pasted address cut to the `host[:port]` that is stored.

        Raises: ValueError with a sentence, for an address that cannot be one (empty, credentials in it).
        """
        return site.strip()

    @classmethod
    def site_identity(cls, site: str) -> str:
        """Return the one address that stands for all addresses of the same PSA; this one is stored."""
        return cls.site_clean(site)

    @classmethod
    def credentials_clean(cls, values: Mapping[str, object]) -> tuple[dict[str, str], dict[str, list[str]]]:
        """Return stripped credential values and sentences by field; no sentences means they fit."""
        clean: dict[str, str] = {}
        errors: dict[str, list[str]] = {}
        known = {entry.name for entry in cls.credential_schema}
        for name in values:
            if name not in known:
                errors[name] = [f"{cls.label} has no credential called {name}."]
        for entry in cls.credential_schema:
            raw = values.get(entry.name) or ""
            value = raw.strip() if isinstance(raw, str) else None
            if value is None:
                errors[entry.name] = [f"{entry.label} must be text."]
            elif not value and entry.required:
                errors[entry.name] = [f"{entry.label} is required."]
            elif len(value) > entry.max_chars:
                errors[entry.name] = [f"{entry.label} is longer than {entry.max_chars} characters."]
            elif value and entry.pattern and not re.fullmatch(entry.pattern, value):
                errors[entry.name] = [entry.pattern_hint or f"{entry.label} is not valid."]
            elif value:
                clean[entry.name] = value
        return clean, errors

    @classmethod
    def role_recipe(cls) -> list[RoleRow]:
        """Return `role_needs` by module and row, as whoever sets the role up goes through them."""
        found: dict[tuple[str, str], list[RoleNeed]] = {}
        for need in cls.role_needs:
            found.setdefault((need.module, need.row), []).append(need)
        return [
            RoleRow(
                module,
                row,
                frozenset(level for need in needs for level in need.levels),
                tuple(need.feature for need in needs),
            )
            for (module, row), needs in sorted(found.items())
        ]

    def close(self) -> None:
        """Release the sockets. The provider is not used afterwards."""
        self.http.close()

    @property
    def endpoint(self) -> Endpoint | None:
        """Where the API was last found, for storage; changes when the PSA moved during a call."""
        return self.config.endpoint

    # connection ---------------------------------------------------------------------------------

    def discover(self) -> Endpoint:
        """Find the API afresh, without credentials being sent to a host that was not given.

        Raises: ConnectFailedError and its subclasses; RejectedError (`fields` names site or company_id).
        """
        raise UnsupportedOperationError(self.label, "discover")

    def probe(self) -> ProbeResult:
        """Read, never write, and tell what each product feature may do.

        Raises: AuthenticationFailedError; ClientIdRefusedError; ConnectFailedError; MovedError;
            UnavailableError. A missing permission is a result, not an error.
        """
        raise UnsupportedOperationError(self.label, "probe")

    def check_access(self) -> None:
        """Make one cheap read with the connection's own keys; return when it was answered.

        Raises: what the read raises. Used before a 404 on a record is believed.
        """
        raise UnsupportedOperationError(self.label, "check_access")

    # tickets ------------------------------------------------------------------------------------

    def ticket_get(self, ticket_id: str, record_type: RecordType) -> Ticket:
        """Return one ticket as it is now.

        Raises: NotFoundError (no such ticket of that record type, or its board is hidden).
        """
        raise UnsupportedOperationError(self.label, "ticket_get")

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
        """Return tickets whose number or summary fits, open ones first, newest change first.

        Shape: query is free text (empty lists all); member_identifier keeps tickets that member owns or
            is assigned to.
        """
        raise UnsupportedOperationError(self.label, "ticket_search")

    # notes --------------------------------------------------------------------------------------

    def ticket_notes(self, ticket_id: str, record_type: RecordType, *, limit: int = 200) -> list[Note]:
        """Return the newest notes first, all kinds, time-entry notes included where readable."""
        raise UnsupportedOperationError(self.label, "ticket_notes")

    def note_add(self, ticket_id: str, record_type: RecordType, draft: NoteDraft) -> Note:
        """Write one note and return it as the PSA stored it.

        Shape: draft.text is 1 to body_max_chars; kind decides who reads it, or the provider refuses.
        Raises: RejectedError (permanent); NotFoundError; PermissionDeniedError; RateLimitedError,
            ConnectFailedError, MovedError (nothing done); BusyError; OutcomeUnknownError (sent, no clear
            answer: look it up with `note_find`, never resend blind).
        """
        raise UnsupportedOperationError(self.label, "note_add")

    def note_find(self, ticket_id: str, record_type: RecordType, marker: str, kind: NoteKind) -> list[Note]:
        """Return the notes of ours that carry a marker; more than one means a double.

        A hit has the marker, the section of `kind`, and no contact as its author.
        """
        raise UnsupportedOperationError(self.label, "note_find")

    def note_get(self, ticket_id: str, record_type: RecordType, note_id: str) -> Note:
        """Return one note as it is now; what came with a time entry is not found here.

        Raises: NotFoundError (no such note on that ticket, or the ticket is hidden).
        """
        raise UnsupportedOperationError(self.label, "note_get")

    def note_change(
        self,
        ticket_id: str,
        record_type: RecordType,
        note_id: str,
        *,
        text: str | None = None,
        kind: NoteKind | None = None,
    ) -> Note:
        """Give a note another text, another kind, or both, and return it as re-read. Nobody is mailed.

        Shape: None leaves text or kind as it is; text holds everything, marker included.
        Raises: NotFoundError; RejectedError also when the PSA answered but kept the text or the readers;
            OutcomeUnknownError (the same change may be sent again: it cannot double); else as `note_add`.
        """
        raise UnsupportedOperationError(self.label, "note_change")

    def note_remove(self, ticket_id: str, record_type: RecordType, note_id: str) -> None:
        """Take a note off a ticket; one that is gone already is what was wanted.

        Raises: as `note_add`, but never NotFoundError.
        """
        raise UnsupportedOperationError(self.label, "note_remove")

    # status -------------------------------------------------------------------------------------

    def statuses_for(self, ticket: Ticket) -> list[Status]:
        """Return the statuses of the ticket's board, inactive ones included, in board order."""
        raise UnsupportedOperationError(self.label, "statuses_for")

    def statuses_of_board(self, board_id: str, record_type: RecordType) -> list[Status]:
        """Return the statuses of one board, inactive ones included, in board order."""
        raise UnsupportedOperationError(self.label, "statuses_of_board")

    def status_set(
        self, ticket_id: str, record_type: RecordType, status_id: str, *, notify: bool = False
    ) -> Ticket:
        """Set a status and return the ticket as re-read: its status is the observed one.

        Raises: InvalidStatusError (`valid_names`: another board's status, or an inactive one);
            StatusUnchangedError (its own answer still shows the old status); otherwise as `note_add`.
        """
        raise UnsupportedOperationError(self.label, "status_set")

    # time ---------------------------------------------------------------------------------------

    def time_choices(self, ticket: Ticket, member_id: str) -> TimeChoices:
        """Return what can be chosen for a member's time on a ticket, and the rules; lists may be cached.

        A list the API member may not read is empty; a rule it may not read is taken as not set.
        """
        raise UnsupportedOperationError(self.label, "time_choices")

    def time_check(self, ticket: Ticket, draft: TimeDraft) -> list[TimeObjection]:
        """Return why the PSA would refuse a time entry, and what that member has there already.

        What cannot be read stands against nothing: the PSA has the last word.
        """
        raise UnsupportedOperationError(self.label, "time_check")

    def time_entries_of(
        self, ticket_id: str, record_type: RecordType, *, member_id: str = "", day: date | None = None
    ) -> list[TimeEntry]:
        """Return the time entries of a ticket, newest first; day is a UTC date their start falls on."""
        raise UnsupportedOperationError(self.label, "time_entries_of")

    def time_entry_add(self, ticket_id: str, record_type: RecordType, draft: TimeDraft) -> TimeEntry:
        """Write one time entry and return it as the PSA stored it. Nobody is mailed.

        Shape: as `TimeDraft`; the customer reads `notes` at most on the invoice, never on the ticket.
        Raises: TimeRefusedError (`objection` is the code of a `TimeObjection`) where the reason is known;
            else as `note_add`. After OutcomeUnknownError look it up with `time_entry_find`.
        """
        raise UnsupportedOperationError(self.label, "time_entry_add")

    def time_entry_find(self, ticket_id: str, record_type: RecordType, marker: str) -> list[TimeEntry]:
        """Return the time entries of a ticket whose internal notes carry a marker, doubles included."""
        raise UnsupportedOperationError(self.label, "time_entry_find")

    def agreements_of(self, company_id: str) -> list[Agreement]:
        """Return the agreements of a company, those that ended included, newest first."""
        raise UnsupportedOperationError(self.label, "agreements_of")

    # documents ----------------------------------------------------------------------------------

    def document_max_bytes(self) -> int | None:
        """Return the largest file the PSA takes, in bytes; None when it cannot be read."""
        raise UnsupportedOperationError(self.label, "document_max_bytes")

    def documents_of(self, ticket_id: str, record_type: RecordType) -> list[Document]:
        """Return the files of a ticket, newest first."""
        raise UnsupportedOperationError(self.label, "documents_of")

    def document_upload(self, ticket_id: str, record_type: RecordType, draft: DocumentDraft) -> Document:
        """Attach one file, streamed, for staff only, and return it as the PSA stored it.

        `Document.customer_visible` is what the PSA answered: a caller treats True as a leak.
        Raises: RejectedError (too large, a file type that is refused); else as `note_add`. After
            OutcomeUnknownError look it up with `document_find`.
        """
        raise UnsupportedOperationError(self.label, "document_upload")

    def document_find(self, ticket_id: str, record_type: RecordType, marker: str) -> list[Document]:
        """Return the files of a ticket whose title carries a marker; more than one is a double."""
        raise UnsupportedOperationError(self.label, "document_find")

    def document_open(self, document_id: str) -> Download:
        """Return the content of a file as it arrives; the caller closes it.

        Raises: NotFoundError; else what a read raises.
        """
        raise UnsupportedOperationError(self.label, "document_open")

    # reference data -----------------------------------------------------------------------------

    def members(self) -> list[Member]:
        """Return all members, inactive and API members included."""
        raise UnsupportedOperationError(self.label, "members")

    def boards(self) -> list[Board]:
        """Return all boards visible to the API member, inactive ones included."""
        raise UnsupportedOperationError(self.label, "boards")

    def companies(self, query: str = "", *, page: int = 1, page_size: int = 50) -> Page[Company]:
        """Return companies whose name or identifier contains the query."""
        raise UnsupportedOperationError(self.label, "companies")

    def contacts(
        self, query: str = "", *, company_id: str = "", page: int = 1, page_size: int = 50
    ) -> Page[Contact]:
        """Return contacts by name, of one company when company_id is given."""
        raise UnsupportedOperationError(self.label, "contacts")

    def configurations_of(self, ticket_id: str, record_type: RecordType) -> Sequence[Configuration]:
        """Return the devices attached to a ticket."""
        raise UnsupportedOperationError(self.label, "configurations_of")

    def configurations_get(self, ids: Sequence[str]) -> list[Configuration]:
        """Return devices with what is known of them, in the order of ids; unknown ids are left out."""
        raise UnsupportedOperationError(self.label, "configurations_get")

    def company_get(self, company_id: str) -> Company:
        """Return one company. Raises: NotFoundError."""
        raise UnsupportedOperationError(self.label, "company_get")

    def site_get(self, company_id: str, site_id: str) -> Site:
        """Return one place of a company. Raises: NotFoundError."""
        raise UnsupportedOperationError(self.label, "site_get")

    def contact_get(self, contact_id: str) -> Contact:
        """Return one contact. Raises: NotFoundError."""
        raise UnsupportedOperationError(self.label, "contact_get")

    def agreement_get(self, agreement_id: str) -> Agreement:
        """Return one agreement. Raises: NotFoundError."""
        raise UnsupportedOperationError(self.label, "agreement_get")

    def articles_search(self, words: Sequence[str], *, limit: int = 5) -> list[Article]:
        """Return the articles of the knowledge base that fit some of the words, the best first."""
        raise UnsupportedOperationError(self.label, "articles_search")

    def sla_of(self, ticket_id: str, record_type: RecordType) -> Sla | None:
        """Return the service level of a ticket with its figures as of now, None for a ticket without one."""
        raise UnsupportedOperationError(self.label, "sla_of")

    # changes ------------------------------------------------------------------------------------

    def tickets_get(self, ids: Sequence[str]) -> list[Ticket]:
        """Return tickets of both kinds by their ids, at most 100; unknown and hidden ones are left out."""
        raise UnsupportedOperationError(self.label, "tickets_get")

    def tickets_changed_since(self, moment: datetime, *, limit: int = 500) -> list[Ticket]:
        """Return tickets of both kinds changed since a moment, the oldest change first.

        Shape: moment is aware, by the PSA's clock, and included; limit holds for each kind of ticket. After
            the last change that is returned there may be more.
        """
        raise UnsupportedOperationError(self.label, "tickets_changed_since")

    def callbacks_list(self) -> list[Callback]:
        """Return all registrations the API member sees, those of other vendors included."""
        raise UnsupportedOperationError(self.label, "callbacks_list")

    def callback_register(self, draft: CallbackDraft) -> Callback:
        """Register one callback and return it; changes of our own are not told.

        Raises: RejectedError, also for one that is there already; else as `note_add`.
        """
        raise UnsupportedOperationError(self.label, "callback_register")

    def callback_activate(self, callback_id: str, *, active: bool) -> Callback:
        """Switch a registration on or off and return it as it is then."""
        raise UnsupportedOperationError(self.label, "callback_activate")

    def callback_remove(self, callback_id: str) -> None:
        """Remove a registration; one that is gone already is what was wanted."""
        raise UnsupportedOperationError(self.label, "callback_remove")

    def callback_url_of(self, url: str) -> str:
        """Return an address as this PSA registers it."""
        return url

    def webhook_read(self, body: bytes, signature: str) -> WebhookEvent:
        """Return what a message says, once it is certain that the PSA sent exactly these bytes for us.

        Raises: WebhookRefusedError, before anything was asked of a host that is not the connection's own;
            ProviderError when it cannot be judged now.
        """
        raise UnsupportedOperationError(self.label, "webhook_read")
