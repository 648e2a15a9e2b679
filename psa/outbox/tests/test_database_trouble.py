"""A database that is locked, full or away: the worker waits and says so, and nothing is lost or doubled."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError
from django.db import connection as database

from psa.models import Delivery
from psa.outbox import worker as worker_module
from psa.outbox.tests.conftest import sent
from psa.outbox.worker import Worker
from psa.providers.connectwise.sandbox.server import SandboxServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("one_thread")]

Post = Callable[..., Delivery]
Stored = Callable[[], list[dict[str, Any]]]
FULL = "database or disk is full"
LOCKED = "database is locked"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "DATABASE_PAUSE_S", 0.05)


class Trouble:
    """Lets statements fail as a database does that cannot write, for as long as told."""

    def __init__(self, words: str, *, only: str = "", times: int | None = None, seconds: float = 0.0) -> None:
        self.words, self.only, self.times = words, only, times
        self.until = time.monotonic() + seconds if seconds else None
        self.failed = 0

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        lasts = self.times is None or self.failed < self.times
        lasts = lasts and (self.until is None or time.monotonic() < self.until)
        writes = sql.split(None, 1)[0] in ("INSERT", "UPDATE", "DELETE")
        if lasts and writes and self.only in sql:
            self.failed += 1
            raise OperationalError(self.words)
        return execute(sql, params, many, context)


def work_until_done(seconds: float = 20.0) -> None:
    """Run a worker until everything is delivered, or the time is up."""
    worker = Worker(4)
    claim = worker._claim
    began = time.monotonic()

    def watched() -> int:
        taken = claim()
        if not Delivery.objects.exclude(state="delivered").exists() or time.monotonic() - began > seconds:
            worker.stop()
        return taken

    worker._claim = watched  # type: ignore[method-assign]
    # A worker that cannot even claim must end, too.
    timer = threading.Timer(seconds, worker.stop)
    timer.start()
    worker.run()
    timer.cancel()


@pytest.mark.parametrize("words", [FULL, LOCKED])
def test_nothing_can_be_written_for_a_while(
    words: str, post: Post, stored: Stored, sandbox: SandboxServer, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        post(f"Note {number}")
    trouble = Trouble(words, seconds=1.0)
    with caplog.at_level(logging.ERROR, "psa.outbox"), database.execute_wrapper(trouble):
        work_until_done()
    assert trouble.failed > 3
    assert words in caplog.text
    assert [row.state for row in Delivery.objects.all()] == ["delivered"] * 3
    assert (len(stored()), len(sent(sandbox))) == (3, 3)


def test_a_result_that_cannot_be_stored_is_kept_until_it_can(
    post: Post, stored: Stored, sandbox: SandboxServer
) -> None:
    post()
    trouble = Trouble(FULL, only="psa_deliveryattempt", times=4)
    with database.execute_wrapper(trouble):
        work_until_done()
    assert trouble.failed == 4
    assert Delivery.objects.get().state == "delivered"
    # It was sent once: what came of it was remembered, not found out again.
    assert (len(stored()), len(sent(sandbox))) == (1, 1)
    assert list(Delivery.objects.get().attempt_rows.values_list("action", "outcome")) == [
        ("send", "delivered")
    ]


def test_a_claim_that_cannot_be_stored_sends_nothing(
    post: Post, sandbox: SandboxServer, stored: Stored
) -> None:
    post()
    trouble = Trouble(LOCKED, only="UPDATE psa_ticketlink SET lease_token", times=3)
    with database.execute_wrapper(trouble):
        work_until_done()
    assert trouble.failed == 3
    assert (len(stored()), len(sent(sandbox))) == (1, 1)
