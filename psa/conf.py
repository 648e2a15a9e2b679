"""Owns the `PSA` setting: every key with its default. A key that is not listed here is an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed


@dataclass(frozen=True, slots=True)
class PsaSettings:
    """The `PSA` dict with defaults filled in. Attribute names are the dict's keys."""

    ENCRYPTION_KEYS: tuple[str, ...] = field(default=(), repr=False)
    """Fernet keys, newest first. The first encrypts, all decrypt."""
    PROVIDERS: Mapping[str, str] = field(
        default_factory=lambda: {"connectwise": "psa.providers.connectwise.provider.ConnectWiseProvider"}
    )
    """Provider key → dotted path of its class."""
    SCOPE: str = "psa.scope.superuser_scope"
    """Dotted path of `scope(request) -> types.Scope | None`: who is asking, and for which tenant."""
    PEOPLE: str = ""
    """Dotted path of `people(tenant) -> Iterable[types.Person]`: who may be mapped to a member, those who are
    switched off included. Empty: nobody can be mapped."""
    OUTCOMES: Mapping[str, bool] = field(
        default_factory=lambda: {
            "resolved": True,
            "unresolved": False,
            "escalated": False,
            "cancelled": False,
        }
    )
    """The host's words for how work ends → True when the ticket should be closed then."""
    TRUSTED_HOSTS: tuple[str, ...] = ()
    """`host`, `host:port` or CIDR that may be private or plain HTTP."""
    CA_BUNDLE: str | None = None
    """Path of the CA file used for every PSA; None uses the bundle of requests."""
    BASE_URL: str = ""
    """Our public URL, for callbacks."""
    DEFAULT_CREDENTIALS: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    """Provider key → credential values used where a connection leaves the field blank, read at send time."""

    CONNECT_TIMEOUT_S: float = 5.0
    CALL_DEADLINE_S: float = 30.0
    """Longest a PSA may take for one whole answer."""
    PROBE_EVERY_S: float = 60.0
    """How often a connection that is down, being upgraded or moved is tried; first after a quarter."""
    PROBE_DEADLINE_S: float = 15.0
    """Longest a person waits for a connection test."""
    LEASE_S: float = 45.0
    """How long a lane belongs to one worker. Longer than CONNECT_TIMEOUT_S + CALL_DEADLINE_S on purpose."""
    RECONCILE_LOOKS_S: tuple[float, ...] = (2.0, 10.0)
    """Waits before each look for a delivery whose outcome is unknown; resent only after the last."""
    DELIVERY_MAX_AGE: timedelta = timedelta(days=7)
    """A delivery older than this needs a person. Held time does not count."""
    DELIVERY_MAX_ATTEMPTS: int = 8
    """Attempts that count before a delivery needs a person."""
    MAX_WRITES_IN_FLIGHT: int = 4
    """Writes one connection gets at once, over all worker processes."""
    ENGINE: str = "embedded"
    """Who delivers: `embedded` (`psa_worker`) or `celery`, whose app the host sets up by `psa.celery`."""
    WORKER_LANES: int = 8
    """Deliveries one `psa_worker` process sends at once."""
    WORKER_POLL_S: float = 0.25
    """How often an idle worker looks for due deliveries."""
    NOTE_MAX_CHARS: int = 15_000
    """Longest text of one note; longer documentation is posted in parts."""
    NOTE_MAX_PARTS: int = 8
    STATUS_NEEDS_TIME: bool = False
    """True keeps a status back while the time posted with it is refused, unmapped or held for a lead."""
    DOCUMENT_MAX_BYTES: int = 104_857_600
    """Largest file that is attached to a ticket; the PSA may take less."""
    UNMAPPED_AUTHOR: str = "api_member"
    """Notes of a person without a mapped member: `api_member` posts them, name first; `hold` waits."""
    REFERENCE_TTL_S: float = 300.0
    """How long boards, statuses and other reference data stay in the cache."""
    CONTEXT_TTL_S: float = 60.0
    """How long a ticket, its notes, devices and service level stay cached unless we hear of a change."""
    CUSTOMER_TTL_S: float = 900.0
    """How long companies, contacts, sites, agreements and the details of devices stay in the cache."""
    ARTICLES_TTL_S: float = 900.0
    """How long the articles found for a ticket stay in the cache."""
    CONTEXT_DEADLINE_S: float = 10.0
    """Longest each of the two rounds of reads for a context may take; then the last known one is shown."""
    WEBHOOK_MAX_BYTES: int = 262_144
    """Largest message of a PSA that is taken."""
    POLL_EVERY_S: float = 120.0
    """How often changed tickets are asked for without callbacks."""
    POLL_BESIDE_CALLBACKS_S: float = 600.0
    """The same where callbacks are active: a PSA does not repeat what met a restart of ours."""
    REREAD_AFTER_S: float = 30.0
    """A ticket that changes again and again is read once in this time."""
    BULK_CHANGE: tuple[int, float] = (200, 300.0)
    """(tickets, seconds): more tickets changed in that time are a bulk change, and nothing comes of each."""
    PAST_WORK: str = ""
    """Dotted path of `past_work(tenant, connection_id, company_id, device_ids) -> Iterable[types.PastWork]`:
    the host's earlier work for a customer, the most useful first. Empty: none."""
    IDEMPOTENCY_KEEP: timedelta = timedelta(days=30)
    """How long an idempotency key is remembered (and as long as its delivery is open)."""
    ATTEMPTS_KEEP: timedelta | None = timedelta(days=90)
    """How long `psa_prune` leaves the attempts of finished deliveries; None keeps them for ever."""
    RECEIPTS_KEEP: timedelta | None = timedelta(days=14)
    """How long `psa_prune` leaves webhook receipts that were dealt with; None keeps them for ever."""
    FILES_KEEP: timedelta | None = timedelta(days=1)
    """How long `psa_prune` leaves the content of files that were attached or discarded; None: for ever."""
    DELIVERIES_KEEP: timedelta | None = None
    """How long `psa_prune` leaves units with nothing open or dead, and their deliveries; None: for ever.

    Keep them longer than a session stays open: what it posted already is known by its delivery."""


