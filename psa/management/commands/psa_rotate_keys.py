"""Owns `psa_rotate_keys`: moves every stored secret to the newest encryption key."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from psa.crypto import newest_key_id
from psa.key_rotation import RowResult, keys_rotate


class Command(BaseCommand):
    """`manage.py psa_rotate_keys [--dry-run]`; exit status 1 when a row cannot be decrypted."""

    help = (
        "Encrypt every stored secret under the first key of PSA['ENCRYPTION_KEYS']. Safe while web and "
        "workers run, and safe to repeat. Remove an old key only after a run without complaints."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="decrypt and count, change nothing")

    def handle(self, *_args: Any, **options: Any) -> None:
        dry_run = options["dry_run"]
        counts: Counter[RowResult] = Counter()
        for row in keys_rotate(dry_run=dry_run):
            counts[row.result] += 1
            if row.result is RowResult.UNREADABLE:
                key = f"key {row.key_id}" if row.key_id else "no known form"
                self.stderr.write(f"Cannot decrypt {row.model} {row.pk} {row.field}: {key}.")
        done = "to encrypt" if dry_run else "encrypted"
        self.stdout.write(
            f"{counts[RowResult.REWRITTEN]} {done} under key {newest_key_id()}, "
            f"{counts[RowResult.CURRENT]} under it already, "
            f"{counts[RowResult.UNREADABLE]} unreadable."
        )
        if counts[RowResult.UNREADABLE]:
            raise CommandError(
                "Some secrets cannot be decrypted and were left as they are. Add the keys named above to "
                "PSA['ENCRYPTION_KEYS'], or enter those credentials again."
            )
