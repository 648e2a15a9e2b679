"""Owns the reads about units of work, their deliveries, and the queue as a whole."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models.query import QuerySet

from psa.database import database_now
from psa.exceptions import MissingError
from psa.models import Delivery, PeriodicJob, StatusRule, TicketLink, WorkUnit
from psa.models.delivery import OPEN_STATES, DeliveryState, HeldBy
from psa.outbox import statements
from psa.outbox.schedule import HEARTBEAT
from psa.selectors.connection import connection_flows
from psa.types import Tenant


@dataclass(frozen=True, slots=True)
class QueueHealth:
    """What readiness looks at, in seconds; None when there is nothing due or no worker was ever seen."""

    oldest_due_age_s: float | None
    worker_seen_age_s: float | None


def deliveries(tenant: Tenant) -> QuerySet[Delivery]:
    """Return a tenant's deliveries, newest first."""
    return Delivery.objects.filter(tenant=tenant).select_related("connection", "link", "unit")


def delivery_get(tenant: Tenant, delivery_id: int) -> Delivery:
    """Return one delivery. Raises: MissingError, also for another tenant's."""
    found = deliveries(tenant).filter(pk=delivery_id).first()
    if found is None:
        raise MissingError("There is no such delivery.")
    return found


def unit_get(tenant: Tenant, unit_id: int) -> WorkUnit:
    """Return one unit of work. Raises: MissingError, also for another tenant's."""
    found = WorkUnit.objects.filter(tenant=tenant, pk=unit_id).select_related("link").first()
    if found is None:
        raise MissingError("There is no such unit.")
    return found


def delivery_held_by(delivery: Delivery) -> str:
    """Return why an open delivery waits; `connection` when its connection does not flow."""
    if delivery.state not in OPEN_STATES:
        return ""
    if delivery.held_by in (HeldBy.NOTHING, HeldBy.EARLIER) and not connection_flows(delivery.connection):
        return HeldBy.CONNECTION.value
    return delivery.held_by


def unit_origin_deliveries(tenant: Tenant, origin: str) -> QuerySet[Delivery]:
    """Return the deliveries of one origin, such as `session:12`."""
    return deliveries(tenant).filter(unit__origin=origin)


def open_deliveries(tenant: Tenant, link_id: int, origin: str = "") -> QuerySet[Delivery]:
    """Return what is still on its way to a ticket or needs a person there."""
    lanes = TicketLink.objects.lanes(link_id)
    found = deliveries(tenant).filter(link_id__in=lanes, state__in=(*OPEN_STATES, DeliveryState.DEAD))
    return found.filter(unit__origin=origin) if origin else found


def note_posted(tenant: Tenant, link_id: int, origin: str, source_hash: str) -> Delivery | None:
    """Return the internal note made from the same source that is queued or delivered there already."""
    parts = deliveries(tenant).filter(
        link_id__in=TicketLink.objects.lanes(link_id),
        unit__origin=origin,
        kind="analysis",
        text_hash=source_hash,
    )
    # A text that went in several parts counts only while none of them is missing.
    missing = parts.filter(state__in=(DeliveryState.DEAD, DeliveryState.DISCARDED)).values("unit_id")
    return parts.exclude(unit_id__in=missing).first()


def status_rule(tenant: Tenant, link_id: int, outcome: str) -> StatusRule | None:
    """Return the valid status rule of a ticket's board for an outcome, None where no status is to be set."""
    link = TicketLink.objects.filter(tenant=tenant, pk=link_id).first()
    if link is None or not link.board_id:
        return None
    return StatusRule.objects.filter(
        connection_id=link.connection_id, board_id=link.board_id, outcome=outcome, valid=True
    ).first()


def queue_health() -> QueueHealth:
    """Return the age of the oldest due delivery that could run, and when a worker was last seen."""
    now = database_now()
    oldest = statements.oldest_due(now)
    seen = PeriodicJob.objects.filter(name=HEARTBEAT).values_list("last_run_at", flat=True).first()
    return QueueHealth(
        oldest_due_age_s=(now - oldest.due_at).total_seconds() if oldest else None,
        worker_seen_age_s=(now - seen).total_seconds() if seen else None,
    )