def keep_problems(current: PsaSettings) -> list[tuple[str, str]]:
    """Return the `…_KEEP` settings that cannot be used, each with what is wrong with it."""
    found = []
    for name in ("IDEMPOTENCY_KEEP", "ATTEMPTS_KEEP", "RECEIPTS_KEEP", "FILES_KEEP", "DELIVERIES_KEEP"):
        value = getattr(current, name)
        if value is None and name != "IDEMPOTENCY_KEEP":
            continue
        if not isinstance(value, timedelta):
            found.append((name, f"must be a timedelta, not {type(value).__name__}."))
        elif value <= timedelta(0):
            found.append((name, "must be longer than 0, else what is being worked on would be removed."))
    return found


def _build() -> PsaSettings:
    given: dict[str, Any] = dict(getattr(settings, "PSA", {}))
    known = {entry.name for entry in fields(PsaSettings)}
    unknown = sorted(set(given) - known)
    if unknown:
        raise ImproperlyConfigured(
            f"PSA has no setting called {', '.join(unknown)}. Known: {', '.join(sorted(known))}."
        )
    for name in ("ENCRYPTION_KEYS", "TRUSTED_HOSTS", "RECONCILE_LOOKS_S"):
        if name in given:
            given[name] = tuple(given[name])
    return PsaSettings(**given)


_current: PsaSettings | None = None


def psa_settings() -> PsaSettings:
    """Return the settings in force.

    Raises: ImproperlyConfigured, naming an unknown key.
    """
    global _current
    if _current is None:
        _current = _build()
    return _current


def _forget(*, setting: str, **_kwargs: object) -> None:
    global _current
    if setting == "PSA":
        _current = None


setting_changed.connect(_forget, dispatch_uid="psa.conf")
