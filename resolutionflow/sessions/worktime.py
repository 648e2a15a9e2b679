"""Owns who worked on a session, and when: one span per engineer, made from steps, pauses and the completion.

Pure functions over plain values: no database, no clock. The rule, in the order it is applied:

1. Events of a session are its start, each step, and its completion. Who has a step, or completes, worked.
2. An engineer's time begins with the event before their first own one, and ends with their last own one.
   Begun at 14:00 by Eva, steps by Eva 14:10, Ben 14:30, Eva 14:40: Eva 14:00-14:40, Ben 14:10-14:30.
   Spans of two engineers may overlap: both worked.
3. Pauses inside the span come off it.
4. Times are cut to the minute, as everywhere a person reads them; what is left of less than a minute is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MAX_SPAN = timedelta(hours=24)
"""A time entry is about one day's work; a longer span means that the session was left open."""


@dataclass(frozen=True, slots=True)
class Worker:
    """Somebody who worked on a session. user_id is None once the user is gone; then the name tells."""

    user_id: int | None
    name: str

    @property
    def key(self) -> tuple[int | None, str]:
        """What makes two workers the same: the user, whatever they were called at the time."""
        return (self.user_id, "" if self.user_id is not None else self.name)


@dataclass(frozen=True, slots=True)
class Event:
    """Something a worker did. Units: at is aware."""

    at: datetime
    worker: Worker


@dataclass(frozen=True, slots=True)
class WorkSpan:
    """When one engineer worked. Units: aware UTC, whole minutes; deduct_s is seconds of pauses in between."""

    worker: Worker
    started_at: datetime
    ended_at: datetime
    deduct_s: int = 0

    @property
    def worked_s(self) -> int:
        """Seconds that are left without the pauses, never below 0."""
        return max(0, int((self.ended_at - self.started_at).total_seconds()) - self.deduct_s)

    @property
    def objection(self) -> str:
        """Why this cannot be entered as it is, as one sentence; empty when it can."""
        if self.ended_at - self.started_at > MAX_SPAN:
            return "The session was open for more than 24 hours: enter the time by hand."
        if self.worked_s < 60:
            return "Less than a minute was worked."
        return ""


def work_spans(
    started_at: datetime,
    steps: Sequence[Event],
    pauses: Iterable[tuple[datetime, datetime]] = (),
    completion: Event | None = None,
) -> list[WorkSpan]:
    """Return one span per engineer, in the order they came in.

    Shape: steps in the order they were done; pauses are (start, end), ended ones only. completion is left
        out while the session is open and nobody is about to complete it.
    """
    events = [*steps, completion] if completion is not None else list(steps)
    found: dict[tuple[int | None, str], WorkSpan] = {}
    # In UTC: Python compares two times of one zone by their clock faces, an hour off over a DST change.
    before = started_at.astimezone(UTC)
    for event in events:
        # Clocks of two servers may differ: no span runs backwards, and an earlier event moves nothing.
        at = max(event.at.astimezone(UTC), before)
        known = found.get(event.worker.key)
        begin = known.started_at if known is not None else before
        found[event.worker.key] = WorkSpan(event.worker, begin, at)
        before = at
    gaps = list(pauses)
    return [_cut(span, gaps) for span in found.values()]


def deducted_s(start: datetime, end: datetime, pauses: Iterable[tuple[datetime, datetime]]) -> int:
    """Return the seconds of pauses that fall between two times, overlapping pauses counted once."""
    total, reached = timedelta(), start
    for pause_start, pause_end in sorted(pauses):
        begin, finish = max(pause_start, reached), min(pause_end, end)
        if finish > begin:
            total += finish - begin
            reached = finish
    return int(total.total_seconds())


def _cut(span: WorkSpan, pauses: Sequence[tuple[datetime, datetime]]) -> WorkSpan:
    start, end = _floor(span.started_at), _floor(span.ended_at)
    if span.ended_at - span.started_at < timedelta(minutes=1):
        # Ten seconds over the turn of a minute are no minute.
        end = start
    # Whole minutes, because that is how pauses are entered and read.
    pause_s = deducted_s(span.started_at, span.ended_at, pauses) // 60 * 60
    return WorkSpan(span.worker, start, end, min(pause_s, int((end - start).total_seconds())))


def _floor(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(second=0, microsecond=0)
