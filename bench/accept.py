"""Accepting a note over REST, against a DRF view with the same authentication that inserts one row.

One gunicorn serves both; one client writes to them in turn, over one keep-alive connection.
"""

from __future__ import annotations

import sys

from bench.stage import run_on_each_database


def run() -> bool:
    """Print a line for each database and return whether every ratio holds its bound."""
    return run_on_each_database("accept")


if __name__ == "__main__":
    sys.exit(0 if run() else 1)
