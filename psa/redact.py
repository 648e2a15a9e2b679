"""Owns what is blacked out before anything is logged, stored or shown. Add a name to `_SECRET_NAMES`.

Pure functions; what they return has the shape of what they were given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

REDACTED = "[redacted]"
"""What stands where a secret was."""

TEXT_MAX_CHARS = 2_000
"""Characters of free text that are looked at and kept: a vendor's error page can have megabytes."""

_SECRET_NAMES = re.compile(
    r"authori[sz]ation|cookie|client[-_ ]?id|(?:api|private|public|secret|access|signing|encryption)[-_ ]?key"
    r"|member[-_ ]?hash|token|secret|passw(?:or)?d|passphrase|pwd|credential|signature",
    re.IGNORECASE,
)

# A scheme word and what follows it: `Basic dXNlcjpwYXNz`, `Bearer abc.def`, `Token 12345678`.
_SCHEMES = re.compile(
    r"\b(Basic|Bearer|Token|Digest)\s+(?=[A-Za-z0-9._~+/=-]*[A-Z0-9=+/._])[A-Za-z0-9._~+/=-]{8,}"
)

# `private key: abc`, `"clientId":"abc"`, `password=abc`: the name, its separator, the value up to its end.
_ASSIGNED = re.compile(
    r"""(?P<name>(?:(?:client[-_ ]?id|(?:api|private|public|signing|access)[-_ ]?key|secret|token|
        passw(?:or)?d|passphrase|\bpwd|member[-_ ]?hash|authori[sz]ation|cookie))
        ["']?\s*(?:=|:|=>)\s*)
        (?P<value>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(?:(?:Basic|Bearer|Token)\s+)?[^\s,;&"'<>}\]]+)""",
    re.IGNORECASE | re.VERBOSE,
)

# A key word without a separator, then something that looks like a key: `key AbC123…`.
_KEY_LIKE = re.compile(
    r"(?P<name>\b(?:key|token|secret|password|clientid|hash)\b[^\w\n]{0,4}(?:is\s+)?)"
    r"(?P<value>(?=[A-Za-z_-]{0,200}[0-9+/=])[A-Za-z0-9+/=_-]{12,})",
    re.IGNORECASE,
)

_USERINFO = re.compile(r"(?<=://)[^/\s@?#]+@")


def is_secret_name(name: str) -> bool:
    """True when a field or header of this name holds a secret."""
    return _SECRET_NAMES.search(name) is not None


def redact_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers with the values of secret ones blacked out."""
    return {name: REDACTED if is_secret_name(name) else redact_text(value) for name, value in headers.items()}


def redact_url(url: str) -> str:
    """Return a URL without user and password, and without the values of secret query names."""
    try:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return REDACTED
    host = parts.netloc.rpartition("@")[2]
    if not any(is_secret_name(name) for name, _ in pairs):
        return urlunsplit((parts.scheme, host, parts.path, parts.query, parts.fragment))
    query = "&".join(
        f"{quote(name)}={REDACTED if is_secret_name(name) else quote(value)}" for name, value in pairs
    )
    return urlunsplit((parts.scheme, host, parts.path, query, parts.fragment))


def redact_data(value: Any, *, depth: int = 12) -> Any:
    """Return JSON-like data with the values under secret names, and secrets inside texts, blacked out."""
    if depth <= 0:
        return REDACTED
    if isinstance(value, Mapping):
        return {
            key: REDACTED if item and is_secret_name(str(key)) else redact_data(item, depth=depth - 1)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [redact_data(item, depth=depth - 1) for item in value]
    return redact_text(value) if isinstance(value, str) else value


def redact_text(text: str, *, max_chars: int = TEXT_MAX_CHARS) -> str:
    """Return free text cut to max_chars, with everything that looks like a secret blacked out."""
    # Cut a little later than shown, so that a secret lying across the cut is still seen whole.
    text = text[: max_chars + 400]
    text = _USERINFO.sub(f"{REDACTED}@", text)
    text = _ASSIGNED.sub(lambda match: match["name"] + REDACTED, text)
    text = _SCHEMES.sub(lambda match: f"{match[1]} {REDACTED}", text)
    text = _KEY_LIKE.sub(lambda match: match["name"] + REDACTED, text)
    return text if len(text) <= max_chars else text[: max_chars - 1] + "…"
