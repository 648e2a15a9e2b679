"""Owns how many lanes of this process each connection gets, so that a slow PSA never starves another."""

from __future__ import annotations

import time
from collections.abc import Hashable

SLOW_S = 3.0
"""A call that takes longer is slow. A PSA answers a write in well under a second when it is well."""
SLOW_LANES = 1
"""Lanes a slow connection gets in one process until a call of it is quick again."""


class Pace:
    """What this process's lanes are doing, and how quickly each connection answered last.

    Calls that hang do not count against the lanes: up to as many again are opened beside them.
    """

    def __init__(self, lanes: int) -> None:
        self._lanes = lanes
        self._flying: dict[Hashable, tuple[int, float]] = {}
        self._slow: set[int] = set()

    def __len__(self) -> int:
        return len(self._flying)

    def started(self, claim: Hashable, connection_id: int) -> None:
        """Note that a lane began to work on a claim."""
        self._flying[claim] = (connection_id, time.monotonic())

    def ended(self, claim: Hashable) -> None:
        """Note that a lane is free again, and whether its connection is slow."""
        connection_id, since = self._flying.pop(claim)
        if time.monotonic() - since >= SLOW_S:
            self._slow.add(connection_id)
        else:
            self._slow.discard(connection_id)

    def free(self) -> int:
        """Return how many more deliveries may start now."""
        hanging = sum(time.monotonic() - since >= SLOW_S for _, since in self._flying.values())
        return self._lanes - (len(self._flying) - min(hanging, self._lanes))

    def quick(self) -> set[int]:
        """Return the connections with a call under way, none of them slow."""
        now = time.monotonic()
        slow = {owner for owner, since in self._flying.values() if now - since >= SLOW_S}
        return {owner for owner, _ in self._flying.values()} - slow - self._slow

    def room(self, connection_id: int) -> int:
        """Return how many more lanes a connection may have here."""
        mine = [since for owner, since in self._flying.values() if owner == connection_id]
        hangs = any(time.monotonic() - since >= SLOW_S for since in mine)
        most = SLOW_LANES if hangs or connection_id in self._slow else self._lanes
        return max(most - len(mine), 0)
