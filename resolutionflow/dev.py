"""Owns `make run`: web, worker and the ConnectWise sandbox in the foreground, started and stopped together.

Run it with `python -m resolutionflow.dev`. PORT and SANDBOX_PORT move the ports.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from resolutionflow.dotenv import PATH, env_file_complete, env_file_load

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
START_WITHIN_S = 90
"""Longest wait for each program to answer: a cold disk and a busy machine included."""
STOP_WITHIN_S = 20
"""Programs get this long to finish what they are sending, then they are killed."""


class StartError(Exception):
    """The run cannot go on; the text is the sentence a person reads."""


class Child:
    """One program of ours in a process group of its own; its output goes to the terminal, line by line."""

    def __init__(self, name: str, *command: str) -> None:
        self.name = name
        self.lines: list[str] = []
        """First lines of standard output, for programs that say where they listen."""
        self.process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # Ctrl-C reaches us alone, so that the programs are stopped in order, once.
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )
        threading.Thread(target=self._echo, daemon=True).start()

    def _echo(self) -> None:
        assert self.process.stdout is not None  # noqa: S101
        for line in self.process.stdout:
            if len(self.lines) < 50:
                self.lines.append(line.strip())
            sys.stderr.write(f"[{self.name}] {line}")
            sys.stderr.flush()

    @property
    def is_running(self) -> bool:
        """True until the program has ended."""
        return self.process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program and everything it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


if sys.platform == "linux":
    import ctypes

    _LIBC = ctypes.CDLL(None)

    def _die_with_parent() -> None:
        """Ask the kernel to stop this program when `make run` is killed outright. 1 is PR_SET_PDEATHSIG."""
        _LIBC.prctl(1, signal.SIGTERM)


class Run:
    """The three programs of one `make run`."""

    def __init__(self, port: int, sandbox_port: int) -> None:
        self.port = port
        self.sandbox_port = sandbox_port
        self.children: list[Child] = []

    def start(self) -> list[str]:
        """Start everything and return the lines to print once all of it answers.

        Raises: StartError.
        """
        _manage("migrate", "--noinput", "--verbosity", "0")
        if os.environ.get("DEBUG", "").lower() not in {"1", "true", "yes", "on"}:
            _manage("collectstatic", "--noinput", "--verbosity", "0")
        sandbox = self._child("sandbox", "manage.py", "connectwise_sandbox", "--port", str(self.sandbox_port))
        self._child(
            "web",
            *("-m", "gunicorn", "--no-control-socket", "--bind", f"{HOST}:{self.port}"),
            *("--threads", "8", "--log-level", "warning", "resolutionflow.wsgi"),
        )
        self._child("worker", "manage.py", "psa_worker")
        facts = self._wait("the sandbox", lambda: _json_line(sandbox.lines))
        accounts = [line for line in _manage("seed_demo").splitlines() if line.startswith(_SEED_LINES)]
        url = f"http://{HOST}:{self.port}"
        self._wait("the web server", lambda: _answers(f"{url}/healthz"))
        self._wait("the worker", lambda: _answers(f"{url}/readyz"))
        return [f"URL: {url}", *accounts, f"Sandbox: {facts}"]

    def watch(self) -> None:
        """Return never; raise StartError as soon as one program ends."""
        while True:
            self._check()
            time.sleep(0.2)

    def stop(self) -> None:
        """Stop all programs, the web server first, and wait for them."""
        for child in self.children:
            child.signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_WITHIN_S
        for child in self.children:
            try:
                child.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                sys.stderr.write(f"[{child.name}] did not stop within {STOP_WITHIN_S} s and was killed.\n")
            child.signal(signal.SIGKILL)  # whatever the program left behind in its group
            child.process.wait()

    def _child(self, name: str, *command: str) -> Child:
        child = Child(name, *command)
        self.children.append(child)
        return child

    def _check(self) -> None:
        for child in self.children:
            if not child.is_running:
                raise StartError(
                    f"The {child.name} program ended with exit code {child.process.returncode}; "
                    "its last lines stand above. Everything was stopped."
                )

    def _wait(self, what: str, ask: Callable[[], str]) -> str:
        deadline = time.monotonic() + START_WITHIN_S
        while time.monotonic() < deadline:
            self._check()
            if answer := ask():
                return answer
            time.sleep(0.1)
        raise StartError(f"Waited {START_WITHIN_S} s for {what}, then gave up. Its lines above may say why.")


_SEED_LINES = ("Admin: ", "Engineer: ", "API token: ")


def _manage(*command: str) -> str:
    """Run one command to its end and return what it printed.

    Raises: StartError with the command's own last line.
    """
    done = subprocess.run(
        [sys.executable, "manage.py", *command], cwd=ROOT, text=True, capture_output=True, check=False
    )
    sys.stderr.write(done.stderr)
    if done.returncode:
        raise StartError(f"`manage.py {command[0]}` failed; its message stands above.")
    return done.stdout


def _json_line(lines: list[str]) -> str:
    """Return the first line that is a JSON object, else an empty string."""
    for line in list(lines):
        if line.startswith("{"):
            try:
                json.loads(line)
            except ValueError:
                continue
            return line
    return ""


_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Asks our own address without the proxies of the environment."""


def _answers(url: str) -> str:
    try:
        with _DIRECT.open(url, timeout=5) as answer:
            return str(answer.status) if answer.status == 200 else ""
    except (OSError, urllib.error.URLError):
        return ""


def _port(name: str, default: int) -> int:
    """Return a free port from the environment.

    Raises: StartError, when it is no number or something listens there.
    """
    text = os.environ.get(name, "") or str(default)
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise StartError(f"{name} must be a number from 1 to 65535, not {text!r}.")
    with socket.socket() as probe:
        # As the servers do: a port in TIME_WAIT after the last run is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, int(text)))
        except OSError as exc:
            raise StartError(
                f"Port {text} cannot be used ({exc.strerror}). Choose another one: make run {name}=…"
            ) from exc
    return int(text)


def main() -> int:
    """Run until Ctrl-C, SIGTERM or the end of one program; return the exit code."""
    stopping = False

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        if not stopping:  # a second Ctrl-C must not cut the clean stop short
            stopping = True
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    run: Run | None = None
    try:
        port, sandbox_port = _port("PORT", 8000), _port("SANDBOX_PORT", 8001)
        if port == sandbox_port:
            raise StartError("PORT and SANDBOX_PORT must differ.")
        if env_file_complete():
            sys.stderr.write(f"Wrote {PATH.name} with new keys for this machine.\n")
        env_file_load()
        os.environ["SANDBOX_PORT"] = str(sandbox_port)
        os.environ.setdefault("PSA_BASE_URL", f"http://{HOST}:{port}")
        run = Run(port, sandbox_port)
        print(*run.start(), sep="\n", flush=True)
        run.watch()
    except StartError as exc:
        stopping = True
        sys.stderr.write(f"{exc}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Stopping.\n")
    finally:
        stopping = True
        if run is not None:
            run.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
