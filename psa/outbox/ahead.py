"""Owns what a worker claimed ahead: the next write of a connection, for the moment one of its writes ends.

A lane that had to wait for the database between two writes would leave the wire idle. What is claimed ahead
goes out only in place of a write that ended here, so the wire never carries more than was allowed.
"""

from __future__ import annotations

import threading
import time
from collections import deque

from psa.outbox.claim import Claim

AHEAD = 4
"""How many deliveries of a connection are claimed ahead, at most."""
AHEAD_AT_MOST_S = 1.0
"""What was not begun by then is given back: another worker may have room for it."""


class Ahead:
    """Claims that wait for a write of their connection to end. Lanes take, the dispatcher fills."""

    def __init__(self) -> None:
        self._waiting: dict[int, deque[Claim]] = {}
        self._lock = threading.Lock()
        self._closed = False

    def __len__(self) -> int:
        with self._lock:
            return sum(len(claims) for claims in self._waiting.values())

    def counts(self) -> dict[int, int]:
        """Return how many wait, by connection."""
        with self._lock:
            return {pk: len(claims) for pk, claims in self._waiting.items() if claims}

    def put(self, claim: Claim) -> None:
        """Let a claim wait."""
        with self._lock:
            self._waiting.setdefault(claim.connection_id, deque()).append(claim)

    def take(self, connection_id: int) -> Claim | None:
        """Return the claim to begin now that a write of its connection has ended, if one waits."""
        with self._lock:
            claims = self._waiting.get(connection_id)
            return claims.popleft() if claims and not self._closed else None

    def drop(self, connection_id: int) -> list[Claim]:
        """Return all that wait for a connection: they are to be given back."""
        with self._lock:
            return [*self._waiting.pop(connection_id, ())]

    def overdue(self) -> list[Claim]:
        """Return those that have waited too long: they are to be given back."""
        begun_by = time.monotonic() - AHEAD_AT_MOST_S
        late: list[Claim] = []
        with self._lock:
            for claims in self._waiting.values():
                while claims and claims[0].claimed_at < begun_by:
                    late.append(claims.popleft())
        return late

    def close(self) -> list[Claim]:
        """Hand out nothing any more; return what waits."""
        with self._lock:
            self._closed = True
            waiting = [claim for claims in self._waiting.values() for claim in claims]
            self._waiting.clear()
        return waiting
