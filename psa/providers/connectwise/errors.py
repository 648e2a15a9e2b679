"""Owns the way from a refused answer of ConnectWise to our errors: one table, read from the top.

A new case is a row in `ROWS` and a fixture. What no row fits ends in the last two: a write whose outcome is
unknown, a read without an answer.
Source: docs/connectwise/quick-reference.md#errors
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from psa.exceptions import (
    AuthenticationFailedError,
    BusyError,
    ClientIdRefusedError,
    InvalidStatusError,
    MovedError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    ProviderError,
    RateLimitedError,
    RejectedError,
    UnavailableError,
)
from psa.providers.connectwise.permissions import feature_of, grant_for
from psa.providers.http import Answer
from psa.redact import redact_text

WAIT_DEFAULT_S = 30.0
"""Seconds to wait after a 429 that does not say how long."""

WAIT_MAX_S = 3600.0
"""Seconds. Nobody is waited for longer than this, whatever they ask."""

FIELD_NAMES = {
    "text": "text",
    "member": "author",
    "member/id": "author",
    "member/identifier": "author",
    "status": "status",
    "status/id": "status",
    "status/name": "status",
    "detailDescriptionFlag": "kind",
    "internalAnalysisFlag": "kind",
    "resolutionFlag": "kind",
    "processNotifications": "notify",
    "ticketId": "ticket",
}
"""ConnectWise's field names by ours; a name that is not here is shown as ConnectWise spells it."""

MOVED = "ConnectWise is being upgraded or has moved."


@dataclass(frozen=True, slots=True)
class Refusal:
    """What could be read of an answer that is not a success.

    Shape: form is json, html, text or empty; items are (code, message, field) of the body's `errors`.
    """

    status: int
    form: str
    code: str = ""
    text: str = ""
    items: tuple[tuple[str, str, str], ...] = ()
    retry_after_s: float | None = None


def read_refusal(answer: Answer) -> Refusal:
    """Read whatever an answer holds: JSON of several shapes, plain text, a page, nothing."""
    text = " ".join(answer.text().split())
    wait = answer.retry_after_s
    if not text:
        return Refusal(answer.status, "empty", retry_after_s=wait)
    if looks_like_page(answer):
        return Refusal(answer.status, "html", text=text, retry_after_s=wait)
    try:
        body = answer.json()
    except ValueError:
        return Refusal(answer.status, "text", text=text, retry_after_s=wait)
    if not isinstance(body, dict):
        return Refusal(answer.status, "text", text=text, retry_after_s=wait)
    items = tuple(
        (_word(item, "code"), _word(item, "message"), _word(item, "field"))
        for item in body.get("errors") or ()
        if isinstance(item, dict)
    )
    words = _word(body, "message") or " ".join(message for _, message, _ in items)
    return Refusal(
        answer.status, "json", _word(body, "code") or _word(body, "error"), words or text, items, wait
    )


def looks_like_page(answer: Answer) -> bool:
    """True for an HTML page, whatever its content type says."""
    beginning = answer.body[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return beginning.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<body")) or (
        "html" in answer.content_type and beginning.startswith(b"<")
    )


def _word(body: Any, name: str) -> str:
    value = body.get(name)
    return " ".join(value.split()) if isinstance(value, str) else ""


# The table --------------------------------------------------------------------------------------

