"""Each write that reached the PSA has exactly one audit entry, with who did it; what was read has none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from psa import services
from psa.exceptions import OutcomeUnknownError
from psa.models import AuditEntry, Delivery, TicketLink
from psa.outbox.moves import moves_finish
from psa.outbox.tests.conftest import NOTES
from psa.provider_pool import provider_for
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Actor, NoteDraft, NoteKind, NotePart, RecordType, Scope, StatusPart

Post = Callable[..., Delivery]
Run = Callable[..., None]
NOTE = r"/service/tickets/\d+/notes/\d+$"
WRITES = ("POST", "PATCH", "DELETE")


def writes(sandbox: SandboxServer) -> int:
    """Return how many writes the PSA has got."""
    return sum(row["method"] in WRITES for row in sandbox.requests)


def entries() -> list[AuditEntry]:
    return list(AuditEntry.objects.exclude(object_type="connection").order_by("pk"))


def test_every_write_has_one_entry_with_its_actor(
    tenant: Any,
    link: TicketLink,
    actor: Actor,
    scope: Scope,
    run: Run,
    sandbox: SandboxServer,
) -> None:
    parts = [
        NotePart(NoteKind.ANALYSIS, "for staff"),
        NotePart(NoteKind.RESOLUTION, "for all"),
        StatusPart("Closed"),
    ]
    unit = services.unit_enqueue(tenant, link.pk, parts, actor=actor)
    run()
    analysis, resolution, _status = unit.deliveries.order_by("seq")
    services.note_hide(tenant, resolution.pk, scope=scope)
    services.note_correct(tenant, resolution.pk, scope=scope, text="better")
    services.note_remove(tenant, analysis.pk, scope=scope)
    assert [entry.verb for entry in entries()] == [
        "note.delivered",
        "note.delivered",
        "status.set",
        "note.hidden",
        "note.corrected",
        "note.removed",
    ]
    assert len(entries()) == writes(sandbox)
    assert {(entry.actor_id, entry.actor_name) for entry in entries()} == {(actor.user_id, "Erin Example")}
    assert {entry.ticket_id for entry in entries()} == {"57050"}


def test_a_move_has_an_entry_for_each_of_its_two_writes(
    tenant: Any, link: TicketLink, post: Post, scope: Scope, run: Run, sandbox: SandboxServer
) -> None:
    delivery = post("misplaced")
    run()
    target = services.ticket_link(tenant, link.connection_id, "57001")
    services.note_move(tenant, delivery.pk, target.pk, scope=scope)
    run()
    moves_finish(timezone.now())
    found = [(entry.verb, entry.ticket_id) for entry in entries()]
    assert found == [
        ("note.delivered", "57050"),
        ("note.move-queued", "57050"),
        ("note.delivered", "57001"),
        ("note.moved", "57050"),
    ]
    assert len([verb for verb, _ticket in found if verb != "note.move-queued"]) == writes(sandbox)


def test_each_extra_note_that_is_removed_has_an_entry(
    tenant: Any, post: Post, scope: Scope, run: Run, sandbox: SandboxServer
) -> None:
    delivery = post("twice")
    run()
    text = f"twice\n\n{delivery.marker}"
    for _ in range(2):
        draft = NoteDraft(NoteKind.ANALYSIS, text)
        provider_for(delivery.connection).note_add("57050", RecordType.SERVICE, draft)
    before = writes(sandbox)
    services.double_remove(tenant, delivery.pk, scope=scope)
    removed = [entry for entry in entries() if entry.verb == "note.double-removed"]
    assert len(removed) == writes(sandbox) - before == 2
    assert len({entry.facts["external_id"] for entry in removed}) == 2


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
def test_a_note_that_was_looked_up_has_one_entry(
    post: Post, run: Run, sandbox: SandboxServer, kind: str
) -> None:
    sandbox.faults.add(method="POST", path=NOTES, kind=kind, count=1)
    post("once")
    for _ in range(4):
        run(later=True)
    assert [entry.verb for entry in entries()] == ["note.delivered"]


def test_a_write_without_an_answer_has_an_entry_of_its_own(
    tenant: Any, post: Post, scope: Scope, run: Run, sandbox: SandboxServer
) -> None:
    delivery = post("once", kind="resolution")
    run()
    sandbox.faults.add(method="PATCH", path=NOTE, kind="drop_before", count=1)
    with pytest.raises(OutcomeUnknownError):
        services.note_hide(tenant, delivery.pk, scope=scope)
    services.note_hide(tenant, delivery.pk, scope=scope)
    [_posted, unknown, hidden] = entries()
    assert [unknown.verb, hidden.verb] == ["note.hide-unknown", "note.hidden"]
    assert (unknown.customer_visible, hidden.customer_visible) == (None, False)
    assert len(entries()) == writes(sandbox)


def test_what_is_only_looked_at_has_none(
    tenant: Any, post: Post, scope: Scope, run: Run, sandbox: SandboxServer
) -> None:
    delivery = post("once")
    run()
    services.double_remove(tenant, delivery.pk, scope=scope)
    assert [entry.verb for entry in entries()] == ["note.delivered"]
    assert writes(sandbox) == 1


def test_switching_off_or_on_twice_is_one_entry_each(tenant: Any, connection: Any, actor: Actor) -> None:
    before = AuditEntry.objects.latest("pk").pk
    for switch in (services.connection_disable, services.connection_enable):
        changed = switch(tenant, connection.pk, actor=actor)
        again = switch(tenant, connection.pk, actor=actor)
        assert (again.state, again.state_since) == (changed.state, changed.state_since)
    found = AuditEntry.objects.filter(pk__gt=before).order_by("pk")
    assert [entry.verb for entry in found] == ["connection.disabled", "connection.enabled"]


def test_each_change_of_a_connection_has_one_entry(tenant: Any, connection: Any, actor: Actor) -> None:
    services.connection_update(tenant, connection.pk, actor=actor, name="Other", verify=False)
    services.connection_test(tenant, connection.pk, actor=actor)
    services.connection_disable(tenant, connection.pk, actor=actor)
    services.connection_enable(tenant, connection.pk, actor=actor)
    services.connection_delete(tenant, connection.pk, actor=actor)
    found = AuditEntry.objects.filter(object_type="connection").order_by("pk")
    assert [entry.verb.partition(".")[2] for entry in found] == [
        "created",
        "changed",
        "tested",
        "disabled",
        "enabled",
        "deleted",
    ]
    assert {entry.actor_name for entry in found} == {"Erin Example"}
    assert "private" not in str([entry.facts for entry in found])
