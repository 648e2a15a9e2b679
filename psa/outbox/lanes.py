"""Owns the order within a ticket's lane and the state of a unit, as its deliveries tell."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q

from psa.models import Delivery, TicketLink, WorkUnit
from psa.models.delivery import OPEN_STATES, DeliveryState, HeldBy, UnitState

IN_FLIGHT = (DeliveryState.SENDING, DeliveryState.UNKNOWN)


def lane_promote(link_id: int, now: datetime, finished_id: int) -> None:
    """Let the first open delivery of a lane run, if it was waiting only for its place.

    The one just finished steps back behind it when it is to be tried again: a person may have put another
    one before it meanwhile, and only the head of a lane may be free to run.
    """
    head = (
        Delivery.objects.filter(link_id=link_id, state__in=OPEN_STATES)
        .exclude(held_by=HeldBy.DEAD)
        .order_by("seq")
        .only("pk", "held_by", "due_at")
        .first()
    )
    if head is not None and head.held_by == HeldBy.EARLIER:
        stepped_back = Delivery.objects.filter(
            pk=finished_id, state__in=OPEN_STATES, held_by=HeldBy.NOTHING
        ).exclude(state__in=IN_FLIGHT)
        stepped_back.update(held_by=HeldBy.EARLIER)
        in_flight = Delivery.objects.filter(link_id=link_id, state__in=IN_FLIGHT)
        if not in_flight.exists():
            Delivery.objects.filter(pk=head.pk, held_by=HeldBy.EARLIER).update(
                held_by=HeldBy.NOTHING, due_at=now
            )


def lane_lock(link_id: int) -> None:
    """Lock a lane until the end of the transaction, on every database; the first statement of each change."""
    TicketLink.objects.filter(pk=link_id).update(next_seq=F("next_seq"))


def lanes_mend(now: datetime) -> int:
    """Free the head of every lane in which nothing can run although something waits; return how many.

    Nothing should leave a lane like that. If it ever happens, notes must not wait for ever.
    """
    lane = Delivery.objects.filter(link_id=OuterRef("link_id"), state__in=OPEN_STATES)
    stuck = (
        Delivery.objects.filter(state__in=OPEN_STATES, held_by=HeldBy.EARLIER)
        .exclude(Exists(lane.exclude(held_by__in=(HeldBy.EARLIER, HeldBy.DEAD))))
        .values_list("link_id", flat=True)
        .distinct()
    )
    link_ids = list(stuck[:20])
    for link_id in link_ids:
        with transaction.atomic():
            lane_lock(link_id)
            lane_recompute(link_id, now)
    return len(link_ids)


def hold_rest(delivery: Delivery) -> None:
    """Hold what follows a required delivery that died, within its unit; optional parts go on."""
    if not delivery.optional:
        Delivery.objects.filter(
            unit_id=delivery.unit_id,
            seq__gt=delivery.seq,
            state__in=(DeliveryState.READY, DeliveryState.RETRYING),
            optional=False,
        ).update(held_by=HeldBy.DEAD)


def lane_recompute(link_id: int, now: datetime) -> None:
    """Work out afresh who of a lane may run, after a person retried, edited or discarded something."""
    rows = list(
        Delivery.objects.filter(link_id=link_id)
        .filter(Q(state__in=OPEN_STATES) | Q(state=DeliveryState.DEAD))
        .order_by("seq")
    )
    dead_units = {row.unit_id for row in rows if row.state == DeliveryState.DEAD and not row.optional}
    seen_dead: set[int] = set()
    busy = any(row.state in IN_FLIGHT for row in rows)
    free = not busy
    for row in rows:
        if row.state == DeliveryState.DEAD:
            if row.unit_id in dead_units and not row.optional:
                seen_dead.add(row.unit_id)
            continue
        if row.state in IN_FLIGHT:
            continue
        if row.unit_id in seen_dead and not row.optional:
            wanted = HeldBy.DEAD
        elif free:
            wanted = HeldBy.NOTHING if row.held_by in (HeldBy.EARLIER, HeldBy.DEAD) else HeldBy(row.held_by)
            free = False
        else:
            wanted = HeldBy.EARLIER
        if row.held_by != wanted:
            row.held_by = wanted
            row.save(update_fields=["held_by"])


def unit_refresh(unit_id: int) -> None:
    """Store the state of a unit: blocked by one dead delivery, open by one open one, else done."""
    states = set(Delivery.objects.filter(unit_id=unit_id).values_list("state", flat=True))
    if DeliveryState.DEAD in states:
        state = UnitState.BLOCKED
    elif states & set(OPEN_STATES):
        state = UnitState.OPEN
    elif DeliveryState.DELIVERED in states:
        state = UnitState.DELIVERED
    else:
        state = UnitState.DISCARDED
    WorkUnit.objects.filter(pk=unit_id).exclude(state=state).update(state=state)
