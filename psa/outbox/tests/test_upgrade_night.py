"""The night on which the PSA is upgraded: everything queued arrives by itself, once.

Twenty minutes are compressed to about ten seconds, the probe's minute with them.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from psa import services
from psa.models import Connection, Delivery, TicketLink
from psa.outbox.tests.conftest import NOTES, notes_of
from psa.outbox.worker import Worker
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Actor, NoteKind, NotePart

TICKETS = [str(number) for number in range(57041, 57061)]
NOTES_A_TICKET = 10
PAGE = "<html><body><h1>We are upgrading</h1></body></html>"
GIVE_UP_S = 40.0


@pytest.fixture
def compressed(settings: Any) -> None:
    settings.PSA = {
        **settings.PSA,
        "RECONCILE_LOOKS_S": [0.1, 0.3],
        "WORKER_POLL_S": 0.05,
        "PROBE_EVERY_S": 0.5,
        "MAX_WRITES_IN_FLIGHT": 8,
    }


@pytest.fixture
def queued(tenant: Any, connection: Connection, actor: Actor) -> list[Delivery]:
    links: list[TicketLink] = [services.ticket_link(tenant, connection.pk, ticket) for ticket in TICKETS]
    for number in range(NOTES_A_TICKET):
        for link in links:
            part = NotePart(NoteKind.ANALYSIS, f"Note {number}")
            services.unit_enqueue(tenant, link.pk, [part], actor=actor)
    return list(Delivery.objects.order_by("pk"))


def the_night(sandbox: SandboxServer, in_flight: threading.Event) -> None:
    """Let eight writes hang, then move the API away, then show pages, then answer at the new place."""
    in_flight.wait(20)
    sandbox.faults.clear()
    # The host's front door is the first to go: what is in flight is answered by it, done or not.
    sandbox.faults.add("status", method="POST", path=NOTES, status=502, body=PAGE, after=True, count=4)
    sandbox.faults.add("status", method="POST", path=NOTES, status=502, body=PAGE, count=4)
    time.sleep(1)
    sandbox.faults.clear()
    # companyinfo names the new codebase already; there the answer is still a routing error of both kinds.
    sandbox.configure(codebase="v2026_2/")
    sandbox.faults.add(
        "status",
        path="/v2026_2/",
        status=404,
        body={"code": "ConnectWiseApi", "message": "The endpoint does not exist."},
    )
    time.sleep(2)
    sandbox.faults.clear()
    plain = "Cannot route. Codebase/company is invalid"
    sandbox.faults.add("status", path="/apis/3.0/", status=400, body=plain)
    time.sleep(2)
    sandbox.faults.clear()
    sandbox.faults.add("status", path="", status=200, body=PAGE)
    time.sleep(2)
    sandbox.faults.clear()
    sandbox.faults.add("status", path="", status=503, body=PAGE)
    time.sleep(2)
    sandbox.faults.clear()


@pytest.mark.usefixtures("compressed", "one_thread")
def test_after_the_upgrade_everything_is_delivered_once_by_itself(
    queued: list[Delivery], connection: Connection, sandbox: SandboxServer
) -> None:
    assert len(queued) == 200
    sandbox.faults.add("latency", method="POST", path=NOTES, seconds=0.6)
    worker = Worker(8)
    in_flight = threading.Event()
    states: set[str] = set()
    night = threading.Thread(target=the_night, args=(sandbox, in_flight))
    night.start()
    began = time.monotonic()
    claim = worker._claim

    def watched() -> int:
        """Look on from the worker's own thread, which alone has the test's database."""
        taken = claim()
        if len(worker._pace) == 8:
            in_flight.set()
        states.add(Connection.objects.values_list("state", flat=True).get(pk=connection.pk))
        left = Delivery.objects.exclude(state="delivered").exists()
        if (not left and not night.is_alive()) or time.monotonic() - began > GIVE_UP_S:
            worker.stop()
        return taken

    worker._claim = watched  # type: ignore[method-assign]
    worker.run()
    night.join()
    assert {row.state for row in Delivery.objects.all()} == {"delivered"}
    assert "degraded" in states
    connection.refresh_from_db()
    assert (connection.state, connection.problem) == ("connected", None)
    assert connection.endpoint["base_url"].endswith("/v2026_2/apis/3.0")
    for ticket in TICKETS:
        lane = Delivery.objects.filter(link__ticket_id=ticket).order_by("seq")
        there = [note["text"] for note in notes_of(sandbox, ticket, codebase="v2026_2")]
        assert [row.marker in text for row, text in zip(lane, there, strict=True)] == [True] * NOTES_A_TICKET
