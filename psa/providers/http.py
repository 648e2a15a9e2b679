"""Owns the one HTTP client of all providers: its deadline, its host guard, its errors, its log lines.

A provider calls `HttpClient.send`. `retry` decides whether a read is repeated, `transport` owns the sockets,
`transport_errors` names what went wrong.
"""

from __future__ import annotations

import contextlib
import json as jsonlib
import logging
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import IO, Any, TypeAlias
from urllib.parse import urlsplit

import requests
import requests.exceptions as failures
from requests_toolbelt import MultipartEncoder
from urllib3.util.timeout import Timeout

from psa import __version__
from psa.exceptions import ConnectFailedError, HostNotAllowedError, ProviderError
from psa.providers.host_guard import DEFAULT_PORTS, HostGuard
from psa.providers.retry import read_repeat_after_s, retry_after_seconds
from psa.providers.transport import Call, GuardedAdapter, call_scope
from psa.providers.transport_errors import TRANSPORT_FAILURES, BodyTooLargeError, CallFacts, error_for
from psa.providers.write_trace import WriteTrace, mark_call, mark_write_sent, trace_writes
from psa.redact import redact_text

__all__ = ["USER_AGENT", "Answer", "HttpClient", "WriteTrace", "mark_write_sent", "trace_writes"]

log = logging.getLogger("psa.http")

USER_AGENT = f"ResolutionFlow-PSA/{__version__}"

BODY_MAX_BYTES = 32 * 1024 * 1024
"""Bytes, after decompression. The largest honest answer is a page of 1000 records, a few megabytes."""

STREAM_MAX_S = 600.0
"""Longest a streamed body may take; whoever reads it may be slow, too."""

Body: TypeAlias = bytes | IO[bytes] | MultipartEncoder
"""What a request can carry: bytes, or what is read in pieces while it is sent."""

Params = Mapping[str, str | int] | Sequence[tuple[str, str | int]]

_jitter = random.SystemRandom().random


# Answers ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BodyStream:
    """A body as it arrives, decompressed. Close it after use.

    Raises: UnavailableError from blocks, when the rest does not come.
    """

    blocks: Iterator[bytes] = field(repr=False)
    """At most 64 KiB each."""
    close: Callable[[], None] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """One complete HTTP answer, whatever its status."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    """Names match without case."""
    body: bytes = field(repr=False)
    request_id: str
    elapsed_s: float
    stream: BodyStream | None = None
    """The body of a success that was asked for as a stream; body is empty then."""

    @property
    def ok(self) -> bool:
        """True for 2xx."""
        return 200 <= self.status < 300

    @property
    def content_type(self) -> str:
        """Media type in lower case, without parameters."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def retry_after_s(self) -> float | None:
        """Seconds of the Retry-After header, None without one."""
        return retry_after_seconds(self.headers.get("Retry-After", ""))

    def text(self, max_chars: int = 4_000) -> str:
        """Return the beginning of the body as text, whatever its bytes are."""
        return self.body[: max_chars * 4].decode("utf-8", "replace")[:max_chars]

    def json(self) -> Any:
        """Return the body parsed. Raises: ValueError for anything but JSON."""
        try:
            return jsonlib.loads(self.body)
        except RecursionError as exc:
            raise ValueError("the JSON is nested too deeply") from exc


