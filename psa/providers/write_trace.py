"""Owns whether a write may have left. A provider that sends without `HttpClient` calls `mark_write_sent`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar


class WriteTrace:
    """Tells whether a write may have left since the trace began."""

    __slots__ = ("outer", "sent")

    def __init__(self, outer: WriteTrace | None) -> None:
        self.outer = outer
        self.sent = False
        """True from the moment right before a write's first byte may leave."""


_trace: ContextVar[WriteTrace | None] = ContextVar("psa_write_trace", default=None)


@contextlib.contextmanager
def trace_writes() -> Iterator[WriteTrace]:
    """Watch the writes of this thread: an exception nobody foresaw is harmless only while `sent` is False."""
    trace = WriteTrace(_trace.get())
    token = _trace.set(trace)
    try:
        yield trace
    finally:
        _trace.reset(token)


def mark_write_sent() -> None:
    """Note that a write is about to leave."""
    trace = _trace.get()
    while trace is not None:
        trace.sent = True
        trace = trace.outer
