"""Owns `psa_prune`: removes what the `…_KEEP` settings allow."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from psa.database import database_now
from psa.outbox.prune import prune


class Command(BaseCommand):
    """`manage.py psa_prune [--dry-run]`; prints what went, one kind a line."""

    help = (
        "Remove old idempotency records, attempts, webhook receipts and, where PSA['DELIVERIES_KEEP'] is "
        "set, finished units. Safe while web and workers run, to break off and to repeat."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="count, change nothing")

    def handle(self, *_args: Any, **options: Any) -> None:
        dry_run = options["dry_run"]
        try:
            counts = prune(database_now(), dry_run=dry_run)
        except KeyboardInterrupt as exc:
            raise CommandError(
                "Broken off. What was removed so far is gone for good; the next run goes on."
            ) from exc
        kept = counts.pop("kept")
        verb = "to remove" if dry_run else "removed"
        for name, number in counts.items():
            self.stdout.write(f"{name.replace('_', ' ')}: {number} {verb}")
        if kept:
            self.stdout.write(f"kept because something else points at them: {kept}")
