"""What goes over the wire and what is stored, against the sandbox on a real socket."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from psa import selectors, services
from psa.models import AuditEntry, Connection, Delivery, DeliveryAttempt, MemberMapping, TicketLink
from psa.outbox.tests.conftest import sent
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Actor, NoteKind, NotePart, StatusPart

Post = Callable[..., Delivery]
Run = Callable[..., None]
Stored = Callable[[], list[dict[str, Any]]]


def test_an_internal_note_reaches_its_ticket_once_and_is_internal(
    post: Post, run: Run, stored: Stored
) -> None:
    delivery = post()
    run()
    run()
    delivery.refresh_from_db()
    [note] = stored()
    assert (note["internalAnalysisFlag"], note["detailDescriptionFlag"], note["resolutionFlag"]) == (
        True,
        False,
        False,
    )
    assert note["text"].endswith(f"\n\n{delivery.marker}")
    assert (delivery.state, delivery.external_id) == ("delivered", str(note["id"]))


def test_the_body_always_says_that_nobody_is_mailed(post: Post, run: Run, sandbox: SandboxServer) -> None:
    post()
    run()
    body = json.loads(sent(sandbox)[0]["body"])
    assert body["processNotifications"] is False
    assert (body["internalFlag"], body["externalFlag"]) == (True, False)


def test_an_unmapped_author_is_named_in_the_first_line(post: Post, run: Run, stored: Stored) -> None:
    post("Text")
    run()
    assert stored()[0]["text"].startswith("Posted by Erin Example\n\nText")


def test_a_mapped_author_posts_as_that_member(
    post: Post, run: Run, stored: Stored, connection: Connection, user: Any, tenant: Any
) -> None:
    MemberMapping.objects.create(
        tenant=tenant,
        connection=connection,
        user=user,
        user_name="Erin",
        member_id="101",
        member_identifier="x",
        member_name="Someone Real",
    )
    delivery = post("Text")
    run()
    delivery.refresh_from_db()
    [note] = stored()
    assert note["member"]["id"] == 101
    assert note["text"].startswith("Text")
    assert (delivery.author_name, delivery.author_kind) == ("Someone Real", "member")


def test_unmapped_notes_wait_for_a_mapping_where_the_setting_says_so(
    post: Post, run: Run, stored: Stored, connection: Connection, user: Any, tenant: Any, settings: Any
) -> None:
    settings.PSA = {**settings.PSA, "UNMAPPED_AUTHOR": "hold"}
    delivery = post()
    run()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.held_by, stored()) == ("ready", "mapping", [])
    MemberMapping.objects.create(
        tenant=tenant, connection=connection, user=user, user_name="E", member_id="101", member_name="M"
    )
    run()
    assert len(stored()) == 1


def test_note_resolution_and_status_arrive_in_order(
    tenant: Any, link: TicketLink, actor: Actor, run: Run, sandbox: SandboxServer, stored: Stored
) -> None:
    parts = [
        NotePart(NoteKind.ANALYSIS, "Secret step"),
        NotePart(NoteKind.RESOLUTION, "All well again."),
        StatusPart("Closed"),
    ]
    unit = services.unit_enqueue(tenant, link.pk, parts, actor=actor, origin="session:1")
    assert [row.held_by for row in unit.deliveries.order_by("seq")] == ["", "earlier", "earlier"]
    run()
    unit.refresh_from_db()
    assert unit.state == "delivered"
    internal, resolution = stored()
    assert internal["internalAnalysisFlag"]
    assert resolution["resolutionFlag"]
    assert "Secret" not in resolution["text"]
    writes = [row for row in sandbox.requests if row["method"] in ("POST", "PATCH")]
    assert [row["method"] for row in writes] == ["POST", "POST", "PATCH"]
    patch = json.loads(writes[2]["body"])
    assert patch[1] == {"op": "replace", "path": "processNotifications", "value": False}


def test_a_long_text_arrives_in_marked_parts_in_order(post: Post, run: Run, stored: Stored) -> None:
    post("\n".join(f"line {number:05d} " + "x" * 40 for number in range(600)))
    run()
    notes = stored()
    assert len(notes) == 3
    assert [f"({number}/3)" in note["text"] for number, note in enumerate(notes, 1)] == [True] * 3
    assert all(len(note["text"]) <= 15_000 for note in notes)
    assert len({note["text"][-11:] for note in notes}) == 3


def test_emoji_and_quotes_arrive_unchanged(post: Post, run: Run, stored: Stored) -> None:
    text = 'He said "it\'s 🖨️" \\ 100 % <b>&amp;</b> ñ 漢字'
    post(text)
    run()
    assert text in stored()[0]["text"]


class StopError(Exception):
    """Ends the caller's transaction."""


