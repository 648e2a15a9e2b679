"""Owns the sockets under `HttpClient`: who is spoken to, when a call ends, whether a byte may have left.

One `Call` describes the request in flight on this thread; connections and their readers obey it.
"""

from __future__ import annotations

import contextlib
import io
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, cast

import certifi
import requests.adapters
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.retry import Retry
from urllib3.util.ssl_ import create_urllib3_context

from psa.exceptions import HostNotAllowedError
from psa.providers.host_guard import DEFAULT_PORTS, HostGuard, parse_address

IDLE_MAX_S = 20.0
"""Seconds. A socket that lay idle longer is not used again: servers and firewalls drop such sockets, and a
write on a dropped one has an unknown outcome."""

SEND_PIECE_BYTES = 64 * 1024
"""Bytes. A body leaves in pieces of this size, each with the time that is left, so that a server that
reads slowly cannot hold a call beyond its deadline."""

STALL_MAX_S = 15.0
"""Seconds that one piece of a long upload may take to leave."""


class Call:
    """The request now in flight on this thread."""

    __slots__ = (
        "answer_within_s",
        "connect_timeout_s",
        "deadline",
        "dialed",
        "on_send",
        "sent",
    )

    def __init__(
        self,
        deadline: float,
        connect_timeout_s: float,
        on_send: Callable[[], None] | None = None,
        answer_within_s: float | None = None,
    ) -> None:
        self.answer_within_s = answer_within_s
        """Seconds from the last byte that was sent to the end of the answer, for long uploads."""
        self.deadline = deadline
        """Monotonic time at which the whole call is over."""
        self.connect_timeout_s = connect_timeout_s
        self.on_send = on_send
        """Called once, right before the first byte may leave; None for reads."""
        self.dialed = False
        """True when a new socket was wanted for this call."""
        self.sent = False
        """True when a byte of the request may have left."""

    def remaining_s(self) -> float:
        """Return the seconds left; raise TimeoutError when there are none."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline of the whole call has passed")
        return left

    def sending_s(self) -> float:
        """Return how long one piece may take to leave; in a long upload, something must always move."""
        left = self.remaining_s()
        return left if self.answer_within_s is None else min(left, STALL_MAX_S)

    def all_sent(self) -> None:
        """Note that the request is out: from now on the clock of the answer counts."""
        if self.answer_within_s is not None:
            self.deadline = time.monotonic() + self.answer_within_s

    def leaving(self) -> None:
        """Note that bytes are about to leave."""
        if not self.sent:
            self.sent = True
            if self.on_send is not None:
                self.on_send()


_local = threading.local()


@contextlib.contextmanager
def call_scope(call: Call) -> Iterator[Call]:
    """Make a call the one in flight on this thread."""
    _local.call = call
    try:
        yield call
    finally:
        _local.call = None


def _current() -> Call | None:
    return getattr(_local, "call", None)


# Connections ------------------------------------------------------------------------------------


def _resolve(host: str, port: int, timeout_s: float) -> list[tuple[Any, ...]]:
    """Look a name up, for timeout_s at most: getaddrinfo itself knows no time limit."""
    if parse_address(host) is not None:
        return list(socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM))
    answers: queue.SimpleQueue[list[tuple[Any, ...]] | OSError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answers.put(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except OSError as exc:
            answers.put(exc)
        except UnicodeError as exc:
            answers.put(socket.gaierror(f"{host!r} is no host name: {exc}"))

    threading.Thread(target=look_up, name="psa-dns", daemon=True).start()
    try:
        found = answers.get(timeout=timeout_s)
    except queue.Empty:
        raise TimeoutError(f"looking {host} up took longer than {timeout_s:.1f} s") from None
    if isinstance(found, OSError):
        raise found
    return found


class _Reader(io.RawIOBase):
    """Raw reader of an answer: every single recv gets only the time the whole call has left."""

    def __init__(self, sock: socket.socket, call: Call) -> None:
        self._sock = sock
        self._call = call
        self._raw: io.RawIOBase = cast(io.RawIOBase, sock.makefile("rb", buffering=0))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._call.remaining_s())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _DeadlineSocket:
    """What `http.client.HTTPResponse` needs of a socket: a file to read from."""

    def __init__(self, sock: socket.socket, call: Call) -> None:
        self._sock = sock
        self._call = call

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock, self._call))


class _GuardedConnection(HTTPConnection):
    """A connection that checks its peer before a byte leaves and obeys the deadline of the call in flight."""

    guard: HostGuard
    scheme = "http"
    idle_since = 0.0

    def _new_conn(self) -> socket.socket:
        call = _current()
        limit_s = call.connect_timeout_s if call else 5.0
        port = self.port or DEFAULT_PORTS[self.scheme]
        if call:
            call.dialed = True
        try:
            if call:
                limit_s = min(limit_s, call.remaining_s())
            end = time.monotonic() + limit_s
            return self._dial(_resolve(self._dns_host, port, limit_s), port, end)
        except socket.gaierror as exc:
            raise NameResolutionError(self.host, self, exc) from exc
        except TimeoutError as exc:
            raise ConnectTimeoutError(self, f"{self.host} did not connect in time: {exc}") from exc
        except OSError as exc:
            raise NewConnectionError(self, f"{self.host} did not connect: {exc}") from exc

    def _dial(self, addresses: list[tuple[Any, ...]], port: int, end: float) -> socket.socket:
        """Connect to the first address that is allowed and answers, all within one connect timeout."""
        failure: Exception = OSError("the name has no address")
        for family, kind, protocol, _, address in addresses:
            sock = None
            try:
                self.guard.check(self.scheme, self.host, port, str(address[0]))
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError("connect timeout")
                sock = socket.socket(family, kind, protocol)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.settimeout(left)
                sock.connect(address)
                self.guard.check(self.scheme, self.host, port, str(sock.getpeername()[0]))
                return sock
            except (OSError, HostNotAllowedError) as exc:
                if sock is not None:
                    sock.close()
                failure = exc
        raise failure

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        call = _current()
        if call is None:
            super().send(data)
            return
        call.leaving()
        if isinstance(data, (bytes, bytearray)):
            for start in range(0, len(data), SEND_PIECE_BYTES):
                self.sock.settimeout(call.sending_s())
                super().send(data[start : start + SEND_PIECE_BYTES])
        else:
            self.sock.settimeout(call.sending_s())
            super().send(data)

    def getresponse(self) -> Any:
        if call := _current():
            call.all_sent()
        return super().getresponse()

    def response_class(self, sock: Any, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """Build the answer over a reader that knows the deadline. `http.client` only asks for a file."""
        call = _current()
        wrapped: Any = _DeadlineSocket(sock, call) if call else sock
        return HTTPConnection.response_class(wrapped, *args, **kwargs)


class _GuardedTlsConnection(_GuardedConnection, HTTPSConnection):
    scheme = "https"


class _FreshPool(HTTPConnectionPool):
    """A pool that never hands out a socket which lay idle for longer than `IDLE_MAX_S`."""

    ConnectionCls = _GuardedConnection

    def __init__(self, *args: Any, guard: HostGuard, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._guard = guard

    def _new_conn(self) -> Any:
        conn: Any = super()._new_conn()
        conn.guard = self._guard
        return conn

    def _get_conn(self, timeout: float | None = None) -> Any:
        conn: Any = super()._get_conn(timeout)
        if not conn.is_closed and time.monotonic() - conn.idle_since > IDLE_MAX_S:
            conn.close()
        return conn

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.idle_since = time.monotonic()
        super()._put_conn(conn)


class _FreshTlsPool(_FreshPool, HTTPSConnectionPool):
    ConnectionCls = _GuardedTlsConnection


class GuardedAdapter(requests.adapters.HTTPAdapter):
    """A requests adapter whose every connection is guarded, timed and kept alive; it never retries."""

    def __init__(self, *, guard: HostGuard, ca_bundle: str | None, pool_size: int) -> None:
        self._guard = guard
        # Read once: requests would load the bundle again for each new connection (about 20 ms).
        self._tls = create_urllib3_context()
        self._tls.verify_mode = ssl.CERT_REQUIRED
        place = ca_bundle or certifi.where()
        try:
            self._tls.load_verify_locations(cafile=place)
        except IsADirectoryError:
            self._tls.load_verify_locations(capath=place)
        super().__init__(
            pool_connections=8, pool_maxsize=pool_size, max_retries=Retry(0, read=False), pool_block=False
        )

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": partial(_FreshPool, guard=self._guard),
            "https": partial(_FreshTlsPool, guard=self._guard),
        }

    def build_connection_pool_key_attributes(
        self, request: Any, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        host, tls = super().build_connection_pool_key_attributes(request, True, None)
        if host["scheme"] == "https":
            cast(dict[str, Any], tls)["ssl_context"] = self._tls
        return host, tls

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Leave the pool alone: its context already verifies against the bundle."""
