"""Sockets: keep-alive, speed, busy ports, requests that come in pieces."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.providers.connectwise.sandbox.tests.conftest import Api


def raw(sandbox: SandboxServer, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=5) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        return received


def test_two_requests_in_one_packet(sandbox: SandboxServer) -> None:
    one = b"GET /login/companyinfo/acme_msp HTTP/1.1\r\nHost: x\r\n\r\n"
    assert raw(sandbox, one * 2).count(b"HTTP/1.1 200 OK") == 2


def test_chunked_body(sandbox: SandboxServer) -> None:
    body = b'{"kind":"latency","seconds":0,"count":0}'
    head = b"POST /_sandbox/faults HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (5, body[:5], len(body) - 5, body[5:])
    assert b" 200 " in raw(sandbox, head + chunks)


@pytest.mark.parametrize("data", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b""])
def test_malformed_request_closes_the_connection(sandbox: SandboxServer, data: bytes) -> None:
    assert raw(sandbox, data) == b""


def test_busy_port_is_an_error(sandbox: SandboxServer) -> None:
    with pytest.raises(OSError):
        SandboxServer(port=sandbox.port)


def test_keep_alive_does_not_stall(api: Api) -> None:
    note = {"text": "x", "internalAnalysisFlag": True}
    api.post("/service/tickets/57001/notes", note)
    started = time.monotonic()
    for _ in range(50):
        api.post("/service/tickets/57001/notes", note)
    assert (time.monotonic() - started) / 50 < 0.03


def test_sixteen_connections_write_at_once(sandbox: SandboxServer) -> None:
    before = len(sandbox.notes(57001))

    def work() -> None:
        client = Api(sandbox)
        for _ in range(20):
            client.post("/service/tickets/57001/notes", {"text": "x", "internalAnalysisFlag": True})
        client.http.close()

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = [note["id"] for note in sandbox.notes(57001)]
    assert len(ids) == len(set(ids)) == before + 320


def test_two_starts_have_the_same_data() -> None:
    def text(server: SandboxServer) -> list[str]:
        rows = server.store.table("service/tickets").of(())
        return [row.as_json().decode().replace(server.url, "") for row in rows]

    with SandboxServer() as first, SandboxServer() as second:
        assert text(first) == text(second)
