"""Owns what workers do besides deliveries: expired leases, probes of sick connections, the heartbeat."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef

from psa.conf import psa_settings
from psa.exceptions import PsaError
from psa.models import Connection, Delivery, DeliveryAttempt, MemberMapping, PeriodicJob, TicketLink
from psa.models.connection import ConnectionState
from psa.models.delivery import DeliveryState, HeldBy
from psa.outbox import health
from psa.providers.base import Provider
from psa.types import Endpoint, ProbeResult

HEARTBEAT = "worker-heartbeat"
HEARTBEAT_EVERY_S = 10.0
SWEEP_EVERY_S = 1.0
JOBS_EVERY_S = 2.0
"""How often a worker asks whether a periodic job is due."""


def heartbeat(now: datetime) -> None:
    """Note that a worker is alive, for readiness."""
    PeriodicJob.objects.update_or_create(name=HEARTBEAT, defaults={"due_at": now, "last_run_at": now})


def leases_expire(now: datetime) -> int:
    """Turn deliveries whose worker vanished into `unknown`: their write may have left. Return how many."""
    looks = psa_settings().RECONCILE_LOOKS_S
    count = 0
    leased = TicketLink.objects.filter(lease_expires_at__lt=now).exclude(lease_token="")
    # In the order of the index: in that of the ids, SQLite would look at every lane there ever was.
    for link in leased.order_by("lease_expires_at"):
        with transaction.atomic():
            freed = TicketLink.objects.filter(pk=link.pk, lease_token=link.lease_token).update(
                lease_token="", lease_expires_at=None
            )
            lost = Delivery.objects.filter(link=link, state=DeliveryState.SENDING).first()
            if not freed or lost is None:
                continue
            lost.state = DeliveryState.UNKNOWN
            lost.sends += 1
            lost.attempts += 1
            lost.looks = 0
            lost.due_at = now + timedelta(seconds=looks[0])
            lost.save(update_fields=["state", "sends", "attempts", "looks", "due_at"])
            DeliveryAttempt.objects.create(
                delivery=lost,
                action="send",
                started_at=link.lease_expires_at or now,
                duration_ms=0,
                outcome="worker-lost",
                error="The worker vanished while sending; we look at the ticket before sending again.",
            )
            count += 1
    return count


def mapping_held_release(now: datetime) -> None:
    """Let notes run that waited for their author to be mapped to a member, once that is so."""
    mapped = MemberMapping.objects.filter(
        connection_id=OuterRef("connection_id"), user_id=OuterRef("created_by_id"), active=True
    )
    held = Delivery.objects.filter(Exists(mapped), held_by=HeldBy.MAPPING, state=DeliveryState.READY)
    health.holds_release(held, now)


@dataclass(frozen=True, slots=True)
class ProbeJob:
    """A sick connection to be tried by a lane."""

    connection: Connection
    provider: Provider = field(repr=False)


@dataclass(frozen=True, slots=True)
class Probed:
    """What a lane found out."""

    connection: Connection
    endpoint: Endpoint | None
    result: ProbeResult | None
    error: PsaError | None


def probes_claim(now: datetime, at_most: int) -> list[Connection]:
    """Return up to at_most connections whose probe is due, each claimed by one conditional UPDATE."""
    due = Connection.objects.live().filter(next_probe_at__lte=now).exclude(state=ConnectionState.DISABLED)
    claimed = []
    for connection in due[: max(at_most, 0)]:
        taken = Connection.objects.filter(pk=connection.pk, next_probe_at=connection.next_probe_at).update(
            **health.next_probe(connection.state, now)
        )
        if taken:
            claimed.append(connection)
    return claimed


def probe(job: ProbeJob) -> Probed:
    """Discover and probe a connection over HTTP; no database. Never raises a PsaError."""
    try:
        found = job.provider.discover()
        result = job.provider.probe()
    except PsaError as exc:
        return Probed(job.connection, None, None, exc)
    return Probed(job.connection, job.provider.endpoint or found, result, None)


def probe_finish(found: Probed, now: datetime) -> None:
    """Write down a probe."""
    if found.result is not None:
        health.probed(found.connection, found.endpoint, found.result, now)
    elif found.error is not None:
        health.probe_failed(found.connection, found.error, now)


class Every:
    """True once per period, for jobs that any worker may repeat without harm."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0

    def due(self) -> bool:
        """Return whether the period has passed, and begin a new one if so."""
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + self._seconds
        return True
