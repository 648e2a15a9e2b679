"""Totals of attempts count each attempt once, whoever counts and whenever rows are committed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection as database
from django.db import connections as databases
from django.db import transaction
from django.utils import timezone

from psa.models import AttemptCursor, AttemptTotal, Delivery, DeliveryAttempt
from psa.outbox import totals as module
from psa.outbox.totals import attempt_totals_roll, counted_id
from psa.tests.conftest import World, world_make


def attempts_make(delivery: Delivery, *durations_ms: int, **changes: Any) -> list[DeliveryAttempt]:
    values = {"action": "send", "outcome": "delivered", "started_at": timezone.now()} | changes
    return [
        DeliveryAttempt.objects.create(delivery=delivery, duration_ms=duration_ms, **values)
        for duration_ms in durations_ms
    ]


def roll() -> int:
    return attempt_totals_roll(timezone.now())


def counted() -> int:
    return sum(AttemptTotal.objects.values_list("count", flat=True))


@pytest.fixture
def delivery(ours: World) -> Delivery:
    """Return a delivery that was never tried."""
    DeliveryAttempt.objects.all().delete()
    return ours.delivery


def test_attempts_are_counted_by_provider_action_kind_and_outcome(ours: World, theirs: World) -> None:
    DeliveryAttempt.objects.all().delete()
    Delivery.objects.filter(pk=theirs.delivery.pk).update(kind="status")
    attempts_make(ours.delivery, 10, 20)
    attempts_make(ours.delivery, 30, action="look", outcome="found")
    attempts_make(ours.delivery, 40, outcome="psa-refused")
    attempts_make(theirs.delivery, 50)
    assert roll() == 5
    found = AttemptTotal.objects.values_list(
        "provider", "action", "kind", "outcome", "count", "duration_ms_sum"
    )
    assert set(found) == {
        ("dummy", "send", "analysis", "delivered", 2, 30),
        ("dummy", "look", "analysis", "found", 1, 30),
        ("dummy", "send", "analysis", "psa-refused", 1, 40),
        ("dummy", "send", "status", "delivered", 1, 50),
    }


def test_durations_are_counted_at_or_below_each_bound(delivery: Delivery) -> None:
    attempts_make(delivery, 0, 50, 51, 1_000, 30_000, 30_001)
    roll()
    total = AttemptTotal.objects.get()
    #                          50 100 250 500 1 s 2.5 5 10 30 s
    assert total.buckets == [2, 3, 3, 3, 4, 4, 4, 4, 5]
    assert (total.count, total.duration_ms_sum) == (6, 61_102)


def test_each_attempt_is_counted_once(delivery: Delivery) -> None:
    attempts_make(delivery, 1, 2)
    assert (roll(), roll()) == (2, 0)
    attempts_make(delivery, 3)
    assert (roll(), roll(), counted()) == (1, 0, 3)
    assert AttemptTotal.objects.get().buckets[0] == 3


def test_counting_goes_on_after_every_attempt_was_removed(delivery: Delivery) -> None:
    attempts_make(delivery, 1, 2)
    roll()
    DeliveryAttempt.objects.all().delete()
    roll()
    attempts_make(delivery, 3)
    roll()
    assert counted() == 3


def test_long_history_is_counted_in_steps(delivery: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    rows = attempts_make(delivery, 1, 2, 3, 4, 5)
    assert roll() == 5
    assert (counted(), counted_id()) == (5, rows[-1].pk)


def test_nothing_to_count_is_no_error(db: None) -> None:
    assert (roll(), counted_id(), AttemptTotal.objects.count()) == (0, 0, 0)


def test_cursor_tells_when_the_totals_were_up_to_date(db: None) -> None:
    now = timezone.now()
    attempt_totals_roll(now)
    assert AttemptCursor.objects.get().rolled_at == now


@pytest.mark.django_db(transaction=True)
def test_step_that_fails_is_taken_again_by_the_next_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 1)
    delivery = world_make("Northwind").delivery
    attempts_make(delivery, 1, 2)
    real, calls = module._count, []

    def fail_once(low: int, high: int) -> int:
        calls.append(low)
        done = real(low, high)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return done

    monkeypatch.setattr(module, "_count", fail_once)
    with pytest.raises(KeyboardInterrupt):
        roll()
    before = counted()
    roll()
    assert (before < 3, counted()) == (True, 3)


@pytest.mark.django_db(transaction=True)
def test_processes_that_count_at_once_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 5)
    delivery = world_make("Northwind").delivery
    attempts_make(delivery, *[7] * 99)
    found: list[int] = []
    start = threading.Barrier(4)

    def run() -> None:
        start.wait()
        try:
            found.append(roll() + roll())
        finally:
            databases.close_all()

    in_threads(*[run] * 4)
    assert len(found) == 4
    assert (sum(found), counted()) == (100, 100)


@pytest.mark.django_db(transaction=True)
def test_a_claim_that_another_process_took_counts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts_make(world_make("Northwind").delivery, 1, 2)
    real = module._writers

    def overtaken() -> set[str]:
        # Between reading the cursor and claiming, somebody else counts to the mark.
        AttemptCursor.objects.filter(seen_id__gt=0).update(counted_id=AttemptCursor.objects.get().seen_id)
        return real()

    monkeypatch.setattr(module, "_writers", overtaken)
    assert (roll(), counted()) == (0, 0)


@pytest.mark.skipif(database.vendor != "postgresql", reason="SQLite commits one writer after the other")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("rolls", [1, 3])
def test_lower_id_that_is_committed_later_is_counted(rolls: int) -> None:
    delivery = world_make("Northwind").delivery
    roll()
    written, release = threading.Event(), threading.Event()

    def slow_writer() -> None:
        try:
            with transaction.atomic():
                attempts_make(delivery, 1)
                written.set()
                release.wait(20)
        finally:
            databases.close_all()

    def others() -> None:
        try:
            assert written.wait(20)
            # A higher id is there before the lower one, however often totals are rolled meanwhile.
            attempts_make(delivery, 2)
            assert [roll() for _ in range(rolls)] == [0] * rolls
        finally:
            release.set()
            databases.close_all()

    in_threads(slow_writer, others)
    roll()
    assert counted() == 3


def in_threads(*works: Callable[[], None]) -> None:
    """Run functions at once; an error of one fails the test."""
    errors: list[Exception] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as exc:  # noqa: BLE001  handed to the test
            errors.append(exc)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
