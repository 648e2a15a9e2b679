"""Pages of a list and the Link header around them, by page number or forward only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from psa.providers.connectwise.sandbox import errors

DEFAULT_PAGE_SIZE = 25
MAX_PAGE_SIZE = 1000
"""Rows; a larger pageSize is cut to this without a word, as ConnectWise does."""

FORWARD_ONLY = "forward-only"


@dataclass(frozen=True, slots=True)
class Paging:
    """What a list call asks for; after_id is set for forward-only paging alone."""

    page: int
    size: int
    after_id: int | None


def read_paging(query: Mapping[str, str], pagination_type: str | None) -> Paging:
    """Raises: ApiError 400 for numbers that are none, and for orderBy with forward-only paging."""
    size = min(_number(query, "pageSize", DEFAULT_PAGE_SIZE), MAX_PAGE_SIZE)
    if pagination_type is None:
        return Paging(_number(query, "page", 1), size, None)
    if pagination_type.lower() != FORWARD_ONLY:
        raise errors.coded(400, "ConnectWiseApi", f"pagination-type {pagination_type} is unknown.")
    if query.get("orderBy"):
        raise errors.coded(400, "ConnectWiseApi", "orderBy cannot be used with forward-only paging.")
    return Paging(1, size, _number(query, "pageId", 0, least=0))


def _number(query: Mapping[str, str], name: str, default: int, least: int = 1) -> int:
    text = query.get(name)
    if text is None or text == "":
        return default
    if not text.isdecimal() or int(text) < least:
        raise errors.coded(400, "ConnectWiseApi", f"{name} must be a number of at least {least}.")
    return int(text)


def page_link(base_url: str, query: Mapping[str, str], paging: Paging, total: int) -> str | None:
    """Link header for a numbered page; None when all rows fit on one page."""
    last = -(-total // paging.size)
    if last <= 1:
        return None
    pages = {"first": 1, "prev": paging.page - 1, "next": paging.page + 1, "last": last}
    if paging.page <= 1:
        del pages["prev"]
    if paging.page >= last:
        del pages["next"]
    return ", ".join(
        f'<{_url(base_url, query, {"page": str(number)})}>; rel="{rel}"' for rel, number in pages.items()
    )


def forward_link(base_url: str, query: Mapping[str, str], last_id: int | None) -> str | None:
    """Link to the rows behind the last id; None behind an empty page, so that walkers stop."""
    if last_id is None:
        return None
    kept = {k: v for k, v in query.items() if k != "page"}
    return f'<{_url(base_url, kept, {"pageId": str(last_id)})}>; rel="next"'


def _url(base_url: str, query: Mapping[str, str], changes: Mapping[str, str]) -> str:
    """The page comes last, as the vendor writes it: clients look for `page=2>` with a regex.

    The vendor escapes with lower-case hex digits; clients must not depend on that spelling.
    """
    merged = {name: value for name, value in query.items() if name not in changes} | dict(changes)
    parts = [f"{name}={_escape(value)}" for name, value in merged.items()]
    return f"{base_url}?{'&'.join(parts)}"


def _escape(text: str) -> str:
    escaped = quote(text, safe="")
    pieces = escaped.split("%")
    return pieces[0] + "".join(f"%{p[:2].lower()}{p[2:]}" for p in pieces[1:])
