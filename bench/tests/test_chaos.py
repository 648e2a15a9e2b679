"""A small fire test among the tests: workers are killed, calls fail, each note arrives once, in order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

from bench.chaos.options import ROOT, Options, parse
from bench.chaos.storm import Outage

SIZE = [
    *("--deliveries", "60", "--tickets", "8", "--connections", "2", "--workers", "2"),
    *("--kill-every", "3", "--outage", "2", "--severity", "0.6", "--latency-ms", "20"),
    *("--minutes", "3", "--quick"),
]


@pytest.mark.database
@pytest.mark.timeout(240)  # about 20 s on an idle machine, ten times as long on a crowded one
def test_every_note_is_on_its_ticket_once_in_order(tmp_path: Path) -> None:
    """One small set-up on the database the suite runs on. One test, so that it is run once."""
    path = tmp_path / "report.json"
    environment = dict(os.environ)
    database = "sqlite" if connection.vendor == "sqlite" else "postgres"
    if database == "postgres":
        environment["DATABASE_TEST_URL"] = os.environ["DATABASE_URL"]
    done = subprocess.run(
        [sys.executable, "-m", "bench.chaos", "--database", database, *SIZE, "--report", str(path)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=230,
        check=False,
    )
    print(done.stdout)
    report = json.loads(path.read_text())
    assert not any(report["counts"].values())
    assert (report["queued"], report["delivered"], report["open"], report["dead"]) == (60, 60, 0, [])
    assert (report["fallen"], report["slow_stops"], report["refused"], report["wrong_ids"]) == (0, 0, 0, [])
    assert done.returncode == 0
    # It was a storm, not a calm.
    assert report["kills"] >= 2
    assert report["attempts"]["send outcome-unknown"] >= 3
    assert report["attempts"]["look found"] >= 1


def test_a_set_up_is_told_the_same_size() -> None:
    options = Options(
        deliveries=7, tickets=5, connections=3, minutes=0.5, severity=0.2, quick=True, keep=True
    )
    assert parse(options.as_arguments()) == options


def test_an_engine_alone_names_its_database() -> None:
    assert parse(["--engine", "celery"]).database == "postgres"
    assert parse(["--database", "postgres"]).engine == "embedded"


def test_no_outage_never_begins() -> None:
    outage = Outage([], 0.0, 1.0)
    outage.begin()
    assert outage.is_running is False
