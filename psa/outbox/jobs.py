"""Owns the periodic jobs of the workers. A new job is a row of JOBS; N workers run each of them once."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import DatabaseError

from psa.models import PeriodicJob
from psa.outbox.lanes import lanes_mend
from psa.outbox.members import members_review
from psa.outbox.moves import moves_finish
from psa.outbox.prune import prune
from psa.outbox.rules import status_rules_review
from psa.outbox.schedule import mapping_held_release
from psa.outbox.totals import attempt_totals_roll

log = logging.getLogger("psa.outbox")


Going = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Job:
    """Something to be done every so often by whichever worker is first."""

    name: str
    every: timedelta
    run: Callable[[datetime, Going], object]
    """Called with the time and a question to be asked between steps: is the process to go on?"""
    jitter: timedelta = timedelta(0)
    """Up to so much is added to each wait, so that jobs of many installations do not meet at a PSA."""


JOBS: tuple[Job, ...] = (
    Job("lanes-mend", timedelta(seconds=10), lambda now, _going: lanes_mend(now)),
    Job("mapping-held-release", timedelta(seconds=10), lambda now, _going: mapping_held_release(now)),
    Job("note-moves", timedelta(seconds=10), lambda now, _going: moves_finish(now)),
    Job("attempt-totals", timedelta(seconds=15), lambda now, _going: attempt_totals_roll(now)),
    Job(
        "prune",
        timedelta(days=1),
        lambda now, going: prune(now, keep_going=going),
        jitter=timedelta(hours=1),
    ),
    # Often, but each connection and board has its turn once a day only.
    Job("members-review", timedelta(minutes=5), members_review, jitter=timedelta(minutes=1)),
    Job("status-rules-review", timedelta(minutes=5), status_rules_review, jitter=timedelta(minutes=1)),
)


def jobs_run(now: datetime, going: Going = lambda: True) -> list[str]:
    """Run the jobs that are due, each claimed by one conditional UPDATE, and return their names.

    A job that fails is tried again at its next turn; its error stands in its row.
    """
    rows = {row.name: row for row in PeriodicJob.objects.filter(name__in=[job.name for job in JOBS])}
    ran = []
    for job in JOBS:
        row = rows.get(job.name)
        if row is None:
            row, _made = PeriodicJob.objects.get_or_create(name=job.name, defaults={"due_at": now})
        if row.due_at > now:
            continue
        # Not a secret: only spreads the load.
        following = now + job.every + random.random() * job.jitter  # noqa: S311
        claimed = PeriodicJob.objects.filter(name=job.name, due_at=row.due_at).update(
            due_at=following, last_run_at=now
        )
        if claimed:
            _run(job, now, going)
            ran.append(job.name)
    return ran


def _run(job: Job, now: datetime, going: Going) -> None:
    error = ""
    try:
        job.run(now, going)
    except DatabaseError:
        raise
    except Exception as exc:
        log.exception("the periodic job %s failed", job.name)
        error = f"{type(exc).__name__}: {exc}"[:300]
    PeriodicJob.objects.filter(name=job.name).exclude(last_error=error).update(last_error=error)
