"""Claim, idle cycle, lists and accepting at a million deliveries, against the same at a thousand.

Of each group the worst operation counts. An idle cycle is everything a worker does when nothing can be sent:
a claim that finds nothing, the sweep, the short periodic jobs, and the question of readiness.

Both databases are there at once and are asked in turn. `--profile` prints every operation, its number of
queries and the plan of its slowest one.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from contextlib import ExitStack

from bench.stage import LABELS, ROOT, databases, environment, fresh_database

BOUND = 1.3
SMALL, LARGE = 1_000, 1_000_000
ROUNDS = 15
ROUND_S = 0.03
"""What one operation may take in one round at the small size; it is repeated so often."""


class Filled:
    """A process with a filled database, that does what it is told and says how long it took."""

    def __init__(self, stack: ExitStack, kind: str, rows: int) -> None:
        url = stack.enter_context(fresh_database(kind))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.inside", "growth", str(rows)],
            cwd=ROOT,
            env=environment(url),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.callback(self._end)
        self.operations: list[str] = []
        self.fill_s = 0.0

    def ready(self) -> None:
        """Wait until the database is full."""
        self.operations = self._line().split()
        self.fill_s = float(self._line())

    def seconds(self, operation: str, times: int) -> float:
        """Return how long an operation takes once."""
        self._ask(f"{operation} {times}")
        return float(self._line()) / times

    def explain(self, operation: str) -> str:
        """Return what an operation asks the database."""
        self._ask(f"explain {operation}")
        lines = []
        while (line := self._line()) != ".":
            lines.append(line)
        return "\n    ".join(lines)

    def _ask(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("The measurement ended early; its last lines stand above.")
        return line.rstrip("\n")

    def _end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def run() -> bool:
    """Print a line for each database and group, and return whether every ratio holds the bound."""
    # Every database is measured, also after one that failed.
    held = [_measured(kind, "--profile" in sys.argv) for kind in databases()]
    return all(held)


def _measured(kind: str, profile: bool) -> bool:
    with ExitStack() as stack:
        small, large = Filled(stack, kind, SMALL), Filled(stack, kind, LARGE)
        small.ready()
        large.ready()
        times = {name: max(1, min(10, round(ROUND_S / small.seconds(name, 3)))) for name in small.operations}
        pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in times}
        for _ in range(ROUNDS):
            for name, often in times.items():
                pairs[name].append((small.seconds(name, often), large.seconds(name, often)))
        ratios = {name: statistics.median(much / few for few, much in found) for name, found in pairs.items()}
        held = True
        for group in ("claim", "list", "accept"):
            worst = max(
                (name for name in times if name.startswith(f"{group}:")), key=lambda name: ratios[name]
            )
            held &= ratios[worst] <= BOUND
            _report(f"growth on {LABELS[kind]}, {worst}", pairs[worst], ratios[worst])
        if profile:
            print(f"    filled in {large.fill_s:.0f} s", flush=True)
            for name in times:
                _report(f"  {name}", pairs[name], ratios[name])
                print(f"    {large.explain(name)}", flush=True)
    return held


def _report(title: str, pairs: list[tuple[float, float]], ratio: float) -> None:
    few, much = (statistics.median(column) * 1000 for column in zip(*pairs, strict=True))
    print(
        f"{title}: {much:.2f} ms at {LARGE:,}, {few:.2f} ms at {SMALL:,}, "
        f"ratio {ratio:.3f} (bound {BOUND}) {'PASS' if ratio <= BOUND else 'FAIL'}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(0 if run() else 1)
