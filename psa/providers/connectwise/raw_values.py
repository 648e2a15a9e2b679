"""Owns the reading of single values of a ConnectWise record, whatever type they have.

What has a wrong type counts as missing; a record without an id raises ValueError.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from psa.types import Raw, Ref

_ID = re.compile(r"-?[0-9]{1,18}")


def utc(value: Any) -> datetime | None:
    """Return a date of ConnectWise as aware UTC in whole seconds, None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError):
        return None


def record_id(raw: Raw) -> str:
    """Return a record's id as text. Raises: ValueError when it has none."""
    value = raw.get("id")
    if isinstance(value, bool) or not isinstance(value, (int, str)) or not _ID.fullmatch(str(value)):
        raise ValueError("a record without an id")
    return str(value)


def part(raw: Raw, name: str) -> Raw:
    """Return a nested record, an empty one for anything else."""
    value = raw.get(name)
    return value if isinstance(value, Mapping) else {}


def text(raw: Raw, name: str) -> str:
    """Return a text, empty for anything else."""
    value = raw.get(name)
    return value if isinstance(value, str) else ""


def named(raw: Raw) -> str:
    """Return a reference's name, or its identifier where it has none."""
    return text(raw, "name") or text(raw, "identifier")


def ref(raw: Raw, name: str) -> Ref | None:
    """Return a named reference, None without one. Raises: ValueError for one with an impossible id."""
    named_part = part(raw, name)
    if named_part.get("id") is None:
        return None
    return Ref(record_id(named_part), named(named_part))
