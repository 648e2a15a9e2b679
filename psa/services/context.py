"""Owns the record of who was given the context of a ticket."""

from __future__ import annotations

from collections.abc import Mapping

from psa.exceptions import MissingError
from psa.models import AuditEntry, TicketLink
from psa.types import Actor, Tenant


def context_handed_out(
    tenant: Tenant, link_id: int, *, actor: Actor, to: str, facts: Mapping[str, object]
) -> None:
    """Write down that the context of a linked ticket was given to somebody else than a person reading it.

    Shape: to names the receiver, an AI say; facts are counts and names of parts, never the texts themselves.
    Raises: MissingError.
    """
    link = TicketLink.objects.filter(tenant=tenant, pk=link_id).first()
    if link is None:
        raise MissingError("There is no such ticket link.")
    AuditEntry.objects.create(
        tenant_id=link.tenant_id,
        connection_id=link.connection_id,
        actor_id=actor.user_id,
        actor_name=actor.name[:200],
        verb="context.handed_out",
        object_type="ticket",
        object_id=str(link.pk),
        ticket_id=link.ticket_id,
        facts={"to": to, **facts},
    )
