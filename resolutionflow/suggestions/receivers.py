"""Owns what is made of tickets that changed. Called in the transaction that stores what was seen of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.dispatch import receiver

from psa.signals import bulk_changed, ticket_changed
from psa.types import Ticket, TicketDetails
from resolutionflow.suggestions import services


@receiver(ticket_changed, dispatch_uid="suggestions.ticket_changed")
def on_ticket_changed(
    *,
    connection: Any,
    ticket_id: str,
    ticket: Ticket | None,
    what: frozenset[str],
    user_ids: tuple[int, ...],
    details: TicketDetails,
    **_more: Any,
) -> None:
    """Suggest flows for a ticket, or let them go with it."""
    if ticket is None or "closed" in what:
        services.suggestions_end(connection, ticket_id)
        return
    services.suggest(connection, ticket, what=what, user_ids=user_ids, details=details)


@receiver(bulk_changed, dispatch_uid="suggestions.bulk_changed")
def on_bulk_changed(*, connection: Any, since: datetime, **_more: Any) -> None:
    """Drop what was suggested before it was known that this is a bulk change."""
    services.suggestions_drop(connection, since)
