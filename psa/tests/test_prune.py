"""What `psa_prune` removes: the old and settled rows, and nothing that anybody still needs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from psa.models import (
    AttemptTotal,
    AuditEntry,
    Delivery,
    DeliveryAttempt,
    IdempotencyRecord,
    WebhookReceipt,
    WorkUnit,
)
from psa.outbox import prune as module
from psa.outbox.prune import prune
from psa.tests.conftest import World
from psa.tests.old_rows import (
    AGES,
    NEVER,
    NOTHING,
    Keep,
    UnitMake,
    attempt_of,
    record_make,
    rows_left,
    session_pointing_at,
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
