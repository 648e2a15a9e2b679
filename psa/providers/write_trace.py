"""Owns what is known of a thread's calls: whether a write may have left, and which answer tells of it.

A provider that sends without `HttpClient` calls `mark_write_sent` itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar


class WriteTrace:
    """Tells what was called since the trace began."""

    __slots__ = ("http_status", "outer", "request_id", "sent")

    def __init__(self, outer: WriteTrace | None) -> None:
        self.outer = outer
        self.sent = False
        """True from the moment right before a write's first byte may leave."""
        self.request_id = ""
        """Id of the write, else of the last read, for logs on both sides."""
        self.http_status: int | None = None
        """Status of its answer, None when there was none."""


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


def mark_call(request_id: str, http_status: int | None, *, write: bool) -> None:
    """Note a finished call; a read that follows a write does not hide it."""
    trace = _trace.get()
    while trace is not None:
        if write or not trace.sent:
            trace.request_id, trace.http_status = request_id, http_status
        trace = trace.outer
