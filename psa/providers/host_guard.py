"""Owns the question which peers may be spoken to. What counts as public is decided in `address_is_public`."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterable

from psa.exceptions import HostNotAllowedError

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NAT64_LOCAL = ipaddress.ip_network("64:ff9b:1::/48")

DEFAULT_PORTS = {"http": 80, "https": 443}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def address_is_public(address: Address) -> bool:
    """True for an address of the open internet, also seen through the ways of wrapping IPv4 in IPv6."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return address_is_public(inner)
        if address.is_site_local or address in _NAT64_LOCAL:
            return False
    return address.is_global and not (
        address.is_multicast
        or address.is_private
        or address.is_reserved
        or address.is_loopback
        or address.is_link_local
        or address.is_unspecified
    )


def parse_address(text: str) -> Address | None:
    """Return a written address, IPv4 in IPv6 unwrapped; None for a name."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0].strip("[]"))
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


class HostGuard:
    """Decides which peers may be spoken to, from the operator's `PSA_TRUSTED_HOSTS`.

    Shape: entries are `host`, `host:port`, `[v6]:port` or a CIDR; a host without a port means every port.
    """

    def __init__(self, trusted_hosts: Iterable[str] = ()) -> None:
        self._names: set[tuple[str, int | None]] = set()
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for entry in trusted_hosts:
            self._add(entry.strip().lower().rstrip("."))

    def _add(self, entry: str) -> None:
        if not entry:
            return
        if "/" in entry:
            with contextlib.suppress(ValueError):
                self._networks.append(ipaddress.ip_network(entry, strict=False))
            return
        address = parse_address(entry)
        if address is not None:
            self._names.add((str(address), None))
            return
        host, _, port = entry.rpartition(":")
        if host and port.isdigit():
            address = parse_address(host)
            self._names.add((str(address) if address else host.rstrip("."), int(port)))
        else:
            self._names.add((entry, None))

    def trusts_name(self, host: str, port: int) -> bool:
        """True when the operator named this host, with or without its port."""
        address = parse_address(host)
        name = str(address) if address else host.lower().rstrip(".")
        return (name, port) in self._names or (name, None) in self._names

    def trusts_peer(self, peer: str, port: int) -> bool:
        """True when the operator named this address or a network around it."""
        address = parse_address(peer)
        if address is None:
            return False
        return self.trusts_name(str(address), port) or any(
            address.version == network.version and address in network for network in self._networks
        )

    def check_scheme(self, scheme: str, host: str, port: int) -> None:
        """Refuse plain HTTP before a name is even looked up, unless a trusted network might hold its peer.

        `localhost` is looked up: it is this machine by definition, whose address may be the trusted one.

        Raises: HostNotAllowedError.
        """
        if scheme == "https" or self._networks or host == "localhost" or self.trusts_name(host, port):
            return
        shown = host if port == DEFAULT_PORTS.get(scheme) else f"{host}:{port}"
        if parse_address(host) is None:
            raise _refused(f"{shown} is spoken to without encryption", shown)

    def check(self, scheme: str, host: str, port: int, peer: str) -> None:
        """Return when this peer may be spoken to.

        Raises: HostNotAllowedError (private or local address, or plain HTTP, and not trusted).
        """
        if self.trusts_name(host, port) or self.trusts_peer(peer, port):
            return
        address = parse_address(peer)
        shown = f"[{host}]" if ":" in host else host
        if port != DEFAULT_PORTS.get(scheme):
            shown = f"{shown}:{port}"
        if address is None or not address_is_public(address):
            reason = f"{shown} is not a public address"
        elif scheme != "https":
            reason = f"{shown} is spoken to without encryption"
        else:
            return
        raise _refused(reason, shown)


def _refused(reason: str, shown: str) -> HostNotAllowedError:
    return HostNotAllowedError(
        f"{reason}. If this is intended, ask the operator to add {shown} to PSA_TRUSTED_HOSTS.", host=shown
    )
