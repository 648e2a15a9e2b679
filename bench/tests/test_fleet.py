"""Workers are killed at the pace the machine allows, and replaced at once."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from bench.chaos import fleet
from bench.chaos.fleet import ATTEMPTS_A_KILL as ENOUGH
from bench.chaos.fleet import Fleet


class FakeProgram:
    """A program that only remembers what was done to it."""

    _clock = count()

    def __init__(self, name: str, _arguments: list[str], _folder: Path) -> None:
        self.name = name
        self.started_at = next(self._clock)
        self.exit_code: int | None = None

    def kill(self) -> None:
        self.exit_code = -9

    def tail(self) -> str:
        return "no module named psa"


@pytest.fixture(autouse=True)
def fake_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "Program", FakeProgram)


def started(workers: int, kill_every_s: float = 1e-9) -> Fleet:
    return Fleet("embedded", workers, Path(), run_name="test", kill_every_s=kill_every_s, seed=1)


def names(found: Fleet) -> list[str]:
    return sorted(worker.name for worker in found._workers)


def test_nobody_is_killed_while_little_is_attempted() -> None:
    found = started(2)
    kills = []
    for attempts in (0, ENOUGH - 1, ENOUGH, ENOUGH + 1, 2 * ENOUGH):
        found.step(attempts)
        kills.append(found.kills)
    assert kills == [0, 0, 1, 1, 2]


def test_the_worker_that_started_last_is_spared() -> None:
    found = started(2)
    found.step(ENOUGH)
    assert names(found) == ["worker-002", "worker-003"]


def test_a_lone_worker_is_not_spared() -> None:
    found = started(1)
    found.step(ENOUGH)
    assert names(found) == ["worker-002"]


def test_no_pace_means_no_kills() -> None:
    found = started(2, kill_every_s=0)
    found.step(100)
    assert found.kills == 0


def test_a_worker_that_fell_is_counted_and_replaced() -> None:
    found = started(1, kill_every_s=0)
    found._workers[0].exit_code = 1  # type: ignore[misc]
    found.step(0)
    assert (found.fallen, found.kills, names(found)) == (1, 0, ["worker-002"])


def test_workers_that_cannot_start_end_the_run() -> None:
    found = started(1, kill_every_s=0)
    with pytest.raises(RuntimeError, match="no module named psa"):  # noqa: PT012
        for _ in range(fleet.FALLEN_MAX):
            found._workers[0].exit_code = 1  # type: ignore[misc]
            found.step(0)
