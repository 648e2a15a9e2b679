"""`psa_prune` removes what is old and settled, in small steps, and nothing that anybody still needs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connections as databases
from django.db.models import Q
from django.utils import timezone

from psa.models import (
    AttemptTotal,
    AuditEntry,
    Delivery,
    DeliveryAttempt,
    IdempotencyRecord,
    TicketLink,
    WebhookReceipt,
    WorkUnit,
)
from psa.outbox import prune as module
from psa.outbox.lanes import unit_refresh
from psa.outbox.prune import prune
from psa.tests.conftest import World, world_make
from resolutionflow.sessions.models import FlowSession, SessionState

NOTHING = dict.fromkeys(module.KINDS, 0)
AGES = {"IDEMPOTENCY_KEEP": 30, "ATTEMPTS_KEEP": 90, "RECEIPTS_KEEP": 14, "DELIVERIES_KEEP": 365}
NEVER = {"ATTEMPTS_KEEP": None, "RECEIPTS_KEEP": None, "DELIVERIES_KEEP": None}
UnitMake = Callable[..., WorkUnit]
Keep = Callable[..., None]


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


def unit_of(world: World, now: datetime, *states: str, days: int = 400, attempts: int = 1) -> WorkUnit:
    """Store a unit with a delivery of each state, posted and tried so many days ago."""
    at = now - timedelta(days=days)
    unit = WorkUnit.objects.create(tenant=world.account, link=world.link, created_by_name="Ann")
    WorkUnit.objects.filter(pk=unit.pk).update(created_at=at)
    for state in states:
        link = TicketLink.objects.get(pk=world.link.pk)
        delivery = Delivery.objects.create(
            tenant=world.account,
            connection=world.connection,
            link=link,
            unit=unit,
            kind="analysis",
            seq=link.next_seq,
            payload={"text": "x"},
            marker=f"RF-{unit.pk}-{link.next_seq}",
            state=state,
            due_at=at,
            created_by_name="Ann",
            delivered_at=at if state == "delivered" else None,
        )
        Delivery.objects.filter(pk=delivery.pk).update(created_at=at)
        TicketLink.objects.filter(pk=link.pk).update(next_seq=link.next_seq + 1)
        for _ in range(attempts):
            attempt_of(delivery, at)
    unit_refresh(unit.pk)
    unit.refresh_from_db()
    return unit


def attempt_of(delivery: Delivery, at: datetime) -> DeliveryAttempt:
    return DeliveryAttempt.objects.create(
        delivery=delivery, action="send", started_at=at, duration_ms=7, outcome="delivered"
    )


@pytest.fixture
def unit_make(ours: World, now: datetime) -> UnitMake:
    return lambda *states, **options: unit_of(ours, now, *states, **options)


def record_make(world: World, now: datetime, key: str, days: int, **names: Any) -> IdempotencyRecord:
    record = IdempotencyRecord.objects.create(
        tenant=world.account, caller="user:1", key=key, fingerprint="f", **names
    )
    IdempotencyRecord.objects.filter(pk=record.pk).update(created_at=now - timedelta(days=days))
    return record


def session_pointing_at(world: World, unit: WorkUnit) -> FlowSession:
    return FlowSession.objects.create(
        account=world.account,
        title="Printer",
        state=SessionState.COMPLETED,
        outcome="resolved",
        started_at=timezone.now() - timedelta(days=400),
        completed_at=timezone.now(),
        unit=unit,
    )


def rows_left() -> list[int]:
    models = (
        WorkUnit,
        Delivery,
        DeliveryAttempt,
        IdempotencyRecord,
        WebhookReceipt,
        AuditEntry,
        AttemptTotal,
    )
    return [model.objects.count() for model in models]


# Idempotency records


@pytest.mark.parametrize(
    ("state", "days", "left"),
    [
        ("delivered", 31, False),
        ("discarded", 31, False),
        ("delivered", 29, True),
        ("dead", 400, True),
        ("ready", 400, True),
        ("unknown", 400, True),
    ],
)
def test_key_is_remembered_while_its_delivery_is_not_settled(
    ours: World, now: datetime, unit_make: UnitMake, state: str, days: int, left: bool
) -> None:
    delivery = unit_make(state, attempts=0).deliveries.get()
    record_make(ours, now, "a", days, delivery=delivery)
    assert prune(now)["idempotency_records"] == (not left)
    assert IdempotencyRecord.objects.exists() == left


@pytest.mark.parametrize(("states", "left"), [(["delivered", "discarded"], 0), (["delivered", "dead"], 1)])
def test_key_is_remembered_while_its_unit_is_not_settled(
    ours: World, now: datetime, unit_make: UnitMake, states: list[str], left: int
) -> None:
    record_make(ours, now, "a", 31, unit=unit_make(*states))
    prune(now)
    assert IdempotencyRecord.objects.count() == left


# Attempts


@pytest.mark.parametrize(
    ("state", "days", "gone"),
    [
        ("delivered", 91, 2),
        ("discarded", 91, 2),
        ("delivered", 89, 0),
        ("dead", 400, 0),
        ("sending", 400, 0),
        ("retrying", 400, 0),
    ],
)
def test_attempts_of_settled_deliveries_go(
    now: datetime, unit_make: UnitMake, state: str, days: int, gone: int
) -> None:
    unit = unit_make(state, days=days, attempts=2)
    assert prune(now)["attempts"] == gone
    assert DeliveryAttempt.objects.filter(delivery__unit=unit).count() == 2 - gone


def test_attempts_go_one_by_one_by_their_own_age(now: datetime, unit_make: UnitMake) -> None:
    delivery = unit_make("delivered").deliveries.get()
    young = attempt_of(delivery, now - timedelta(days=3))
    prune(now)
    assert list(delivery.attempt_rows.all()) == [young]


def test_what_is_pruned_was_counted_before(now: datetime, unit_make: UnitMake) -> None:
    unit_make("delivered", attempts=3)
    assert prune(now)["attempts"] == 3
    assert sum(AttemptTotal.objects.filter(outcome="delivered").values_list("count", flat=True)) == 3


def test_attempts_that_were_not_counted_stay_with_their_unit(
    now: datetime, unit_make: UnitMake, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(**AGES)
    unit_make("delivered")
    monkeypatch.setattr(module, "attempt_totals_roll", lambda _now: 0)
    before = rows_left()
    assert prune(now) == NOTHING
    assert rows_left() == before


# Receipts


@pytest.mark.parametrize(
    ("state", "days", "gone"),
    [
        ("processed", 15, 1),
        ("rejected", 15, 1),
        ("duplicate", 15, 1),
        ("received", 400, 0),
        ("processed", 13, 0),
    ],
)
def test_receipts_that_were_dealt_with_go(
    ours: World, now: datetime, state: str, days: int, gone: int
) -> None:
    WebhookReceipt.objects.update(state=state, received_at=now - timedelta(days=days))
    assert prune(now)["webhook_receipts"] == gone
    assert WebhookReceipt.objects.count() == 1 - gone


# Units


def test_units_stay_for_ever_by_default(now: datetime, unit_make: UnitMake) -> None:
    unit = unit_make("delivered", days=9_000)
    found = prune(now)
    assert (found["units"], found["deliveries"], unit.deliveries.count()) == (0, 0, 1)


def test_settled_unit_goes_with_its_deliveries_and_attempts(
    ours: World, now: datetime, unit_make: UnitMake, keep: Keep
) -> None:
    keep(**NEVER | {"DELIVERIES_KEEP": 365})
    unit = unit_make("delivered", "discarded", attempts=2)
    assert prune(now) == NOTHING | {"units": 1, "deliveries": 2, "attempts": 4}
    assert not WorkUnit.objects.filter(pk=unit.pk).exists()
    # What the world was made with needs a person, and stays.
    assert (Delivery.objects.get(), DeliveryAttempt.objects.get()) == (ours.delivery, ours.attempt)


def test_audit_and_totals_stay(now: datetime, unit_make: UnitMake, keep: Keep) -> None:
    keep(**AGES)
    AuditEntry.objects.update(created_at=now - timedelta(days=9_000))
    unit_make("delivered")
    prune(now)
    assert AuditEntry.objects.count() == 1
    assert AttemptTotal.objects.filter(outcome="delivered").get().count == 1


@pytest.mark.parametrize("other", ["dead", "ready", "sending", "retrying", "unknown"])
def test_unit_with_an_open_or_dead_part_stays_whole(
    now: datetime, unit_make: UnitMake, keep: Keep, other: str
) -> None:
    keep(**NEVER | {"DELIVERIES_KEEP": 1})
    unit = unit_make("delivered", other)
    assert prune(now) == NOTHING
    assert unit.deliveries.count() == 2


def test_a_stale_state_of_a_unit_does_not_cost_an_open_delivery(
    now: datetime, unit_make: UnitMake, keep: Keep
) -> None:
    keep(DELIVERIES_KEEP=1)
    unit = unit_make("ready")
    WorkUnit.objects.filter(pk=unit.pk).update(state="delivered")
    assert prune(now)["units"] == 0


@pytest.mark.parametrize(
    "lately",
    [
        lambda delivery, at: Delivery.objects.filter(pk=delivery.pk).update(delivered_at=at),
        lambda delivery, at: Delivery.objects.filter(pk=delivery.pk).update(created_at=at),
        lambda delivery, at: Delivery.objects.filter(pk=delivery.pk).update(recheck_at=at),
        lambda delivery, at: attempt_of(delivery, at),
    ],
    ids=["delivered", "edited", "to be looked at again", "tried"],
)
def test_old_unit_to_which_something_happened_lately_stays(
    now: datetime, unit_make: UnitMake, keep: Keep, lately: Callable[[Delivery, datetime], object]
) -> None:
    keep(DELIVERIES_KEEP=365)
    lately(unit_make("delivered").deliveries.get(), now - timedelta(days=3))
    assert prune(now)["units"] == 0


def test_unit_of_a_session_is_kept_and_counted(
    ours: World, now: datetime, unit_make: UnitMake, keep: Keep
) -> None:
    keep(DELIVERIES_KEEP=365)
    unit = unit_make("delivered")
    session_pointing_at(ours, unit)
    found = prune(now)
    assert (found["units"], found["deliveries"], found["kept"]) == (0, 0, 1)
    assert unit.deliveries.count() == 1


@pytest.mark.parametrize(("days", "units", "kept"), [(31, 1, 0), (29, 0, 1)])
def test_a_remembered_key_keeps_its_unit(
    ours: World, now: datetime, unit_make: UnitMake, keep: Keep, days: int, units: int, kept: int
) -> None:
    keep(DELIVERIES_KEEP=20)
    delivery = unit_make("delivered").deliveries.get()
    record_make(ours, now, "a", days, delivery=delivery)
    found = prune(now)
    assert (found["units"], found["kept"]) == (units, kept)


def test_edited_text_goes_together_with_the_one_it_replaced(
    now: datetime, unit_make: UnitMake, keep: Keep
) -> None:
    keep(DELIVERIES_KEEP=365)
    old, new = unit_make("discarded", "delivered").deliveries.order_by("seq")
    Delivery.objects.filter(pk=new.pk).update(supersedes=old)
    assert prune(now)["deliveries"] == 2


def test_text_that_a_later_unit_supersedes_stays_until_that_is_gone(
    now: datetime, unit_make: UnitMake, keep: Keep
) -> None:
    keep(DELIVERIES_KEEP=365)
    old, new = unit_make("delivered"), unit_make("delivered")
    new.deliveries.update(supersedes=old.deliveries.get())
    first = prune(now)
    assert (first["units"], first["kept"]) == (1, 1)
    assert WorkUnit.objects.filter(pk=old.pk).exists()
    second = prune(now)
    assert (second["units"], second["kept"]) == (1, 0)


def test_what_is_pointed_at_since_we_looked_stays_and_the_others_go(
    ours: World, now: datetime, unit_make: UnitMake, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(DELIVERIES_KEEP=365)
    units = [unit_make("delivered") for _ in range(3)]
    real = module._units_remove

    def remove(ids: list[int]) -> Any:
        if units[1].pk in ids:
            session_pointing_at(ours, units[1])
        return real(ids)

    monkeypatch.setattr(module, "_units_remove", remove)
    found = prune(now)
    assert (found["units"], found["deliveries"], found["kept"]) == (2, 2, 1)
    assert WorkUnit.objects.filter(pk__in=[unit.pk for unit in units]).get() == units[1]


# How it runs


def old_rows_make(world: World, now: datetime) -> None:
    """Store a few old rows of every kind, some of which must stay."""
    for state in ("delivered", "discarded", "dead", "ready"):
        unit = unit_of(world, now, "delivered", state, attempts=2)
        record_make(world, now, state, 31, unit=unit)
    session_pointing_at(world, unit_of(world, now, "delivered"))
    attempt_of(unit_of(world, now, "delivered").deliveries.get(), now - timedelta(days=3))
    unit_of(world, now, "delivered", days=200)
    WebhookReceipt.objects.update(state="processed", received_at=now - timedelta(days=15))


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
