"""What the audit keeps of each write, and of what people do with a delivery: who, where, which text, why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from psa import services
from psa.models import AuditEntry, Connection, Delivery, MemberMapping, TicketLink
from psa.outbox.tests.conftest import NOTES, sent
from psa.providers.connectwise.provider import ConnectWiseProvider
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Actor, Note, NoteKind, NotePart, Scope, StatusPart

Post = Callable[..., Delivery]
Run = Callable[..., None]
Stored = Callable[[], list[dict[str, Any]]]


def entry(verb: str) -> AuditEntry:
    return AuditEntry.objects.get(verb=verb)


@pytest.fixture
def dead(post: Post, run: Run, sandbox: SandboxServer) -> Delivery:
    """A note the PSA refused."""
    sandbox.faults.add(method="POST", path=NOTES, kind="status", status=400, count=1)
    delivery = post("first try")
    run()
    delivery.refresh_from_db()
    assert delivery.state == "dead"
    return delivery


# What is written to the PSA ---------------------------------------------------------------------


def test_a_delivered_note_is_kept_as_it_was_written(post: Post, run: Run, stored: Stored) -> None:
    delivery = post("Restarted the spooler.")
    run()
    [note] = stored()
    found = entry("note.delivered")
    assert found.facts["after"] == note["text"] == f"Posted by Erin Example\n\n{body(delivery)}"
    assert "before" not in found.facts
    assert (found.ticket_id, found.shown_as, found.object_id) == ("57050", "API member", str(delivery.pk))
    assert (found.customer_visible, found.mailed) == (False, False)


def body(delivery: Delivery) -> str:
    return f"Restarted the spooler.\n\n{delivery.marker}"


def test_a_note_that_was_found_by_a_look_is_kept_as_it_stands_there(
    post: Post, run: Run, stored: Stored, sandbox: SandboxServer
) -> None:
    sandbox.faults.add(method="POST", path=NOTES, kind="drop_after", count=1)
    post("Restarted the spooler.")
    for _ in range(2):
        run(later=True)
    [note] = stored()
    assert entry("note.delivered").facts["after"] == note["text"]


def test_secrets_in_a_text_are_blacked_out(post: Post, run: Run) -> None:
    post("Set the password: hunter2-hunter2 on the router")
    run()
    after = entry("note.delivered").facts["after"]
    assert "hunter2" not in after
    assert "on the router" in after


def test_an_internal_note_the_psa_shows_is_visible_in_the_audit_too(
    post: Post, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = ConnectWiseProvider.note_add

    def leak(provider: ConnectWiseProvider, *given: Any) -> Note:
        return replace(add(provider, *given), customer_visible=True)

    monkeypatch.setattr(ConnectWiseProvider, "note_add", leak)
    post()
    run()
    assert entry("note.delivered").customer_visible is True


def test_a_status_is_kept_before_and_after(tenant: Any, link: TicketLink, actor: Actor, run: Run) -> None:
    services.unit_enqueue(tenant, link.pk, [StatusPart("Closed", notify=True)], actor=actor)
    run()
    found = entry("status.set")
    assert (found.facts["before"], found.facts["after"]) == ("In Progress", "Closed")
    assert (found.mailed, found.customer_visible, found.ticket_id) == (True, None, "57050")


def test_a_status_that_stood_there_already_was_found_not_set(
    tenant: Any, link: TicketLink, actor: Actor, run: Run, sandbox: SandboxServer
) -> None:
    services.unit_enqueue(tenant, link.pk, [StatusPart("In Progress", notify=True)], actor=actor)
    run()
    found = entry("status.found")
    assert sent(sandbox, "PATCH") == []
    assert (found.facts["before"], found.facts["after"]) == ("In Progress", "In Progress")
    assert (found.facts["already"], found.mailed) == (True, False)
    assert not AuditEntry.objects.filter(verb="status.set").exists()


def test_a_status_that_we_had_sent_before_was_set(
    tenant: Any, link: TicketLink, actor: Actor, run: Run
) -> None:
    unit = services.unit_enqueue(tenant, link.pk, [StatusPart("In Progress")], actor=actor)
    unit.deliveries.update(sends=1)
    run()
    assert entry("status.set").facts["after"] == "In Progress"


# What people do with a delivery -----------------------------------------------------------------


def test_an_edit_keeps_both_texts(
    dead: Delivery, tenant: Any, scope: Scope, connection: Connection, user: Any
) -> None:
    MemberMapping.objects.create(
        tenant=tenant, connection=connection, user=user, member_id="105", member_name="Erin Owens"
    )
    new = services.delivery_edit(tenant, dead.pk, scope=scope, text="better text")
    found = entry("delivery.edited")
    assert (found.object_id, found.actor_name, found.ticket_id) == (str(new.pk), "Erin Example", "57050")
    assert (found.shown_as, new.author_name, new.author_kind) == ("Erin Owens", "Erin Owens", "member")
    assert found.facts == {
        "unit": dead.unit_id,
        "state_before": "dead",
        "before": "first try",
        "after": "better text",
        "replaces": dead.pk,
    }


def test_a_retry_says_of_what(dead: Delivery, tenant: Any, scope: Scope) -> None:
    services.delivery_retry(tenant, dead.pk, scope=scope)
    found = entry("delivery.retried")
    assert (found.ticket_id, found.shown_as, found.kind) == ("57050", "API member", "analysis")
    assert found.facts == {"unit": dead.unit_id, "state_before": "dead", "problem": "psa-refused"}


@pytest.mark.parametrize(
    ("given", "kept"), [(" Posted by hand ", "Posted by hand"), ("", "Discarded by Erin Example.")]
)
def test_a_discarded_delivery_and_what_it_takes_along_keep_the_reason(
    tenant: Any, link: TicketLink, actor: Actor, scope: Scope, given: str, kept: str
) -> None:
    parts = [NotePart(NoteKind.ANALYSIS, "one"), StatusPart("Closed")]
    unit = services.unit_enqueue(tenant, link.pk, parts, actor=actor)
    first, status = unit.deliveries.order_by("seq")
    services.delivery_discard(tenant, first.pk, scope=scope, reason=given)
    found = AuditEntry.objects.filter(verb="delivery.discarded").order_by("pk")
    assert [(row.object_id, row.kind, row.ticket_id, row.facts["reason"]) for row in found] == [
        (str(first.pk), "analysis", "57050", kept),
        (str(status.pk), "status", "57050", kept),
    ]


def test_what_unlinking_discards_keeps_the_reason(
    tenant: Any, link: TicketLink, post: Post, actor: Actor
) -> None:
    post()
    services.open_deliveries_discard(tenant, link.pk, actor=actor, origin="session:1", reason="Unlinked.")
    found = entry("delivery.discarded")
    assert (found.ticket_id, found.facts["reason"]) == ("57050", "Unlinked.")
