"""Owns the way from one page to the next. Of a `Link` header only a number is taken, never its host."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

PAGE_MAX_ROWS = 1000
"""Rows; ConnectWise caps larger pages without a word."""

_LINK = re.compile(r"<([^>]*)>([^<]*)")
_NEXT = re.compile(r"""\brel\s*=\s*["']?[^"';,]*\bnext\b""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Next:
    """Where a list goes on: at a page number, or behind a record id."""

    name: str
    """`page` or `pageId`."""
    number: int


def next_of(link: str) -> Next | None:
    """Return where the `Link` header says the list goes on, None at its end or for a broken header."""
    for url, attributes in _LINK.findall(link):
        if not _NEXT.search(attributes):
            continue
        try:
            query = {name.lower(): value for name, value in parse_qsl(urlsplit(url).query)}
        except ValueError:
            return None
        for name in ("pageId", "page"):
            value = query.get(name.lower(), "")
            if value.isascii() and value.isdigit() and len(value) <= 10:
                return Next(name, int(value))
    return None
