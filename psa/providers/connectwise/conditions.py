"""Owns the filter language of ConnectWise: values are quoted here and nowhere else.

Source: docs/connectwise/quick-reference.md#conditions
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

URL_MAX_CHARS = 2_000
"""Characters. Longer URLs are refused with 414; a filter that long goes to `POST …/search` instead."""

ID_MAX = 2**31 - 1
"""Record ids are 32-bit; a larger number in a filter is a type error."""

_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:/[A-Za-z_][A-Za-z0-9_]*)*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


def quoted(text: str) -> str:
    """Return a text as a string of the filter language. Control characters become blanks: none is legal."""
    cleaned = _CONTROL.sub(" ", text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{cleaned}"'


def contains(field: str, text: str) -> str:
    """Return a filter for records whose field holds the text."""
    return f"{_name(field)} contains {quoted(text)}"


def equals(field: str, value: str | int | bool) -> str:
    """Return a filter for records whose field is the value."""
    shown = quoted(value) if isinstance(value, str) else str(value).lower()
    return f"{_name(field)} = {shown}"


def is_id(field: str, record_id: str | int) -> str:
    """Return a filter for records whose field is this id. Raises: ValueError for anything but an id."""
    return f"{_name(field)} = {as_id(record_id)}"


def one_of(field: str, ids: Iterable[int]) -> str:
    """Return a filter for records whose field is one of these ids. Not for `childConditions`."""
    return f"{_name(field)} in ({','.join(str(as_id(one)) for one in ids)})"


def since(field: str, moment: datetime) -> str:
    """Return a filter for records whose field is at or after a moment. Raises: ValueError if it is naive."""
    if moment.tzinfo is None:
        raise ValueError("a naive date has no meaning in a filter")
    return f"{_name(field)} >= [{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}]"


def all_of(*parts: str) -> str:
    """Join filters that must all hold; empty ones are left out."""
    return _join(" and ", parts)


def any_of(*parts: str) -> str:
    """Join filters of which one must hold; empty ones are left out."""
    return _join(" or ", parts)


def as_id(value: str | int) -> int:
    """Return a record id as a number. Raises: ValueError for anything else."""
    text = str(value)
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= ID_MAX:
        raise ValueError(f"{text[:40]!r} is not a record id")
    return int(text)


def _join(word: str, parts: Iterable[str]) -> str:
    # Parentheses always: the order of `and` and `or` is not documented.
    kept = [part for part in parts if part]
    return kept[0] if len(kept) == 1 else word.join(f"({part})" for part in kept)


def _name(field: str) -> str:
    if not _FIELD.fullmatch(field):
        raise ValueError(f"{field!r} is not a field name")
    return field
