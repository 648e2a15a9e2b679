"""One slow or silent PSA never starves another tenant's: measured with a real worker and two sandboxes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from psa import services
from psa.models import Connection, Delivery, TicketLink
from psa.outbox import claim, pace
from psa.outbox.tests.conftest import NOTES
from psa.outbox.worker import Worker
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Actor, NoteKind, NotePart

SLOW_CALL_S = 6.0


@pytest.fixture
def other_sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(port=0) as server:
        yield server


@pytest.fixture
def other_link(tenant: Any, actor: Actor, other_sandbox: SandboxServer) -> TicketLink:
    keys = other_sandbox.credentials
    credentials = {
        name: getattr(keys, name) for name in ("company_id", "public_key", "private_key", "client_id")
    }
    connection = services.connection_create(
        tenant,
        actor=actor,
        provider="connectwise",
        name="Other",
        site=other_sandbox.url,
        credentials=credentials,
    )
    return services.ticket_link(tenant, connection.pk, "57050")


@pytest.mark.usefixtures("one_thread")
def test_a_slow_psa_does_not_starve_another(
    tenant: Any,
    actor: Actor,
    connection: Connection,
    sandbox: SandboxServer,
    other_link: TicketLink,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pace, "SLOW_S", 0.3)
    sandbox.faults.add("latency", method="POST", path=NOTES, seconds=SLOW_CALL_S)
    for number in range(57050, 57062):
        link = services.ticket_link(tenant, connection.pk, str(number))
        services.unit_enqueue(tenant, link.pk, [NotePart(NoteKind.ANALYSIS, "slow")], actor=actor)
    quick = [
        services.unit_enqueue(tenant, other_link.pk, [NotePart(NoteKind.ANALYSIS, f"{n}")], actor=actor)
        for n in range(8)
    ]
    worker = Worker(4)
    timer = threading.Timer(SLOW_CALL_S, worker.stop)
    timer.start()
    worker.run()
    timer.join()
    done = Delivery.objects.filter(unit__in=quick, state="delivered")
    # Eight notes of one ticket go one after the other; four lanes were all the slow one's at first.
    assert done.count() == 8
    last = max(row.delivered_at for row in done)
    assert (last - min(row.created_at for row in done)).total_seconds() < SLOW_CALL_S


def test_connections_share_the_lanes(
    tenant: Any, actor: Actor, connection: Connection, link: TicketLink, other_link: TicketLink
) -> None:
    for number in range(57050, 57056):
        one = services.ticket_link(tenant, connection.pk, str(number))
        services.unit_enqueue(tenant, one.pk, [NotePart(NoteKind.ANALYSIS, "x")], actor=actor)
        two = services.ticket_link(tenant, other_link.connection_id, str(number))
        services.unit_enqueue(tenant, two.pk, [NotePart(NoteKind.ANALYSIS, "x")], actor=actor)
    now = max(row.due_at for row in Delivery.objects.all())
    taken = [row.connection_id for row, *_ in claim.claim_due(now, 4)]
    assert sorted(taken) == sorted([connection.pk, other_link.connection_id] * 2)


def test_the_queue_of_a_broken_connection_costs_a_claim_nothing(
    tenant: Any,
    actor: Actor,
    connection: Connection,
    other_link: TicketLink,
    django_assert_max_num_queries: Any,
) -> None:
    for number in range(57050, 57060):
        link = services.ticket_link(tenant, connection.pk, str(number))
        services.unit_enqueue(tenant, link.pk, [NotePart(NoteKind.ANALYSIS, "x")], actor=actor)
    Connection.objects.filter(pk=connection.pk).update(state="broken")
    services.unit_enqueue(tenant, other_link.pk, [NotePart(NoteKind.ANALYSIS, "x")], actor=actor)
    now = max(row.due_at for row in Delivery.objects.all())
    with django_assert_max_num_queries(8):
        started = time.perf_counter()
        [(row, *_)] = claim.claim_due(now, 8)
        assert time.perf_counter() - started < 1
    assert row.connection_id == other_link.connection_id
