"""What is claimed ahead keeps the wire busy, never carries more than is allowed, and is given back unsent."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from psa import services
from psa.models import Connection, Delivery, DeliveryAttempt, TicketLink
from psa.outbox import ahead, worker
from psa.outbox.claim import Claim
from psa.outbox.finish import Finished
from psa.outbox.tests.conftest import NOTES, notes_of, sent
from psa.outbox.worker import Worker
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Actor, NoteKind, NotePart

TICKETS = [str(number) for number in range(57050, 57061)]
IN_FLIGHT = 4


class Wire:
    """Counts the writes that are on the wire."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.now = 0
        self.most = 0
        self.work = worker.work

    def __call__(self, claim: Claim) -> Finished:
        if claim.look:
            return self.work(claim)
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            return self.work(claim)
        finally:
            with self.lock:
                self.now -= 1


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    wire = Wire()
    monkeypatch.setattr(worker, "work", wire)
    return wire


@pytest.fixture
def claimed_ahead(monkeypatch: pytest.MonkeyPatch) -> list[Claim]:
    """What was claimed ahead, in order."""
    claims: list[Claim] = []
    put = ahead.Ahead.put

    def noted(self: ahead.Ahead, claim: Claim) -> None:
        claims.append(claim)
        put(self, claim)

    monkeypatch.setattr(ahead.Ahead, "put", noted)
    return claims


@pytest.fixture
def queued(tenant: Any, actor: Actor, connection: Connection) -> list[TicketLink]:
    links = [services.ticket_link(tenant, connection.pk, ticket) for ticket in TICKETS]
    for number in range(2):
        for link in links:
            part = NotePart(NoteKind.ANALYSIS, f"{link.ticket_id}: {number}")
            services.unit_enqueue(tenant, link.pk, [part], actor=actor)
    return links


@pytest.mark.usefixtures("queued")
def test_the_wire_never_carries_more_than_is_allowed(
    sandbox: SandboxServer, wire: Wire, claimed_ahead: list[Claim]
) -> None:
    sandbox.faults.add("latency", method="POST", path=NOTES, seconds=0.03)
    Worker(16).run(once=True)
    assert Delivery.objects.filter(state="delivered").count() == 2 * len(TICKETS)
    assert wire.most == IN_FLIGHT
    assert len(claimed_ahead) > len(TICKETS)
    for ticket in TICKETS:
        first, second = notes_of(sandbox, ticket)
        assert f"{ticket}: 0" in first["text"]
        assert f"{ticket}: 1" in second["text"]


@pytest.mark.usefixtures("queued")
def test_looks_make_no_room_for_writes(
    sandbox: SandboxServer, wire: Wire, claimed_ahead: list[Claim]
) -> None:
    first = [Delivery.objects.filter(link__ticket_id=ticket).order_by("seq")[0].pk for ticket in TICKETS[:6]]
    Delivery.objects.filter(pk__in=first).update(state="unknown", sends=1, attempts=1)
    sandbox.faults.add("latency", method="POST", path=NOTES, seconds=0.05)
    Worker(16).run(once=True)
    assert Delivery.objects.filter(state="delivered").count() == 2 * len(TICKETS)
    assert claimed_ahead
    assert not any(claim.look for claim in claimed_ahead)
    assert wire.most == IN_FLIGHT


@pytest.mark.usefixtures("queued", "one_thread")
def test_a_worker_that_stops_gives_back_what_it_claimed_ahead(
    sandbox: SandboxServer, wire: Wire, claimed_ahead: list[Claim]
) -> None:
    sandbox.faults.add("latency", method="POST", path=NOTES, seconds=0.5)
    stopping = Worker(16)

    def stop_when_ahead() -> None:
        while not claimed_ahead:
            time.sleep(0.005)
        stopping.stop()

    watcher = threading.Thread(target=stop_when_ahead)
    watcher.start()
    stopping.run()
    watcher.join()
    assert (
        Delivery.objects.filter(state="delivered").count() == IN_FLIGHT == len(sent(sandbox, path="/notes"))
    )
    back = Delivery.objects.filter(pk__in=[claim.delivery_id for claim in claimed_ahead])
    assert {(row.state, row.held_by, row.sends, row.attempts) for row in back} == {("ready", "", 0, 0)}
    assert not TicketLink.objects.exclude(lease_token="").exists()
    assert DeliveryAttempt.objects.count() == IN_FLIGHT
    Worker(16).run(once=True)
    assert Delivery.objects.filter(state="delivered").count() == 2 * len(TICKETS)


@pytest.mark.usefixtures("queued")
def test_what_a_psa_in_trouble_is_asked_to_wait_for_is_not_sent(
    sandbox: SandboxServer, wire: Wire, claimed_ahead: list[Claim]
) -> None:
    sandbox.faults.add("latency", method="POST", path=NOTES, seconds=0.1)
    sandbox.faults.add("status", method="POST", path=NOTES, status=429)
    Worker(16).run(once=True)
    # Those on the wire were refused; nothing that was claimed ahead was tried after them.
    assert len(sent(sandbox, path="/notes")) == IN_FLIGHT
    assert claimed_ahead
    assert not Delivery.objects.filter(state="sending").exists()
    assert not TicketLink.objects.exclude(lease_token="").exists()


@pytest.mark.usefixtures("queued", "one_thread")
def test_what_waits_too_long_is_given_back_to_others(
    sandbox: SandboxServer,
    wire: Wire,
    claimed_ahead: list[Claim],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ahead, "AHEAD_AT_MOST_S", 0.1)
    sandbox.faults.add("latency", method="POST", path=NOTES, seconds=1.0, count=IN_FLIGHT)
    slow = Worker(16)
    seen: list[int] = []

    def look() -> None:
        while not claimed_ahead:
            time.sleep(0.005)
        time.sleep(0.5)
        seen.append(len(slow._ahead))
        slow.stop()

    watcher = threading.Thread(target=look)
    watcher.start()
    slow.run()
    watcher.join()
    # Claimed again as soon as they were given back; none of them waited longer than it may.
    assert len(claimed_ahead) > 2 * ahead.AHEAD
    assert seen
    assert seen[0] <= ahead.AHEAD
    assert len(sent(sandbox, path="/notes")) == IN_FLIGHT
