"""A worker killed between every two steps of a delivery: each note is there once, and nobody saw "failed"."""

from __future__ import annotations

import ast
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection as database

from psa.outbox.tests.conftest import notes_of
from psa.providers.connectwise.sandbox.server import SandboxServer

ROOT = Path(__file__).parents[3]
DRIVER = Path(__file__).with_name("crash_driver.py")
RUN_MAX_S = 110


def _points() -> list[str]:
    """Return the names of the driver's points without importing it: it sets Django up for itself."""
    for node in ast.walk(ast.parse(DRIVER.read_text())):
        if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "POINTS":
            return [ast.literal_eval(key) for key in node.value.keys]  # type: ignore[attr-defined]
    raise AssertionError("the driver has no POINTS")


POINTS = _points()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Make a database of our own beside the suite's, of the same kind: other processes must see it."""
    if database.vendor == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('crash') / 'db.sqlite3'}"
        return
    import psycopg

    base = os.environ["DATABASE_URL"]
    name = f"psa_crash_{secrets.token_hex(4)}"
    with psycopg.connect(base, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')  # type: ignore[call-overload]
        yield urlunsplit(urlsplit(base)._replace(path=f"/{name}"))
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')  # type: ignore[call-overload]


@pytest.fixture(scope="module")
def ends(url: str, sandbox_server: SandboxServer) -> dict[str, dict[str, Any]]:
    """Run the driver once; return how each point ended."""
    sandbox_server.reset()
    keys = sandbox_server.credentials
    told = {
        "url": sandbox_server.url,
        "faults": f"{sandbox_server.url}/_sandbox/faults",
        "keys": {n: getattr(keys, n) for n in ("company_id", "public_key", "private_key", "client_id")},
    }
    environment = {
        **os.environ,
        "DATABASE_URL": url,
        "ENV_FILE": "/dev/null",
        "DJANGO_SETTINGS_MODULE": "resolutionflow.settings",
        "PSA_TRUSTED_HOSTS": "127.0.0.1",
        "PYTHONPATH": str(ROOT),
    }
    migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(migrate, cwd=ROOT, env=environment, check=True, timeout=RUN_MAX_S)
    done = subprocess.run(
        [sys.executable, str(DRIVER), json.dumps(told)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=RUN_MAX_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"point"')]
    return {row["point"]: row for row in found}


@pytest.mark.database
@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_there_loses_and_doubles_nothing(
    point: str, ends: dict[str, dict[str, Any]], sandbox_server: SandboxServer
) -> None:
    end = ends[point]
    assert end["died"] is True
    assert set(end["states"]) == {"delivered"}
    assert (end["unit"], end["leased"], end["problems"]) == ("delivered", 0, [])
    there = [note["text"] for note in notes_of(sandbox_server, end["ticket"])]
    assert [marker in text for marker, text in zip(end["markers"], there, strict=True)] == [True, True]
    assert set(end["between"]) <= {"ready", "sending", "unknown", "delivered"}
    if "before the first byte" in point or "before its answer is read" in point:
        # It may have left: the worker that is gone counts as a send, and a look decides.
        assert ["send", "worker-lost"] in end["attempts"]