class _Session(requests.Session):
    """A session that never looks at a redirect: requests would prepare the next request and read the body."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


def _session(adapter: GuardedAdapter, user_agent: str) -> _Session:
    session = _Session()
    session.trust_env = False
    session.max_redirects = 0
    session.headers.clear()
    session.headers["User-Agent"] = user_agent
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.adapters.clear()
    for prefix in ("https://", "http://"):
        session.mount(prefix, adapter)
    return session


# The client -------------------------------------------------------------------------------------


class HttpClient:
    """Speaks HTTP for one connection, from any number of threads. Its owner closes it.

    Units: connect_timeout_s covers name lookup and connecting; call_deadline_s covers a whole `send`,
        repeats and waits included.
    """

    def __init__(
        self,
        *,
        connect_timeout_s: float = 5.0,
        call_deadline_s: float = 30.0,
        trusted_hosts: Sequence[str] = (),
        ca_bundle: str | None = None,
        pool_size: int = 20,
        user_agent: str = USER_AGENT,
    ) -> None:
        self.connect_timeout_s = connect_timeout_s
        self.call_deadline_s = call_deadline_s
        self._guard = HostGuard(trusted_hosts)
        self._session = _session(
            GuardedAdapter(guard=self._guard, ca_bundle=ca_bundle, pool_size=pool_size), user_agent
        )
        self._fixed_headers = {
            "User-Agent": user_agent,
            "Accept-Encoding": "gzip, deflate",
            "Connection": "keep-alive",
        }
        self._shared = threading.local()

    def close(self) -> None:
        """Close all sockets."""
        self._session.close()

    @contextlib.contextmanager
    def one_deadline(self, within_s: float | None = None) -> Iterator[None]:
        """Let all calls of this thread inside share one deadline, as if they were one call.

        Units: within_s replaces call_deadline_s; a deadline that holds already is kept.
        """
        if getattr(self._shared, "deadline", None) is not None:
            yield
            return
        self._shared.deadline = time.monotonic() + (within_s or self.call_deadline_s)
        try:
            yield
        finally:
            self._shared.deadline = None

    def send(
        self,
        method: str,
        url: str,
        *,
        operation: str,
        write: bool,
        params: Params | None = None,
        json: Any = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        deadline_s: float | None = None,
        answer_within_s: float | None = None,
        body_max_bytes: int = BODY_MAX_BYTES,
        stream: bool = False,
    ) -> Answer:
        """Send one request and return its answer, whatever the status; redirects are returned, not followed.

        Shape: write is False only for what may safely be sent twice; json is sent as UTF-8 JSON, body as it
            is; params become the query. stream leaves the body of a success to `Answer.stream`.
        Units: deadline_s replaces the client's own call_deadline_s, for uploads; answer_within_s counts from
            the last byte sent, and makes a body that stops moving fail early.
        Raises: ConnectFailedError, HostNotAllowedError, CertificateError (nothing was sent);
            OutcomeUnknownError (a write may have left, no complete answer came);
            UnavailableError (the same for a read).
        """
        request_id = secrets.token_hex(4)
        deadline = time.monotonic() + (deadline_s or self.call_deadline_s)
        shared = getattr(self._shared, "deadline", None)
        if shared is not None and deadline_s is None:
            deadline = min(deadline, shared)
        all_headers = {**self._fixed_headers, **(headers or {})}
        if json is not None:
            body = jsonlib.dumps(json).encode()
            all_headers.setdefault("Content-Type", "application/json")
        context = CallFacts(method, url, operation, write, request_id)
        try:
            request = self._prepare(method, url, params, body, all_headers)
            if not (request.url or "").startswith(("https://", "http://")):
                raise ValueError("only http and https are spoken")
        except (failures.RequestException, UnicodeError, ValueError) as exc:
            raise ConnectFailedError(
                "The address of the PSA is not valid.", operation=operation, request_id=request_id
            ) from exc
        address = urlsplit(request.url or "")
        self._guard.check_scheme(
            address.scheme, address.hostname or "", address.port or DEFAULT_PORTS[address.scheme]
        )
        repeats = 0
        while True:
            answer, failure = self._attempt(
                request, context, deadline, body_max_bytes, answer_within_s=answer_within_s, stream=stream
            )
            if write:
                break
            wait_s = read_repeat_after_s(
                repeats=repeats,
                status=answer.status if answer else None,
                failure=failure,
                retry_after_s=answer.retry_after_s if answer else None,
                remaining_s=deadline - time.monotonic(),
                jitter=_jitter(),
            )
            if wait_s is None:
                break
            repeats += 1
            time.sleep(wait_s)
        if failure is not None:
            raise failure
        assert answer is not None  # noqa: S101 - tells mypy that _attempt returns one of the two
        return answer

    def _prepare(
        self,
        method: str,
        url: str,
        params: Params | None,
        body: Body | None,
        headers: Mapping[str, str],
    ) -> requests.PreparedRequest:
        # Not session.prepare_request: it merges cookies, hooks and environment we do not have.
        request = requests.PreparedRequest()
        request.prepare(method=method, url=url, headers=headers, params=params, data=body)
        return request

    def _attempt(
        self,
        request: requests.PreparedRequest,
        context: CallFacts,
        deadline: float,
        body_max_bytes: int,
        *,
        answer_within_s: float | None,
        stream: bool,
    ) -> tuple[Answer | None, ProviderError | None]:
        """Send once; return the answer or the error it became."""
        started = time.monotonic()
        on_send = mark_write_sent if context.write else None
        call = Call(deadline, self.connect_timeout_s, on_send, answer_within_s)
        answer: Answer | None = None
        failure: ProviderError | None = None
        cause: Exception | None = None
        with call_scope(call):
            try:
                left_s = call.remaining_s()
                response = self._session.send(
                    request,
                    stream=True,
                    allow_redirects=False,
                    proxies={},
                    timeout=Timeout(connect=min(self.connect_timeout_s, left_s), read=left_s),  # type: ignore[arg-type]
                )
                if context.write:
                    mark_write_sent()
                streams = stream and response.status_code < 300
                content = b"" if streams else _read_body(response, body_max_bytes)
                answer = Answer(
                    response.status_code,
                    response.headers,
                    content,
                    context.request_id,
                    time.monotonic() - started,
                    BodyStream(_blocks(response, call, context), response.close) if streams else None,
                )
            except HostNotAllowedError as exc:
                failure = HostNotAllowedError(exc.message, host=exc.host, operation=context.operation)
                failure.request_id, cause = context.request_id, exc
            except TRANSPORT_FAILURES as exc:
                failure, cause = error_for(exc, call, context), exc
        if failure is not None:
            failure.__cause__ = cause
        mark_call(context.request_id, answer.status if answer else None, write=context.write)
        _log(context, answer, failure, time.monotonic() - started)
        return answer, failure


def _read_body(response: requests.Response, max_bytes: int) -> bytes:
    """Read a body to its end, decompressed, and give the socket back; close it when that fails."""
    pieces: list[bytes] = []
    size = 0
    try:
        for piece in response.raw.stream(65_536, decode_content=True):
            size += len(piece)
            if size > max_bytes:
                raise BodyTooLargeError(f"more than {max_bytes} bytes")
            pieces.append(piece)
    except BaseException:
        response.close()
        raise
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _blocks(response: requests.Response, call: Call, context: CallFacts) -> Iterator[bytes]:
    """Yield a body in pieces, decompressed; the socket is given back at its end and closed on trouble."""
    call.deadline = time.monotonic() + STREAM_MAX_S
    try:
        yield from response.raw.stream(65_536, decode_content=True)
    except TRANSPORT_FAILURES as exc:
        raise error_for(exc, call, context) from exc
    finally:
        response.close()


def _log(context: CallFacts, answer: Answer | None, failure: ProviderError | None, elapsed_s: float) -> None:
    """Write one line a call: never a query value, a header, a credential or a body."""
    level = logging.DEBUG if answer and answer.status < 400 and not context.write else logging.INFO
    if failure is not None:
        level = logging.WARNING
    if not log.isEnabledFor(level):
        return
    parts = urlsplit(context.url)
    facts = {
        "request_id": context.request_id,
        "operation": context.operation,
        "method": context.method,
        "host": parts.netloc.rpartition("@")[2],
        "path": redact_text(parts.path, max_chars=300),
        "status": answer.status if answer else None,
        "outcome": type(failure).__name__ if failure else "answered",
        "ms": round(elapsed_s * 1000),
    }
    log.log(level, "psa call %s", " ".join(f"{k}={v}" for k, v in facts.items()), extra={"psa_call": facts})
