"""Everything the sandbox remembers between calls: settings, keys, records, mails.

Owned by the server, handed to each call. A reset makes a new one.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from psa.providers.connectwise.reference import JsonObject
from psa.providers.connectwise.sandbox.references import References
from psa.providers.connectwise.sandbox.store import Record, Store, utc_now

API_MEMBER_ID = 150
"""The member the sandbox's own keys belong to."""

DEFAULT_CODEBASE = "v4_6_release/"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client needs to log in; printed by the command."""

    company_id: str = "acme_msp"
    public_key: str = field(default_factory=lambda: secrets.token_urlsafe(12).replace("-", "x"))
    private_key: str = field(default_factory=lambda: secrets.token_urlsafe(12).replace("-", "x"))
    client_id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(slots=True)
class Settings:
    """Switches that may be turned while the sandbox runs (`POST /_sandbox/settings`)."""

    codebase: str = DEFAULT_CODEBASE
    """Path prefix of the API with a slash at its end; calls to any other one are misrouted."""
    supported_version: str = "2025.16"
    """Newest API version that an Accept header may ask for."""
    latency_ms: float = 0.0
    """Milliseconds waited before each answer of the API."""
    security: list[JsonObject] | None = None
    """Rows that replace those of /system/mySecurity; None keeps the full set."""
    excluded_boards: list[int] = field(default_factory=list)
    """Boards hidden from the API member, with their tickets."""
    time_closed_before: str | None = None
    """`2026-03-01T00:00:00Z`: no period before it takes time entries; None leaves all open."""
    callback_retry_s: list[float] = field(default_factory=lambda: [2.0, 4.0])
    """Seconds before the second and third try of a callback."""
    callback_timeout_s: float = 5.0
    """Seconds a callback receiver has to answer."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Event:
    """A change that callbacks may be waiting for. Shape: action is added, updated or deleted."""

    type: str
    action: str
    record_id: int
    data: JsonObject
    actor: JsonObject


class State:
    """One life of the sandbox, from start or reset to the next."""

    def __init__(self, credentials: Credentials, settings: Settings, site_url: str) -> None:
        self.credentials = credentials
        self.settings = settings
        self.site_url = site_url
        self.store = Store()
        self.references = References(self.store, lambda: self.api_url)
        self.mails: list[JsonObject] = []
        self.deliveries: list[JsonObject] = []
        """Callbacks posted so far, one entry a try."""
        self.tokens: dict[str, tuple[str, int]] = {}
        """Public key → (private key, member id) of impersonation tokens."""
        self.attached: dict[int, list[int]] = {}
        """Ticket id → ids of the configurations attached to it."""
        self.files: dict[int, tuple[str, int, bytes]] = {}
        """Document id → (recordType, recordId, content) of the files of records."""
        self.signing_key = secrets.token_urlsafe(32)
        self.signing_key_id = str(uuid.uuid4())
        self.publish: Callable[[Event], None] = lambda event: None
        self.fixed_now: str | None = None
        """Set while the seed writes, so that its dates are the same at every start."""

    def now(self) -> str:
        """This moment as ConnectWise writes it: UTC, whole seconds, Z."""
        return self.fixed_now or utc_now()

    @property
    def api_url(self) -> str:
        return f"{self.site_url}/{self.settings.codebase}apis/3.0"

    def member(self, member_id: int = API_MEMBER_ID) -> Record:
        return self.store.table("system/members").rows[member_id]

    def is_hidden(self, ticket: JsonObject) -> bool:
        """True when the ticket lies on a board the API member may not see."""
        excluded = self.settings.excluded_boards
        return bool(excluded) and ticket.get("board", {}).get("id") in excluded

    def mail(self, reason: str, ticket: JsonObject, recipients: list[str], **facts: Any) -> None:
        """Note a mail that ConnectWise would have sent."""
        self.mails.append(
            {
                "reason": reason,
                "ticketId": ticket["id"],
                "recipients": recipients,
                "sentAt": self.now(),
                **facts,
            }
        )
