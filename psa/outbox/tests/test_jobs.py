"""Periodic jobs: N workers run each of them once, and a failing one harms nobody."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from psa.models import PeriodicJob
from psa.outbox import jobs
from psa.outbox.jobs import Job, jobs_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    job = Job("count", timedelta(minutes=1), lambda _now, _going: found.append("count"))
    monkeypatch.setattr(jobs, "JOBS", (job,))
    return found


def test_a_job_runs_once_in_its_period_whoever_asks(ran: list[str]) -> None:
    now = timezone.now()
    assert [jobs_run(now), jobs_run(now), jobs_run(now + timedelta(seconds=59))] == [["count"], [], []]
    assert jobs_run(now + timedelta(seconds=61)) == ["count"]
    assert len(ran) == 2


def test_a_job_another_worker_claimed_meanwhile_is_left_alone(
    ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now()
    PeriodicJob.objects.create(name="count", due_at=now - timedelta(seconds=1))
    rows = list(PeriodicJob.objects.filter(name="count"))
    PeriodicJob.objects.update(due_at=now + timedelta(minutes=1))
    monkeypatch.setattr(PeriodicJob.objects, "filter", lambda **kwargs: _Stale(rows, kwargs))
    assert jobs_run(now) == []
    assert ran == []


class _Stale(list):  # type: ignore[type-arg]
    """The rows as this worker read them before the other one claimed; updates go to the database."""

    def __init__(self, rows: list[PeriodicJob], wanted: dict[str, Any]) -> None:
        super().__init__(rows)
        self._wanted = wanted

    def update(self, **values: Any) -> int:
        return PeriodicJob._default_manager.get_queryset().filter(**self._wanted).update(**values)


def test_a_job_that_fails_tells_why_and_has_its_next_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_now: object, _going: object) -> None:
        raise ValueError("the lists do not fit")

    monkeypatch.setattr(jobs, "JOBS", (Job("fails", timedelta(minutes=1), fail),))
    now = timezone.now()
    jobs_run(now)
    row = PeriodicJob.objects.get(name="fails")
    assert row.last_error == "ValueError: the lists do not fit"
    monkeypatch.setattr(jobs, "JOBS", (Job("fails", timedelta(minutes=1), lambda _now, _going: None),))
    assert jobs_run(now + timedelta(minutes=2)) == ["fails"]
    row.refresh_from_db()
    assert row.last_error == ""


def test_every_job_of_the_table_runs(db: None) -> None:
    assert sorted(jobs_run(timezone.now())) == sorted(job.name for job in jobs.JOBS)
    assert set(PeriodicJob.objects.exclude(last_error="").values_list("name", "last_error")) == set()


def test_names_are_unique() -> None:
    names = [job.name for job in jobs.JOBS]
    assert len(names) == len(set(names))
