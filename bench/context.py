"""The context of a ticket at 50 ms upstream: by service, over REST, for 50 callers, beside pyconnectwise.

The bounds are in round trips, measured in the same run with a bare pooled session.
"""

from __future__ import annotations

import subprocess
import sys

from bench.stage import ROOT, environment, fresh_database


def run() -> bool:
    """Print a line for each measure and return whether every bound holds."""
    with fresh_database("sqlite") as url:
        command = [sys.executable, "-m", "bench.inside", "context"]
        return subprocess.run(command, cwd=ROOT, env=environment(url), check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(0 if run() else 1)
