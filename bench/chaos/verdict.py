"""Owns the count: what stands on the tickets against what was queued. It knows neither Django nor HTTP."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

INTERNAL = "staff only"
"""Stands in every piece of every internal text, and in nothing a customer may read."""

_MARKER = re.compile(r"Ref RF-[A-Z2-7]{8}\s*\Z")
_NUMBER = re.compile(r"No\. \d{6}\b")

Lane = tuple[int, str]
"""Number of the sandbox and id of the ticket."""


@dataclass(frozen=True, slots=True)
class StoredNote:
    """One note as the PSA has it. Ids rise in the order of writing."""

    id: int
    text: str
    customer_visible: bool


@dataclass(slots=True)
class Counts:
    """What is wrong on the tickets, by key of the note."""

    lost: list[str] = field(default_factory=list)
    """Nowhere on its ticket."""
    doubled: list[str] = field(default_factory=list)
    """More than once on its ticket."""
    out_of_order: list[str] = field(default_factory=list)
    """First written before one that stands earlier in the lane."""
    leaked: list[str] = field(default_factory=list)
    """Internal text where a customer reads it: `ticket/note`."""
    strange: list[str] = field(default_factory=list)
    """Ours by its form, but not expected on that ticket."""

    def add(self, other: Counts) -> None:
        """Take in the findings of another lane."""
        for name, found in asdict(other).items():
            getattr(self, name).extend(found)


def marker_of(text: str) -> str:
    """Return the marker a note of ours ends with, "" for other notes."""
    found = _MARKER.search(text)
    return found.group().strip() if found else ""


def number_of(text: str) -> str:
    """Return the running number of a note of the blind client, "" for other notes."""
    found = _NUMBER.search(text)
    return found.group() if found else ""


def count(
    expected: Mapping[Lane, Sequence[str]],
    notes: Mapping[Lane, Sequence[StoredNote]],
    key_of: Callable[[str], str],
) -> Counts:
    """Return what is wrong. `expected` holds the keys of each lane in order, `notes` what stands there."""
    counts = Counts()
    for lane, keys in expected.items():
        counts.add(_count_lane(lane, keys, notes.get(lane, ()), key_of))
    return counts


def _count_lane(
    lane: Lane, keys: Sequence[str], notes: Sequence[StoredNote], key_of: Callable[[str], str]
) -> Counts:
    counts = Counts()
    ids: dict[str, list[int]] = {}
    for note in notes:
        key = key_of(note.text)
        if key:
            ids.setdefault(key, []).append(note.id)
        if note.customer_visible and INTERNAL in note.text:
            counts.leaked.append(f"{lane[1]}/{note.id}")
    counts.strange = sorted(set(ids) - set(keys))
    latest = 0
    for key in keys:
        found = ids.get(key, [])
        if not found:
            counts.lost.append(key)
            continue
        if len(found) > 1:
            counts.doubled.append(key)
        if min(found) < latest:
            counts.out_of_order.append(key)
        latest = max(latest, min(found))
    return counts


@dataclass(slots=True)
class Result:
    """What one set-up, or one blind client, has to show for itself."""

    name: str
    queued: int
    counts: Counts
    wall_s: float
    delivered: int = 0
    open: int = 0
    """Neither delivered nor given up when the time was up."""
    dead: list[dict[str, Any]] = field(default_factory=list)
    """Deliveries that needed a person, with their problem."""
    wrong_ids: list[str] = field(default_factory=list)
    """Delivered, but the stored id is not that of the first note with the marker."""
    kills: int = 0
    fallen: int = 0
    """Workers that ended by themselves."""
    slow_stops: int = 0
    """Workers that did not end when asked to."""
    refused: int = 0
    """Times the database did not take a unit and it was queued again; a person would have seen an error."""
    attempts: dict[str, int] = field(default_factory=dict)
    times: dict[str, Any] = field(default_factory=dict)
    """The `PSA` settings that were shortened."""
    guarded: bool = True
    """False for the clients we compare with: nobody promises anything for them."""

    @property
    def ok(self) -> bool:
        """True when every note is on its ticket exactly once, in order, and nothing needs a person."""
        wrong = asdict(self.counts)
        return not any(wrong.values()) and not (
            self.open or self.dead or self.wrong_ids or self.fallen or self.slow_stops
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return asdict(self) | {"ok": self.ok}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Result:
        """Return a result written by `as_dict`."""
        values = {name: value for name, value in data.items() if name != "ok"}
        return cls(**(values | {"counts": Counts(**data["counts"])}))


_COLUMNS = (
    "set-up",
    "queued",
    "lost",
    "doubled",
    "out of order",
    "leaked",
    "dead",
    "open",
    "refused",
    "kills",
    "wall s",
    "per s",
    "verdict",
)


def table(results: Sequence[Result]) -> str:
    """Return the results as a table for people."""
    rows = [_COLUMNS, *(_row(result) for result in results)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_COLUMNS))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells))
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _row(result: Result) -> tuple[str, ...]:
    counts = result.counts
    verdict = ("PASS" if result.ok else "FAIL") if result.guarded else "for comparison"
    return (
        result.name,
        str(result.queued),
        str(len(counts.lost)),
        str(len(counts.doubled)),
        str(len(counts.out_of_order)),
        str(len(counts.leaked)),
        str(len(result.dead)),
        str(result.open),
        str(result.refused),
        str(result.kills),
        f"{result.wall_s:.1f}",
        f"{result.queued / result.wall_s:.1f}" if result.wall_s else "-",
        verdict,
    )
