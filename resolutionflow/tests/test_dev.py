"""Tests of `make run`: ports, one whole run, what happens when a program dies."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from resolutionflow import dev

ROOT = Path(__file__).resolve().parent.parent.parent
START_WITHIN_S = 90


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Running:
    """One `python -m resolutionflow.dev` on ports, an .env and a database of its own."""

    def __init__(self, folder: Path) -> None:
        self.port, self.sandbox_port = free_port(), free_port()
        self.environment = {
            "PATH": os.environ["PATH"],
            "ENV_FILE": str(folder / "env"),
            "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
            "PORT": str(self.port),
            "SANDBOX_PORT": str(self.sandbox_port),
        }
        self.errors = folder / "errors"
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> list[str]:
        """Start it and return its lines up to the one of the sandbox."""
        with self.errors.open("w") as errors:  # not a pipe: one that nobody reads would fill up
            self.process = subprocess.Popen(
                [sys.executable, "-m", "resolutionflow.dev"],
                cwd=ROOT,
                env=self.environment,
                text=True,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        lines: list[str] = []
        for line in self.process.stdout:
            lines.append(line.rstrip("\n"))
            if line.startswith("Sandbox: "):
                break
        return lines

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        self.process.communicate(timeout=40)
        return int(self.process.returncode)

    def is_silent(self) -> bool:
        """True when nothing listens on either port."""
        for port in (self.port, self.sandbox_port):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return False
        return True


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    run = Running(tmp_path)
    yield run
    if run.process is not None and run.process.poll() is None:
        run.stop(signal.SIGTERM)


def children(pid: int) -> list[int]:
    out = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(word) for word in out.stdout.split()]


def test_run_prints_five_lines_and_all_of_it_works(running: Running) -> None:
    lines = running.start()
    assert [line.split(": ")[0] for line in lines] == ["URL", "Admin", "Engineer", "API token", "Sandbox"]
    assert lines[0] == f"URL: http://127.0.0.1:{running.port}"
    assert re.fullmatch(r"Admin: admin / \S+", lines[1])
    assert re.fullmatch(r"Engineer: engineer / \S+", lines[2])
    sandbox = json.loads(lines[4].removeprefix("Sandbox: "))
    assert sandbox["url"] == f"http://127.0.0.1:{running.sandbox_port}"
    assert set(sandbox) == {"url", "company_id", "public_key", "private_key", "client_id"}
    request = urllib.request.Request(
        f"http://127.0.0.1:{running.port}/api/v1/connections/",
        headers={"Authorization": f"Token {lines[3].removeprefix('API token: ')}"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        connection = json.load(answer)["results"][0]
    assert connection["state"] == "connected"
    assert running.stop() == 0
    assert running.is_silent()


def test_second_run_is_without_harm_and_brings_new_passwords(running: Running) -> None:
    first = running.start()
    assert running.stop(signal.SIGTERM) == 0
    second = running.start()
    assert len(second) == 5
    assert first[1] != second[1]


def test_death_of_one_program_stops_all(running: Running) -> None:
    running.start()
    os.kill(children(running.process.pid)[-1], signal.SIGKILL)
    running.process.communicate(timeout=40)
    assert running.process.returncode == 1
    assert "ended with exit code" in running.errors.read_text()
    assert running.is_silent()


@pytest.mark.parametrize("name", ["port", "sandbox_port"])
def test_busy_port_ends_it_with_one_sentence(running: Running, name: str) -> None:
    with socket.create_server(("127.0.0.1", getattr(running, name))):
        began = time.monotonic()
        assert running.start() == []
        running.process.communicate(timeout=20)
    err = running.errors.read_text()
    assert running.process.returncode == 1
    assert len(err.strip().splitlines()) == 1
    assert f"Port {getattr(running, name)} cannot be used" in err
    assert time.monotonic() - began < 10
    assert not Path(running.environment["ENV_FILE"]).exists()


@pytest.mark.parametrize("value", ["http", "0", "65536", "-1"])
def test_port_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("PORT", value)
    with pytest.raises(dev.StartError, match="PORT must be a number"):
        dev._port("PORT", 8000)


def test_first_json_object_of_the_output_is_found() -> None:
    assert dev._json_line(["starting", "{broken", '{"url": "x"}']) == '{"url": "x"}'


def test_output_without_json_gives_nothing() -> None:
    assert dev._json_line(["starting"]) == ""
