"""Owns which delivery runs next: due heads of free lanes, a fair share for each connection."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Q, QuerySet

from psa.conf import psa_settings
from psa.models import Connection, Delivery, MemberMapping, TicketLink
from psa.models.connection import FLOWING_STATES
from psa.models.delivery import DUE_STATES, DeliveryKind, DeliveryState, HeldBy
from psa.outbox import statements
from psa.providers.base import Provider

Rooms = Callable[[int], int]
"""Connection id → how many more lanes this process gives it now."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What of one connection's claims a process knows better than the database."""

    answered: int = 0
    """Writes that are over, though not written down yet."""
    ahead: int = 0
    """Claims that wait here for a write to end: they are not on the wire."""
    more_ahead: int = 0
    """How many more the process wants to claim ahead."""


class Taken(NamedTuple):
    """A delivery as it was when it was claimed."""

    delivery: Delivery
    token: str
    ahead: bool = False
    """True when it may only be sent as the next of a write of its connection that ends in this process."""


SNAPSHOT_FRESH = timedelta(minutes=15)
"""A ticket read longer ago than this is read again before a note: it may have been merged meanwhile."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One delivery a lane may work on until its lease ends. Carries everything: lanes ask no database."""

    delivery_id: int
    connection_id: int
    link_id: int
    unit_id: int
    token: str
    """Proves the lease of this lane; one claim of several lanes gives all of them the same."""
    look: bool
    """True when the delivery is looked up, False when it is sent."""
    kind: str
    payload: dict[str, Any] = field(repr=False)
    marker: str
    part: int
    parts: int
    attempts: int
    sends: int
    ticket_id: str
    record_type: str
    board_id: str
    author_member_id: str
    """Member shown as author, empty for the API member."""
    author_name: str
    """Name of that member, else of the person who pressed Post."""
    snapshot_stale: bool
    """True when the ticket is to be read before a note is written to it."""
    claimed_at: float
    """time.monotonic() right before the claim, never later than what the lease counts from."""
    ahead: bool
    """See `Taken`."""
    provider: Provider = field(repr=False)

    @property
    def key(self) -> tuple[int, str]:
        """What tells this claim from every other one."""
        return self.link_id, self.token

    def lease_left_s(self) -> float:
        """Return how many seconds of the lease remain."""
        return psa_settings().LEASE_S - (time.monotonic() - self.claimed_at)


def flowing(now: datetime) -> Q:
    """Return the condition for connections whose queue runs at this moment."""
    return Q(deleted_at=None, state__in=FLOWING_STATES) & (Q(not_before=None) | Q(not_before__lte=now))


def due(now: datetime) -> QuerySet[Delivery]:
    """Return the deliveries whose time has come and that nothing holds."""
    return Delivery.objects.filter(state__in=DUE_STATES, held_by=HeldBy.NOTHING, due_at__lte=now)


def claim_due(
    now: datetime,
    free_lanes: int,
    *,
    rooms: Rooms | None = None,
    standings: Mapping[int, Standing] | None = None,
    link_id: int | None = None,
) -> list[Taken]:
    """Lease up to free_lanes due deliveries, and those that are claimed ahead, and return them.

    One transaction. Connections are taken in random order and share the lanes, so that no tenant starves
    another; none gets more than MAX_WRITES_IN_FLIGHT at once over all processes (its row is locked while
    we count), nor more than `rooms` allows here. standings tells of each connection what the database
    cannot. link_id keeps to the lane of one ticket. What is returned has the state it was claimed in.
    """
    most = psa_settings().MAX_WRITES_IN_FLIGHT
    with transaction.atomic():
        ids = statements.connections_due(now, link_id)
        if not ids:
            return []
        # Not a secret: only the order in which connections are served.
        random.shuffle(ids)
        sending = statements.in_flight(ids)
        shares: list[_Share] = []
        for pk in ids:
            known = (standings or {}).get(pk, Standing())
            room = min(free_lanes, most - sending.get(pk, 0) + known.answered + known.ahead)
            room = max(min(room, rooms(pk)) if rooms else room, 0)
            if room + known.more_ahead > 0:
                shares.append(_Share(pk, room, known.more_ahead))
        wanted, ahead = _wanted(shares, free_lanes, now, link_id)
        return _lease(wanted, ahead, now) if wanted or ahead else []


class _Share(NamedTuple):
    """What a connection may get of one claim."""

    connection_id: int
    room: int
    ahead: int


