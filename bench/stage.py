"""Owns what a benchmark stands on: fresh databases, the host's environment, and programs started for one run.

Rows that need Django run in a process of their own for each database: `python -m bench.inside ROW`.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

ROOT = Path(__file__).resolve().parent.parent
LABELS = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
START_WITHIN_S = 90


def databases() -> list[str]:
    """Return the kinds of database that can be measured here; says which one is left out."""
    found = ["sqlite"]
    try:
        import psycopg

        psycopg.connect(_server(), connect_timeout=3).close()
    except (ImportError, OSError, psycopg.Error):
        print("PostgreSQL: skipped, nothing answers at DATABASE_TEST_URL.", flush=True)
    else:
        found.append("postgresql")
    return found


@contextlib.contextmanager
def fresh_database(kind: str) -> Iterator[str]:
    """Yield the DATABASE_URL of an empty database that is gone afterwards."""
    name = f"bench_{secrets.token_hex(4)}"
    if kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            yield f"sqlite:///{Path(folder) / name}.sqlite3"
        return
    _execute(f'CREATE DATABASE "{name}"')
    try:
        yield urlunsplit(urlsplit(_server())._replace(path=f"/{name}"))
    finally:
        _execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def environment(database_url: str) -> dict[str, str]:
    """Return an environment in which the host runs as in production, on that database and nothing else."""
    return {
        **os.environ,
        "ENV_FILE": os.devnull,
        "DJANGO_SETTINGS_MODULE": "bench.yardstick.settings",
        "DEBUG": "0",
        "SECRET_KEY": "only-for-benchmarks-" + "x" * 50,
        "ALLOWED_HOSTS": "127.0.0.1,localhost,testserver",
        "PSA_ENCRYPTION_KEYS": base64.urlsafe_b64encode(b"only-for-benchmarks-" + b"x" * 12).decode(),
        "PSA_TRUSTED_HOSTS": "127.0.0.1,localhost",
        "PSA_BASE_URL": "http://127.0.0.1",
        "PSA_CA_BUNDLE": "",
        "DATABASE_URL": database_url,
        "CACHE_URL": "locmemcache://",
        "CELERY_BROKER_URL": "",
        "TRUSTED_PROXY_COUNT": "0",
        "SECURE_SSL_REDIRECT": "0",
        "STATIC_MANIFEST": "0",
    }


def run_on_each_database(row: str, *arguments: str) -> bool:
    """Measure a row of `bench.inside` on a fresh database of each kind; return whether all bounds held."""
    held = []
    for kind in databases():
        with fresh_database(kind) as url:
            command = [sys.executable, "-m", "bench.inside", row, *arguments]
            done = subprocess.run(command, cwd=ROOT, env=environment(url), check=False)
        held.append(done.returncode == 0)
    return all(held)


class Program:
    """One Python program of ours with its output in a file, ended by `with`."""

    def __init__(
        self, name: str, arguments: Sequence[str], folder: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def wait(self, within_s: float) -> None:
        """Wait until the program has ended well. Raises: RuntimeError with its last lines."""
        if self.process.wait(within_s):
            raise RuntimeError(f"{self.name} failed:\n{self.tail()}")

    def json_line(self) -> dict[str, str]:
        """Return the first line of output that is a JSON object. Raises: RuntimeError."""
        deadline = time.monotonic() + START_WITHIN_S
        while time.monotonic() < deadline and self.process.poll() is None:
            for line in self.log.read_text(errors="replace").splitlines(keepends=True):
                if line.startswith("{") and line.endswith("\n"):
                    found: dict[str, str] = json.loads(line)
                    return found
            time.sleep(0.05)
        raise RuntimeError(f"{self.name} did not start:\n{self.tail()}")

    def listens(self, port: int) -> None:
        """Wait until something listens on the port. Raises: RuntimeError."""
        deadline = time.monotonic() + START_WITHIN_S
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.05)
        raise RuntimeError(f"{self.name} did not start:\n{self.tail()}")

    def tail(self) -> str:
        """Return the last lines of output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])


def free_port() -> int:
    """Return a port nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _server() -> str:
    return os.environ.get("DATABASE_TEST_URL") or "postgres://postgres@127.0.0.1:5432/postgres"


def _execute(statement: str) -> None:
    import psycopg

    with psycopg.connect(_server(), autocommit=True, connect_timeout=5) as server:
        server.execute(statement)  # type: ignore[call-overload]
