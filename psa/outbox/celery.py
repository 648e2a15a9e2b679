"""Owns the fleet engine: Celery carries kicks, the database stays the queue. Imported only with Celery.

A kick says which lane may have work, nothing else. Losing one loses nothing, a second one does nothing.
"""

from __future__ import annotations

import logging
import random
import time
from datetime import datetime

from celery import shared_task
from celery.signals import worker_process_shutdown
from django.db import InterfaceError, OperationalError
from django.db import connection as database

from psa.conf import psa_settings
from psa.database import database_now
from psa.models import Connection, Delivery
from psa.outbox import schedule
from psa.outbox.claim import due, flowing
from psa.outbox.dispatch import claims_take, provider_of, work
from psa.outbox.finish import Finished, finish
from psa.outbox.jobs import jobs_run
from psa.outbox.recheck import recheck, recheck_finish, recheck_of, rechecks_claim
from psa.outbox.statements import in_flight
from psa.provider_pool import providers_close
from psa.webhooks.changes import changes_once

log = logging.getLogger("psa.outbox")

KICK_EXPIRES_S = 10.0
"""A kick of the sweep is thrown away when no worker took it in this time; the next sweep sends a new one."""
LANE_BUDGET_S = 60.0
"""Longest one task works a lane before it makes room for others."""
CONNECTIONS_A_SWEEP = 200
SIDE_JOBS_A_SWEEP = 16
DATABASE_PAUSE_S = 1.0


@shared_task(name="psa.lane_work")
def lane_work(link_id: int) -> None:
    """Work one lane until nothing of it is due, then wake another lane of its connection."""
    until = time.monotonic() + LANE_BUDGET_S
    connection_id: int | None = None
    while time.monotonic() < until:
        claims = claims_take(database_now(), 1, link_id=link_id)
        if not claims:
            break
        connection_id = claims[0].connection_id
        _write_down(work(claims[0]))
    if connection_id is not None:
        # A place under MAX_WRITES_IN_FLIGHT is free again.
        _wake(_lanes_due(database_now(), connection_id, 1))


@shared_task(name="psa.sweep")
def sweep() -> None:
    """Do once for the fleet what an embedded worker does each second."""
    now = database_now()
    schedule.heartbeat(now)
    schedule.leases_expire(now)
    waiting = due(now).values("connection_id")
    ids = list(Connection.objects.filter(flowing(now), pk__in=waiting).values_list("pk", flat=True))
    # Not a secret: only whose turn it is when there are very many.
    ids = random.sample(ids, min(len(ids), CONNECTIONS_A_SWEEP))
    sending = in_flight(ids)
    for pk in ids:
        _wake(_lanes_due(now, pk, psa_settings().MAX_WRITES_IN_FLIGHT - sending.get(pk, 0)))
    for connection in schedule.probes_claim(now, SIDE_JOBS_A_SWEEP):
        probe.delay(connection.pk)
    for delivery in rechecks_claim(now, SIDE_JOBS_A_SWEEP):
        second_look.delay(delivery.pk)


@shared_task(name="psa.jobs")
def jobs() -> None:
    """Run the periodic jobs that are due."""
    jobs_run(database_now())


@shared_task(name="psa.changes")
def changes() -> None:
    """Judge messages, read changed tickets, poll, and keep callbacks registered."""
    changes_once()


@shared_task(name="psa.probe")
def probe(connection_id: int) -> None:
    """Probe a connection that is sick or lacks a permission."""
    connection = Connection.objects.live().filter(pk=connection_id).first()
    provider = provider_of(connection) if connection else None
    if connection and provider:
        schedule.probe_finish(schedule.probe(schedule.ProbeJob(connection, provider)), database_now())


@shared_task(name="psa.second_look")
def second_look(delivery_id: int) -> None:
    """Count a note that was sent twice on its ticket."""
    row = Delivery.objects.select_related("link", "connection").filter(pk=delivery_id).first()
    provider = provider_of(row.connection) if row else None
    if row and provider:
        recheck_finish(recheck(recheck_of(row, provider)))


def _lanes_due(now: datetime, connection_id: int, number: int) -> list[int]:
    """Return the lanes of a connection that have been due for longest, at most so many."""
    found = due(now).filter(connection_id=connection_id, link__lease_token="")
    running = Connection.objects.filter(flowing(now), pk=connection_id)
    return list(
        found.filter(connection__in=running)
        .order_by("due_at", "id")
        .values_list("link_id", flat=True)[: max(number, 0)]
    )


def _wake(link_ids: list[int]) -> None:
    for link_id in link_ids:
        lane_work.apply_async((link_id,), expires=KICK_EXPIRES_S)


def _write_down(found: Finished) -> None:
    """Write down a result; a database that is away is waited for as long as the lease holds."""
    while True:
        try:
            finish([found], database_now())
            return
        except (OperationalError, InterfaceError) as exc:
            if found.claim.lease_left_s() <= 0:
                # Whoever has the lane now looks for the write before it is sent again.
                raise
            log.error("the database cannot be used (%s: %s); trying again", type(exc).__name__, exc)
            database.close()
            time.sleep(DATABASE_PAUSE_S)


@worker_process_shutdown.connect
def _close_providers(**_kwargs: object) -> None:
    providers_close()
