"""Owns notes that stand on their ticket, for the tests that take them back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from psa import services
from psa.models import Connection, Delivery, TicketLink
from psa.outbox import jobs
from psa.outbox.moves import moves_finish
from psa.outbox.tests.conftest import notes_of
from psa.outbox.tests.corrections.seen import OTHER, Post, Run, Stored, double
from psa.providers.connectwise.sandbox.server import SandboxServer


@pytest.fixture
def shown(post: Post, run: Run) -> Delivery:
    """A resolution on its ticket, which mailed the customer."""
    delivery = post("The admin password is on the sticker.", kind="resolution", notify=True)
    run()
    delivery.refresh_from_db()
    assert delivery.state == "delivered"
    return delivery


@pytest.fixture
def internal(post: Post, run: Run) -> Delivery:
    """An analysis on its ticket."""
    delivery = post("Step one.\nStep two.")
    run()
    delivery.refresh_from_db()
    return delivery


@pytest.fixture
def doubled(shown: Delivery, stored: Stored) -> Delivery:
    """A note that stands twice on its ticket, and is known to."""
    double(shown, stored)
    problem = {"code": "duplicate", "text": "This note stands 2 times.", "remedy": "Remove the extra note."}
    Delivery.objects.filter(pk=shown.pk).update(problem=problem)
    shown.refresh_from_db()
    return shown


@pytest.fixture(autouse=True)
def moves_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `run` finish moves, as the workers do."""
    if "note-moves" not in {job.name for job in jobs.JOBS}:
        job = jobs.Job("note-moves", timedelta(seconds=10), moves_finish)
        monkeypatch.setattr(jobs, "JOBS", (*jobs.JOBS, job))


@pytest.fixture
def other(tenant: Any, connection: Connection) -> TicketLink:
    """The ticket a note belongs to."""
    return services.ticket_link(tenant, connection.pk, OTHER)


@pytest.fixture
def misplaced(post: Post, run: Run) -> Delivery:
    """A resolution that mailed the customer, on the wrong ticket."""
    delivery = post("The VPN works again.", kind="resolution", notify=True)
    run()
    delivery.refresh_from_db()
    return delivery


@pytest.fixture
def texts(sandbox: SandboxServer) -> Callable[[], tuple[list[str], list[str]]]:
    """Return a function that reads the texts of our notes on the old and on the new ticket."""
    return lambda: (
        [note["text"] for note in notes_of(sandbox, "57050")],
        [note["text"] for note in notes_of(sandbox, OTHER)],
    )
