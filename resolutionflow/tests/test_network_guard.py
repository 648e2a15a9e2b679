"""Tests of the door of conftest.py: tests reach this machine and nothing else."""

from __future__ import annotations

import socket

import pytest


@pytest.mark.parametrize("host", ["example.com", "10.0.0.1", "169.254.169.254", "2001:db8::1"])
def test_lookup_of_another_host_fails(host: str) -> None:
    with pytest.raises(RuntimeError, match="only talk to this machine"):
        socket.getaddrinfo(host, 443)


def test_connection_to_another_host_fails() -> None:
    with pytest.raises(RuntimeError, match="only talk to this machine"):
        socket.create_connection(("192.0.2.1", 443), timeout=1)


def test_bare_socket_to_another_host_fails() -> None:
    with socket.socket() as outside, pytest.raises(RuntimeError, match="only talk to this machine"):
        outside.connect_ex(("192.0.2.1", 443))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_can_be_reached(host: str) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection((host, server.getsockname()[1]), timeout=5) as there,
    ):
        assert there.getpeername()[0].startswith("127.")
