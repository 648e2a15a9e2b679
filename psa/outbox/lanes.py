"""Owns the order within a ticket's lane and the state of a unit, as its deliveries tell."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from django.db import transaction
from django.db.models import Exists, F, Max, OuterRef, Q

from psa.models import Delivery, TicketLink
from psa.models.delivery import OPEN_STATES, DeliveryState, HeldBy
from psa.outbox import statements

IN_FLIGHT = (DeliveryState.SENDING, DeliveryState.UNKNOWN)
LANES_A_TURN = 200
"""Lanes one turn of `lanes_mend` looks at."""
AT_ONCE = 500
"""Deliveries named in one statement: a lane may hold many, and databases take so many parameters only."""


def lanes_promote(link_ids: Collection[int], again: Collection[int], now: datetime) -> None:
    """Let the first open delivery of each lane run, if it was waiting only for its place.

    Shape: again has the deliveries just worked on that are to be tried again. One of them steps back behind
    what is earlier: a person may have put that there meanwhile, and only the head of a lane is free to run.
    """
    if again:
        earlier = Delivery.objects.filter(
            link_id=OuterRef("link_id"),
            seq__lt=OuterRef("seq"),
            state__in=OPEN_STATES,
            held_by=HeldBy.EARLIER,
        )
        Delivery.objects.filter(
            Exists(earlier),
            pk__in=again,
            state__in=(DeliveryState.READY, DeliveryState.RETRYING),
            held_by=HeldBy.NOTHING,
        ).update(held_by=HeldBy.EARLIER)
    if link_ids:
        statements.heads_free(link_ids, now)


def lane_lock(link_id: int) -> None:
    """Lock a lane until the end of the transaction, on every database; the first statement of each change."""
    TicketLink.objects.filter(pk=link_id).update(next_seq=F("next_seq"))


def lanes_mend(now: datetime) -> int:
    """Free the head of lanes in which nothing can run although something waits; return how many.

    Nothing should leave a lane like that. If it ever happens, notes must not wait for ever. A turn looks at
    some lanes only, beginning anywhere: it costs the same however many wait.
    """
    last = TicketLink.objects.aggregate(last=Max("pk"))["last"] or 0
    # Not a secret: only where to begin.
    found = statements.lanes_open(random.randint(0, last), LANES_A_TURN)  # noqa: S311
    if len(found) < LANES_A_TURN:
        found |= statements.lanes_open(0, LANES_A_TURN - len(found))
    stuck = [link_id for link_id, is_stuck in found.items() if is_stuck]
    for link_id in stuck:
        with transaction.atomic():
            lane_lock(link_id)
            lane_recompute(link_id, now)
    return len(stuck)


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
    lanes_recompute({link_id})


def lanes_recompute(link_ids: Collection[int]) -> None:
    """Work out afresh who of each lane may run, in one statement and a few more for what changes."""
    rows = Delivery.objects.filter(link_id__in=link_ids)
    rows = rows.filter(Q(state__in=OPEN_STATES) | Q(state=DeliveryState.DEAD)).order_by("link_id", "seq")
    places = rows.values_list("link_id", "pk", "unit_id", "state", "held_by", "optional")
    wanted: dict[HeldBy, list[int]] = {}
    for _link_id, lane in groupby(places, key=itemgetter(0)):
        for pk, held_by in _holds([_Place(*place[1:]) for place in lane]):
            wanted.setdefault(held_by, []).append(pk)
    for held_by, ids in wanted.items():
        for start in range(0, len(ids), AT_ONCE):
            Delivery.objects.filter(pk__in=ids[start : start + AT_ONCE]).update(held_by=held_by)


class _Place(NamedTuple):
    """What an open or dead delivery's place in its lane depends on."""

    pk: int
    unit_id: int
    state: str
    held_by: str
    optional: bool


def _holds(lane: list[_Place]) -> Iterator[tuple[int, HeldBy]]:
    """Yield which deliveries of a lane wait for something else than is stored, and for what."""
    seen_dead: set[int] = set()
    free = not any(row.state in IN_FLIGHT for row in lane)
    for row in lane:
        if row.state == DeliveryState.DEAD:
            if not row.optional:
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
            yield row.pk, wanted


def unit_refresh(unit_id: int) -> None:
    """Store the state of a unit, as its deliveries tell."""
    statements.units_settle([unit_id])
