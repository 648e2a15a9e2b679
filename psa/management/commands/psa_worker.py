"""Owns `psa_worker`: delivers what is queued, until it is told to stop."""

from __future__ import annotations

import gc
import signal
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from psa.outbox.worker import Worker
from psa.provider_pool import providers_close


class Command(BaseCommand):
    """`manage.py psa_worker [--once] [--concurrency N]`."""

    help = "Deliver queued notes and status changes. SIGTERM and Ctrl-C finish what is being sent first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="end when nothing is due any more")
        parser.add_argument(
            "--concurrency", type=int, default=None, help="lanes, default PSA['WORKER_LANES']"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        worker = Worker(options["concurrency"])
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: worker.stop())
        # What is loaded by now stays: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        try:
            worker.run(once=options["once"])
        finally:
            providers_close()
