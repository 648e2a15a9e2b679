"""How `psa_prune` runs: in batches, broken off, repeated, several at once; its settings and its command."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connections as databases
from django.db.models import Q
from django.utils import timezone

from psa.models import Delivery, WebhookReceipt, WorkUnit
from psa.outbox import prune as module
from psa.outbox.prune import prune
from psa.tests.conftest import World, world_make
from psa.tests.old_rows import (
    AGES,
    NEVER,
    NOTHING,
    Keep,
    UnitMake,
    old_rows_make,
    rows_left,
    unit_of,
)


@pytest.fixture
def now() -> datetime:
    return timezone.now()


@pytest.fixture
def keep(settings: Any) -> Keep:
    """Return a function that sets the `…_KEEP` settings, in days."""

    def keep(**days: int | None) -> None:
        values = {name: None if value is None else timedelta(days=value) for name, value in days.items()}
        settings.PSA = {**settings.PSA, **values}

    return keep


@pytest.fixture
def unit_make(ours: World, now: datetime) -> UnitMake:
    return lambda *states, **options: unit_of(ours, now, *states, **options)


def test_dry_run_changes_nothing_and_tells_what_would_go(ours: World, now: datetime, keep: Keep) -> None:
    keep(**AGES)
    old_rows_make(ours, now)
    before = rows_left()
    told = prune(now, dry_run=True)
    assert rows_left() == before
    assert told == prune(now)
    assert {name: told[name] > 0 for name in ("units", "attempts", "idempotency_records")} == {
        "units": True,
        "attempts": True,
        "idempotency_records": True,
    }


def test_second_run_finds_nothing(ours: World, now: datetime, keep: Keep) -> None:
    keep(**AGES)
    old_rows_make(ours, now)
    kept = prune(now)["kept"]
    assert prune(now) == NOTHING | {"kept": kept}


def test_small_batches_remove_the_same(
    ours: World, now: datetime, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(**AGES)
    old_rows_make(ours, now)
    told = prune(now, dry_run=True)
    monkeypatch.setattr(module, "AT_ONCE", 1)
    monkeypatch.setattr(module, "UNITS_AT_ONCE", 1)
    assert prune(now) == told


def test_run_that_is_told_to_stop_is_continued_by_the_next(
    ours: World, now: datetime, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(**AGES)
    old_rows_make(ours, now)
    told = prune(now, dry_run=True)
    monkeypatch.setattr(module, "UNITS_AT_ONCE", 1)
    turns = iter([True, True, True, True, False])
    first = prune(now, keep_going=lambda: next(turns))
    assert 0 < first["units"] < told["units"]
    second = prune(now)
    assert {name: first[name] + second[name] for name in told if name != "kept"} == {
        name: number for name, number in told.items() if name != "kept"
    }


@pytest.mark.django_db(transaction=True)
def test_run_that_dies_inside_a_batch_leaves_the_batch_whole(
    now: datetime, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(**AGES)
    unit_of(world_make("Northwind"), now, "delivered")
    real = module._units_remove

    def die(ids: list[int]) -> Any:
        real(ids)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_units_remove", die)
    with pytest.raises(KeyboardInterrupt):
        prune(now)
    assert (WorkUnit.objects.count(), Delivery.objects.filter(state="delivered").count()) == (2, 1)
    monkeypatch.setattr(module, "_units_remove", real)
    assert prune(now)["units"] == 1


@pytest.mark.django_db(transaction=True)
def test_two_runs_at_once_remove_each_row_once(
    now: datetime, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(**AGES)
    monkeypatch.setattr(module, "AT_ONCE", 3)
    monkeypatch.setattr(module, "UNITS_AT_ONCE", 2)
    world = world_make("Northwind")
    for _ in range(12):
        unit_of(world, now, "delivered", "delivered", attempts=2)
    found: list[dict[str, int]] = []
    start = threading.Barrier(2)

    def run() -> None:
        start.wait()
        try:
            found.append(prune(now))
        finally:
            databases.close_all()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert [sum(one[name] for one in found) for name in ("units", "deliveries", "attempts")] == [12, 24, 48]
    assert WorkUnit.objects.filter(~Q(state="blocked")).count() == 1


# Settings and command


@pytest.mark.parametrize("value", [timedelta(0), timedelta(days=-1), 90, "90 days"])
def test_bad_setting_removes_nothing(now: datetime, settings: Any, unit_make: UnitMake, value: Any) -> None:
    unit_make("delivered")
    settings.PSA = {**settings.PSA, "DELIVERIES_KEEP": value}
    before = rows_left()
    with pytest.raises(ImproperlyConfigured, match="DELIVERIES_KEEP"):
        prune(now)
    assert rows_left() == before


def test_none_keeps_for_ever(now: datetime, unit_make: UnitMake, keep: Keep) -> None:
    keep(**NEVER)
    WebhookReceipt.objects.update(state="processed", received_at=now - timedelta(days=9_000))
    unit_make("delivered", days=9_000)
    assert prune(now) == NOTHING


def output_of(*arguments: str) -> str:
    out = StringIO()
    call_command("psa_prune", *arguments, stdout=out)
    return out.getvalue()


def test_command_says_what_went_and_what_was_kept(ours: World, now: datetime, keep: Keep) -> None:
    keep(**AGES)
    old_rows_make(ours, now)
    before = rows_left()
    told = output_of("--dry-run")
    assert rows_left() == before
    assert "units: 2 to remove" in told
    done = output_of()
    assert done == told.replace("to remove", "removed")
    assert "kept because something else points at them: 1" in done


def test_command_that_is_broken_off_says_so(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_args: Any, **_options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("psa.management.commands.psa_prune.prune", interrupted)
    with pytest.raises(CommandError, match="next run goes on"):
        output_of()
