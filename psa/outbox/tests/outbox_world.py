"""Owns the world of the state machine: its clock, its PSA, and what must always hold in the database."""

from __future__ import annotations

import logging
import sys
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.utils import timezone

from psa.models import Delivery, TicketLink, WorkUnit
from psa.models.delivery import OPEN_STATES, DeliveryState, HeldBy
from psa.outbox.lanes import IN_FLIGHT
from psa.outbox.tests.fake_psa import FakePsa

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class World:
    """One clock for the database, the models and the leases; one PSA for every connection."""

    def __init__(self) -> None:
        self.now = START
        self.psa = FakePsa()

    def reset(self) -> None:
        """Begin again with an empty PSA."""
        self.now, self.psa = START, FakePsa()

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make the outbox live in this world, without jitter and without log lines."""
        monkeypatch.setattr(timezone, "now", lambda: self.now)
        ticks = SimpleNamespace(
            **{**vars(time), "monotonic": lambda: (self.now - START).total_seconds()},
        )
        monkeypatch.setattr(logging.getLogger("psa.outbox"), "disabled", True)
        replaced = {
            "database_now": lambda: self.now,
            "provider_for": lambda _connection: self.psa,
            "_jitter": lambda: 0.0,
            "time": ticks,
        }
        for module in list(sys.modules.values()):
            if getattr(module, "__name__", "").startswith(("psa.outbox.", "psa.services.")):
                for name, value in replaced.items():
                    if hasattr(module, name):
                        monkeypatch.setattr(module, name, value)


def lanes() -> dict[int, list[Delivery]]:
    """Return the deliveries of each lane in their order."""
    found: dict[int, list[Delivery]] = defaultdict(list)
    for row in Delivery.objects.select_related("link").order_by("seq"):
        found[row.link_id].append(row)
    return found


def check_lane(rows: list[Delivery]) -> None:
    """At most one of a lane is in flight, only its head is free, and nothing waits for ever."""
    flying = [row for row in rows if row.state in IN_FLIGHT]
    waiting = [row for row in rows if row.state in OPEN_STATES and row.held_by != HeldBy.DEAD]
    free = [row for row in waiting if row.held_by == HeldBy.NOTHING]
    assert len(flying) <= 1, "two deliveries of one lane are in flight"
    assert len(free) <= 1, f"{len(free)} deliveries of a lane are free"
    assert not flying or free == flying, "something beside what is in flight is free"
    if free and not flying:
        assert free == waiting[:1], "not the head of the lane is free"
    if waiting and not free:
        assert waiting[0].held_by != HeldBy.EARLIER, "nothing of the lane can ever run"
    if flying and flying[0].state == DeliveryState.SENDING:
        leased = TicketLink.objects.filter(pk=flying[0].link_id).exclude(lease_token="")
        assert leased.exists(), "sending without a lease: nobody would ever notice a crash"


def check_ticket(rows: list[Delivery], psa: FakePsa) -> None:
    """What is called delivered stands on the ticket, once; what is called discarded does not.

    Only what the PSA committed after the last look may differ.
    """
    for row in rows:
        if not row.is_note:
            seen = (row.link.ticket_id, row.payload["status"]) in psa.statuses_set
            assert row.state != "delivered" or seen, f"status {row.pk} was never set"
            continue
        number = psa.count(row.marker)
        assert number <= 1 or row.marker in psa.late_doubles, f"{row.pk} is doubled"
        assert row.state != "delivered" or number, f"{row.pk} is called delivered and is not on the ticket"
        if row.state == "discarded" and number:
            late = any(marker == row.marker for _ticket, marker in psa.unseen)
            assert late, f"{row.pk} is called not posted and is on the ticket"


def check_units() -> None:
    """The state of each unit is the one its deliveries tell."""
    states: dict[int, set[str]] = defaultdict(set)
    for unit_id, state in Delivery.objects.order_by().values_list("unit_id", "state"):
        states[unit_id].add(state)
    for pk, state in WorkUnit.objects.order_by().values_list("pk", "state"):
        found = states[pk]
        if "dead" in found:
            wanted = "blocked"
        elif found & set(OPEN_STATES):
            wanted = "open"
        else:
            wanted = "delivered" if "delivered" in found else "discarded"
        assert state == wanted, f"unit {pk} is {state}, its deliveries are {sorted(found)}"


def check_order(rows: list[Delivery], psa: FakePsa, overtaken: set[int]) -> None:
    """Delivered notes of a lane came to the ticket in the order of their places.

    Left out are those that others were allowed to overtake, because they waited for a person.
    """
    wanted = [row for row in rows if row.is_note and row.state == "delivered" and row.pk not in overtaken]
    places = [psa.markers(row.link.ticket_id).index(row.marker) for row in wanted]
    assert places == sorted(places), "the notes are out of order on the ticket"
