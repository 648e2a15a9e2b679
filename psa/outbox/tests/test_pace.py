"""Fairness: a slow PSA keeps few lanes, and calls that hang do not count against the lanes."""

from __future__ import annotations

import pytest

from psa.outbox import pace
from psa.outbox.pace import Pace


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    moment = [100.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: moment[0])
    return moment


def test_a_quick_connection_may_have_every_lane(clock: list[float]) -> None:
    found = Pace(8)
    for number in range(4):
        found.started(f"t{number}", 1)
    assert (found.free(), found.room(1), found.room(2)) == (4, 4, 8)


def test_a_connection_whose_call_hangs_gets_no_more_than_one_lane(clock: list[float]) -> None:
    found = Pace(8)
    found.started("a", 1)
    clock[0] += pace.SLOW_S
    assert (found.room(1), found.room(2)) == (0, 8)


def test_calls_that_hang_leave_the_lanes_to_others(clock: list[float]) -> None:
    found = Pace(4)
    for number in range(4):
        found.started(f"t{number}", 1)
    assert found.free() == 0
    clock[0] += pace.SLOW_S
    assert found.free() == 4


def test_there_are_never_more_than_twice_the_lanes(clock: list[float]) -> None:
    found = Pace(2)
    for number in range(4):
        found.started(f"t{number}", number)
        clock[0] += pace.SLOW_S
    assert found.free() == 0


def test_a_connection_is_slow_until_one_of_its_calls_is_quick(clock: list[float]) -> None:
    found = Pace(8)
    found.started("a", 1)
    clock[0] += pace.SLOW_S
    found.ended("a")
    assert found.room(1) == pace.SLOW_LANES
    found.started("b", 1)
    clock[0] += 0.1
    found.ended("b")
    assert found.room(1) == 8
