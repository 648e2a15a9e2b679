"""Callbacks: 1,000 at 100 a second beside a draining worker, then 1,000 at once; all are processed once."""

from __future__ import annotations

import sys

from bench.stage import run_on_each_database


def run() -> bool:
    """Print a line for each database and return whether every bound holds."""
    return run_on_each_database("callbacks")


if __name__ == "__main__":
    sys.exit(0 if run() else 1)
