"""Runs the benchmarks: `python -m bench [ROW …]`, all without a name. Exits 1 when a bound does not hold."""

from __future__ import annotations

import sys

from bench import accept, callbacks, context, drain, growth, note_through_provider

ROWS = {
    "note": note_through_provider.run,
    "drain": drain.run,
    "accept": accept.run,
    "context": context.run,
    "callbacks": callbacks.run,
    "growth": growth.run,
}

if __name__ == "__main__":
    wanted = [name for name in sys.argv[1:] if not name.startswith("--")] or list(ROWS)
    unknown = [name for name in wanted if name not in ROWS]
    if unknown:
        sys.exit(f"There is no row {unknown[0]}. Known: {', '.join(ROWS)}.")
    # Every row is measured, also after one that failed.
    held = [ROWS[name]() for name in wanted]
    sys.exit(0 if all(held) else 1)
