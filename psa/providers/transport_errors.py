"""Owns the one place where failures of sockets, urllib3 and requests become our errors."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests.exceptions as failures
import urllib3.exceptions

from psa.exceptions import (
    CertificateError,
    ConnectFailedError,
    OutcomeUnknownError,
    ProviderError,
    UnavailableError,
)
from psa.providers.transport import Call
from psa.providers.write_trace import mark_write_sent
from psa.redact import redact_text


class BodyTooLargeError(Exception):
    """The body passed the cap; the rest was not read."""


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What a log line and an error say of a call."""

    method: str
    url: str
    operation: str
    write: bool
    request_id: str


TRANSPORT_FAILURES: tuple[type[Exception], ...] = (
    failures.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,
    BodyTooLargeError,
)
"""Everything below us fails in one of these; `tests/test_transport_errors.py` loops over all there are."""

_NEVER_SENT = (
    failures.ConnectTimeout,
    failures.InvalidURL,
    failures.InvalidSchema,
    failures.MissingSchema,
    failures.InvalidHeader,
    failures.URLRequired,
    failures.SSLError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.NameResolutionError,
    urllib3.exceptions.SSLError,
    urllib3.exceptions.LocationValueError,
    urllib3.exceptions.EmptyPoolError,
    urllib3.exceptions.ClosedPoolError,
    ValueError,
)


def error_for(exc: Exception, call: Call, context: CallFacts) -> ProviderError:
    """Return the error a transport failure becomes. A write is unknown unless nothing can have left."""
    chain = list(_chain(exc))
    facts: dict[str, Any] = {"operation": context.operation, "request_id": context.request_id}
    facts["vendor_text"] = redact_text(f"{type(chain[-1]).__name__}: {chain[-1]}", max_chars=300)
    host = urlsplit(context.url).netloc.rpartition("@")[2]
    never_sent = not call.sent and (call.dialed or any(isinstance(link, _NEVER_SENT) for link in chain))
    if never_sent:
        if any(isinstance(link, (failures.SSLError, urllib3.exceptions.SSLError)) for link in chain):
            return CertificateError(
                f"The certificate of {host} could not be verified, or {host} does not speak TLS. "
                "Check the address, the server's certificate and PSA_CA_BUNDLE.",
                **facts,
            )
        return ConnectFailedError(f"{host} could not be reached; nothing was sent.", **facts)
    if context.write:
        mark_write_sent()
        return OutcomeUnknownError(
            f"{host} was sent a change but gave no complete answer; it may or may not have been made.",
            **facts,
        )
    if any(isinstance(link, BodyTooLargeError) for link in chain):
        return UnavailableError(f"The answer of {host} is too large to be read.", **facts)
    return UnavailableError(f"{host} gave no complete answer in time.", **facts)


def _chain(exc: BaseException) -> Iterator[BaseException]:
    """Yield an exception and everything it was made from, outermost first."""
    seen: set[int] = set()
    waiting: list[BaseException] = [exc]
    while waiting:
        link = waiting.pop(0)
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        inner = [link.__cause__, link.__context__, getattr(link, "reason", None), *link.args]
        waiting.extend(item for item in inner if isinstance(item, BaseException))
