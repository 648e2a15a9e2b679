"""Which addresses count as public, and what an entry of PSA_TRUSTED_HOSTS opens."""

from __future__ import annotations

import ipaddress

import pytest

from psa.exceptions import HostNotAllowedError
from psa.providers.host_guard import HostGuard, address_is_public

PRIVATE = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.1",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]
PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "172.32.0.1",
    "100.128.0.1",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public(address: str) -> None:
    assert not address_is_public(ipaddress.ip_address(address))
    with pytest.raises(HostNotAllowedError):
        HostGuard().check("https", "psa.example", 443, address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address(address: str) -> None:
    assert address_is_public(ipaddress.ip_address(address))
    HostGuard().check("https", "psa.example", 443, address)


@pytest.mark.parametrize(
    ("entry", "host", "port", "peer", "allowed"),
    [
        ("psa.local", "psa.local", 443, "10.0.0.5", True),
        ("PSA.Local.", "psa.local", 8443, "10.0.0.5", True),
        ("psa.local:8443", "psa.local", 8443, "10.0.0.5", True),
        ("psa.local:8443", "psa.local", 443, "10.0.0.5", False),
        ("psa.local", "evil.psa.local", 443, "10.0.0.5", False),
        ("10.0.0.5", "psa.local", 443, "10.0.0.5", True),
        ("10.0.0.5:443", "psa.local", 443, "10.0.0.5", True),
        ("10.0.0.5:80", "psa.local", 443, "10.0.0.5", False),
        ("10.0.0.0/8", "psa.local", 443, "10.9.9.9", True),
        ("10.0.0.0/8", "psa.local", 443, "11.9.9.9", True),
        ("10.0.0.0/8", "psa.local", 443, "192.168.0.1", False),
        ("10.0.0.0/8", "psa.local", 443, "::ffff:10.1.1.1", True),
        ("10.1.2.3/8", "psa.local", 443, "10.9.9.9", True),
        ("fd00::/8", "psa.local", 443, "fd00::1", True),
        ("[fd00::1]:8443", "fd00::1", 8443, "fd00::1", True),
        ("[fd00::1]:8443", "[fd00::1]", 443, "fd00::1", False),
        ("fd00::1", "psa.local", 443, "fd00::1", True),
        ("fe80::1", "psa.local", 443, "fe80::1%eth0", True),
        ("", "psa.local", 443, "10.0.0.5", False),
        ("nonsense/99", "psa.local", 443, "10.0.0.5", False),
        ("*", "psa.local", 443, "10.0.0.5", False),
    ],
)
def test_what_a_trust_entry_opens(entry: str, host: str, port: int, peer: str, allowed: bool) -> None:
    guard = HostGuard([entry])
    if allowed:
        guard.check("https", host, port, peer)
        if "11.9" not in peer:
            guard.check("http", host, port, peer)
    else:
        with pytest.raises(HostNotAllowedError):
            guard.check("https", host, port, peer)


def test_plain_http_needs_trust_even_on_a_public_address() -> None:
    with pytest.raises(HostNotAllowedError, match="without encryption"):
        HostGuard().check("http", "psa.example", 80, "8.8.8.8")
    HostGuard(["psa.example"]).check("http", "psa.example", 80, "8.8.8.8")


@pytest.mark.parametrize(
    ("scheme", "host", "port", "shown"),
    [
        ("https", "psa.local", 443, "psa.local"),
        ("https", "psa.local", 8443, "psa.local:8443"),
        ("http", "psa.local", 80, "psa.local"),
        ("http", "psa.local", 443, "psa.local:443"),
        ("https", "::1", 8443, "[::1]:8443"),
    ],
)
def test_the_refusal_names_the_entry_that_would_help(scheme: str, host: str, port: int, shown: str) -> None:
    with pytest.raises(HostNotAllowedError) as caught:
        HostGuard().check(scheme, host, port, "127.0.0.1")
    assert caught.value.host == shown
    assert f"add {shown} to PSA_TRUSTED_HOSTS" in caught.value.message
    HostGuard([shown]).check(scheme, host, port, "127.0.0.1")


def test_a_peer_that_is_no_address_is_refused() -> None:
    with pytest.raises(HostNotAllowedError):
        HostGuard().check("https", "psa.example", 443, "somewhere")


def test_plain_http_to_a_name_nobody_trusts_is_refused_before_it_is_looked_up() -> None:
    guard = HostGuard(["other.example"])
    with pytest.raises(HostNotAllowedError, match="without encryption"):
        guard.check_scheme("http", "psa.example", 80)
    guard.check_scheme("https", "psa.example", 443)
    guard.check_scheme("http", "other.example", 80)
    guard.check_scheme("http", "localhost", 8000)
    HostGuard(["10.0.0.0/8"]).check_scheme("http", "psa.example", 80)
