"""One worker draining 4 connections on 16 lanes, against 16 threads of bare pooled requests.

Both write the same number of notes to the same four sandboxes at 50 ms, in turn. The worker is a real
`psa_worker --once`, timed from its first attempt to its last delivery: a process takes seconds to start.
"""

from __future__ import annotations

import sys

from bench.stage import run_on_each_database


def run() -> bool:
    """Print a line for each database and return whether every ratio holds its bound."""
    return run_on_each_database("drain")


if __name__ == "__main__":
    sys.exit(0 if run() else 1)
