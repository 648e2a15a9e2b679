"""Two hosts whose clocks differ, and a worker that was paused: leases hold by one clock, the database's."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection as database
from django.utils import timezone

from psa.database import database_now
from psa.models import Delivery, TicketLink
from psa.outbox import claim, lane, schedule
from psa.outbox.claim import Claim
from psa.outbox.dispatch import claims_take
from psa.outbox.finish import Finished, finish
from psa.outbox.tests.conftest import NOTES, sent
from psa.providers.connectwise.sandbox.server import SandboxServer

Post = Callable[..., Delivery]
Run = Callable[..., None]
Stored = Callable[[], list[dict[str, Any]]]
SKEW = timedelta(minutes=1)

one_host = pytest.mark.skipif(
    "database.vendor == 'sqlite'", reason="SQLite is for one host, and a host has one clock"
)


@one_host
@pytest.mark.parametrize("skew", [SKEW, -SKEW])
def test_a_host_whose_clock_is_wrong_takes_nobody_s_lease(post: Post, skew: timedelta) -> None:
    post()
    assert len(claims_take(database_now(), 1)) == 1
    with time_machine.travel(timezone.now() + skew, tick=True):
        schedule.leases_expire(database_now())
        assert claims_take(database_now(), 1) == []
    assert Delivery.objects.get().state == "sending"


@one_host
@pytest.mark.parametrize("skew", [SKEW, -SKEW])
def test_what_a_host_with_a_wrong_clock_sends_is_there_once(
    skew: timedelta, post: Post, run: Run, stored: Stored, sandbox: SandboxServer
) -> None:
    sandbox.faults.add(method="POST", path=NOTES, kind="drop_after", count=1)
    for number in range(4):
        post(f"Note {number}")
    with time_machine.travel(timezone.now() + skew, tick=True):
        run()
    run()
    assert {row.state for row in Delivery.objects.all()} == {"delivered"}
    assert len(stored()) == 4


def test_a_lease_ends_by_the_database_s_clock(post: Post, settings: Any) -> None:
    post()
    before = database_now()
    claims_take(before, 1)
    lease = TicketLink.objects.get().lease_expires_at
    assert lease == before + timedelta(seconds=settings.PSA.get("LEASE_S", 45))


def paused(post: Post) -> Claim:
    """Return the claim of a worker that was stopped before it sent, and whose lease has run out since."""
    post()
    [held] = claims_take(database_now(), 1)
    TicketLink.objects.update(lease_expires_at=database_now() - timedelta(seconds=1))
    return held


def resumed(held: Claim, lease_s: float) -> Claim:
    """Return the claim as its worker sees it when it goes on: its own clock ran while it was stopped."""
    object.__setattr__(held, "claimed_at", time.monotonic() - lease_s)
    return held


def test_a_worker_paused_before_it_sent_sends_nothing_when_it_goes_on(
    post: Post, run: Run, stored: Stored, sandbox: SandboxServer
) -> None:
    held = paused(post)
    run()
    for _ in range(3):
        run(later=True)
    assert len(stored()) == 1
    outcome = lane.attempt(resumed(held, 46))
    assert (outcome.code, len(sent(sandbox)), len(stored())) == ("lease-too-short", 1, 1)
    finish([Finished(held, outcome, timezone.now(), 1)], timezone.now())
    assert Delivery.objects.get().state == "delivered"


def test_a_worker_paused_after_it_sent_changes_nothing_when_it_goes_on(
    post: Post, run: Run, stored: Stored, sandbox: SandboxServer
) -> None:
    held = paused(post)
    outcome = lane.attempt(held)
    run()
    for _ in range(3):
        run(later=True)
    delivery = Delivery.objects.get()
    assert (delivery.state, len(stored())) == ("delivered", 1)
    before = delivery.attempt_rows.count()
    finish([Finished(held, outcome, timezone.now(), 1)], timezone.now())
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempt_rows.count()) == ("delivered", before)


def test_two_workers_that_go_on_at_once_look_before_anything_is_sent_again(
    post: Post, run: Run, stored: Stored, sandbox: SandboxServer
) -> None:
    first = paused(post)
    schedule.leases_expire(database_now())
    Delivery.objects.update(due_at=database_now())
    [second] = claims_take(database_now(), 1)
    assert second.look is True
    TicketLink.objects.update(lease_expires_at=database_now() - timedelta(seconds=1))
    outcomes = [lane.attempt(resumed(held, 46)) for held in (first, second)]
    assert [outcome.code for outcome in outcomes] == ["lease-too-short"] * 2
    for held, outcome in zip((first, second), outcomes, strict=True):
        finish([Finished(held, outcome, timezone.now(), 1)], timezone.now())
    for _ in range(4):
        run(later=True)
    assert (Delivery.objects.get().state, len(stored()), len(sent(sandbox))) == ("delivered", 1, 1)


def test_the_clock_that_counts_is_not_the_host_s(post: Post) -> None:
    if database.vendor == "sqlite":
        pytest.skip("SQLite has no clock but the host's")
    with time_machine.travel(timezone.now() + timedelta(hours=1), tick=True):
        assert abs((database_now() - timezone.now()).total_seconds() + 3600) < 5
    assert claim.due(database_now()).count() == 0


@pytest.mark.django_db
def test_a_claim_that_waited_for_a_lock_believes_no_longer_lease_than_it_has(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    post()
    real = claim._lease

    def slow(*args: Any) -> Any:
        time.sleep(0.5)
        return real(*args)

    monkeypatch.setattr(claim, "_lease", slow)
    now = database_now()
    [held] = claims_take(now, 1)
    left = (TicketLink.objects.get().lease_expires_at - database_now()).total_seconds()
    assert held.lease_left_s() <= left + 0.1


def test_an_unknown_delivery_somebody_settled_meanwhile_is_not_looked_for_again(
    post: Post, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = post()
    Delivery.objects.update(state="unknown")
    real = claim._lease

    def settled_meanwhile(*args: Any) -> Any:
        Delivery.objects.update(state="delivered")
        return real(*args)

    monkeypatch.setattr(claim, "_lease", settled_meanwhile)
    assert claims_take(database_now(), 1) == []
    delivery.refresh_from_db()
    assert delivery.state == "delivered"
    assert TicketLink.objects.get().lease_token == ""
