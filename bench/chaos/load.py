"""Owns what is queued: the texts, and the threads that queue them while the workers run."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, connection

from bench.chaos.verdict import INTERNAL
from psa import services
from psa.types import Actor, NoteKind, NotePart

FEEDERS = 2
"""Threads that queue at once, as the processes of a web server do."""

BACKLOG_PER_TICKET = 8
"""Queueing pauses above this, so that lanes also run empty and new work races with the end of the old."""

LINE_CHARS = 100
LONG_LINES = (160, 330)
"""Lines of a long text: 2 and 3 notes at 15,000 characters each."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One unit to be queued, and how many deliveries it becomes."""

    parts: tuple[NotePart, ...]
    deliveries: int


def plan(deliveries: int, seed: int) -> list[Piece]:
    """Return units that become exactly so many deliveries: mostly internal notes, some for the customer."""
    rng = random.Random(seed)
    pieces: list[Piece] = []
    left = deliveries
    while left:
        number = len(pieces) + 1
        dice = rng.random()
        if dice < 0.04 and left >= 3:
            lines = rng.choice(LONG_LINES)
            piece = Piece((_analysis(number, lines),), 2 if lines == LONG_LINES[0] else 3)
        elif dice < 0.14 and left >= 2:
            piece = Piece((_analysis(number, 3), _resolution(number)), 2)
        elif dice < 0.24:
            piece = Piece((_resolution(number),), 1)
        else:
            piece = Piece((_analysis(number, rng.randint(1, 6)),), 1)
        pieces.append(piece)
        left -= piece.deliveries
    return pieces


def _analysis(number: int, lines: int) -> NotePart:
    rows = [f"No. {number:06d}, step {row}, {INTERNAL}: " for row in range(1, lines + 1)]
    return NotePart(NoteKind.ANALYSIS, "\n".join(row.ljust(LINE_CHARS - 1, "·") for row in rows))


def _resolution(number: int) -> NotePart:
    return NotePart(NoteKind.RESOLUTION, f"No. {number:06d}: solved by a new network cable. Ça marche 🎉")


class Feeders:
    """Queues a plan through the public service, each unit in a transaction of its own."""

    def __init__(
        self,
        pieces: Sequence[Piece],
        link_ids: Sequence[int],
        *,
        tenant: Any,
        actor: Actor,
        backlog: Callable[[], int],
    ) -> None:
        self._tenant = tenant
        self._actor = actor
        self._link_ids = link_ids
        self._backlog = backlog
        self._pieces = iter(list(enumerate(pieces)))
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(FEEDERS)]
        self.queued = 0
        """Deliveries accepted so far."""
        self.refused = 0
        """Times the database could not be used and the unit was queued again."""
        self.failure: BaseException | None = None

    def start(self) -> None:
        """Begin to queue."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Queue no more and wait for what is being queued."""
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    @property
    def is_done(self) -> bool:
        """True when all of the plan is queued."""
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                while self._backlog() > BACKLOG_PER_TICKET * len(self._link_ids):
                    if self._stop.wait(0.05):
                        return
                with self._lock:
                    number, piece = next(self._pieces, (-1, None))
                if piece is None:
                    return
                self._queue(piece, self._link_ids[number % len(self._link_ids)])
        except BaseException as exc:
            self.failure = exc
            raise
        finally:
            connection.close()

    def _queue(self, piece: Piece, link_id: int) -> None:
        while True:
            try:
                services.unit_enqueue(self._tenant, link_id, piece.parts, actor=self._actor)
            except DatabaseError:
                # Nothing was stored: the whole unit is one transaction. A web request would answer 503.
                self.refused += 1
                connection.close()
                time.sleep(0.2)
            else:
                break
        with self._lock:
            self.queued += piece.deliveries
