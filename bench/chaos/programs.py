"""Owns the processes of a run: each in a group of its own, gone when we are gone."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.chaos.options import ROOT

_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    """Ask the kernel to kill this program when the run is killed outright. 1 is PR_SET_PDEATHSIG."""
    if _LIBC is not None:
        _LIBC.prctl(1, signal.SIGKILL)


class Program:
    """One Python program with its output in a file. Start it from the main thread only.

    The kernel ties a program to the thread that started it, not to the process.
    """

    def __init__(self, name: str, arguments: Sequence[str], folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self.started_at = time.monotonic()
        with self.log.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )

    @property
    def exit_code(self) -> int | None:
        """Return how the program ended, None while it runs."""
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program and everything it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """End the program and its children at once, at whatever instruction they are."""
        self.signal(signal.SIGKILL)
        self._process.wait()

    def stop(self, within_s: float) -> bool:
        """Ask the program to end; kill it when it does not. Return whether it ended by itself."""
        self.signal(signal.SIGCONT)
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            return False
        else:
            return True
        finally:
            self.kill()

    def wait_line(self, wanted: Callable[[str], bool], within_s: float = 60.0) -> str:
        """Return the first line of output that is wanted.

        Raises: RuntimeError with the last lines, when the program ends or says nothing in time.
        """
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            for line in self.log.read_text(errors="replace").splitlines():
                if wanted(line):
                    return line
            if self.exit_code is not None:
                break
            time.sleep(0.05)
        raise RuntimeError(f"{self.name} did not start:\n{self.tail()}")

    def tail(self, lines: int = 15) -> str:
        """Return the last lines of output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def manage(*command: str) -> None:
    """Run one command of manage.py to its end, in the environment of this process.

    Raises: RuntimeError with what it printed.
    """
    done = subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"manage.py {command[0]} failed:\n{done.stdout}")
