"""Owns the question whether a connection leads to a test system, so that pages can say so."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

_NAMES = re.compile(r"(?:^|[.-])(?:sandbox|staging)(?:[.-]|$)")
"""Part of a host name: `sandbox-na.myconnectwise.net`, `staging.connectwisedev.com`."""


def is_test_system(site: str) -> bool:
    """Return True for a sandbox or staging host, and for one on this machine or without TLS.

    Both of the latter have to be named in PSA_TRUSTED_HOSTS. A private address alone does not count: the
    server in the operator's own network is a real one.
    """
    parts = urlsplit(site if "://" in site else f"https://{site}")
    host = (parts.hostname or "").lower()
    return parts.scheme == "http" or bool(_NAMES.search(host)) or _is_this_machine(host)


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
