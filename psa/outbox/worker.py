"""Owns the worker process: one dispatcher thread has the database, lanes only speak HTTP."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from django.db import DatabaseError, InterfaceError, OperationalError
from django.db import connection as database

from psa.conf import psa_settings
from psa.database import database_now
from psa.outbox import schedule
from psa.outbox.ahead import AHEAD, Ahead
from psa.outbox.claim import Claim, Standing
from psa.outbox.dispatch import claims_return, claims_take, side_jobs, work
from psa.outbox.finish import Finished, finish
from psa.outbox.jobs import jobs_run
from psa.outbox.outcome import Health
from psa.outbox.pace import Pace
from psa.outbox.recheck import Recheck, Rechecked, recheck, recheck_finish
from psa.webhooks.changes import Changes, changes_once

log = logging.getLogger("psa.outbox")

DATABASE_PAUSE_S = 1.0
"""Wait after the database could not be used (locked, full, restarting) before the dispatcher tries again."""
WRITE_WITHIN_S = 0.05
"""Longest a result waits to be written together with others while lanes find work without it."""
CHANGES_SOON_S, CHANGES_IDLE_S = 0.05, 0.5
"""How often the thread of changes looks: while something moves, and otherwise."""
SIDE_LANES = 4
"""Lanes beside those of deliveries, for probes of sick connections and second looks."""


class _Ended(NamedTuple):
    """What a lane reports of a delivery, and which one it goes on with."""

    finished: Finished
    following: Claim | None


class Worker:
    """Claims due deliveries, sends them on lanes, writes down what came of them.

    Call `run()` in the thread that owns the database; `stop()` from anywhere lets running calls finish.
    """

    def __init__(self, lanes: int | None = None) -> None:
        self._lanes = lanes or psa_settings().WORKER_LANES
        self._pace = Pace(self._lanes)
        self._ahead = Ahead()
        # Twice as many threads as lanes: calls that hang are not counted, see Pace.
        self._pool = ThreadPoolExecutor(2 * self._lanes, thread_name_prefix="psa-lane")
        self._side_pool = ThreadPoolExecutor(SIDE_LANES, thread_name_prefix="psa-side")
        self._side_busy = 0
        self._done: queue.SimpleQueue[_Ended | schedule.Probed | Rechecked | None] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._unwritten: list[Finished] = []
        self._unwritten_since = 0.0
        self._to_return: list[Claim] = []
        self._sweep = schedule.Every(schedule.SWEEP_EVERY_S)
        self._beat = schedule.Every(schedule.HEARTBEAT_EVERY_S)

    def stop(self) -> None:
        """Ask the worker to end: nothing new is claimed, what runs is finished and written down."""
        self._stop.set()

    def run(self, *, once: bool = False) -> None:
        """Work until stopped; with once, do the periodic jobs, then work until nothing is due."""
        sides: list[threading.Thread] = []
        if once:
            self._guarded(lambda: jobs_run(database_now()))
            self._guarded(changes_once)
        else:
            for name, run in (("psa-jobs", self._run_jobs), ("psa-changes", self._run_changes)):
                sides.append(threading.Thread(target=run, name=name, daemon=True))
                sides[-1].start()
        try:
            while not self._stop.is_set():
                moved = self._cycle()
                if once and not moved and not self._working():
                    return
                self._wait(0.0 if moved and self._pace.free() > 0 else psa_settings().WORKER_POLL_S)
            self._to_return += self._ahead.close()
            while self._working():
                self._guarded(self._give_back)
                self._wait(psa_settings().WORKER_POLL_S)
                self._guarded(self._write_down)
        finally:
            self._stop.set()
            self._pool.shutdown(wait=True)
            self._side_pool.shutdown(wait=True)
            for side in sides:
                side.join()

    def _must_write(self) -> bool:
        """True when a lane is idle without the results, or when they have waited long enough."""
        if not self._unwritten:
            return False
        enough = len(self._unwritten) * 2 >= self._lanes
        late = time.monotonic() - self._unwritten_since >= WRITE_WITHIN_S
        return enough or late or self._pace.free() > 0

    def _working(self) -> bool:
        return bool(
            len(self._pace) or self._side_busy or self._unwritten or self._to_return or len(self._ahead)
        )

    def _run_jobs(self) -> None:
        """Run periodic jobs in a thread of their own: a long one must not hold up deliveries."""
        while not self._stop.is_set():
            self._guarded(lambda: jobs_run(database_now(), lambda: not self._stop.is_set()))
            self._stop.wait(schedule.JOBS_EVERY_S)
        database.close()

    def _run_changes(self) -> None:
        """Learn of changes in a thread of its own: messages and tickets never hold up deliveries."""
        changes = Changes()
        moved = False

        def step() -> None:
            nonlocal moved
            try:
                moved = changes.step()
            except DatabaseError:
                raise
            except Exception:
                # A mistake of ours must not end this thread: nobody would learn of changes any more.
                log.exception("looking for changes failed unexpectedly; trying again")

        while not self._stop.is_set():
            moved = False
            self._guarded(step)
            self._stop.wait(CHANGES_SOON_S if moved or changes.working else CHANGES_IDLE_S)
        self._guarded(changes.close)
        database.close()

    def _cycle(self) -> bool:
        """Do once what is to be done; return whether something was claimed or written."""
        moved = False

        def cycle() -> None:
            nonlocal moved
            if self._sweep.due():
                self._maintain()
            if self._beat.due():
                schedule.heartbeat(database_now())
            self._to_return += self._ahead.overdue()
            self._give_back()
            if not all(_went_well(found) for found in self._unwritten):
                # What a connection in trouble says comes before anything more is claimed for it.
                self._write_down()
            # Lanes before results: lanes wait, and results are written together while they work.
            moved = self._claim() > 0
            if self._must_write():
                self._write_down()
                moved = True

        self._guarded(cycle)
        return moved

    def _guarded(self, step: Callable[[], object]) -> None:
        """Run a piece of database work; when the database cannot be used, say so and wait."""
        try:
            step()
        except DatabaseError as exc:
            log.error("the database cannot be used (%s: %s); trying again", type(exc).__name__, exc)
            # The next use opens a new one: a restarted server leaves a socket that never works again.
            database.close()
            self._stop.wait(DATABASE_PAUSE_S)

    def _wait(self, seconds: float) -> None:
        """Sleep until a lane reports, at most so long, and collect what has been reported."""
        try:
            first = self._done.get(timeout=seconds) if seconds else self._done.get_nowait()
        except queue.Empty:
            return
        self._collect(first)
        while True:
            try:
                self._collect(self._done.get_nowait())
            except queue.Empty:
                return

    def _collect(self, found: _Ended | schedule.Probed | Rechecked | None) -> None:
        if isinstance(found, _Ended):
            self._collect_delivery(*found)
            return
        self._side_busy -= 1
        if isinstance(found, Rechecked):
            self._guarded(lambda: recheck_finish(found))
        elif found is not None:
            self._guarded(lambda: schedule.probe_finish(found, database_now()))

    def _collect_delivery(self, found: Finished, following: Claim | None) -> None:
        connection_id = found.claim.connection_id
        self._pace.ended(found.claim.key)
        if not self._unwritten:
            self._unwritten_since = time.monotonic()
        self._unwritten.append(found)
        if following is not None:
            self._pace.started(following.key, connection_id)
        elif not _went_well(found):
            self._to_return += self._ahead.drop(connection_id)
        elif (claim := self._after(found)) is not None:
            # Claimed after the lane had looked for it.
            self._begin(claim)

    def _give_back(self) -> None:
        if self._to_return:
            claims_return(self._to_return)
            self._to_return = []

    def _write_down(self) -> None:
        if not self._unwritten:
            return
        try:
            finish(self._unwritten, database_now())
        except (OperationalError, InterfaceError):
            # Only forgotten once the transaction is through: a locked database loses no result.
            raise
        except Exception:
            log.exception("results cannot be written together; writing them one by one")
            self._write_one_by_one()
        self._unwritten = []

    def _write_one_by_one(self) -> None:
        """Write results singly; one that cannot be written is left to its lease, which ends in a look."""
        for found in self._unwritten:
            try:
                finish([found], database_now())
            except (OperationalError, InterfaceError):
                raise
            except Exception:
                log.exception("the result of delivery %s cannot be written", found.claim.delivery_id)

    def _maintain(self) -> None:
        now = database_now()
        schedule.leases_expire(now)
        if self._stop.is_set():
            return
        for job in side_jobs(now, SIDE_LANES - self._side_busy):
            self._side_busy += 1
            self._side_pool.submit(self._side, job)

    def _side(self, job: schedule.ProbeJob | Recheck) -> None:
        found: schedule.Probed | Rechecked | None = None
        try:
            found = recheck(job) if isinstance(job, Recheck) else schedule.probe(job)
        except Exception:
            log.exception("a probe or second look failed unexpectedly; it is repeated at its next turn")
        self._done.put(found)

    def _claim(self) -> int:
        if self._stop.is_set():
            return 0
        free = max(self._pace.free(), 0)
        standings = self._standings()
        wanted = sum(known.more_ahead for known in standings.values())
        # A round for one or two more ahead costs more than it brings, one for nothing in any case.
        if not free and wanted < max(self._lanes // 4, 1):
            return 0
        claims = claims_take(database_now(), free, rooms=self._pace.room, standings=standings)
        for claim in claims:
            if claim.ahead:
                self._ahead.put(claim)
            else:
                self._begin(claim)
        return len(claims)

    def _standings(self) -> dict[int, Standing]:
        """Return what the database does not know of the connections this process writes to."""
        # Looks are not counted as in flight, so those that are over make no room.
        answered = Counter(found.claim.connection_id for found in self._unwritten if not found.claim.look)
        waiting = self._ahead.counts()
        busy = self._pace.quick()
        known: dict[int, Standing] = {}
        for pk in {*answered, *waiting, *busy}:
            ahead = waiting.get(pk, 0)
            known[pk] = Standing(answered[pk], ahead, AHEAD - ahead if pk in busy else 0)
        return known

    def _begin(self, claim: Claim) -> None:
        self._pace.started(claim.key, claim.connection_id)
        self._pool.submit(self._lane, claim)

    def _lane(self, first: Claim) -> None:
        claim: Claim | None = first
        while claim is not None:
            found = work(claim)
            claim = self._after(found)
            self._done.put(_Ended(found, claim))

    def _after(self, found: Finished) -> Claim | None:
        """Return the claim that takes the place of a write; a look had none that could be taken."""
        if found.claim.look or not _went_well(found):
            return None
        return self._ahead.take(found.claim.connection_id)


def _went_well(found: Finished) -> bool:
    """True when nothing speaks against the next write to the same connection at once."""
    return found.outcome.health is Health.GOOD
