"""Owns the worker process: one dispatcher thread has the database, lanes only speak HTTP."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from django.db import DatabaseError, InterfaceError, OperationalError
from django.db import connection as database

from psa.conf import psa_settings
from psa.database import database_now
from psa.outbox import schedule
from psa.outbox.claim import Claim
from psa.outbox.dispatch import claims_take, side_jobs, work
from psa.outbox.finish import Finished, finish
from psa.outbox.jobs import jobs_run
from psa.outbox.pace import Pace
from psa.outbox.recheck import Recheck, Rechecked, recheck, recheck_finish

log = logging.getLogger("psa.outbox")

DATABASE_PAUSE_S = 1.0
"""Wait after the database could not be used (locked, full, restarting) before the dispatcher tries again."""
WRITE_WITHIN_S = 0.05
"""Longest a result waits to be written together with others while lanes find work without it."""
SIDE_LANES = 4
"""Lanes beside those of deliveries, for probes of sick connections and second looks."""


class Worker:
    """Claims due deliveries, sends them on lanes, writes down what came of them.

    Call `run()` in the thread that owns the database; `stop()` from anywhere lets running calls finish.
    """

    def __init__(self, lanes: int | None = None) -> None:
        self._lanes = lanes or psa_settings().WORKER_LANES
        self._pace = Pace(self._lanes)
        # Twice as many threads as lanes: calls that hang are not counted, see Pace.
        self._pool = ThreadPoolExecutor(2 * self._lanes, thread_name_prefix="psa-lane")
        self._side_pool = ThreadPoolExecutor(SIDE_LANES, thread_name_prefix="psa-side")
        self._side_busy = 0
        self._done: queue.SimpleQueue[Finished | schedule.Probed | Rechecked | None] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._unwritten: list[Finished] = []
        self._unwritten_since = 0.0
        self._sweep = schedule.Every(schedule.SWEEP_EVERY_S)
        self._beat = schedule.Every(schedule.HEARTBEAT_EVERY_S)

    def stop(self) -> None:
        """Ask the worker to end: nothing new is claimed, what runs is finished and written down."""
        self._stop.set()

    def run(self, *, once: bool = False) -> None:
        """Work until stopped; with once, do the periodic jobs, then work until nothing is due."""
        side = None if once else threading.Thread(target=self._run_jobs, name="psa-jobs", daemon=True)
        if side:
            side.start()
        else:
            self._guarded(lambda: jobs_run(database_now()))
        try:
            while not self._stop.is_set():
                moved = self._cycle()
                if once and not moved and not self._working():
                    return
                self._wait(0.0 if moved and self._pace.free() > 0 else psa_settings().WORKER_POLL_S)
            while self._working():
                self._wait(psa_settings().WORKER_POLL_S)
                self._guarded(self._write_down)
        finally:
            self._stop.set()
            self._pool.shutdown(wait=True)
            self._side_pool.shutdown(wait=True)
            if side:
                side.join()

    def _must_write(self) -> bool:
        """True when a lane is idle without the results, or when they have waited long enough."""
        if not self._unwritten:
            return False
        enough = len(self._unwritten) * 2 >= self._lanes
        late = time.monotonic() - self._unwritten_since >= WRITE_WITHIN_S
        return enough or late or self._pace.free() > 0

    def _working(self) -> bool:
        return bool(len(self._pace) or self._side_busy or self._unwritten)

    def _run_jobs(self) -> None:
        """Run periodic jobs in a thread of their own: a long one must not hold up deliveries."""
        while not self._stop.is_set():
            self._guarded(lambda: jobs_run(database_now(), lambda: not self._stop.is_set()))
            self._stop.wait(schedule.JOBS_EVERY_S)
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

    def _collect(self, found: Finished | schedule.Probed | Rechecked | None) -> None:
        if isinstance(found, Finished):
            self._pace.ended(found.claim.key)
            if not self._unwritten:
                self._unwritten_since = time.monotonic()
            self._unwritten.append(found)
            return
        self._side_busy -= 1
        if isinstance(found, Rechecked):
            self._guarded(lambda: recheck_finish(found))
        elif found is not None:
            self._guarded(lambda: schedule.probe_finish(found, database_now()))

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
        free = self._pace.free()
        if free <= 0 or self._stop.is_set():
            return 0
        answered = Counter(found.claim.connection_id for found in self._unwritten)
        claims = claims_take(database_now(), free, rooms=self._pace.room, answered=answered)
        for claim in claims:
            self._pace.started(claim.key, claim.connection_id)
            self._pool.submit(self._lane, claim)
        return len(claims)

    def _lane(self, claim: Claim) -> None:
        self._done.put(work(claim))
