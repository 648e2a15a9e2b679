"""Owns what is asked of a PSA about a linked ticket: time that can be entered or is there, and files."""

from __future__ import annotations

from datetime import date

from psa.cache import ConnectionCache, cached
from psa.conf import psa_settings
from psa.exceptions import ConflictError, MissingError
from psa.models import Connection, Delivery, MemberMapping, TicketLink
from psa.models.connection import ConnectionState
from psa.models.delivery import DeliveryState
from psa.provider_pool import provider_for
from psa.selectors.delivery import deliveries
from psa.types import (
    Capability,
    Document,
    Download,
    RecordType,
    Tenant,
    TimeChoices,
    TimeEntry,
)


def time_choices(tenant: Tenant, link_id: int, user_id: int | None) -> TimeChoices:
    """Return what can be chosen for a user's time on a ticket, and the company's rules.

    Without a mapped member the lists are those the PSA offers to nobody in particular.
    Raises: MissingError; ConflictError `connection-disabled`, `connection-deleted`;
        UnsupportedOperationError; ProviderError.
    """
    link = _lane(tenant, link_id)
    provider = provider_for(link.connection)
    provider.require(Capability.TIME_ENTRIES)
    member_id = _member_id(link, user_id)

    def fetch() -> TimeChoices:
        ticket = provider.ticket_get(link.ticket_id, RecordType(link.record_type))
        return provider.time_choices(ticket, member_id)

    store = ConnectionCache(link.connection_id, link.connection.cache_epoch)
    name = f"time-choices:{link.record_type}:{link.ticket_id}:{member_id}"
    return cached(store, name, psa_settings().REFERENCE_TTL_S, fetch)


def time_entries(
    tenant: Tenant, link_id: int, user_id: int | None, *, day: date | None = None
) -> list[TimeEntry]:
    """Return the time a user has on a ticket, the newest first; none without a mapped member.

    Shape: day is a UTC date their start falls on.
    Raises: as `time_choices`.
    """
    link = _lane(tenant, link_id)
    provider = provider_for(link.connection)
    provider.require(Capability.TIME_ENTRIES)
    if not (member_id := _member_id(link, user_id)):
        return []
    return provider.time_entries_of(
        link.ticket_id, RecordType(link.record_type), member_id=member_id, day=day
    )


def documents(tenant: Tenant, link_id: int) -> list[Document]:
    """Return the files of a ticket, the newest first.

    Raises: MissingError; ConflictError `connection-disabled`, `connection-deleted`;
        UnsupportedOperationError; ProviderError.
    """
    link = _lane(tenant, link_id)
    provider = provider_for(link.connection)
    provider.require(Capability.DOCUMENTS)
    return provider.documents_of(link.ticket_id, RecordType(link.record_type))


def document_open(tenant: Tenant, link_id: int, document_id: str) -> Download:
    """Return the content of a file of a ticket as it arrives; the caller closes it.

    A file of another ticket is not found: an id is all a reader needs, and the PSA would give it.
    Raises: MissingError `document-not-found`; else as `documents`.
    """
    link = _lane(tenant, link_id)
    provider = provider_for(link.connection)
    if not any(found.id == document_id for found in documents(tenant, link_id)):
        raise MissingError("The ticket has no such file.", code="document-not-found")
    return provider.document_open(document_id)


def document_posted(tenant: Tenant, link_id: int, origin: str, source_hash: str) -> Delivery | None:
    """Return the file made from the same source that is queued or delivered there already."""
    return (
        deliveries(tenant)
        .filter(
            link_id__in=TicketLink.objects.lanes(link_id),
            unit__origin=origin,
            kind="document",
            text_hash=source_hash,
        )
        .exclude(state__in=(DeliveryState.DEAD, DeliveryState.DISCARDED))
        .first()
    )


def require_usable(connection: Connection) -> None:
    """Raise unless something may be asked of a ticket's connection, or posted through it.

    Raises: ConflictError `connection-deleted`, `connection-disabled`.
    """
    if connection.deleted_at is not None:
        raise ConflictError(
            "The connection of this ticket was deleted. Link the ticket again.", code="connection-deleted"
        )
    if connection.state == ConnectionState.DISABLED:
        raise ConflictError("The connection of this ticket is disabled.", code="connection-disabled")


def _lane(tenant: Tenant, link_id: int) -> TicketLink:
    """Return the ticket as it is now: the parent, once it was merged."""
    if not TicketLink.objects.filter(tenant=tenant, pk=link_id).exists():
        raise MissingError("There is no such ticket link.")
    lane = TicketLink.objects.lane(link_id)
    require_usable(lane.connection)
    return lane


def _member_id(link: TicketLink, user_id: int | None) -> str:
    if user_id is None:
        return ""
    mapped = MemberMapping.objects.filter(connection_id=link.connection_id, user_id=user_id, active=True)
    return str(next(iter(mapped.order_by().values_list("member_id", flat=True)[:1]), ""))