def _wanted(
    shares: list[_Share], free_lanes: int, now: datetime, link_id: int | None
) -> tuple[list[statements.Head], list[statements.Head]]:
    """Return up to free_lanes heads, one of each connection in turn, and those to be claimed ahead."""
    wanted: list[statements.Head] = []
    found: dict[int, list[statements.Head]] = {}
    ahead = [share for share in shares if share.ahead]
    roomy = [share for share in shares if share.room] if free_lanes else []
    for start in range(0, len(roomy), free_lanes or 1):
        part = roomy[start : start + free_lanes]
        found |= _heads({*part, *ahead} if not start else part, now, link_id)
        queues = [found[share.connection_id][: share.room] for share in part if share.connection_id in found]
        while queues and len(wanted) < free_lanes:
            wanted += [queue.pop(0) for queue in queues[: free_lanes - len(wanted)]]
            queues = [queue for queue in queues if queue]
        if len(wanted) == free_lanes:
            break
    if ahead and not roomy:
        found = _heads(ahead, now, link_id)
    begun = {head.delivery_id for head in wanted}
    later: list[statements.Head] = []
    for share in ahead:
        # A look is not counted as in flight, so it could not take the place of what is.
        rest = [
            head
            for head in found.get(share.connection_id, [])
            if head.delivery_id not in begun and head.state != DeliveryState.UNKNOWN
        ]
        later += rest[: share.ahead]
    return wanted, later


def _heads(
    shares: Collection[_Share], now: datetime, link_id: int | None
) -> dict[int, list[statements.Head]]:
    return statements.heads_due(
        [(share.connection_id, share.room + share.ahead) for share in shares], now, link_id
    )


def _lease(wanted: list[statements.Head], ahead: list[statements.Head], now: datetime) -> list[Taken]:
    """Lease the lanes of deliveries and return what was leased; the rest somebody else was faster with."""
    later = {head.delivery_id for head in ahead}
    wanted = [*wanted, *ahead]
    token = secrets.token_hex(16)
    until = now + timedelta(seconds=psa_settings().LEASE_S)
    links = statements.lanes_lease([head.link_id for head in wanted], token, now, until)
    wanted = [head for head in wanted if head.link_id in links]
    to_look = {head.delivery_id for head in wanted if head.state == DeliveryState.UNKNOWN}
    found = statements.sending_mark({head.delivery_id for head in wanted} - to_look)
    looked_for = statements.rows_of(Delivery, to_look)
    found |= {pk: row for pk, row in looked_for.items() if row.state == DeliveryState.UNKNOWN}
    connections = statements.rows_of(Connection, {row.connection_id for row in found.values()})
    taken: list[Taken] = []
    lost: list[int] = []
    for head in wanted:
        row = found.get(head.delivery_id)
        if row is None:
            # Settled, discarded or put back between our reading and our lease.
            lost.append(head.link_id)
            continue
        row.state, row.link, row.connection = head.state, links[row.link_id], connections[row.connection_id]
        taken.append(Taken(row, token, row.pk in later))
    if lost:
        TicketLink.objects.filter(pk__in=lost, lease_token=token).update(
            lease_token="", lease_expires_at=None
        )
    return taken


def author_id(delivery: Delivery) -> int | None:
    """Return whose name a delivery carries: time is its engineer's, all else that of who posted it."""
    if delivery.kind == DeliveryKind.TIME:
        engineer: int | None = delivery.payload["engineer"]["id"]
        return engineer
    return delivery.created_by_id


def members_for(deliveries: list[Delivery]) -> dict[tuple[int, int], MemberMapping]:
    """Return the active mappings of the deliveries' authors, by connection and user, in one query."""
    users = {user_id for row in deliveries if (user_id := author_id(row)) is not None}
    if not users:
        return {}
    found = statements.mappings_of(users, {row.connection_id for row in deliveries})
    return {(row.connection_id, row.user_id): row for row in found if row.user_id is not None}


def looks_first(delivery: Delivery) -> bool:
    """True when a person retried what may be on the ticket: whoever presses Retry, it is looked up before."""
    # Once its looks are over it is retrying, still without an attempt, and is sent.
    retried = delivery.state == DeliveryState.READY and delivery.attempts == 0
    return retried and delivery.sends > 0 and bool(delivery.marker)


def claim_of(taken: Taken, provider: Provider, mapping: MemberMapping | None, now: datetime) -> Claim:
    """Return the claim a lane works on."""
    delivery = taken.delivery
    is_time = delivery.kind == DeliveryKind.TIME
    person = delivery.payload["engineer"]["name"] if is_time else delivery.created_by_name
    return Claim(
        delivery_id=delivery.pk,
        connection_id=delivery.connection_id,
        link_id=delivery.link_id,
        unit_id=delivery.unit_id,
        token=taken.token,
        look=delivery.state == DeliveryState.UNKNOWN or looks_first(delivery),
        kind=delivery.kind,
        payload=delivery.payload,
        marker=delivery.marker,
        part=delivery.part,
        parts=delivery.parts,
        attempts=delivery.attempts,
        sends=delivery.sends,
        ticket_id=delivery.link.ticket_id,
        record_type=delivery.link.record_type,
        board_id=delivery.link.board_id,
        author_member_id=mapping.member_id if mapping else "",
        author_name=mapping.member_name if mapping else person,
        snapshot_stale=delivery.link.updated_at < now - SNAPSHOT_FRESH,
        claimed_at=time.monotonic(),
        ahead=taken.ahead,
        provider=provider,
    )
