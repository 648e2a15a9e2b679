"""Owns how a session reads on a ticket: all of it for staff (analysis), the closing summary for the customer.

Pure functions over plain values: no database, no clock, no settings. The header's lines stand in `_header`.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

INDENT = "   "
"""Stands before what belongs to a step. Spaces, because a note pane shows tabs as it likes."""
TAB = "    "
TIME_NOTES_MAX_CHARS = 8_000
"""Steps beside a time entry; the whole documentation is in the internal note."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
"""Not strftime's %b: that one follows the locale of the process."""
_LINE_END = re.compile("\r\n|[\r\n\x0b\x0c\x85\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class StepText:
    """One step, as text."""

    title: str
    body: str
    result: str = ""
    author: str = ""


@dataclass(frozen=True, slots=True)
class SessionText:
    """Everything a rendering needs to know. Units: started_at and ended_at are aware, in any zone."""

    title: str
    started_at: datetime
    ended_at: datetime | None
    """When it was completed, or the last step was added; None before the first step."""
    outcome: str = ""
    """In words; empty while the session is open."""
    flow: str = ""
    created_by: str = ""
    summary: str = ""
    """The closing summary."""
    steps: Sequence[StepText] = ()

    @property
    def engineers(self) -> tuple[str, ...]:
        """Return who worked on it, each once: the authors of the steps, or who began it."""
        names = [one_line(step.author) for step in self.steps] or [one_line(self.created_by)]
        return tuple(dict.fromkeys(name for name in names if name))


@dataclass(frozen=True, slots=True)
class Documentation:
    """Both renderings of a session. `resolution` is empty when there is no closing summary."""

    analysis: str
    resolution: str


def documentation(session: SessionText, zone: tzinfo) -> Documentation:
    """Return both texts, with times in the zone of whoever reads them."""
    return Documentation(analysis(session, zone), resolution(session))


def analysis(session: SessionText, zone: tzinfo) -> str:
    """Return the internal note: header, numbered steps with results, closing summary. Staff only."""
    sections = ["\n".join(_header(session, zone))]
    if session.steps:
        sections += ["STEPS", *_steps(session)]
    else:
        sections.append("No steps were recorded.")
    if summary := plain_text(session.summary):
        sections += ["CLOSING SUMMARY", summary]
    return "\n\n".join(sections)


def resolution(session: SessionText) -> str:
    """Return what the customer reads: the closing summary and nothing else, empty without one.

    It never looks at the steps: what stands there was written for colleagues.
    """
    return plain_text(session.summary)


def time_notes(session: SessionText, numbers: Sequence[int], engineer: str, zone: tzinfo) -> str:
    """Return what stands beside an engineer's time for staff: what it was about, and that engineer's steps.

    Shape: numbers are those of the steps, from 1; they keep them. Steps that do not fit are counted.
    """
    head = [f"Troubleshooting session: {one_line(session.title)}", f"Engineer: {one_line(engineer)}"]
    head.append(f"Session: {span(session.started_at, session.ended_at, zone)}")
    sections, room = ["\n".join(head)], TIME_NOTES_MAX_CHARS
    left = list(numbers)
    while left:
        text = _step(left[0], session.steps[left[0] - 1], with_author=False)
        if (room := room - len(text) - 2) < 0:
            break
        sections.append(text)
        left.pop(0)
    if left:
        more = "1 more step is" if len(left) == 1 else f"{len(left)} more steps are"
        sections.append(f"{more} in the internal note of this session.")
    return "\n\n".join(sections)


def documentation_hash(steps: Sequence[StepText]) -> str:
    """Return the SHA-256 of what the steps say, to tell whether a ticket has this documentation already.

    Only the steps: completing adds outcome, duration and closing summary, and must not post the same steps
    twice.
    """
    said = [[plain_text(step.title), plain_text(step.body), plain_text(step.result)] for step in steps]
    return hashlib.sha256(json.dumps(said, separators=(",", ":")).encode()).hexdigest()


def steps_chars(session: SessionText) -> int:
    """Return how many characters the steps take in the analysis, blank lines between them included."""
    return sum(len(step) + 2 for step in _steps(session))


def plain_text(text: str) -> str:
    """Return text that any note pane shows alike: LF, no tabs, no control characters, no blank ends.

    Emoji and the joiners inside them stay.
    """
    text = _LINE_END.sub("\n", text).replace("\t", TAB)
    text = "".join(char for char in text if not _is_dropped(char))
    return "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")


