"""Measures one row: `python -m bench.inside ROW`, in the environment of `bench.stage`. Exits 1 on a FAIL."""

from __future__ import annotations

import importlib
import sys

import django
from django.core.management import call_command

if __name__ == "__main__":
    django.setup()
    call_command("migrate", verbosity=0, run_syncdb=True)
    row = importlib.import_module(f"bench.inside.{sys.argv[1]}")
    sys.exit(0 if row.measure(sys.argv[2:]) else 1)