Make = Callable[[Refusal, str, dict[str, Any]], ProviderError]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: an answer fits when all that is given fits."""

    make: Make
    statuses: Collection[int] = ()
    forms: Collection[str] = ()
    codes: Collection[str] = ()
    words: str = ""
    """Regular expression the text must hold, case does not matter."""
    write: bool | None = None

    def fits(self, refusal: Refusal, write: bool) -> bool:
        """True when this row decides."""
        return (
            (not self.statuses or refusal.status in self.statuses)
            and (not self.forms or refusal.form in self.forms)
            and (not self.codes or refusal.code in self.codes)
            and (not self.words or re.search(self.words, refusal.text, re.IGNORECASE) is not None)
            and (self.write is None or self.write == write)
        )


def _moved(refusal: Refusal, operation: str, facts: dict[str, Any]) -> ProviderError:
    return MovedError(f"{MOVED} Nothing was done.", **facts)


def _client_id(refusal: Refusal, operation: str, facts: dict[str, Any]) -> ProviderError:
    return ClientIdRefusedError("ConnectWise refused the client ID of this integration.", **facts)


def _keys(refusal: Refusal, operation: str, facts: dict[str, Any]) -> ProviderError:
    return AuthenticationFailedError(
        "ConnectWise refused the keys. Check the company ID, the public key and the private key.", **facts
    )


def _permission(refusal: Refusal, operation: str, facts: dict[str, Any]) -> ProviderError:
    feature = feature_of(operation)
    grant = grant_for(feature)
    ask = f" Grant {grant}." if grant else ""
    return PermissionDeniedError(
        f"The security role of the API member does not allow this in ConnectWise.{ask}",
        feature=feature.value if feature else "",
        grant=grant,
        **facts,
    )


def _missing(refusal: Refusal, operation: str, facts: dict[str, Any]) -> ProviderError:
    return NotFoundError(
        "ConnectWise does not have this record, or its board is hidden from our API member.", **facts
    )


def _busy(refusal: Refusal, operation: str, facts: dict[str, Any]) -> ProviderError:
    return BusyError("ConnectWise asks to try again.", **facts)


def _limited(refusal: Refusal, operation: str, facts: dict[str, Any]) -> ProviderError:
    said = refusal.retry_after_s
    if said is None:
        match = re.search(r"(\d{1,6})\s*(?:s\b|sec)", refusal.text, re.IGNORECASE)
        said = float(match[1]) if match and refusal.form == "json" else WAIT_DEFAULT_S
    facts["retry_after_s"] = min(max(said, 1.0), WAIT_MAX_S)
    return RateLimitedError("ConnectWise has had too many requests; nothing was done.", **facts)


def _rejected(refusal: Refusal, operation: str, facts: dict[str, Any]) -> ProviderError:
    fields: dict[str, list[str]] = {}
    for _, message, field in refusal.items:
        name = FIELD_NAMES.get(field, field) or "record"
        fields.setdefault(name, []).append(redact_text(message or refusal.text, max_chars=300))
    said = redact_text(" ".join(message for _, message, _ in refusal.items) or refusal.text, max_chars=300)
    sentence = f"ConnectWise refused this: {said.rstrip('.')}." if said else "ConnectWise refused this."
    if any(FIELD_NAMES.get(field) == "status" for _, _, field in refusal.items):
        return InvalidStatusError(sentence, fields=fields, **facts)
    return RejectedError(sentence, fields=fields, **facts)


def _unknown(refusal: Refusal, operation: str, facts: dict[str, Any]) -> ProviderError:
    facts["retry_after_s"] = _capped(refusal.retry_after_s)
    error = OutcomeUnknownError(
        "ConnectWise was sent a change but gave no clear answer; it may or may not have been made.", **facts
    )
    error.moved = refusal.form == "html"
    return error


def _unavailable(refusal: Refusal, operation: str, facts: dict[str, Any]) -> ProviderError:
    facts["retry_after_s"] = _capped(refusal.retry_after_s)
    return UnavailableError("ConnectWise gave no usable answer.", **facts)


def _capped(wait_s: float | None) -> float | None:
    return None if wait_s is None else min(wait_s, WAIT_MAX_S)


ROWS: tuple[Row, ...] = (
    Row(_rejected, statuses={413}),  # whoever says it, even as a page, took nothing in
    Row(_limited, statuses={429}),  # Cloudflare sends it as a page, without the JSON
    Row(_keys, statuses={401}),  # the code differs between releases, so only the status counts
    Row(_moved, statuses=range(300, 400)),
    Row(_unknown, statuses=range(500, 600), write=True),
    Row(_moved, statuses={503}, forms={"html"}, write=False),  # the page of an upgrade
    Row(_unavailable, statuses=range(500, 600), write=False),
    Row(_unknown, forms={"html"}, write=True),
    Row(_moved, forms={"html"}, write=False),
    Row(_busy, statuses={408, 409, 425}),
    Row(_moved, statuses={400}, words="^cannot route"),  # ambiguous: a moved codebase or the client id
    Row(_client_id, statuses={400, 403}, forms={"json", "text"}, words=r"client[\s_-]?id"),
    Row(_moved, statuses={403}, codes={"Security"}, words="ssl is required"),  # the cloud without `api-`
    Row(_permission, statuses={403}),
    Row(_missing, statuses={404}, forms={"json"}, codes={"NotFound"}),
    Row(_moved, statuses={404}),
    Row(_moved, statuses={400}, forms={"text", "empty"}),
    Row(_rejected, statuses={405, 413, 414, 415}),
    Row(_rejected, statuses=range(400, 500), forms={"json"}),
    Row(_moved, statuses=range(400, 500)),
    Row(_unknown, write=True),
    Row(_unavailable, write=False),
)


def error_for(answer: Answer, *, operation: str, write: bool) -> ProviderError:
    """Return the error an answer means; a 2xx passed here is one that could not be read."""
    refusal = read_refusal(answer)
    row = next(row for row in ROWS if row.fits(refusal, write))
    facts: dict[str, Any] = {
        "operation": operation,
        "status": answer.status,
        "request_id": answer.request_id,
        "vendor_text": redact_text(_vendor_words(refusal), max_chars=500),
    }
    return row.make(refusal, operation, facts)


def _vendor_words(refusal: Refusal) -> str:
    words = [f"{refusal.code}:" if refusal.code else "", refusal.text]
    words += [f"[{field}: {message}]" for _, message, field in refusal.items]
    return " ".join(word for word in words if word)


def is_routing(error: ProviderError) -> bool:
    """True when an answer says that nobody is at home at this path, so the codebase may have changed."""
    return isinstance(error, MovedError) and error.status in (400, 404)


def refuses_version(answer: Answer, api_version: str) -> bool:
    """True when a server says that it does not know the API model asked for; nothing was done."""
    if not api_version or answer.status not in (400, 404, 406, 415):
        return False
    refusal = read_refusal(answer)
    return refusal.code == "ConnectWiseApi" and re.search(r"\bversion\b", refusal.text, re.I) is not None
