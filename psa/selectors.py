"""Owns the public door for reads; the tenant always comes first. Writes are in `psa.services`."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Min
from django.db.models.query import QuerySet

from psa.cache import ConnectionCache, cached
from psa.conf import psa_settings
from psa.database import database_now
from psa.exceptions import ConflictError, MissingError
from psa.models import Connection, Delivery, MemberMapping, PeriodicJob, StatusRule, TicketLink, WorkUnit
from psa.models.connection import ConnectionState
from psa.models.delivery import DUE_STATES, OPEN_STATES, DeliveryState, HeldBy
from psa.outbox.claim import FLOWING_STATES, flowing
from psa.outbox.schedule import HEARTBEAT
from psa.provider_pool import provider_for
from psa.providers.base import Provider
from psa.providers.registry import provider_class
from psa.types import Board, Page, RecordType, Status, Tenant, Ticket


@dataclass(frozen=True, slots=True)
class QueueHealth:
    """What readiness looks at, in seconds; None when there is nothing due or no worker was ever seen."""

    oldest_due_age_s: float | None
    worker_seen_age_s: float | None


def provider_classes() -> list[type[Provider]]:
    """Return the configured providers, in the order of the setting."""
    paths = psa_settings().PROVIDERS
    return [provider_class(key, paths) for key in paths]


def connections(tenant: Tenant) -> QuerySet[Connection]:
    """Return a tenant's connections, deleted ones left out."""
    return Connection.objects.of(tenant)


def connection_get(tenant: Tenant, connection_id: int) -> Connection:
    """Return one connection. Raises: MissingError, also for another tenant's."""
    found = connections(tenant).filter(pk=connection_id).first()
    if found is None:
        raise MissingError("There is no such connection.")
    return found


def connection_flows(connection: Connection) -> bool:
    """True when the connection's queue runs."""
    return connection.deleted_at is None and connection.state in FLOWING_STATES


def tickets_search(
    tenant: Tenant,
    connection_id: int,
    *,
    query: str = "",
    board_id: str = "",
    mine_user_id: int | None = None,
    page: int = 1,
) -> Page[Ticket]:
    """Return a page of service tickets; mine_user_id keeps those of the member mapped to that user.

    Raises: MissingError; ConflictError `no-member-mapping`, `connection-disabled`; ProviderError.
    """
    connection = _asked(tenant, connection_id)
    identifier = ""
    if mine_user_id is not None:
        mapping = MemberMapping.objects.filter(
            connection=connection, user_id=mine_user_id, active=True
        ).first()
        if mapping is None:
            raise ConflictError("You are not mapped to a member of this PSA yet.", code="no-member-mapping")
        identifier = mapping.member_identifier
    return provider_for(connection).ticket_search(
        query, board_id=board_id, member_identifier=identifier, page=page
    )


def boards(tenant: Tenant, connection_id: int) -> list[Board]:
    """Return the active boards of a connection, from the cache where it has them."""
    connection = _asked(tenant, connection_id)
    found = cached(
        _store(connection),
        "boards",
        psa_settings().REFERENCE_TTL_S,
        lambda: provider_for(connection).boards(),
    )
    return [board for board in found if board.active]


def statuses(tenant: Tenant, connection_id: int, board_id: str) -> list[Status]:
    """Return the active statuses of a board, from the cache where it has them."""
    connection = _asked(tenant, connection_id)
    found = cached(
        _store(connection),
        f"statuses:{board_id}",
        psa_settings().REFERENCE_TTL_S,
        lambda: provider_for(connection).statuses_of_board(board_id, RecordType.SERVICE),
    )
    return [status for status in found if status.active]


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
    found = deliveries(tenant).filter(link_id=link_id, state__in=(*OPEN_STATES, DeliveryState.DEAD))
    return found.filter(unit__origin=origin) if origin else found


def note_posted(tenant: Tenant, link_id: int, origin: str, source_hash: str) -> Delivery | None:
    """Return the internal note made from the same source that is queued or delivered there already."""
    parts = deliveries(tenant).filter(
        link_id=link_id, unit__origin=origin, kind="analysis", text_hash=source_hash
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
    running = Connection.objects.filter(flowing(now)).values("pk")
    oldest = Delivery.objects.filter(
        state__in=DUE_STATES, held_by=HeldBy.NOTHING, due_at__lte=now, connection_id__in=running
    ).aggregate(oldest=Min("due_at"))["oldest"]
    seen = PeriodicJob.objects.filter(name=HEARTBEAT).values_list("last_run_at", flat=True).first()
    return QueueHealth(
        oldest_due_age_s=(now - oldest).total_seconds() if oldest else None,
        worker_seen_age_s=(now - seen).total_seconds() if seen else None,
    )


def _store(connection: Connection) -> ConnectionCache:
    return ConnectionCache(connection.pk, connection.cache_epoch)


def _asked(tenant: Tenant, connection_id: int) -> Connection:
    connection = connection_get(tenant, connection_id)
    if connection.state == ConnectionState.DISABLED:
        raise ConflictError("The connection is disabled.", code="connection-disabled")
    return connection
