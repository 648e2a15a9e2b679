"""Long uploads: they may take long, but something must move, and an answer must come in its time."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from requests_toolbelt import MultipartEncoder

from psa.exceptions import OutcomeUnknownError
from psa.providers import transport
from psa.providers.http import HttpClient
from psa.providers.tests.servers import serving

BODY = b"x" * 30_000_000
"""More than the sockets of both sides hold."""


@pytest.fixture
def client() -> Iterator[HttpClient]:
    made = HttpClient(trusted_hosts=["127.0.0.1"], call_deadline_s=5.0)
    yield made
    made.close()


def upload(client: HttpClient, url: str, *, answer_within_s: float) -> float:
    """Upload the body, expect that its outcome is unknown, and return how many seconds that took."""
    form = MultipartEncoder({"file": ("a.bin", io.BytesIO(BODY), "application/octet-stream")})
    began = time.monotonic()
    with pytest.raises(OutcomeUnknownError):
        client.send(
            "POST",
            url,
            operation="upload",
            write=True,
            body=form,
            headers={"Content-Type": form.content_type},
            deadline_s=60.0,
            answer_within_s=answer_within_s,
        )
    return time.monotonic() - began


def test_server_that_stops_reading_is_given_up(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "STALL_MAX_S", 0.3)
    ended = threading.Event()

    def reads_little(sock: socket.socket) -> None:
        sock.recv(1000)
        ended.wait(20)

    with serving(reads_little) as server:
        assert upload(client, f"{server.url}/", answer_within_s=30.0) < 5.0
        ended.set()


def test_server_that_never_answers_is_given_up_in_its_time(client: HttpClient) -> None:
    ended = threading.Event()

    def reads_all(sock: socket.socket) -> None:
        left = len(BODY)
        while left > 0 and (piece := sock.recv(1_000_000)):
            left -= len(piece)
        ended.wait(20)

    with serving(reads_all) as server:
        assert upload(client, f"{server.url}/", answer_within_s=0.3) < 5.0
        ended.set()
