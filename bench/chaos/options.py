"""Owns what a run is told: the size of the storm, and the shortened times of the outbox."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

DATABASES = ("sqlite", "postgres")
ENGINES = ("embedded", "celery")

PSA_TIMES: dict[str, object] = {
    "CONNECT_TIMEOUT_S": 1.0,
    "CALL_DEADLINE_S": 4.0,
    "LEASE_S": 8.0,
    "RECONCILE_LOOKS_S": [1.0, 3.0],
    "PROBE_EVERY_S": 8.0,
}
"""Documented settings, shortened about in proportion, so that ten minutes see what otherwise takes hours.

A lease still outlasts connecting plus one whole call.
"""

QUICK_TIMES: dict[str, object] = PSA_TIMES | {
    "CALL_DEADLINE_S": 2.0,
    "LEASE_S": 4.0,
    "RECONCILE_LOOKS_S": [0.3, 1.0],
    "PROBE_EVERY_S": 2.0,
    "WORKER_POLL_S": 0.1,
}
"""Shorter still, for the small run among the tests."""

POSTGRES_URL = "postgres://postgres@127.0.0.1:5432/postgres"
BROKER_URL = "amqp://guest:guest@127.0.0.1:5672//"


@dataclass(frozen=True, slots=True)
class Options:
    """How large a run is. The defaults are those of `make chaos`."""

    database: str | None = None
    """None runs every set-up this machine can run."""
    engine: str | None = None
    deliveries: int = 2000
    tickets: int = 40
    connections: int = 4
    workers: int = 3
    minutes: float = 10.0
    """What is not delivered by then is counted as it stands."""
    seed: int = 1
    kill_every_s: float = 4.0
    """Mean time between two SIGKILLs; 0 kills nobody."""
    outage_s: float = 10.0
    """Length of the total outage in the middle; 0 leaves it out."""
    latency_ms: float = 40.0
    """What each answer takes, so that kills find calls in flight."""
    severity: float = 1.0
    """Factor on the share of every fault."""
    quick: bool = False
    """Use QUICK_TIMES."""
    blind: bool = True
    """Also run the blind-retry clients, when all set-ups are run."""
    keep: bool = False
    """Leave database and logs in place even when nothing is wrong."""
    report: Path | None = None
    """Where one set-up writes its result as JSON."""

    def as_arguments(self) -> list[str]:
        """Return the arguments that tell a set-up's own process the same size."""
        return [
            *("--deliveries", str(self.deliveries)),
            *("--tickets", str(self.tickets)),
            *("--connections", str(self.connections)),
            *("--workers", str(self.workers)),
            *("--minutes", str(self.minutes)),
            *("--seed", str(self.seed)),
            *("--kill-every", str(self.kill_every_s)),
            *("--outage", str(self.outage_s)),
            *("--latency-ms", str(self.latency_ms)),
            *("--severity", str(self.severity)),
            *(["--quick"] if self.quick else []),
            *(["--keep"] if self.keep else []),
        ]

    @property
    def times(self) -> dict[str, object]:
        """Return the `PSA` settings that are shortened."""
        return QUICK_TIMES if self.quick else PSA_TIMES


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Return the options of a command line; a wrong one ends the program with a sentence."""
    standard = Options()
    parser = argparse.ArgumentParser(prog="python -m bench.chaos", description=__doc__)
    parser.add_argument("--database", choices=DATABASES, help="one set-up only (with --engine)")
    parser.add_argument("--engine", choices=ENGINES, help="one set-up only; default embedded")
    parser.add_argument("--deliveries", type=_positive, default=standard.deliveries)
    parser.add_argument("--tickets", type=_positive, default=standard.tickets, help="over all connections")
    parser.add_argument("--connections", type=_positive, default=standard.connections)
    parser.add_argument("--workers", type=_positive, default=standard.workers)
    parser.add_argument("--minutes", type=float, default=standard.minutes, help="time limit of a set-up")
    parser.add_argument("--seed", type=int, default=standard.seed, help="texts, tickets and kills")
    parser.add_argument("--kill-every", type=float, default=standard.kill_every_s, metavar="S")
    parser.add_argument("--outage", type=float, default=standard.outage_s, metavar="S")
    parser.add_argument("--latency-ms", type=float, default=standard.latency_ms)
    parser.add_argument("--severity", type=float, default=standard.severity, help="factor on all faults")
    parser.add_argument("--quick", action="store_true", help="shorter deadlines, for a small run")
    parser.add_argument("--no-blind", action="store_true", help="leave the blind-retry clients out")
    parser.add_argument("--keep", action="store_true", help="leave database and logs in place")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the result as JSON")
    found = parser.parse_args(arguments)
    if found.engine and not found.database:
        found.database = "postgres" if found.engine == "celery" else "sqlite"
    return Options(
        database=found.database,
        engine=found.engine or ("embedded" if found.database else None),
        deliveries=found.deliveries,
        tickets=max(found.tickets, found.connections),
        connections=found.connections,
        workers=found.workers,
        minutes=found.minutes,
        seed=found.seed,
        kill_every_s=found.kill_every,
        outage_s=found.outage,
        latency_ms=found.latency_ms,
        severity=found.severity,
        quick=found.quick,
        blind=not found.no_blind,
        keep=found.keep,
        report=found.report,
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def postgres_url() -> str:
    """Return where PostgreSQL is; the named database is only used to make a new one."""
    return os.environ.get("DATABASE_TEST_URL") or POSTGRES_URL


def broker_url() -> str:
    """Return the broker of the Celery set-up."""
    return os.environ.get("CELERY_BROKER_URL") or BROKER_URL
