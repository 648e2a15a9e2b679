"""Owns what counts as the number of a ticket."""

from __future__ import annotations

_DIGITS_MAX = 10
_END = 2**31


def ticket_number(text: str) -> str:
    """Return the ticket number a text is (`4711`, `#4711`, `04711`) in its plain form, else an empty text."""
    digits = text.strip().lstrip("#").strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS_MAX and 0 < int(digits) < _END):
        return ""
    return str(int(digits))
