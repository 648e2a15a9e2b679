"""Never lost, never doubled: each fault of the PSA, and what it leaves on the ticket and in the database."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from psa import services
from psa.models import Connection, Delivery, DeliveryAttempt, TicketLink
from psa.outbox import claim, finish, lane
from psa.outbox.finish import Finished
from psa.outbox.outcome import Next, Outcome
from psa.outbox.tests.conftest import NOTES, sent
from psa.outbox.worker import Worker
from psa.provider_pool import provider_for
from psa.providers.connectwise.provider import ConnectWiseProvider
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Actor, NoteDraft, NoteKind, NotePart, RecordType

Post = Callable[..., Delivery]
Run = Callable[..., None]
Stored = Callable[[], list[dict[str, Any]]]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("drop_after", {}),
        ("drop_before", {}),
        ("garbage", {}),
        ("status", {"status": 500}),
        ("status", {"status": 503}),
        ("status", {"status": 502}),
        ("status", {"status": 429}),
        ("status", {"status": 409}),
        ("status", {"status": 408}),
    ],
)
def test_a_fault_on_the_write_ends_with_the_note_there_once(
    kind: str, options: dict[str, Any], post: Post, run: Run, stored: Stored, sandbox: SandboxServer
) -> None:
    sandbox.faults.add(method="POST", path=NOTES, kind=kind, count=1, **options)
    delivery = post()
    for _ in range(4):
        run(later=True)
    delivery.refresh_from_db()
    assert delivery.state == "delivered"
    assert len(stored()) == 1


def test_a_write_that_was_done_is_found_and_never_sent_again(
    post: Post, run: Run, stored: Stored, sandbox: SandboxServer
) -> None:
    sandbox.faults.add(method="POST", path=NOTES, kind="drop_after", count=1)
    delivery = post()
    run()
    delivery.refresh_from_db()
    assert (delivery.state, len(sent(sandbox)), len(stored())) == ("delivered", 1, 1)
    assert list(DeliveryAttempt.objects.values_list("action", "outcome")) == [
        ("send", "outcome-unknown"),
        ("look", "found"),
    ]


def test_a_write_that_was_not_done_is_sent_again_only_after_the_last_look(
    post: Post, run: Run, stored: Stored, sandbox: SandboxServer
) -> None:
    sandbox.faults.add(method="POST", path=NOTES, kind="status", status=503, count=1)
    delivery = post()
    for _ in range(3):
        run(later=True)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.sends, len(stored())) == ("delivered", 2, 1)
    assert [row.outcome for row in DeliveryAttempt.objects.all()] == [
        "outcome-unknown",
        "not-found",
        "not-found",
        "delivered",
    ]
    assert delivery.recheck_at is not None


def test_a_look_that_cannot_read_the_ticket_does_not_count(
    post: Post, run: Run, stored: Stored, sandbox: SandboxServer
) -> None:
    sandbox.faults.add(method="POST", path=NOTES, kind="drop_after", count=1)
    sandbox.faults.add(method="GET", path=NOTES, kind="status", status=500)
    delivery = post()
    for _ in range(5):
        run(later=True)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.looks, len(sent(sandbox))) == ("unknown", 0, 1)
    sandbox.faults.clear()
    run(later=True)
    delivery.refresh_from_db()
    assert (delivery.state, len(stored())) == ("delivered", 1)


def test_later_notes_wait_behind_one_whose_outcome_is_unknown(
    post: Post, run: Run, stored: Stored, sandbox: SandboxServer
) -> None:
    sandbox.faults.add(method="POST", path=NOTES, kind="status", status=500, count=1)
    post("first")
    second = post("second")
    second.refresh_from_db()
    assert second.held_by == "earlier"
    for _ in range(4):
        run(later=True)
    assert ["first" in note["text"] for note in stored()] == [True, False]


def test_429_waits_as_told_and_uses_up_no_attempt(
    post: Post, run: Run, sandbox: SandboxServer, connection: Connection
) -> None:
    sandbox.faults.add(method="POST", path=NOTES, kind="status", status=429, seconds=90, count=1)
    delivery = post()
    run()
    delivery.refresh_from_db()
    connection.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("ready", 0)
    assert timedelta(seconds=60) < connection.not_before - timezone.now() < timedelta(seconds=95)


def test_a_missing_permission_holds_with_its_grant_until_a_test_finds_it(
    post: Post,
    run: Run,
    stored: Stored,
    sandbox: SandboxServer,
    connection: Connection,
    tenant: Any,
    actor: Actor,
) -> None:
    sandbox.faults.add(method="POST", path=NOTES, kind="status", status=403, count=1)
    delivery = post()
    run()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.held_by, delivery.problem["code"]) == (
        "ready",
        "permission",
        "psa-permission",
    )
    assert "Service Tickets" in delivery.problem["remedy"]
    connection.refresh_from_db()
    assert {"feature": "notes", "status": "denied"}.items() <= connection.features[-1].items()
    services.connection_test(tenant, connection.pk, actor=actor)
    run()
    assert len(stored()) == 1


def test_refused_keys_break_the_connection_only_when_refused_again_a_minute_later(
    post: Post, run: Run, stored: Stored, sandbox: SandboxServer, connection: Connection
) -> None:
    sandbox.faults.add(method="POST", path=NOTES, kind="status", status=401, count=2)
    delivery = post()
    run()
    connection.refresh_from_db()
    assert connection.state == "connected"
    Connection.objects.update(auth_failed_at=timezone.now() - timedelta(seconds=61))
    run(later=True)
    connection.refresh_from_db()
    delivery.refresh_from_db()
    assert (connection.state, connection.problem["code"], delivery.state) == (
        "broken",
        "keys-refused",
        "ready",
    )
    Connection.objects.update(next_probe_at=timezone.now())
    run(later=True)
    run(later=True)
    connection.refresh_from_db()
    assert (connection.state, len(stored())) == ("connected", 1)


def test_a_deleted_ticket_is_dead_only_because_other_reads_work(
    post: Post, run: Run, sandbox: SandboxServer
) -> None:
    sandbox.faults.add(method="POST", path=NOTES, kind="status", status=404, count=1)
    delivery = post()
    run()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.problem["code"]) == ("dead", "ticket-gone")


def test_a_note_survives_a_psa_that_is_down(
    post: Post, run: Run, stored: Stored, sandbox: SandboxServer, connection: Connection, monkeypatch: Any
) -> None:
    Connection.objects.update(
        endpoint={**connection.endpoint, "base_url": "http://127.0.0.1:9/v4_6_release/apis/3.0"},
        config_version=connection.config_version + 1,
    )
    delivery = post()
    for _ in range(5):
        run(later=True)
    connection.refresh_from_db()
    delivery.refresh_from_db()
    assert (connection.state, delivery.state, delivery.attempts) == ("degraded", "retrying", 0)
    Connection.objects.update(next_probe_at=timezone.now())
    run(later=True)
    run(later=True)
    assert len(stored()) == 1


def test_a_new_codebase_is_found_by_itself(
    post: Post, run: Run, stored: Stored, sandbox: SandboxServer, connection: Connection
) -> None:
    Connection.objects.update(
        endpoint={**connection.endpoint, "base_url": f"{sandbox.url}/v2024_1/apis/3.0"},
        config_version=connection.config_version + 1,
    )
    delivery = post()
    run()
    delivery.refresh_from_db()
    assert (delivery.state, len(stored())) == ("delivered", 1)
    assert Connection.objects.get().endpoint["base_url"] == f"{sandbox.url}/v4_6_release/apis/3.0"


def test_a_worker_killed_while_sending_leaves_an_unknown_that_is_found(
    post: Post, run: Run, stored: Stored, connection: Connection
) -> None:
    delivery = post()
    [claimed] = claim.claim_due(timezone.now(), 1)
    lane.attempt(claim.claim_of(claimed, provider_for(connection), None, timezone.now()))
    # The process dies here: the note is on the ticket, nothing is written down.
    TicketLink.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    run()
    delivery.refresh_from_db()
    assert (delivery.state, len(stored())) == ("delivered", 1)
    assert list(DeliveryAttempt.objects.values_list("outcome", flat=True)) == ["worker-lost", "found"]


def test_a_worker_killed_before_sending_loses_nothing(post: Post, run: Run, stored: Stored) -> None:
    delivery = post()
    assert claim.claim_due(timezone.now(), 1)
    TicketLink.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    for _ in range(3):
        run(later=True)
    delivery.refresh_from_db()
    assert (delivery.state, len(stored())) == ("delivered", 1)


def test_a_late_result_changes_nothing(post: Post, connection: Connection) -> None:
    delivery = post()
    [claimed] = claim.claim_due(timezone.now(), 1)
    late = claim.claim_of(claimed, provider_for(connection), None, timezone.now())
    TicketLink.objects.update(lease_token="somebody else")
    outcome = Outcome(Next.DELIVERED, "delivered", sent=True, external_id="1")
    finish.finish([Finished(late, outcome, timezone.now(), 5)], timezone.now())
    delivery.refresh_from_db()
    assert (delivery.state, delivery.external_id) == ("sending", "")
    assert not DeliveryAttempt.objects.exists()


def test_a_lane_that_was_held_up_sends_nothing(
    post: Post, connection: Connection, sandbox: SandboxServer
) -> None:
    post()
    [claimed] = claim.claim_due(timezone.now(), 1)
    stale = claim.claim_of(claimed, provider_for(connection), None, timezone.now())
    object.__setattr__(stale, "claimed_at", stale.claimed_at - 20)
    assert lane.attempt(stale).code == "lease-too-short"
    assert sent(sandbox) == []


def test_two_workers_never_take_the_same_delivery(post: Post) -> None:
    post()
    now = timezone.now()
    assert len(claim.claim_due(now, 4)) == 1
    assert claim.claim_due(now, 4) == []


def test_a_payload_nobody_foresaw_ends_dead_with_evidence_and_the_worker_lives_on(
    post: Post, run: Run, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = post("poison")
    real = ConnectWiseProvider.note_add

    def explode(self: Any, ticket_id: str, record_type: Any, draft: Any) -> Any:
        if "poison" in draft.text:
            raise KeyError("nobody foresaw this")
        return real(self, ticket_id, record_type, draft)

    monkeypatch.setattr(ConnectWiseProvider, "note_add", explode)
    after = post("good")
    for _ in range(9):
        run(later=True)
    poison.refresh_from_db()
    after.refresh_from_db()
    assert (poison.state, poison.attempts, poison.problem["code"]) == ("dead", 8, "unexpected-error")
    assert (after.state, len(stored())) == ("delivered", 1)
    assert "nobody foresaw this" in DeliveryAttempt.objects.first().error


def test_an_error_of_ours_after_the_answer_is_looked_up_not_repeated(
    post: Post, run: Run, stored: Stored, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = ConnectWiseProvider.note_add

    def explode(self: Any, *args: Any) -> Any:
        real(self, *args)
        raise KeyError("our own mapping")

    monkeypatch.setattr(ConnectWiseProvider, "note_add", explode)
    delivery = post()
    run(later=True)
    run(later=True)
    delivery.refresh_from_db()
    assert (delivery.state, len(sent(sandbox)), len(stored())) == ("delivered", 1, 1)


def test_one_connection_never_gets_more_than_four_writes_at_once(
    tenant: Any, connection: Connection, actor: Actor
) -> None:
    for number in range(57001, 57009):
        link = services.ticket_link(tenant, connection.pk, str(number))
        services.unit_enqueue(tenant, link.pk, [NotePart(NoteKind.ANALYSIS, "x")], actor=actor)
    now = timezone.now()
    assert len(claim.claim_due(now, 8)) == 4
    assert claim.claim_due(now, 8) == []


def test_a_stopped_worker_finishes_what_it_sends(post: Post, stored: Stored, sandbox: SandboxServer) -> None:
    sandbox.faults.add(method="POST", path=NOTES, kind="latency", seconds=0.3, count=1)
    delivery = post()
    worker = Worker(2)
    worker._cycle()
    worker.stop()
    worker.run()
    delivery.refresh_from_db()
    assert (delivery.state, len(stored())) == ("delivered", 1)


def test_a_write_the_psa_committed_late_is_found_and_shown(
    post: Post, run: Run, sandbox: SandboxServer, connection: Connection
) -> None:
    sandbox.faults.add(method="POST", path=NOTES, kind="status", status=503, count=1)
    delivery = post()
    for _ in range(3):
        run(later=True)
    delivery.refresh_from_db()
    text = json.loads(sent(sandbox)[-1]["body"])["text"]
    # Only now does the first write, which was answered 503, appear.
    provider_for(connection).note_add("57050", RecordType.SERVICE, NoteDraft(NoteKind.ANALYSIS, text))
    Delivery.objects.update(recheck_at=timezone.now())
    run()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.recheck_at) == ("delivered", None)
    assert delivery.problem == {
        "code": "duplicate",
        "text": "This note stands 2 times on the ticket.",
        "remedy": "Remove the extra note in the PSA.",
    }


def test_a_second_look_that_cannot_read_is_repeated(post: Post, run: Run, sandbox: SandboxServer) -> None:
    delivery = post()
    run()
    Delivery.objects.update(recheck_at=timezone.now())
    sandbox.faults.add("status", method="GET", path=NOTES, status=500)
    run()
    delivery.refresh_from_db()
    assert delivery.recheck_at > timezone.now()


def test_time_spent_waiting_for_a_broken_connection_is_no_age(
    post: Post, run: Run, stored: Stored, connection: Connection
) -> None:
    delivery = post()
    long_ago = timezone.now() - timedelta(days=9)
    Delivery.objects.update(created_at=long_ago)
    Connection.objects.update(state="broken", state_since=long_ago, next_probe_at=timezone.now())
    run()
    delivery.refresh_from_db()
    assert delivery.held_s >= timedelta(days=9).total_seconds() - 5
    assert len(stored()) == 1


@pytest.mark.parametrize("how", ["probe", "enable", "update"])
def test_time_in_which_a_connection_did_not_flow_is_no_age(
    how: str, tenant: Any, connection: Connection, actor: Actor, post: Post, sandbox: SandboxServer
) -> None:
    delivery = post()
    day_ago = timezone.now() - timedelta(days=1)
    state = "disabled" if how == "enable" else "degraded"
    Connection.objects.update(state=state, state_since=day_ago)
    if how == "probe":
        services.connection_test(tenant, connection.pk, actor=actor)
    elif how == "enable":
        services.connection_enable(tenant, connection.pk, actor=actor)
    else:
        keys = {"private_key": sandbox.credentials.private_key + "x"}
        services.connection_update(tenant, connection.pk, actor=actor, credentials=keys, verify=False)
    delivery.refresh_from_db()
    assert delivery.held_s == pytest.approx(24 * 3600, abs=60)
