"""Owns which delivery runs next: due heads of free lanes, a fair share for each connection."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from psa.conf import psa_settings
from psa.models import Connection, Delivery, MemberMapping, TicketLink
from psa.models.connection import ConnectionState
from psa.models.delivery import DUE_STATES, DeliveryState, HeldBy
from psa.providers.base import Provider

FLOWING_STATES = (ConnectionState.CONNECTED, ConnectionState.UNVERIFIED)
"""Connections whose queue runs. The others are probed until they flow again."""

Rooms = Callable[[int], int]
"""Connection id → how many more lanes this process gives it now."""

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


def in_flight(connection_ids: list[int]) -> dict[int, int]:
    """Return how many deliveries of each connection are being sent, over all processes."""
    return dict(
        Delivery.objects.filter(state=DeliveryState.SENDING, connection_id__in=connection_ids)
        .order_by()
        .values_list("connection_id")
        .annotate(number=Count("pk"))
    )


def _lane_in_flight() -> Exists:
    """True where another delivery of the lane is sending or unknown: nothing overtakes it."""
    others = Delivery.objects.filter(
        link_id=OuterRef("link_id"), state__in=(DeliveryState.SENDING, DeliveryState.UNKNOWN)
    )
    return Exists(others.exclude(pk=OuterRef("pk")))


def claim_due(
    now: datetime, free_lanes: int, *, rooms: Rooms | None = None, link_id: int | None = None
) -> list[tuple[Delivery, str]]:
    """Lease up to free_lanes due deliveries and return them with their lease tokens.

    One transaction. Connections are taken in random order and share the lanes, so that no tenant starves
    another; none gets more than MAX_WRITES_IN_FLIGHT at once over all processes (its row is locked while
    we count), nor more than `rooms` allows here. link_id keeps to the lane of one ticket.
    """
    current = psa_settings()
    found = due(now) if link_id is None else due(now).filter(link_id=link_id)
    with transaction.atomic():
        waiting = Connection.objects.filter(
            flowing(now), Exists(found.filter(connection_id=OuterRef("pk")))
        ).only("pk")
        if database.features.has_select_for_update_skip_locked:
            # no_key: who queues holds a lane and then points at the connection; a full lock would deadlock.
            waiting = waiting.select_for_update(skip_locked=True, of=("self",), no_key=True)
        ids = [row.pk for row in waiting]
        if not ids:
            return []
        # Not a secret: only the order in which connections are served.
        random.shuffle(ids)
        sending = in_flight(ids)
        queues: list[list[Delivery]] = []
        for pk in ids:
            if len(queues) == free_lanes:
                break
            room = min(free_lanes, current.MAX_WRITES_IN_FLIGHT - sending.get(pk, 0))
            room = min(room, rooms(pk)) if rooms else room
            if room > 0:
                ready = list(
                    found.filter(connection_id=pk)
                    .filter(Q(link__lease_token="") | Q(link__lease_expires_at__lt=now), ~_lane_in_flight())
                    .select_related("link", "connection", "unit")
                    .order_by("due_at", "id")[:room]
                )
                queues += [ready] if ready else []
        wanted: list[Delivery] = []
        while queues and len(wanted) < free_lanes:
            for queue in queues[: free_lanes - len(wanted)]:
                wanted.append(queue.pop(0))
            queues = [queue for queue in queues if queue]
        return _lease(wanted, now, current.LEASE_S) if wanted else []


def _lease(wanted: list[Delivery], now: datetime, lease_s: float) -> list[tuple[Delivery, str]]:
    """Lease the lanes of deliveries and return what was leased; the rest somebody else was faster with."""
    token = secrets.token_hex(16)
    lanes = [row.link_id for row in wanted]
    free = TicketLink.objects.filter(Q(lease_token="") | Q(lease_expires_at__lt=now), pk__in=lanes)
    got = free.update(lease_token=token, lease_expires_at=now + timedelta(seconds=lease_s))
    if got < len(lanes):
        leased = set(TicketLink.objects.filter(pk__in=lanes, lease_token=token).values_list("pk", flat=True))
        wanted = [row for row in wanted if row.link_id in leased]
    looked_for = [row.pk for row in wanted if row.state == DeliveryState.UNKNOWN]
    if looked_for:
        # Settled by a worker whose lease had run out: there is nothing to look for any more.
        still = set(
            Delivery.objects.filter(pk__in=looked_for, state=DeliveryState.UNKNOWN).values_list(
                "pk", flat=True
            )
        )
        wanted = _given_back(wanted, [pk for pk in looked_for if pk not in still], token)
    to_send = [row.pk for row in wanted if row.state != DeliveryState.UNKNOWN]
    ready = Delivery.objects.filter(pk__in=to_send, state__in=DUE_STATES, held_by=HeldBy.NOTHING)
    if ready.update(state=DeliveryState.SENDING) < len(to_send):
        # Discarded, or put back, between our reading and our lease.
        sending = set(
            Delivery.objects.filter(pk__in=to_send, state=DeliveryState.SENDING).values_list("pk", flat=True)
        )
        wanted = _given_back(wanted, [pk for pk in to_send if pk not in sending], token)
    return [(row, token) for row in wanted]


def _given_back(wanted: list[Delivery], lost: list[int], token: str) -> list[Delivery]:
    """Give back the lanes of deliveries that are not to be worked on after all; return the others."""
    if lost:
        lanes = [row.link_id for row in wanted if row.pk in lost]
        TicketLink.objects.filter(pk__in=lanes, lease_token=token).update(
            lease_token="", lease_expires_at=None
        )
    return [row for row in wanted if row.pk not in lost]


def members_for(deliveries: list[Delivery]) -> dict[tuple[int, int], MemberMapping]:
    """Return the active mappings of the deliveries' authors, by connection and user, in one query."""
    users = {row.created_by_id for row in deliveries if row.created_by_id is not None}
    if not users:
        return {}
    found = MemberMapping.objects.filter(
        active=True, user_id__in=users, connection_id__in={row.connection_id for row in deliveries}
    )
    return {(row.connection_id, row.user_id): row for row in found if row.user_id is not None}


def looks_first(delivery: Delivery) -> bool:
    """True when a person retried what may be on the ticket: whoever presses Retry, it is looked up before."""
    retried = delivery.state == DeliveryState.READY and delivery.attempts == 0
    return retried and delivery.sends > 0 and bool(delivery.marker)


def claim_of(
    delivery: Delivery, token: str, provider: Provider, mapping: MemberMapping | None, now: datetime
) -> Claim:
    """Return the claim a lane works on."""
    return Claim(
        delivery_id=delivery.pk,
        connection_id=delivery.connection_id,
        link_id=delivery.link_id,
        unit_id=delivery.unit_id,
        token=token,
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
        author_name=mapping.member_name if mapping else delivery.created_by_name,
        snapshot_stale=delivery.link.updated_at < now - SNAPSHOT_FRESH,
        claimed_at=time.monotonic(),
        provider=provider,
    )
