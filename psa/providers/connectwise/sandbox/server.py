"""The sandbox as a server: sockets and threads, and the in-process door for tests.

with SandboxServer() as sandbox:
    requests.get(f"{sandbox.url}/v4_6_release/apis/3.0/system/info", …)
    sandbox.faults.add("drop_after", method="POST", path="/notes$", count=1)
"""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import socketserver
import ssl
import sys
import threading
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

from psa.providers.connectwise.reference import JsonObject
from psa.providers.connectwise.sandbox.callbacks import CallbackSender
from psa.providers.connectwise.sandbox.control import PREFIX, serve_control
from psa.providers.connectwise.sandbox.documents import DOCUMENTS, TICKETS
from psa.providers.connectwise.sandbox.faults import Faults
from psa.providers.connectwise.sandbox.gateway import Gateway
from psa.providers.connectwise.sandbox.notes import all_notes
from psa.providers.connectwise.sandbox.seed import fill
from psa.providers.connectwise.sandbox.state import Credentials, Settings, State
from psa.providers.connectwise.sandbox.store import Store
from psa.providers.connectwise.sandbox.wire import (
    MalformedRequestError,
    read_body,
    read_head,
)

IDLE_TIMEOUT_S = 300
"""Seconds a keep-alive connection may stay silent before it is closed."""


class _Connection(socketserver.StreamRequestHandler):
    """One keep-alive connection; answers requests until a side closes it."""

    disable_nagle_algorithm = True
    timeout = IDLE_TIMEOUT_S
    rbufsize = 65536
    server: _Listener

    def setup(self) -> None:
        super().setup()
        self.server.opened(self.connection)

    def handle(self) -> None:
        with contextlib.suppress(OSError, MalformedRequestError):
            while self._handle_one():
                pass

    def _handle_one(self) -> bool:
        stream = cast(BinaryIO, self.rfile)
        request = read_head(stream)
        if request is None:
            return False
        if request.headers.get("expect", "").lower() == "100-continue":
            self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.body = read_body(stream, request)
        sandbox = self.server.sandbox
        if request.path.startswith(PREFIX):
            response = serve_control(sandbox, request)
        else:
            response = sandbox.gateway.serve(request)
        if response.drop:
            return False
        data = response.encode(request.keep_alive)
        if request.method == "HEAD":
            data = data[: data.index(b"\r\n\r\n") + 4]
        self.connection.sendall(data)
        return request.keep_alive

    def finish(self) -> None:
        self.server.closed(self.connection)
        with contextlib.suppress(OSError):
            super().finish()


