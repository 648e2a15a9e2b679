"""Owns what an answer of the PSA means for a delivery: one table from exceptions to what happens next."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from psa import exceptions as errors
from psa.redact import redact_text
from psa.types import Ticket


class Next(StrEnum):
    """What becomes of a delivery after an attempt."""

    DELIVERED = "delivered"
    RETRY = "retry"
    """Nothing was done, and it counts: try again after a backoff."""
    WAIT = "wait"
    """Nothing was done and it does not count: the PSA is down or asked for patience."""
    UNKNOWN = "unknown"
    """It may have been done: look before anything is sent again."""
    DEAD = "dead"
    """A person has to decide."""
    HOLD = "hold"
    """A permission is missing."""
    FOLLOW = "follow"
    """Nothing was done: the ticket was merged, and what waits in its lane follows it to its parent."""


class Health(StrEnum):
    """What an attempt tells about the whole connection."""

    GOOD = "good"
    SILENT = "silent"
    """It could not be reached."""
    MOVED = "moved"
    KEYS = "keys"
    """The keys were refused."""
    CLIENT_ID = "client-id"
    PATIENCE = "patience"
    """It asked us to wait."""
    NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of one attempt, as a lane reports it. The database is not touched yet."""

    next: Next
    code: str
    """Slug for the attempt row and for the problem shown."""
    text: str = ""
    """Full sentence for a person."""
    remedy: str = ""
    health: Health = Health.NEUTRAL
    sent: bool = False
    """True when a write may have left during this attempt."""
    looked: bool = False
    """True when a look could read the ticket: only such a look counts."""
    external_id: str = ""
    author_name: str = ""
    author_kind: str = ""
    status_seen: str = ""
    before: str = ""
    """What stood there before a write that was made: the old status."""
    written: str = field(default="", repr=False)
    """Text of the note that was written, or found on the ticket."""
    ticket: Ticket | None = None
    """The ticket as it was read on the way: for the snapshot, and for FOLLOW the parent."""
    doubles: int = 0
    """How many notes carry our marker, beyond one."""
    wait_s: float | None = None
    http_status: int | None = None
    request_id: str = ""
    feature: str = ""
    grant: str = ""
    vendor_text: str = field(default="", repr=False)


_RULES: tuple[tuple[type[errors.PsaError], Next, str, Health], ...] = (
    (errors.OutcomeUnknownError, Next.UNKNOWN, "outcome-unknown", Health.NEUTRAL),
    (errors.BusyError, Next.UNKNOWN, "psa-busy", Health.NEUTRAL),
    (errors.HostNotAllowedError, Next.WAIT, "host-not-allowed", Health.SILENT),
    (errors.CertificateError, Next.WAIT, "certificate", Health.SILENT),
    (errors.ConnectFailedError, Next.WAIT, "unreachable", Health.SILENT),
    (errors.UnavailableError, Next.WAIT, "unavailable", Health.SILENT),
    (errors.RateLimitedError, Next.WAIT, "rate-limited", Health.PATIENCE),
    (errors.MovedError, Next.WAIT, "moved", Health.MOVED),
    (errors.AuthenticationFailedError, Next.WAIT, "keys-refused", Health.KEYS),
    (errors.ClientIdRefusedError, Next.WAIT, "client-id-refused", Health.CLIENT_ID),
    (errors.PermissionDeniedError, Next.HOLD, "psa-permission", Health.GOOD),
    (errors.NotFoundError, Next.DEAD, "ticket-gone", Health.GOOD),
    (errors.StatusUnchangedError, Next.DEAD, "status-unchanged", Health.GOOD),
    (errors.TimeRefusedError, Next.DEAD, "time-refused", Health.GOOD),
    (errors.RejectedError, Next.DEAD, "psa-refused", Health.GOOD),
    (errors.UnsupportedOperationError, Next.DEAD, "unsupported", Health.NEUTRAL),
    (errors.CredentialsUnreadableError, Next.WAIT, "credentials-unreadable", Health.KEYS),
)
"""First match counts, so a subclass stands before its base."""

POISON = "unexpected-error"
_UNFORESEEN = (errors.PsaError, Next.RETRY, POISON, Health.NEUTRAL)


def outcome_of(exc: Exception, *, sent: bool) -> Outcome:
    """Return what an exception of an attempt means; what nobody foresaw is unknown once sent.

    An answer that says "nothing was done" counts even after sending, except for a read (`UnavailableError`)
    that came after the write: then the write's outcome is unknown.
    """
    _cls, following, code, health = next((row for row in _RULES if isinstance(exc, row[0])), _UNFORESEEN)
    if sent and (code == POISON or isinstance(exc, errors.UnavailableError)):
        following, code = Next.UNKNOWN, "outcome-unknown"
    text = redact_text(str(getattr(exc, "message", "") or exc or type(exc).__name__))[:500]
    if code == POISON:
        text = f"Something unexpected went wrong on our side ({type(exc).__name__})."
    if isinstance(exc, errors.OutcomeUnknownError) and exc.moved:
        health = Health.MOVED
    if isinstance(exc, errors.AuthenticationFailedError) and exc.status == 404:
        # A cloud answers wrong keys like an API that is not there, and an API that is not there like that.
        code, health = "moved", Health.MOVED
    code = getattr(exc, "objection", code)
    evidence = getattr(exc, "vendor_text", "") or (str(exc) if code == POISON else "")
    return Outcome(
        next=following,
        code=code,
        text=text,
        remedy=_remedy(exc),
        health=health,
        sent=sent,
        wait_s=getattr(exc, "retry_after_s", None),
        http_status=getattr(exc, "status", None),
        request_id=getattr(exc, "request_id", ""),
        status_seen=getattr(exc, "kept", ""),
        feature=getattr(exc, "feature", ""),
        grant=getattr(exc, "grant", ""),
        vendor_text=redact_text(evidence)[:1000],
    )


def _remedy(exc: Exception) -> str:
    if isinstance(exc, errors.PermissionDeniedError):
        return (
            f"Grant the API member {exc.grant}." if exc.grant else "Ask the PSA's admin for the permission."
        )
    if isinstance(exc, errors.InvalidStatusError) and exc.valid_names:
        return f"Choose one of: {', '.join(exc.valid_names)}."
    if isinstance(exc, errors.StatusUnchangedError):
        return "Often the API member may not close tickets; check its security role, then retry."
    if isinstance(exc, errors.NotFoundError):
        return "Check that the ticket exists and that its board is not hidden from the API member."
    if isinstance(exc, errors.TimeRefusedError):
        return "Discard it to post without time, or retry it once nothing stands against it any more."
    if isinstance(exc, errors.RejectedError):
        return "Change the text or discard it."
    return ""


def backoff_s(attempt: int, jitter: float) -> float:
    """Return the wait before attempt + 1: 2, 4, 8 … at most 300 s, plus up to half by jitter (0 to 1)."""
    return min(2.0 ** max(attempt, 1), 300.0) * (1 + jitter / 2)
