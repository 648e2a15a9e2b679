"""Owns the worker process: one dispatcher thread has the database, lanes only speak HTTP."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from django.db import DatabaseError, InterfaceError, OperationalError
from django.db import connection as database
from django.utils import timezone

from psa.conf import psa_settings
from psa.database import database_now
from psa.exceptions import CredentialsUnreadableError
from psa.models import Connection, Delivery, TicketLink
from psa.models.delivery import DeliveryState, HeldBy
from psa.outbox import health, schedule
from psa.outbox.claim import Claim, claim_due, claim_of, looks_first, members_for
from psa.outbox.finish import Finished, finish
from psa.outbox.lane import attempt
from psa.outbox.lanes import lanes_mend
from psa.outbox.outcome import Next, Outcome
from psa.outbox.recheck import Recheck, Rechecked, recheck, recheck_finish, rechecks_claim
from psa.provider_pool import provider_for
from psa.providers.base import Provider
from psa.providers.registry import UnknownProviderError

log = logging.getLogger("psa.outbox")

DATABASE_PAUSE_S = 1.0
"""Wait after the database could not be used (locked, full, restarting) before the dispatcher tries again."""


class Worker:
    """Claims due deliveries, sends them on lanes, writes down what came of them.

    Call `run()` in the thread that owns the database; `stop()` from anywhere lets running calls finish.
    """

    def __init__(self, lanes: int | None = None) -> None:
        self._lanes = lanes or psa_settings().WORKER_LANES
        self._pool = ThreadPoolExecutor(self._lanes, thread_name_prefix="psa-lane")
        self._done: queue.SimpleQueue[Finished | schedule.Probed | Rechecked] = queue.SimpleQueue()
        self._busy = 0
        self._stop = threading.Event()
        self._unwritten: list[Finished] = []
        self._sweep = schedule.Every(schedule.SWEEP_EVERY_S)
        self._beat = schedule.Every(schedule.HEARTBEAT_EVERY_S)

    def stop(self) -> None:
        """Ask the worker to end: nothing new is claimed, what runs is finished and written down."""
        self._stop.set()

    def run(self, *, once: bool = False) -> None:
        """Work until stopped; with once, until nothing is due any more."""
        try:
            while not self._stop.is_set():
                claimed = self._cycle()
                if once and not claimed and not self._busy and not self._unwritten:
                    return
                self._wait(0.0 if claimed and self._busy < self._lanes else psa_settings().WORKER_POLL_S)
            while self._busy or self._unwritten:
                self._wait(psa_settings().WORKER_POLL_S)
                self._guarded(self._write_down)
        finally:
            self._pool.shutdown(wait=True)

    def _cycle(self) -> int:
        claimed = 0

        def work() -> None:
            nonlocal claimed
            self._write_down()
            if self._sweep.due():
                self._maintain()
            if self._beat.due():
                schedule.heartbeat(database_now())
                schedule.mapping_held_release(database_now())
                lanes_mend(database_now())
            claimed = self._claim()

        self._guarded(work)
        return claimed

    def _guarded(self, work: Callable[[], None]) -> None:
        """Run a piece of database work; when the database cannot be used, say so and wait."""
        try:
            work()
        except DatabaseError as exc:
            log.error("the database cannot be used (%s); trying again", type(exc).__name__)
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

    def _collect(self, found: Finished | schedule.Probed | Rechecked) -> None:
        self._busy -= 1
        if isinstance(found, Finished):
            self._unwritten.append(found)
        elif isinstance(found, Rechecked):
            self._guarded(lambda: recheck_finish(found))
        else:
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
        for connection in schedule.probes_claim(now):
            provider = self._provider(connection)
            if provider is not None:
                self._busy += 1
                self._pool.submit(self._probe, schedule.ProbeJob(connection, provider))

        for row in rechecks_claim(now):
            provider = self._provider(row.connection)
            if provider is not None:
                job = Recheck(
                    row.pk, row.link.ticket_id, row.link.record_type, row.marker, row.kind, provider
                )
                self._busy += 1
                self._pool.submit(self._recheck, job)

    def _recheck(self, job: Recheck) -> None:
        self._done.put(recheck(job))

    def _probe(self, job: schedule.ProbeJob) -> None:
        self._done.put(schedule.probe(job))

    def _claim(self) -> int:
        free = self._lanes - self._busy
        if free <= 0 or self._stop.is_set():
            return 0
        taken = claim_due(database_now(), free)
        if not taken:
            return 0
        members = members_for([delivery for delivery, _token in taken])
        hold_unmapped = psa_settings().UNMAPPED_AUTHOR == "hold"
        for delivery, token in taken:
            provider = self._provider(delivery.connection)
            mapping = members.get((delivery.connection_id, delivery.created_by_id or 0))
            if provider is None:
                _give_back(delivery, token)
                continue
            looked_up = delivery.state == DeliveryState.UNKNOWN or looks_first(delivery)
            if hold_unmapped and delivery.is_note and mapping is None and not looked_up:
                _give_back(delivery, token, held_by=HeldBy.MAPPING)
                continue
            self._busy += 1
            self._pool.submit(self._attempt, claim_of(delivery, token, provider, mapping))
        return len(taken)

    def _attempt(self, claim: Claim) -> None:
        started_at = timezone.now()
        started = time.monotonic()
        try:
            outcome = attempt(claim)
        except BaseException as exc:
            # Only a programming error gets here; the lane must still be given back, and the write looked up.
            self._done.put(
                Finished(claim, Outcome(Next.UNKNOWN, "lane-crashed", str(exc)[:200]), started_at, 0)
            )
            raise
        duration_ms = round((time.monotonic() - started) * 1000)
        log.info(
            "attempt delivery=%s kind=%s look=%s outcome=%s next=%s ms=%d request=%s",
            claim.delivery_id,
            claim.kind,
            claim.look,
            outcome.code,
            outcome.next,
            duration_ms,
            outcome.request_id,
        )
        self._done.put(Finished(claim, outcome, started_at, duration_ms))

    def _provider(self, connection: Connection) -> Provider | None:
        """Return the open provider, or None after marking a connection whose credentials cannot be read."""
        try:
            return provider_for(connection)
        except (CredentialsUnreadableError, UnknownProviderError) as exc:
            code = (
                "credentials-unreadable"
                if isinstance(exc, CredentialsUnreadableError)
                else "unknown-provider"
            )
            health.break_connection(connection, database_now(), str(exc), code)
            return None


def _give_back(delivery: Delivery, token: str, held_by: HeldBy = HeldBy.NOTHING) -> None:
    """Undo a claim whose delivery was not sent, and hold it if something is missing."""
    freed = TicketLink.objects.filter(pk=delivery.link_id, lease_token=token).update(
        lease_token="", lease_expires_at=None
    )
    if freed:
        Delivery.objects.filter(pk=delivery.pk, state=DeliveryState.SENDING).update(
            state=DeliveryState.READY,
            held_by=held_by,
            held_since=database_now() if held_by else None,
        )