class _Listener(ThreadingHTTPServer):
    """Accepts connections; TLS handshakes happen in the connection's own thread."""

    request_queue_size = 512
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(
        self, address: tuple[str, int], sandbox: SandboxServer, context: ssl.SSLContext | None
    ) -> None:
        self.sandbox = sandbox
        self._context = context
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(address, _Connection)

    def server_bind(self) -> None:
        # HTTPServer would look up the host's full name here, which may ask a name server.
        socketserver.TCPServer.server_bind(self)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self._context is not None:
            connection = self._context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def opened(self, connection: socket.socket) -> None:
        with self._open_lock:
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._open_lock:
            self._open.discard(connection)

    def close_connections(self) -> None:
        with self._open_lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class SandboxServer:
    """A running sandbox. Start and stop it by `with`, or by start() and stop()."""

    def __init__(
        self,
        port: int = 0,
        latency_ms: float = 0,
        empty: bool = False,
        credentials: Credentials | None = None,
        ssl_context: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        """Bind the port at once. Raises: OSError when it is taken."""
        self.credentials = credentials or Credentials()
        self._empty = empty
        self._settings = Settings(latency_ms=latency_ms)
        self._listener = _Listener((host, port), self, ssl_context)
        scheme = "https" if ssl_context else "http"
        shown = "127.0.0.1" if host in ("", "0.0.0.0") else host  # noqa: S104
        self.port = int(self._listener.server_address[1])
        self.url = f"{scheme}://{shown}:{self.port}"
        self._sender = CallbackSender()
        self.gateway = Gateway(self._new_state())
        self._thread = threading.Thread(
            target=self._listener.serve_forever,
            kwargs={"poll_interval": 0.1},
            name="sandbox",
            daemon=True,
        )

    def _new_state(self) -> State:
        state = State(self.credentials, dataclasses.replace(self._settings), self.url)
        fill(state, empty=self._empty)
        state.publish = lambda event: self._sender.publish(state, event)
        return state

    def start(self) -> Self:
        self._sender.start()
        self._thread.start()
        return self

    def stop(self) -> None:
        self._listener.shutdown()
        self._listener.close_connections()
        self._listener.server_close()
        self._sender.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def reset(self) -> None:
        """Data, settings and keys of other members as at the start; faults and log emptied."""
        self.gateway.state = self._new_state()
        self.gateway.faults.clear()
        self.gateway.requests.clear()

    def configure(self, **changes: Any) -> Settings:
        """Turn switches at run time. Raises: ValueError for an unknown one."""
        settings = self.gateway.state.settings
        names = {f.name for f in dataclasses.fields(settings)}
        for name, value in changes.items():
            if name not in names:
                raise ValueError(f"There is no setting {name}; known: {', '.join(sorted(names))}.")
            if name == "codebase":
                value = f"{str(value).strip('/')}/"
            setattr(settings, name, value)
        return settings

    @property
    def api_url(self) -> str:
        """Base of every call, such as http://127.0.0.1:8444/v4_6_release/apis/3.0."""
        return self.gateway.state.api_url

    @property
    def store(self) -> Store:
        return self.gateway.state.store

    @property
    def faults(self) -> Faults:
        return self.gateway.faults

    @property
    def requests(self) -> list[dict[str, Any]]:
        """What was received, oldest first; see the control API for the shape."""
        return list(self.gateway.requests)

    @property
    def mails(self) -> list[JsonObject]:
        """Mails that ConnectWise would have sent."""
        return list(self.gateway.state.mails)

    @property
    def deliveries(self) -> list[JsonObject]:
        """Callbacks posted, one entry a try."""
        return list(self.gateway.state.deliveries)

    def wait_callbacks(self, timeout_s: float = 10.0) -> bool:
        """Wait until no callback is queued or to be tried again."""
        return self._sender.wait_idle(timeout_s)

    def ticket(self, ticket_id: int) -> JsonObject:
        """A service or project ticket as stored. Raises: KeyError."""
        for name in ("service/tickets", "project/tickets"):
            record = self.store.table(name).get(ticket_id)
            if record is not None:
                return record.data
        raise KeyError(ticket_id)

    def tickets(self) -> list[JsonObject]:
        """All service tickets as stored."""
        return [record.data for record in self.store.table("service/tickets").of(())]

    def notes(self, ticket_id: int) -> list[JsonObject]:
        """The notes posted to a ticket, as stored, oldest first."""
        rows = self.store.table("service/tickets/notes").of((ticket_id,))
        rows += self.store.table("project/tickets/notes").of((ticket_id,))
        return [record.data for record in rows]

    def files(self, ticket_id: int) -> list[tuple[JsonObject, bytes]]:
        """The files of a ticket, what is answered of each and its bytes, oldest first."""
        state = self.gateway.state
        return [
            (record.data, state.files[record.id][2])
            for record in self.store.table(DOCUMENTS).of(())
            if state.files[record.id][:2] in [(kind, ticket_id) for kind in TICKETS]
        ]

    def all_notes(self, ticket_id: int) -> list[JsonObject]:
        """As /allNotes answers them, time entry notes included. Raises: KeyError."""
        for name in ("service/tickets", "project/tickets"):
            record = self.store.table(name).get(ticket_id)
            if record is not None:
                return [row.data for row in all_notes(self.gateway.state, record)]
        raise KeyError(ticket_id)
