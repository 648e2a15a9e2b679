"""A worker dies between any two steps of a delivery: what a person sees meanwhile, and how it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from psa import services
from psa.database import database_now
from psa.models import Connection, Delivery, MemberMapping, TicketLink
from psa.models.delivery import OPEN_STATES
from psa.outbox.schedule import leases_expire
from psa.outbox.tests.conftest import NOTES, sent
from psa.outbox.tests.crash_worker import CrashServer, crash_server
from psa.outbox.worker import Worker
from psa.provider_pool import provider_for
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Actor, NoteDraft, NoteKind, RecordType, StatusPart, TimePart

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

Post = Callable[..., Delivery]
Stored = Callable[[], list[dict[str, Any]]]

NOTHING_LEFT = ("claim committed", "lane started", "request leaves", "request half sent")
"""The delivery is claimed, and the PSA cannot have done anything."""
DONE = (
    "answer waits",
    "answer half read",
    "call over",
    "before finish",
    "lane given back",
    "attempt written",
    "delivery written",
    "finish not committed",
)
"""The PSA did it, and nothing is written down."""
UNCLAIMED = ("before the claim", "lane leased", "claim written", "claim not committed")
WRITTEN_DOWN = ("finish committed", "after finish")
EXPIRY = (
    "expired lane freed",
    "expired delivery written",
    "expired attempt written",
    "expiry not committed",
    "expiry committed",
)
CLAIMING_LOOK = tuple(point for point in UNCLAIMED if point != "claim written")
"""The claim of a look changes the lane only."""
WAITING_LABELS = {"Queued", "Sending", "Checking", "Waiting to try again"}
"""What a person may read of a delivery between crash and recovery: nothing that calls for them."""


@pytest.fixture(scope="module")
def crash(django_db_setup: None) -> Iterator[CrashServer]:
    with crash_server() as server:
        yield server


@pytest.fixture
def lane(post: Post) -> list[Delivery]:
    """Two notes for one ticket, one behind the other."""
    return [post("first"), post("second")]


@pytest.fixture(params=["done", "not done"])
def unknown(
    request: pytest.FixtureRequest, lane: list[Delivery], sandbox: SandboxServer, settings: Any
) -> list[Delivery]:
    """The lane whose first note got no answer, be it done or not, and is due to be looked for."""
    looks = settings.PSA["RECONCILE_LOOKS_S"]
    settings.PSA = {**settings.PSA, "RECONCILE_LOOKS_S": [3600.0, 3600.0]}
    sandbox.faults.add(
        "drop_after" if request.param == "done" else "drop_before", method="POST", path=NOTES, count=1
    )
    Worker(2).run(once=True)
    settings.PSA = {**settings.PSA, "RECONCILE_LOOKS_S": looks}
    assert seen_by_people(lane[0]) == "Checking"
    Delivery.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    return lane


@pytest.fixture
def status(tenant: Any, link: TicketLink, actor: Actor) -> Delivery:
    unit = services.unit_enqueue(tenant, link.pk, [StatusPart("Closed")], actor=actor)
    return unit.deliveries.get()


@pytest.fixture
def timed(tenant: Any, link: TicketLink, actor: Actor, connection: Connection) -> list[Delivery]:
    """Time and a status as one unit; the time goes first."""
    MemberMapping.objects.create(
        tenant=tenant,
        connection=connection,
        user_id=actor.user_id,
        member_id="103",
        member_name="Erin Example",
        how="manual",
    )
    now = timezone.now()
    time = TimePart(actor, now - timedelta(hours=1), now, notes="Printer repaired.", internal_notes="A step.")
    unit = services.unit_enqueue(tenant, link.pk, [time, StatusPart("Closed")], actor=actor)
    return unit.posted


def seen_by_people(delivery: Delivery) -> str:
    """Return the word a person reads, after a look whether its unit calls for them."""
    delivery.refresh_from_db()
    delivery.unit.refresh_from_db()
    assert delivery.unit.state == "open"
    return delivery.get_state_display()


def status_at_the_psa(connection: Connection) -> str:
    ticket = provider_for(connection).ticket_get("57050", RecordType.SERVICE)
    return ticket.status.name if ticket.status else ""


def recover() -> None:
    """Let time pass, and a sound worker do what is due, until nothing is."""
    for _ in range(4):
        if not Delivery.objects.filter(state__in=OPEN_STATES).exists():
            break
        past = timezone.now() - timedelta(seconds=1)
        TicketLink.objects.exclude(lease_token="").update(lease_expires_at=past)
        leases_expire(database_now())
        for delivery in Delivery.objects.filter(state__in=OPEN_STATES).select_related("unit"):
            assert seen_by_people(delivery) in WAITING_LABELS
        Delivery.objects.update(due_at=past)
        Worker(4).run(once=True)
    assert not TicketLink.objects.exclude(lease_token="").exists()


def outcomes(delivery: Delivery) -> list[str]:
    return list(delivery.attempt_rows.values_list("outcome", flat=True))


def assert_arrived(lane: list[Delivery], stored: Stored, sandbox: SandboxServer) -> None:
    """All notes are there, in order, and each was written by one request only."""
    assert_on_the_ticket(lane, stored)
    assert len(sent(sandbox, "POST", "/notes")) == len(lane)


def assert_on_the_ticket(lane: list[Delivery], stored: Stored) -> None:
    for delivery in lane:
        delivery.refresh_from_db()
        delivery.unit.refresh_from_db()
    assert [(row.state, row.unit.state) for row in lane] == [("delivered", "delivered")] * len(lane)
    assert [note["text"].rsplit("\n", 1)[-1] for note in stored()] == [row.marker for row in lane]
    assert [row.external_id for row in lane] == [str(note["id"]) for note in stored()]


@pytest.mark.parametrize("point", UNCLAIMED)
def test_a_worker_that_dies_before_its_claim_is_committed_leaves_no_trace(
    point: str, crash: CrashServer, lane: list[Delivery], stored: Stored, sandbox: SandboxServer
) -> None:
    crash.crash(point)
    assert seen_by_people(lane[0]) == "Queued"
    assert not TicketLink.objects.exclude(lease_token="").exists()
    recover()
    assert_arrived(lane, stored, sandbox)
    assert outcomes(lane[0]) == ["delivered"]


@pytest.mark.parametrize("point", NOTHING_LEFT)
def test_a_worker_that_dies_before_its_request_is_out_is_looked_for_and_sent_again(
    point: str, crash: CrashServer, lane: list[Delivery], stored: Stored, sandbox: SandboxServer
) -> None:
    crash.crash(point)
    assert (seen_by_people(lane[0]), seen_by_people(lane[1])) == ("Sending", "Queued")
    assert stored() == []
    recover()
    assert_arrived(lane, stored, sandbox)
    assert outcomes(lane[0]) == ["worker-lost", "not-found", "not-found", "delivered"]


@pytest.mark.parametrize("point", DONE)
def test_a_worker_that_dies_after_its_request_is_found_and_never_sent_again(
    point: str, crash: CrashServer, lane: list[Delivery], stored: Stored, sandbox: SandboxServer
) -> None:
    crash.crash(point)
    assert (seen_by_people(lane[0]), seen_by_people(lane[1])) == ("Sending", "Queued")
    assert len(stored()) == 1
    recover()
    assert_arrived(lane, stored, sandbox)
    assert outcomes(lane[0]) == ["worker-lost", "found"]


@pytest.mark.parametrize("point", WRITTEN_DOWN)
def test_a_worker_that_dies_after_it_wrote_down_its_result_leaves_the_next_one_free(
    point: str, crash: CrashServer, lane: list[Delivery], stored: Stored, sandbox: SandboxServer
) -> None:
    crash.crash(point)
    lane[0].refresh_from_db()
    lane[1].refresh_from_db()
    assert (lane[0].state, lane[1].state, lane[1].held_by) == ("delivered", "ready", "")
    recover()
    assert_arrived(lane, stored, sandbox)
    assert outcomes(lane[0]) == ["delivered"]


@pytest.mark.parametrize("point", [*CLAIMING_LOOK, *NOTHING_LEFT[:3], *DONE, *WRITTEN_DOWN])
def test_a_worker_that_dies_over_a_look_changes_nothing_about_how_it_ends(
    point: str, crash: CrashServer, unknown: list[Delivery], stored: Stored, sandbox: SandboxServer
) -> None:
    done = len(stored()) == 1
    crash.crash(point, "GET")
    found = done and point in WRITTEN_DOWN
    assert found or seen_by_people(unknown[0]) == "Checking"
    assert len(stored()) == done
    writes = len(sent(sandbox, "POST", "/notes"))
    recover()
    assert len(sent(sandbox, "POST", "/notes")) == writes + (1 if done else 2)
    assert_on_the_ticket(unknown, stored)
    looks = ["found"] if done else ["not-found", "not-found", "delivered"]
    assert outcomes(unknown[0]) == ["outcome-unknown", *looks]


@pytest.mark.parametrize("point", ["claim committed", "request leaves", "request half sent"])
def test_a_worker_that_dies_before_it_set_a_status_sets_it_once_in_the_end(
    point: str, crash: CrashServer, status: Delivery, connection: Connection, sandbox: SandboxServer
) -> None:
    crash.crash(point, "PATCH")
    assert (seen_by_people(status), status_at_the_psa(connection)) == ("Sending", "In Progress")
    recover()
    status.refresh_from_db()
    assert (status.state, status_at_the_psa(connection)) == ("delivered", "Closed")
    assert len(sent(sandbox, "PATCH")) == 1
    assert outcomes(status) == ["worker-lost", "not-found", "not-found", "delivered"]


def test_a_worker_that_dies_when_it_has_read_the_ticket_sets_the_status_once_in_the_end(
    crash: CrashServer, status: Delivery, connection: Connection, sandbox: SandboxServer
) -> None:
    crash.crash("answer waits", "GET")
    assert (seen_by_people(status), status_at_the_psa(connection)) == ("Sending", "In Progress")
    recover()
    status.refresh_from_db()
    assert (status.state, len(sent(sandbox, "PATCH"))) == ("delivered", 1)


@pytest.mark.parametrize("point", DONE)
def test_a_worker_that_dies_after_it_set_a_status_finds_it_set(
    point: str, crash: CrashServer, status: Delivery, connection: Connection, sandbox: SandboxServer
) -> None:
    crash.crash(point, "PATCH")
    assert (seen_by_people(status), status_at_the_psa(connection)) == ("Sending", "Closed")
    recover()
    status.refresh_from_db()
    status.unit.refresh_from_db()
    assert (status.state, status.status_seen, status.unit.state) == ("delivered", "Closed", "delivered")
    assert len(sent(sandbox, "PATCH")) == 1
    assert outcomes(status) == ["worker-lost", "found"]


@pytest.mark.parametrize("point", [*UNCLAIMED, *NOTHING_LEFT, *DONE, *WRITTEN_DOWN])
def test_a_worker_that_dies_over_a_time_entry_leaves_it_there_once(
    point: str, crash: CrashServer, timed: list[Delivery], connection: Connection, sandbox: SandboxServer
) -> None:
    crash.crash(point)
    recover()
    for part in timed:
        part.refresh_from_db()
        part.unit.refresh_from_db()
    assert [(part.kind, part.state) for part in timed] == [("time", "delivered"), ("status", "delivered")]
    assert timed[0].unit.state == "delivered"
    found = provider_for(connection).time_entry_find("57050", RecordType.SERVICE, timed[0].marker)
    assert [entry.id for entry in found] == [timed[0].external_id]
    assert status_at_the_psa(connection) == "Closed"
    # What a look found was not sent again, and half a request is none.
    assert len(sent(sandbox, "POST", "/time/entries")) == 1


@pytest.mark.parametrize("point", EXPIRY)
def test_a_worker_that_dies_while_it_notices_the_death_of_another_counts_it_once(
    point: str, crash: CrashServer, lane: list[Delivery], stored: Stored, sandbox: SandboxServer
) -> None:
    crash.crash("call over")
    TicketLink.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    crash.crash(point)
    assert seen_by_people(lane[0]) == ("Checking" if point == "expiry committed" else "Sending")
    recover()
    assert_arrived(lane, stored, sandbox)
    assert outcomes(lane[0]) == ["worker-lost", "found"]
    assert lane[0].sends == 1


def test_a_worker_that_dies_while_it_gives_a_delivery_back_loses_nothing(
    crash: CrashServer, lane: list[Delivery], stored: Stored, sandbox: SandboxServer
) -> None:
    crash.crash("given back, lane freed", UNMAPPED_AUTHOR="hold")
    assert seen_by_people(lane[0]) in WAITING_LABELS
    recover()
    assert_arrived(lane, stored, sandbox)


@pytest.mark.parametrize("point", ["second look claimed", "request leaves", "second look over"])
def test_a_worker_that_dies_over_the_second_look_leaves_it_to_another(
    point: str, crash: CrashServer, post: Post, connection: Connection, sandbox: SandboxServer
) -> None:
    delivery = post("first")
    Worker(2).run(once=True)
    text = sandbox.notes(57050)[-1]["text"]
    provider_for(connection).note_add("57050", RecordType.SERVICE, NoteDraft(NoteKind.ANALYSIS, text))
    Delivery.objects.update(recheck_at=timezone.now() - timedelta(seconds=1))
    crash.crash(point, "GET")
    delivery.refresh_from_db()
    assert (delivery.state, delivery.problem) == ("delivered", None)
    Delivery.objects.update(recheck_at=timezone.now() - timedelta(seconds=1))
    Worker(2).run(once=True)
    delivery.refresh_from_db()
    assert ((delivery.problem or {}).get("code"), delivery.recheck_at) == ("duplicate", None)
