"""Owns the steps every engine repeats: take what is due, work on it over HTTP, and maintain the queue."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from psa.conf import psa_settings
from psa.database import database_now
from psa.exceptions import CredentialsUnreadableError
from psa.models import Connection, Delivery, TicketLink
from psa.models.delivery import DeliveryState, HeldBy
from psa.outbox import health, schedule
from psa.outbox.claim import (
    Claim,
    Rooms,
    Standing,
    Taken,
    author_id,
    claim_due,
    claim_of,
    looks_first,
    members_for,
)
from psa.outbox.finish import Finished
from psa.outbox.lane import attempt
from psa.outbox.lanes import lanes_promote
from psa.outbox.outcome import Next, Outcome
from psa.outbox.recheck import Recheck, recheck_of, rechecks_claim
from psa.provider_pool import provider_for
from psa.providers.base import Provider
from psa.providers.registry import UnknownProviderError

log = logging.getLogger("psa.outbox")


@dataclass(frozen=True, slots=True)
class _Unsent:
    """A claimed delivery that cannot be sent now, and what it waits for."""

    delivery_id: int
    link_id: int
    connection_id: int
    token: str
    held_by: HeldBy = HeldBy.NOTHING
    problem: dict[str, str] | None = None


def claims_take(
    now: datetime,
    free_lanes: int,
    *,
    rooms: Rooms | None = None,
    standings: Mapping[int, Standing] | None = None,
    link_id: int | None = None,
) -> list[Claim]:
    """Return up to free_lanes claims a lane can work on at once, and those ahead; see `claim_due` for both.

    What is due but cannot be sent (no mapping, no permission, credentials unreadable) is given back, held.
    """
    # Before the claim: the lease counts from `now`, and a claim may wait for a lock.
    started = time.monotonic()
    claims: list[Claim] = []
    begun = 0
    while taken := claim_due(now, free_lanes - begun, rooms=rooms, standings=standings, link_id=link_id):
        kept = _workable(taken, now, started)
        claims += kept
        begun += sum(not claim.ahead for claim in kept)
        if len(kept) == len(taken):
            break
        standings = {pk: replace(known, more_ahead=0) for pk, known in (standings or {}).items()}
    return claims


def claims_return(claims: Collection[Claim]) -> None:
    """Give back claims that were not begun; nothing of them was sent."""
    _give_back(
        [_Unsent(claim.delivery_id, claim.link_id, claim.connection_id, claim.token) for claim in claims]
    )


def _workable(taken: list[Taken], now: datetime, started: float) -> list[Claim]:
    members = members_for([one.delivery for one in taken])
    hold_unmapped = psa_settings().UNMAPPED_AUTHOR == "hold"
    claims: list[Claim] = []
    unsent: list[_Unsent] = []
    for one in taken:
        delivery = one.delivery
        unsendable = _Unsent(delivery.pk, delivery.link_id, delivery.connection_id, one.token)
        provider = provider_of(delivery.connection)
        mapping = members.get((delivery.connection_id, author_id(delivery) or 0))
        if provider is None:
            unsent.append(unsendable)
            continue
        looked_up = delivery.state == DeliveryState.UNKNOWN or looks_first(delivery)
        if hold_unmapped and delivery.is_note and mapping is None and not looked_up:
            unsent.append(replace(unsendable, held_by=HeldBy.MAPPING))
            continue
        grant = None if looked_up else health.grant_missing(delivery.connection, delivery.kind)
        if grant is not None:
            problem = health.permission_problem(grant)
            unsent.append(replace(unsendable, held_by=HeldBy.PERMISSION, problem=problem))
            continue
        claims.append(replace(claim_of(one, provider, mapping, now), claimed_at=started))
    if unsent:
        _give_back(unsent)
    return claims


def work(claim: Claim) -> Finished:
    """Work on a claim over HTTP, without the database; return what is to be written down. Never raises."""
    started_at = timezone.now()
    started = time.monotonic()
    try:
        outcome = attempt(claim)
    except Exception as exc:
        # Only a programming error gets here; the lane must still be given back, and the write looked up.
        log.exception("the attempt at delivery %s crashed", claim.delivery_id)
        outcome = Outcome(Next.UNKNOWN, "lane-crashed", str(exc)[:200], sent=not claim.look)
    duration_ms = round((time.monotonic() - started) * 1000)
    log.info("attempt", extra=_facts(claim, outcome, duration_ms))
    return Finished(claim, outcome, started_at, duration_ms)


def _facts(claim: Claim, outcome: Outcome, duration_ms: int) -> dict[str, Any]:
    """Return what one log line tells of an attempt: no text of a note, no credential."""
    return {
        "delivery": claim.delivery_id,
        "connection": claim.connection_id,
        "ticket": claim.ticket_id,
        "kind": claim.kind,
        "action": "look" if claim.look else "send",
        "attempt": claim.attempts + 1,
        "outcome": outcome.code,
        "next": outcome.next.value,
        "http_status": outcome.http_status,
        "ms": duration_ms,
        "request_id": outcome.request_id,
    }


def provider_of(connection: Connection) -> Provider | None:
    """Return the open provider, or None after marking a connection whose credentials cannot be read."""
    try:
        return provider_for(connection)
    except (CredentialsUnreadableError, UnknownProviderError) as exc:
        unreadable = isinstance(exc, CredentialsUnreadableError)
        code = "credentials-unreadable" if unreadable else "unknown-provider"
        health.break_connection(connection, database_now(), str(exc), code)
        return None


def side_jobs(now: datetime, at_most: int) -> list[schedule.ProbeJob | Recheck]:
    """Return up to at_most due probes of sick connections and second looks, claimed for this process."""
    jobs: list[schedule.ProbeJob | Recheck] = []
    for connection in schedule.probes_claim(now, at_most):
        provider = provider_of(connection)
        if provider is not None:
            jobs.append(schedule.ProbeJob(connection, provider))
    for row in rechecks_claim(now, at_most - len(jobs)):
        provider = provider_of(row.connection)
        if provider is not None:
            jobs.append(recheck_of(row, provider))
    return jobs


def _give_back(rows: list[_Unsent]) -> None:
    """Undo claims whose deliveries were not sent, hold what misses something, and let their lanes go on."""
    now = database_now()
    with transaction.atomic():
        lanes: list[int] = []
        for row in sorted(rows, key=lambda row: (row.connection_id, row.link_id)):
            lane = TicketLink.objects.filter(pk=row.link_id, lease_token=row.token)
            if not lane.update(lease_token="", lease_expires_at=None):
                continue
            lanes.append(row.link_id)
            Delivery.objects.filter(pk=row.delivery_id, state=DeliveryState.SENDING).update(
                state=DeliveryState.READY,
                held_by=row.held_by,
                held_since=now if row.held_by else None,
                problem=row.problem,
            )
        lanes_promote(lanes, [row.delivery_id for row in rows], now)
