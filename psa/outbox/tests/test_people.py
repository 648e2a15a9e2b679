"""What people do with a delivery: retry, edit, discard, unlink."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from psa import services
from psa.exceptions import ConflictError, InvalidInputError, MissingError, RoleError
from psa.models import Connection, Delivery, TicketLink
from psa.outbox.tests.conftest import NOTES, sent
from psa.provider_pool import provider_for
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Actor, NoteDraft, NoteKind, NotePart, RecordType, Scope, StatusPart
from resolutionflow.accounts.models import Account

Post = Callable[..., Delivery]
Run = Callable[..., None]
Stored = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def dead(post: Post, run: Run, sandbox: SandboxServer) -> Delivery:
    """A note the PSA refused."""
    sandbox.faults.add(method="POST", path=NOTES, kind="status", status=400, count=1)
    delivery = post("first try")
    run()
    delivery.refresh_from_db()
    assert delivery.state == "dead"
    return delivery


def test_a_dead_note_can_be_retried(
    dead: Delivery, tenant: Any, scope: Scope, run: Run, stored: Stored
) -> None:
    services.delivery_retry(tenant, dead.pk, scope=scope)
    for _ in range(3):
        run(later=True)
    dead.refresh_from_db()
    assert (dead.state, len(stored())) == ("delivered", 1)


def test_an_edit_replaces_a_dead_note_in_its_place(
    dead: Delivery, tenant: Any, scope: Scope, run: Run, stored: Stored
) -> None:
    new = services.delivery_edit(tenant, dead.pk, scope=scope, text="better text")
    dead.refresh_from_db()
    assert (dead.state, new.supersedes_id, new.marker != dead.marker) == ("discarded", dead.pk, True)
    run(later=True)
    [note] = stored()
    assert "better text" in note["text"]


def test_an_edit_of_a_note_that_is_on_the_ticket_after_all_is_refused(
    post: Post, run: Run, tenant: Any, scope: Scope, sandbox: SandboxServer
) -> None:
    delivery = post()
    run()
    Delivery.objects.filter(pk=delivery.pk).update(state="dead")
    with pytest.raises(ConflictError) as caught:
        services.delivery_edit(tenant, delivery.pk, scope=scope, text="other")
    assert caught.value.code == "already-posted"


def test_a_dead_part_holds_its_unit_but_not_the_next_one(
    tenant: Any, link: TicketLink, actor: Actor, run: Run, stored: Stored, sandbox: SandboxServer
) -> None:
    sandbox.faults.add(method="POST", path=NOTES, kind="status", status=400, count=1)
    parts = [NotePart(NoteKind.ANALYSIS, "refused"), StatusPart("Closed")]
    unit = services.unit_enqueue(tenant, link.pk, parts, actor=actor)
    other = services.unit_enqueue(tenant, link.pk, [NotePart(NoteKind.ANALYSIS, "other")], actor=actor)
    run(later=True)
    unit.refresh_from_db()
    other.refresh_from_db()
    assert [(row.state, row.held_by) for row in unit.deliveries.order_by("seq")] == [
        ("dead", ""),
        ("ready", "dead"),
    ]
    assert (unit.state, other.state) == ("blocked", "delivered")
    assert sent(sandbox, "PATCH") == []


@pytest.mark.parametrize(("rest", "closed"), [("discard", False), ("continue", True)])
def test_discarding_decides_over_the_rest_of_the_unit(
    rest: str, closed: bool, tenant: Any, link: TicketLink, actor: Actor, scope: Scope, run: Run, sandbox: Any
) -> None:
    sandbox.faults.add(method="POST", path=NOTES, kind="status", status=400, count=1)
    parts = [NotePart(NoteKind.ANALYSIS, "refused"), StatusPart("Closed")]
    unit = services.unit_enqueue(tenant, link.pk, parts, actor=actor)
    run()
    first = unit.deliveries.order_by("seq").first()
    services.delivery_discard(tenant, first.pk, scope=scope, rest=rest)
    run(later=True)
    assert bool(sent(sandbox, "PATCH", "/57050")) is closed
    unit.refresh_from_db()
    assert unit.state == ("delivered" if closed else "discarded")


def test_what_may_be_on_the_ticket_cannot_be_discarded(
    post: Post, run: Run, tenant: Any, scope: Scope, sandbox: SandboxServer
) -> None:
    sandbox.faults.add(method="POST", path=NOTES, kind="drop_after", count=1)
    sandbox.faults.add(method="GET", path=NOTES, kind="status", status=500)
    delivery = post()
    run()
    with pytest.raises(ConflictError) as caught:
        services.delivery_discard(tenant, delivery.pk, scope=scope)
    assert caught.value.code == "in-flight"


def test_a_delivered_note_cannot_be_discarded_or_retried(
    post: Post, run: Run, tenant: Any, scope: Scope
) -> None:
    delivery = post()
    run()
    with pytest.raises(ConflictError, match="posted already"):
        services.delivery_discard(tenant, delivery.pk, scope=scope)
    with pytest.raises(ConflictError):
        services.delivery_retry(tenant, delivery.pk, scope=scope)


def test_only_its_author_or_a_lead_may_touch_a_delivery(post: Post, tenant: Any) -> None:
    delivery = post()
    with pytest.raises(RoleError):
        services.delivery_discard(tenant, delivery.pk, scope=Scope(tenant, Actor(None, "Ben"), can_post=True))
    lead = Scope(tenant, Actor(None, "Lea"), can_lead=True, can_post=True)
    assert services.delivery_discard(tenant, delivery.pk, scope=lead).state == "discarded"


def test_another_tenant_sees_no_delivery(post: Post) -> None:
    delivery = post()
    other = Account.objects.create(name="Other", slug="other")
    stranger = Scope(other, Actor(None, "Mallory"), can_manage=True, can_lead=True, can_post=True)
    with pytest.raises(MissingError):
        services.delivery_retry(other, delivery.pk, scope=stranger)


def test_unlinking_discards_what_is_open(post: Post, tenant: Any, link: TicketLink, actor: Actor) -> None:
    delivery = post()
    assert (
        services.open_deliveries_discard(tenant, link.pk, actor=actor, origin="session:1", reason="Unlinked")
        == 1
    )
    delivery.refresh_from_db()
    assert (delivery.state, delivery.discard_reason) == ("discarded", "Unlinked")


def test_deleting_a_connection_wipes_secrets_and_discards_with_a_reason(
    post: Post, tenant: Any, connection: Connection, actor: Actor
) -> None:
    delivery = post()
    services.connection_delete(tenant, connection.pk, actor=actor)
    delivery.refresh_from_db()
    gone = Connection.objects.get(pk=connection.pk)
    assert dict(gone.credentials) == {}
    assert (delivery.state, delivery.unit.state) == ("discarded", "discarded")
    assert "deleted by Erin Example" in delivery.discard_reason


def test_an_internal_note_cannot_notify(tenant: Any, link: TicketLink, actor: Actor) -> None:
    with pytest.raises(InvalidInputError) as caught:
        services.unit_enqueue(tenant, link.pk, [NotePart(NoteKind.ANALYSIS, "x", notify=True)], actor=actor)
    assert caught.value.code == "notify-internal"
    assert not Delivery.objects.exists()


def test_a_retry_behind_a_busy_lane_still_looks_before_it_sends(
    post: Post, run: Run, tenant: Any, scope: Scope, stored: Stored, sandbox: SandboxServer, settings: Any
) -> None:
    settings.PSA = {**settings.PSA, "DELIVERY_MAX_ATTEMPTS": 1}
    sandbox.faults.add("status", method="POST", path=NOTES, status=503, count=1)
    lost = post("lost")
    for _ in range(3):
        run(later=True)
    lost.refresh_from_db()
    assert (lost.state, lost.problem["code"], lost.sends) == ("dead", "gave-up", 1)
    # The PSA commits the first write late; meanwhile another note is in flight on the same ticket.
    text = json.loads(sent(sandbox)[0]["body"])["text"]
    provider = provider_for(Connection.objects.get())
    provider.note_add("57050", RecordType.SERVICE, NoteDraft(NoteKind.ANALYSIS, text))
    busy = post("busy")
    Delivery.objects.filter(pk=busy.pk).update(state="unknown")
    services.delivery_retry(tenant, lost.pk, scope=scope)
    lost.refresh_from_db()
    assert (lost.state, lost.held_by) == ("ready", "earlier")
    settings.PSA = {**settings.PSA, "DELIVERY_MAX_ATTEMPTS": 8}
    for _ in range(4):
        run(later=True)
    lost.refresh_from_db()
    assert lost.state == "delivered"
    assert sum("lost" in note["text"] for note in stored()) == 1