def has_dropped(text: str) -> bool:
    """Return whether `plain_text` drops characters of a text, other than blanks at its ends."""
    return any(_is_dropped(char) for char in _LINE_END.sub("\n", text).replace("\t", TAB))


def one_line(text: str) -> str:
    """Return a title or a name: plain text without line ends and doubled spaces."""
    return " ".join(plain_text(text).split())


def span(start: datetime, end: datetime | None, zone: tzinfo) -> str:
    """Return when something happened: `24 Nov 2026 14:02–14:40 CET`.

    A second date or abbreviation stands there only when it differs: `25 Oct 2026 02:40 CEST–02:10 CET`.
    """
    start = start.astimezone(zone)
    end = end.astimezone(zone) if end is not None else start
    if _minute(start) == _minute(end):
        return f"{_date(start)} {_clock(start)} {_zone_name(start)}"
    first, last = f"{_date(start)} {_clock(start)}", f"{_clock(end)} {_zone_name(end)}"
    if _zone_name(start) != _zone_name(end):
        first = f"{first} {_zone_name(start)}"
    if start.date() == end.date():
        return f"{first}–{last}"
    return f"{first} – {_date(end)} {last}"


def duration(start: datetime, end: datetime) -> str:
    """Return how long something took, in the minutes `span` shows: `38 min`, `1 h 5 min`."""
    minutes = max(0, (_minute(end) - _minute(start)) // timedelta(minutes=1))
    if minutes == 0:
        return "less than 1 min"
    hours, rest = divmod(minutes, 60)
    return " ".join(part for part in (f"{hours} h" if hours else "", f"{rest} min" if rest else "") if part)


def _header(session: SessionText, zone: tzinfo) -> Iterator[str]:
    yield f"Troubleshooting session: {one_line(session.title)}"
    if names := session.engineers:
        yield f"{'Engineer' if len(names) == 1 else 'Engineers'}: {', '.join(names)}"
    yield f"Time: {span(session.started_at, session.ended_at, zone)}"
    if session.ended_at is not None:
        yield f"Duration: {duration(session.started_at, session.ended_at)}"
    if session.flow:
        yield f"Flow: {one_line(session.flow)}"
    yield f"Outcome: {session.outcome or 'Still open'}"


def _steps(session: SessionText) -> list[str]:
    several = len(session.engineers) > 1
    return [_step(number, step, several) for number, step in enumerate(session.steps, start=1)]


def _step(number: int, step: StepText, with_author: bool) -> str:
    title, body, result = one_line(step.title), plain_text(step.body), plain_text(step.result)
    # Without a title the body stands where the title would, so that no number is left alone.
    heading, inside = (title, body) if title else (body, "")
    heading = _indented(heading).removeprefix(INDENT)
    lines = [f"{number}. {heading}"]
    if with_author and step.author:
        lines.append(f"{INDENT}By: {one_line(step.author)}")
    if inside:
        lines.append(_indented(inside))
    if result:
        lines.append(_indented(f"Result: {result}"))
    return "\n".join(lines)


def _indented(text: str) -> str:
    return "\n".join(f"{INDENT}{line}" if line else "" for line in text.split("\n"))


def _is_dropped(char: str) -> bool:
    return char != "\n" and unicodedata.category(char) in {"Cc", "Cs"}


def _minute(moment: datetime) -> datetime:
    # In UTC: between two times of the same zone Python subtracts clock faces, an hour off over a DST change.
    return moment.astimezone(UTC).replace(second=0, microsecond=0)


def _date(moment: datetime) -> str:
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M}"


def _zone_name(moment: datetime) -> str:
    """Return `CET`, or `UTC+05:30` where the zone has no letters of its own (`+0530`)."""
    name = moment.tzname() or "UTC"
    if name[0] not in "+-":
        return name
    return f"UTC{name[:3]}:{name[3:]}" if len(name) > 3 else f"UTC{name}"
