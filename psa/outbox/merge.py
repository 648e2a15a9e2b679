"""Owns what becomes of the lane of a merged or converted ticket: what follows its parent, and what waits."""

from __future__ import annotations

from datetime import datetime

from django.db.models import F

from psa.models import Delivery, TicketLink, WorkUnit
from psa.models.delivery import OPEN_STATES, DeliveryKind, DeliveryState, HeldBy
from psa.outbox.lanes import lane_lock, lane_recompute, unit_refresh
from psa.types import Ticket

ASKS_MERGED = (DeliveryKind.STATUS, DeliveryKind.TIME)
"""What is not done to another ticket before a person says so."""
ASKS_CONVERTED = (DeliveryKind.STATUS,)
"""What is not done to the same ticket on a board of the other kind, which has other statuses."""
FOLLOWING_STATES = (DeliveryState.READY, DeliveryState.RETRYING, DeliveryState.DEAD)
"""What can move: a write that is in flight, or may be on the old ticket, is settled there first."""


def snapshot(ticket: Ticket) -> dict[str, object]:
    """Return the columns of a lane that show what its ticket looked like when it was last read."""
    return {
        "summary": ticket.summary[:255],
        "board_id": ticket.board.id if ticket.board else "",
        "board_name": ticket.board.name[:100] if ticket.board else "",
        "company_name": ticket.company.name[:255] if ticket.company else "",
        "url": ticket.url[:500],
        "ticket_created_at": ticket.created_at,
    }


def lane_follow(link: TicketLink, parent: Ticket, now: datetime) -> TicketLink:
    """Move what waits in a merged ticket's lane to the end of its parent's, in order, and return that lane.

    A ticket that was converted is its own parent, of the other kind.

    Runs in the caller's transaction, which holds the lane of the merged ticket.
    """
    target, _made = TicketLink.objects.update_or_create(
        connection_id=link.connection_id,
        record_type=parent.record_type.value,
        ticket_id=parent.id,
        # A ticket that was converted back was its own parent's child.
        defaults={"tenant_id": link.tenant_id, "merged_into": None, **snapshot(parent)},
    )
    asks = ASKS_CONVERTED if parent.id == link.ticket_id else ASKS_MERGED
    lane_lock(target.pk)
    TicketLink.objects.filter(pk=link.pk).update(merged_into=target)
    moving = list(Delivery.objects.filter(link=link, state__in=FOLLOWING_STATES).order_by("seq"))
    TicketLink.objects.filter(pk=target.pk).update(next_seq=F("next_seq") + len(moving))
    first = TicketLink.objects.values_list("next_seq", flat=True).get(pk=target.pk) - len(moving)
    for place, row in enumerate(moving):
        row.link, row.seq = target, first + place
        if row.state in OPEN_STATES and row.kind in asks:
            row.state, row.held_by, row.held_since = DeliveryState.DEAD, HeldBy.NOTHING, None
            row.problem = _problem(link, parent)
        elif row.state in OPEN_STATES and row.held_by == HeldBy.NOTHING:
            row.held_by = HeldBy.EARLIER
        row.save(update_fields=["link", "seq", "state", "held_by", "held_since", "problem"])
    units = {row.unit_id for row in moving}
    WorkUnit.objects.filter(pk__in=units).update(link=target)
    lane_recompute(link.pk, now)
    lane_recompute(target.pk, now)
    for unit_id in units:
        unit_refresh(unit_id)
    return target


def _problem(link: TicketLink, parent: Ticket) -> dict[str, str]:
    if parent.id == link.ticket_id:
        return {
            "code": "ticket-converted",
            "text": f"Ticket {parent.id} became a {parent.record_type.value} ticket meanwhile.",
            "remedy": "Retry to set the status on its new board, or discard it.",
        }
    return {
        "code": "ticket-merged",
        "text": f"Ticket {link.ticket_id} was merged into ticket {parent.id} meanwhile.",
        "remedy": f"Retry to do it on ticket {parent.id}, or discard it.",
    }
