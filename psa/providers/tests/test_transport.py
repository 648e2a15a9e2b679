"""Real sockets: deadlines, the host guard, keep-alive, TLS. `responses` would bypass all of it."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from psa.exceptions import (
    CertificateError,
    ConnectFailedError,
    HostNotAllowedError,
    OutcomeUnknownError,
    UnavailableError,
)
from psa.providers import transport
from psa.providers.http import Answer, HttpClient, trace_writes
from psa.providers.tests.servers import Server, answering, certificate, read_request, reply, serving

OK = reply(b'{"fine": true}')


def client(**options: object) -> HttpClient:
    settings: dict[str, object] = {
        "trusted_hosts": ("127.0.0.1",),
        "connect_timeout_s": 1.0,
        "call_deadline_s": 0.6,
        **options,
    }
    return HttpClient(**settings)  # type: ignore[arg-type]


@pytest.fixture
def http() -> Iterator[HttpClient]:
    made = client()
    yield made
    made.close()


def get(http: HttpClient, url: str) -> Answer:
    return http.send("GET", url, operation="test", write=False)


def post(http: HttpClient, url: str) -> Answer:
    return http.send("POST", url, operation="test", write=True, json={"a": "ä 😀"})


# Deadlines ---------------------------------------------------------------------------------------


def drip(payload: bytes, gap_s: float = 0.05) -> Callable[[socket.socket], None]:
    def handle(sock: socket.socket) -> None:
        read_request(sock)
        for byte in payload:
            sock.sendall(bytes([byte]))
            time.sleep(gap_s)

    return handle


def drip_body(sock: socket.socket) -> None:
    read_request(sock)
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n")
    for _ in range(2000):
        sock.sendall(b"x")
        time.sleep(0.05)


def drip_chunks(sock: socket.socket) -> None:
    read_request(sock)
    sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(2000):
        sock.sendall(b"1\r\nx\r\n")
        time.sleep(0.05)


def silent(sock: socket.socket) -> None:
    read_request(sock)
    time.sleep(30)


SLOW = {
    "headers": drip(reply(b"x" * 2000)),
    "informational": drip(b"HTTP/1.1 100 Continue\r\n\r\n" * 200),
    "body": drip_body,
    "chunks": drip_chunks,
    "silent": silent,
}


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("how", SLOW)
def test_a_dripping_answer_ends_at_the_deadline(how: str, secure: bool, tmp_path: Path) -> None:
    context, pem = certificate(tmp_path) if secure else (None, None)
    http = client(ca_bundle=str(pem) if pem else None)
    with serving(SLOW[how], context) as server:
        for send, error in ((get, UnavailableError), (post, OutcomeUnknownError)):
            started = time.monotonic()
            with pytest.raises(error):
                send(http, server.url)
            assert 0.5 < time.monotonic() - started < 1.2
    http.close()


def test_a_server_that_does_not_read_a_large_body_ends_at_the_deadline(http: HttpClient) -> None:
    def deaf(sock: socket.socket) -> None:
        time.sleep(30)

    with serving(deaf) as server:
        started = time.monotonic()
        with pytest.raises(OutcomeUnknownError):
            http.send("POST", server.url, operation="test", write=True, body=b"x" * 30_000_000)
        assert time.monotonic() - started < 1.2


def test_calls_under_one_deadline_share_it(http: HttpClient) -> None:
    with serving(drip(reply(b"x" * 4), 0.006)) as server:
        started = time.monotonic()
        with http.one_deadline():
            assert get(http, server.url).ok
            with pytest.raises(UnavailableError):
                deque((get(http, server.url) for _ in range(10)), maxlen=0)
        assert time.monotonic() - started < 1.0


def test_a_slow_name_lookup_ends_with_the_connect_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    http = client(connect_timeout_s=0.2)
    gate = threading.Event()

    def slow(*_: object, **__: object) -> list[object]:
        gate.wait(5)
        return []

    monkeypatch.setattr(transport.socket, "getaddrinfo", slow)
    started = time.monotonic()
    with pytest.raises(ConnectFailedError):
        post(http, "https://slow.example")
    assert time.monotonic() - started < 0.6
    gate.set()


# Size --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True], ids=["as is", "gzip bomb"])
def test_a_huge_body_is_not_read(http: HttpClient, packed: bool) -> None:
    body = b"0" * 5_000_000
    headers = b"Content-Encoding: gzip\r\n" if packed else b""
    with serving(answering(reply(gzip.compress(body) if packed else body, headers=headers))) as server:
        with pytest.raises(UnavailableError, match="too large"):
            http.send("GET", server.url, operation="test", write=False, body_max_bytes=100_000)
        with pytest.raises(OutcomeUnknownError):
            http.send("POST", server.url, operation="test", write=True, body_max_bytes=100_000)


def test_a_packed_answer_is_unpacked(http: HttpClient) -> None:
    packed = reply(gzip.compress(b'{"a":1}'), headers=b"Content-Encoding: gzip\r\n")
    with serving(answering(packed)) as server:
        assert get(http, server.url).json() == {"a": 1}


# Broken answers ----------------------------------------------------------------------------------


BROKEN = {
    "closed at once": b"",
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "half a status line": b"HTTP/1.",
    "short body": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
    "bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "cut chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    "bad gzip": reply(b"not gzip", headers=b"Content-Encoding: gzip\r\n"),
    "header flood": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 500 + b"\r\n",
    "endless header": b"HTTP/1.1 200 OK\r\nA: " + b"b" * 200_000 + b"\r\n\r\n",
    "status out of range": b"HTTP/1.1 99999 OK\r\n\r\n",
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_answer_is_unavailable_for_a_read_and_unknown_for_a_write(
    http: HttpClient, what: str
) -> None:
    def handle(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(BROKEN[what])

    with serving(handle) as server:
        with pytest.raises(UnavailableError):
            get(http, server.url)
        with trace_writes() as trace, pytest.raises(OutcomeUnknownError):
            post(http, server.url)
        assert trace.sent


def test_a_reset_after_the_request_is_unknown_for_a_write(http: HttpClient) -> None:
    def reset(sock: socket.socket) -> None:
        read_request(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")

    with serving(reset) as server, pytest.raises(OutcomeUnknownError):
        post(http, server.url)


# Keep-alive --------------------------------------------------------------------------------------


def test_sockets_are_kept_alive(http: HttpClient) -> None:
    with serving(answering(OK)) as server:
        for _ in range(5):
            get(http, server.url)
        assert server.connections == 1


def test_a_socket_the_server_closed_meanwhile_is_not_used_for_a_write(http: HttpClient) -> None:
    def once(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(OK)

    with serving(once) as server:
        post(http, server.url)
        time.sleep(0.1)
        assert post(http, server.url).ok
        assert server.connections == 2


def test_a_socket_that_dies_under_a_write_is_unknown_not_unsent(http: HttpClient) -> None:
    def dies(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(OK)
        read_request(sock)

    with serving(dies) as server:
        post(http, server.url)
        with pytest.raises(OutcomeUnknownError):
            post(http, server.url)
        assert server.connections == 1


def test_an_idle_socket_is_not_used_again(http: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(answering(OK)) as server:
        post(http, server.url)
        monkeypatch.setattr(transport, "IDLE_MAX_S", 0.05)
        time.sleep(0.1)
        post(http, server.url)
        assert server.connections == 2


def test_many_threads_share_a_client_and_no_cookie_is_kept() -> None:
    http = client(pool_size=8, call_deadline_s=10.0)
    seen: list[bytes] = []

    def handle(sock: socket.socket) -> None:
        while data := read_request(sock):
            seen.append(data)
            sock.sendall(reply(b"{}", headers=b"Set-Cookie: session=1; Path=/\r\n"))

    with serving(handle) as server:
        threads = [
            threading.Thread(target=lambda: [get(http, server.url) for _ in range(20)]) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(seen) == 160
        assert not any(b"cookie" in data.lower() for data in seen)
        assert server.connections <= 8
    http.close()


def test_close_closes_the_sockets(http: HttpClient) -> None:
    ended = threading.Event()

    def handle(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(OK)
        if not read_request(sock):
            ended.set()

    with serving(handle) as server:
        get(http, server.url)
        http.close()
        assert ended.wait(2)


# Host guard --------------------------------------------------------------------------------------


@pytest.fixture
def plain() -> Iterator[Server]:
    with serving(answering(OK)) as server:
        yield server


@pytest.mark.parametrize("trusted", ["127.0.0.1", "127.0.0.0/8", "{host}", "::ffff:127.0.0.1"])
def test_a_trusted_peer_is_spoken_to(plain: Server, trusted: str) -> None:
    http = client(trusted_hosts=(trusted.format(host=plain.host),))
    assert get(http, plain.url).ok
    http.close()


@pytest.mark.parametrize("trusted", ["", "127.0.0.2", "10.0.0.0/8", "127.0.0.1:1", "localhost"])
def test_an_untrusted_private_peer_gets_no_byte(plain: Server, trusted: str) -> None:
    http = client(trusted_hosts=(trusted,))
    with trace_writes() as trace, pytest.raises(HostNotAllowedError) as caught:
        post(http, plain.url)
    assert not trace.sent
    assert caught.value.host == plain.host
    assert f"add {plain.host} to PSA_TRUSTED_HOSTS" in str(caught.value)
    assert plain.connections == 0
    http.close()


def test_a_public_name_that_points_at_this_machine_gets_no_byte(
    plain: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    lookup = socket.getaddrinfo
    monkeypatch.setattr(
        transport.socket, "getaddrinfo", lambda host, *rest, **more: lookup("127.0.0.1", *rest, **more)
    )
    for url in (f"http://rebind.example:{plain.port}", f"https://rebind.example:{plain.port}"):
        http = client(trusted_hosts=())
        with pytest.raises(HostNotAllowedError) as caught:
            get(http, url)
        assert caught.value.host == f"rebind.example:{plain.port}"
        http.close()
    assert plain.connections == 0


def test_the_peer_is_checked_after_connecting_too(plain: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    original = transport.HostGuard.check

    def check(self: object, scheme: str, host: str, port: int, peer: str) -> None:
        checked.append(peer)
        if len(checked) > 1:
            original(transport.HostGuard(), scheme, host, port, peer)

    monkeypatch.setattr(transport.HostGuard, "check", check)
    http = client()
    with trace_writes() as trace, pytest.raises(HostNotAllowedError):
        post(http, plain.url)
    assert not trace.sent
    assert checked == ["127.0.0.1", "127.0.0.1"]
    http.close()


def test_nobody_listening_is_a_connect_failure_and_nothing_was_sent(http: HttpClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with trace_writes() as trace, pytest.raises(ConnectFailedError) as caught:
        post(http, f"http://127.0.0.1:{port}")
    assert type(caught.value) is ConnectFailedError
    assert not trace.sent


def test_an_unknown_name_is_a_connect_failure(http: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(transport.socket, "getaddrinfo", unknown)
    with pytest.raises(ConnectFailedError):
        post(http, "https://nowhere.example")


def test_environment_proxies_are_ignored(plain: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    http = client()
    assert get(http, plain.url).ok
    http.close()


# TLS ---------------------------------------------------------------------------------------------


def test_tls_with_our_bundle_works(tmp_path: Path) -> None:
    context, pem = certificate(tmp_path)
    http = client(ca_bundle=str(pem))
    with serving(answering(OK), context) as server:
        assert post(http, server.url).json() == {"fine": True}
        assert post(http, server.url).ok
        assert server.connections == 1
    http.close()


@pytest.mark.parametrize("wrong", ["unknown issuer", "other name", "no TLS at all", "closed in handshake"])
def test_tls_that_cannot_be_verified_sends_nothing(tmp_path: Path, wrong: str) -> None:
    context, pem = certificate(tmp_path, "psa.example" if wrong == "other name" else "127.0.0.1")
    http = client(ca_bundle=None if wrong == "unknown issuer" else str(pem))
    handlers = {"no TLS at all": lambda sock: sock.sendall(OK), "closed in handshake": lambda sock: None}
    handler = handlers.get(wrong, answering(OK))
    with serving(handler, context if wrong in ("unknown issuer", "other name") else None) as server:
        url = server.url.replace("http://", "https://")
        with trace_writes() as trace, pytest.raises(ConnectFailedError) as caught:
            post(http, url)
        assert not trace.sent
        assert isinstance(caught.value, CertificateError) or wrong == "closed in handshake"
        assert not isinstance(caught.value, HostNotAllowedError)
    http.close()


def test_a_private_tls_peer_sees_no_handshake(tmp_path: Path) -> None:
    context, pem = certificate(tmp_path)
    http = client(ca_bundle=str(pem), trusted_hosts=())
    with serving(answering(OK), context) as server:
        with pytest.raises(HostNotAllowedError):
            post(http, server.url)
        assert server.connections == 0
    http.close()
