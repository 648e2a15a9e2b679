"""Owns the old rows that tests of pruning stand on: units, keys and sessions of long ago."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from psa.models import (
    AttemptTotal,
    AuditEntry,
    Delivery,
    DeliveryAttempt,
    IdempotencyRecord,
    TicketLink,
    WebhookReceipt,
    WorkUnit,
)
from psa.outbox import prune as module
from psa.outbox.lanes import unit_refresh
from psa.tests.conftest import World
from resolutionflow.sessions.models import FlowSession, SessionState

NOTHING = dict.fromkeys(module.KINDS, 0)
AGES = {"IDEMPOTENCY_KEEP": 30, "ATTEMPTS_KEEP": 90, "RECEIPTS_KEEP": 14, "DELIVERIES_KEEP": 365}
NEVER = {"ATTEMPTS_KEEP": None, "RECEIPTS_KEEP": None, "DELIVERIES_KEEP": None}
UnitMake = Callable[..., WorkUnit]
Keep = Callable[..., None]


def unit_of(world: World, now: datetime, *states: str, days: int = 400, attempts: int = 1) -> WorkUnit:
    """Store a unit with a delivery of each state, posted and tried so many days ago."""
    at = now - timedelta(days=days)
    unit = WorkUnit.objects.create(tenant=world.account, link=world.link, created_by_name="Ann")
    WorkUnit.objects.filter(pk=unit.pk).update(created_at=at)
    for state in states:
        link = TicketLink.objects.get(pk=world.link.pk)
        delivery = Delivery.objects.create(
            tenant=world.account,
            connection=world.connection,
            link=link,
            unit=unit,
            kind="analysis",
            seq=link.next_seq,
            payload={"text": "x"},
            marker=f"RF-{unit.pk}-{link.next_seq}",
            state=state,
            due_at=at,
            created_by_name="Ann",
            delivered_at=at if state == "delivered" else None,
        )
        Delivery.objects.filter(pk=delivery.pk).update(created_at=at)
        TicketLink.objects.filter(pk=link.pk).update(next_seq=link.next_seq + 1)
        for _ in range(attempts):
            attempt_of(delivery, at)
    unit_refresh(unit.pk)
    unit.refresh_from_db()
    return unit


def attempt_of(delivery: Delivery, at: datetime) -> DeliveryAttempt:
    return DeliveryAttempt.objects.create(
        delivery=delivery, action="send", started_at=at, duration_ms=7, outcome="delivered"
    )


def record_make(world: World, now: datetime, key: str, days: int, **names: Any) -> IdempotencyRecord:
    record = IdempotencyRecord.objects.create(
        tenant=world.account, caller="user:1", key=key, fingerprint="f", **names
    )
    IdempotencyRecord.objects.filter(pk=record.pk).update(created_at=now - timedelta(days=days))
    return record


def session_pointing_at(world: World, unit: WorkUnit) -> FlowSession:
    return FlowSession.objects.create(
        account=world.account,
        title="Printer",
        state=SessionState.COMPLETED,
        outcome="resolved",
        started_at=timezone.now() - timedelta(days=400),
        completed_at=timezone.now(),
        unit=unit,
    )


def rows_left() -> list[int]:
    models = (
        WorkUnit,
        Delivery,
        DeliveryAttempt,
        IdempotencyRecord,
        WebhookReceipt,
        AuditEntry,
        AttemptTotal,
    )
    return [model.objects.count() for model in models]


def old_rows_make(world: World, now: datetime) -> None:
    """Store a few old rows of every kind, some of which must stay."""
    for state in ("delivered", "discarded", "dead", "ready"):
        unit = unit_of(world, now, "delivered", state, attempts=2)
        record_make(world, now, state, 31, unit=unit)
    session_pointing_at(world, unit_of(world, now, "delivered"))
    attempt_of(unit_of(world, now, "delivered").deliveries.get(), now - timedelta(days=3))
    unit_of(world, now, "delivered", days=200)
    WebhookReceipt.objects.update(state="processed", received_at=now - timedelta(days=15))
