"""A moved note is on both tickets rather than on none: the old one goes once the new one is there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from psa import services
from psa.models import AuditEntry, Connection, Delivery, TicketLink
from psa.outbox.moves import moves_finish
from psa.outbox.tests.conftest import NOTES, notes_of, sent
from psa.outbox.tests.corrections.seen import NOTE, OTHER, Post, Run, counts, verbs
from psa.provider_pool import provider_for
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Actor, RecordType, Scope


def test_the_note_is_on_both_tickets_before_it_goes_from_the_old_one(
    misplaced: Delivery, other: TicketLink, tenant: Any, scope: Scope, run: Run, texts: Any
) -> None:
    result = services.note_move(tenant, misplaced.pk, other.pk, scope=scope)
    assert (counts(texts), result.delivery.state) == ((1, 0), "delivered")
    assert result.delivery.problem["code"] == "moving"
    assert f"ticket {OTHER}" in result.delivery.problem["text"]
    run()
    assert counts(texts) == (1, 1)
    run()
    assert counts(texts) == (0, 1)
    misplaced.refresh_from_db()
    assert (misplaced.state, misplaced.problem, misplaced.unit.state) == ("discarded", None, "discarded")
    assert misplaced.discard_reason == f"Moved to ticket {OTHER} by Erin Example."
    assert "moving" not in misplaced.payload


def test_the_copy_is_a_note_of_its_own(
    misplaced: Delivery, other: TicketLink, tenant: Any, scope: Scope, run: Run, sandbox: SandboxServer
) -> None:
    mails = len(sandbox.mails)
    copy = services.note_move(tenant, misplaced.pk, other.pk, scope=scope).replacement
    assert copy is not None
    run()
    copy.refresh_from_db()
    [note] = notes_of(sandbox, OTHER)
    assert note["text"] == f"Posted by Erin Example\n\nThe VPN works again.\n\n{copy.marker}"
    assert (note["resolutionFlag"], note["internalAnalysisFlag"]) == (True, False)
    assert (copy.supersedes_id, copy.marker != misplaced.marker) == (misplaced.pk, True)
    assert (copy.unit.origin, len(sandbox.mails)) == ("session:1", mails)


def test_the_audit_tells_both_halves_and_who_moved_it(
    misplaced: Delivery, other: TicketLink, tenant: Any, run: Run, user: Any
) -> None:
    lead = Scope(tenant, Actor(user.pk, "Lea Lead"), can_lead=True, can_post=True)
    services.note_move(tenant, misplaced.pk, other.pk, scope=lead)
    run()
    run()
    queued, moved = AuditEntry.objects.filter(verb__startswith="note.move").order_by("pk")
    assert [entry.verb for entry in (queued, moved)] == ["note.move-queued", "note.moved"]
    assert {entry.actor_name for entry in (queued, moved)} == {"Lea Lead"}
    assert {entry.ticket_id for entry in (queued, moved)} == {"57050"}
    assert (queued.facts["to_ticket"], moved.facts["after"]) == (OTHER, None)
    assert "The VPN works again." in moved.facts["before"]


def test_a_worker_that_dies_between_the_halves_leaves_the_rest_to_the_next(
    misplaced: Delivery,
    other: TicketLink,
    tenant: Any,
    scope: Scope,
    run: Run,
    texts: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    services.note_move(tenant, misplaced.pk, other.pk, scope=scope)
    run()
    provider = provider_for(misplaced.connection)

    class Killed(BaseException):
        """The process ended."""

    def remove(*_args: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(provider, "note_remove", remove)
        # Nothing of ours runs when a process is killed, the end of a `with` neither.
        patched.setattr("psa.outbox.hold._give_up", lambda *_args, **_more: None)
        with pytest.raises(Killed):
            moves_finish(timezone.now())
    assert counts(texts) == (1, 1)
    run()
    assert counts(texts) == (1, 1)
    TicketLink.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    run()
    assert (counts(texts), verbs()) == ((0, 1), ["note.move-queued", "note.moved"])


def test_a_copy_that_is_refused_leaves_the_note_where_it_is(
    misplaced: Delivery,
    other: TicketLink,
    tenant: Any,
    scope: Scope,
    run: Run,
    texts: Any,
    sandbox: SandboxServer,
) -> None:
    sandbox.faults.add(method="POST", path=NOTES, kind="status", status=400, count=1)
    copy = services.note_move(tenant, misplaced.pk, other.pk, scope=scope).replacement
    assert copy is not None
    for _ in range(2):
        run()
    misplaced.refresh_from_db()
    assert (counts(texts), misplaced.problem["code"]) == ((1, 0), "moving")
    services.delivery_discard(tenant, copy.pk, scope=scope)
    run()
    misplaced.refresh_from_db()
    assert (misplaced.state, misplaced.problem["code"]) == ("delivered", "not-moved")
    assert "moving" not in misplaced.payload
    assert services.note_hide(tenant, misplaced.pk, scope=scope).delivery.kind == "analysis"


def test_an_edited_copy_counts_as_the_copy(
    misplaced: Delivery,
    other: TicketLink,
    tenant: Any,
    scope: Scope,
    run: Run,
    texts: Any,
    sandbox: SandboxServer,
) -> None:
    sandbox.faults.add(method="POST", path=NOTES, kind="status", status=400, count=1)
    copy = services.note_move(tenant, misplaced.pk, other.pk, scope=scope).replacement
    assert copy is not None
    run()
    services.delivery_edit(tenant, copy.pk, scope=scope, text="The VPN works.")
    run()
    run()
    old, [new] = texts()
    assert (old, "The VPN works.\n" in new) == ([], True)


def test_a_copy_that_is_looked_up_does_not_lose_the_old_note(
    misplaced: Delivery,
    other: TicketLink,
    tenant: Any,
    scope: Scope,
    run: Run,
    texts: Any,
    sandbox: SandboxServer,
) -> None:
    sandbox.faults.add(method="POST", path=NOTES, kind="drop_before", count=1)
    sandbox.faults.add(method="GET", path=NOTES, kind="status", status=500, count=40)
    services.note_move(tenant, misplaced.pk, other.pk, scope=scope)
    run()
    run()
    assert Delivery.objects.get(supersedes=misplaced).state == "unknown"
    sandbox.faults.clear()
    assert counts(texts) == (1, 0)
    for _ in range(4):
        run(later=True)
    assert counts(texts) == (0, 1)


@pytest.mark.parametrize("status", [403, 405, 400])
def test_a_note_the_psa_keeps_is_followed_by_one_that_asks_to_ignore_it(
    misplaced: Delivery,
    other: TicketLink,
    tenant: Any,
    scope: Scope,
    run: Run,
    texts: Any,
    sandbox: SandboxServer,
    status: int,
) -> None:
    sandbox.faults.add(method="DELETE", path=NOTE, kind="status", status=status)
    services.note_move(tenant, misplaced.pk, other.pk, scope=scope)
    for _ in range(4):
        run()
    (old, ignoring), new = texts()
    assert "Please ignore the note of" in ignoring
    assert "it belongs to another ticket." in ignoring
    assert (OTHER in ignoring, len(new)) == (False, 1)
    misplaced.refresh_from_db()
    assert (misplaced.state, misplaced.problem["code"]) == ("delivered", "not-removed")
    assert (verbs(), len(sent(sandbox, "DELETE"))) == (["note.move-queued", "note.move-refused"], 1)


@pytest.mark.parametrize("fault", [{"kind": "drop_before"}, {"kind": "status", "status": 503}])
def test_a_removal_without_an_answer_is_tried_again_after_a_while(
    misplaced: Delivery,
    other: TicketLink,
    tenant: Any,
    scope: Scope,
    run: Run,
    texts: Any,
    sandbox: SandboxServer,
    fault: dict[str, Any],
) -> None:
    sandbox.faults.add(method="DELETE", path=NOTE, count=1, **fault)
    services.note_move(tenant, misplaced.pk, other.pk, scope=scope)
    for _ in range(3):
        run()
    misplaced.refresh_from_db()
    assert (counts(texts), len(sent(sandbox, "DELETE"))) == ((1, 1), 1)
    assert misplaced.problem["code"] == "moving"
    moves_finish(timezone.now() + timedelta(minutes=2))
    assert counts(texts) == (0, 1)
    misplaced.refresh_from_db()
    assert (misplaced.state, "correcting" in misplaced.payload) == ("discarded", False)


def test_a_connection_that_stands_still_is_not_asked(
    misplaced: Delivery, other: TicketLink, tenant: Any, scope: Scope, run: Run, sandbox: SandboxServer
) -> None:
    services.note_move(tenant, misplaced.pk, other.pk, scope=scope)
    run()
    Connection.objects.update(state="broken")
    assert moves_finish(timezone.now()) == 0
    assert sent(sandbox, "DELETE") == []


def test_a_note_somebody_removed_meanwhile_counts_as_moved(
    misplaced: Delivery, other: TicketLink, tenant: Any, scope: Scope, run: Run
) -> None:
    services.note_move(tenant, misplaced.pk, other.pk, scope=scope)
    provider_for(misplaced.connection).note_remove("57050", RecordType.SERVICE, misplaced.external_id)
    run()
    run()
    misplaced.refresh_from_db()
    assert (misplaced.state, verbs()) == ("discarded", ["note.move-queued", "note.moved"])


def test_a_busy_lane_is_waited_for(
    misplaced: Delivery, other: TicketLink, post: Post, tenant: Any, scope: Scope, run: Run, texts: Any
) -> None:
    services.note_move(tenant, misplaced.pk, other.pk, scope=scope)
    run()
    busy = post("busy")
    Delivery.objects.filter(pk=busy.pk).update(state="unknown", due_at=timezone.now() + timedelta(hours=1))
    assert moves_finish(timezone.now()) == 0
    assert counts(texts) == (1, 1)
    for _ in range(3):
        run(later=True)
    assert "The VPN works again." not in str(texts()[0])


def test_what_is_through_is_not_looked_at_again(
    misplaced: Delivery, other: TicketLink, tenant: Any, scope: Scope, run: Run
) -> None:
    copy = services.note_move(tenant, misplaced.pk, other.pk, scope=scope).replacement
    assert copy is not None
    for _ in range(3):
        run()
    copy.refresh_from_db()
    assert copy.payload == {"text": "The VPN works again.", "notify": False}
    assert services.note_correct(tenant, copy.pk, scope=scope, text="x").delivery.state == "delivered"