def _enqueue_then_fail(tenant: Any, link: TicketLink, actor: Actor) -> None:
    services.unit_enqueue(tenant, link.pk, [NotePart(NoteKind.ANALYSIS, "x")], actor=actor)
    raise StopError


def test_nothing_is_queued_when_the_callers_transaction_fails(
    tenant: Any, link: TicketLink, actor: Actor
) -> None:
    with pytest.raises(StopError), transaction.atomic():
        _enqueue_then_fail(tenant, link, actor)
    assert not Delivery.objects.exists()


def test_every_delivered_write_has_an_attempt_and_an_audit_row(post: Post, run: Run) -> None:
    delivery = post(kind="resolution", notify=True)
    run()
    [attempt] = DeliveryAttempt.objects.all()
    assert (attempt.delivery_id, attempt.action, attempt.outcome) == (delivery.pk, "send", "delivered")
    entry = AuditEntry.objects.get(verb="note.delivered")
    assert (entry.actor_name, entry.customer_visible, entry.mailed) == ("Erin Example", True, True)


def test_a_disabled_connection_takes_nothing(
    tenant: Any, connection: Connection, post: Post, actor: Actor
) -> None:
    delivery = post()
    services.connection_disable(tenant, connection.pk, actor=actor)
    delivery = selectors.delivery_get(tenant, delivery.pk)
    assert selectors.delivery_held_by(delivery) == "connection"


def test_a_status_that_is_there_already_sends_nothing(
    tenant: Any, link: TicketLink, actor: Actor, run: Run, sandbox: SandboxServer
) -> None:
    unit = services.unit_enqueue(tenant, link.pk, [StatusPart("In Progress")], actor=actor)
    run()
    [delivery] = unit.deliveries.all()
    assert (delivery.state, delivery.status_seen) == ("delivered", "In Progress")
    assert sent(sandbox, "PATCH") == []


def test_a_status_of_another_board_needs_a_person_and_names_the_valid_ones(
    tenant: Any, link: TicketLink, actor: Actor, run: Run
) -> None:
    unit = services.unit_enqueue(tenant, link.pk, [StatusPart("No such status")], actor=actor)
    run()
    unit.refresh_from_db()
    [delivery] = unit.deliveries.all()
    assert (unit.state, delivery.state) == ("blocked", "dead")
    assert "In Progress" in delivery.problem["text"]


def test_a_ticket_somebody_else_closed_is_left_alone_until_a_person_says_so(
    tenant: Any, link: TicketLink, actor: Actor, run: Run, scope: Any
) -> None:
    services.unit_enqueue(tenant, link.pk, [StatusPart("Closed")], actor=actor)
    run()
    unit = services.unit_enqueue(tenant, link.pk, [StatusPart("In Progress")], actor=actor)
    run()
    [delivery] = unit.deliveries.all()
    assert (delivery.state, delivery.problem["code"]) == ("dead", "already-closed")
    services.delivery_retry(tenant, delivery.pk, scope=scope)
    run()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.status_seen) == ("delivered", "In Progress")
