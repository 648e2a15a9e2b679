"""Owns linking a ticket: read from the PSA first, one row per ticket."""

from __future__ import annotations

from psa.exceptions import ConflictError, InvalidInputError, MissingError, NotFoundError
from psa.models import Connection, TicketLink
from psa.models.connection import ConnectionState
from psa.provider_pool import provider_for
from psa.providers.base import Provider
from psa.types import Capability, RecordType, Tenant, Ticket, ticket_number


def ticket_link(
    tenant: Tenant, connection_id: int, ticket_id: str, record_type: RecordType | None = None
) -> TicketLink:
    """Return the lane of a ticket, made on first use, its snapshot refreshed.

    Without a record type both places are looked up.
    Raises: MissingError `ticket-not-found`; InvalidInputError `wrong-record-type`, naming the right one, or
        `invalid`; ConflictError `connection-disabled`; ProviderError.
    """
    connection = Connection.objects.one_of(tenant, connection_id)
    if connection.state == ConnectionState.DISABLED:
        raise ConflictError("The connection is disabled.", code="connection-disabled")
    number = ticket_number(str(ticket_id))
    if not number:
        raise InvalidInputError(
            "A ticket number consists of digits.", fields={"ticket_id": ["Enter the number of a ticket."]}
        )
    provider = provider_for(connection)
    ticket = _read(provider, number, record_type)
    snapshot = {
        "tenant": tenant,
        "summary": ticket.summary[:255],
        "board_id": ticket.board.id if ticket.board else "",
        "board_name": ticket.board.name[:100] if ticket.board else "",
        "company_id": ticket.company.id[:40] if ticket.company else "",
        "company_name": ticket.company.name[:255] if ticket.company else "",
        "url": ticket.url[:500],
        "ticket_created_at": ticket.created_at,
    }
    link, _created = TicketLink.objects.update_or_create(
        connection=connection,
        record_type=ticket.record_type.value,
        ticket_id=ticket.id,
        defaults=snapshot,
    )
    return link


def _read(provider: Provider, ticket_id: str, record_type: RecordType | None) -> Ticket:
    places = [
        place
        for place, capability in (
            (RecordType.SERVICE, Capability.SERVICE_TICKETS),
            (RecordType.PROJECT, Capability.PROJECT_TICKETS),
        )
        if provider.supports(capability)
    ]
    if record_type is not None:
        places.sort(key=lambda place: place is not record_type)
    for place in places:
        try:
            ticket = provider.ticket_get(ticket_id, place)
        except NotFoundError:
            continue
        if record_type is not None and ticket.record_type is not record_type:
            raise InvalidInputError(
                f"Ticket {ticket_id} is a {ticket.record_type.value} ticket, not a {record_type.value} one.",
                code="wrong-record-type",
                fields={"record_type": [f"Use {ticket.record_type.value}."]},
            )
        return ticket
    raise MissingError(
        f"Ticket {ticket_id} does not exist, or its board is hidden from our API member.",
        code="ticket-not-found",
    )
