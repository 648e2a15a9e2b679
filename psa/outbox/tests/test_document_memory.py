"""A large file costs disk and time, never memory: neither where it is queued nor where it is sent."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from psa import services
from psa.models import Delivery, TicketLink
from psa.outbox.tests.crash_worker import database_url
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Actor, DocumentPart
from resolutionflow.accounts.models import Account

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

MEGABYTE = 1_000_000
LARGE_BYTES = 100 * MEGABYTE
GROWS_LESS_BYTES = 40 * MEGABYTE

WORK = """
import resource, django
django.setup()
from psa.outbox.worker import Worker
Worker(2).run(once=True)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def worker_peak_bytes() -> int:
    """Run a worker of its own until nothing is due, and return the most memory it had."""
    done = subprocess.run(
        [sys.executable, "-c", WORK],
        env={**os.environ, "DATABASE_URL": database_url()},
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
        check=True,
    )
    return int(done.stdout.split()[-1]) * 1024


def test_100_mb_are_queued_and_attached_in_little_memory(
    tenant: Account, actor: Actor, link: TicketLink, sandbox: SandboxServer, tmp_path: Path
) -> None:
    sizes = {"small.bin": 1000, "large.bin": LARGE_BYTES}
    peaks: dict[str, int] = {}
    for name, size in sizes.items():
        path = tmp_path / name
        with path.open("wb") as file:
            for start in range(0, size, MEGABYTE):
                file.write(os.urandom(1000) * (min(MEGABYTE, size - start) // 1000))
        part = DocumentPart(name, "Dump", "application/octet-stream", size, lambda path=path: path.open("rb"))
        tracemalloc.start()
        services.unit_enqueue(tenant, link.pk, [part], actor=actor)
        queued = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert queued < 10 * MEGABYTE
        peaks[name] = worker_peak_bytes()
        stored, content = sandbox.files(int(link.ticket_id))[-1]
        assert (stored["size"], stored["fileName"]) == (size, name)
        assert content == path.read_bytes()
    assert set(Delivery.objects.values_list("state", flat=True)) == {"delivered"}
    grown = peaks["large.bin"] - peaks["small.bin"]
    print(f"the worker's peak grew by {grown / MEGABYTE:.1f} MB for {LARGE_BYTES // MEGABYTE} MB")
    assert grown < GROWS_LESS_BYTES
