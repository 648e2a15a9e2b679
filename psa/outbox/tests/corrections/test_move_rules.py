"""What moves together, what does not move at all, and where to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from psa import services
from psa.exceptions import ConflictError, InvalidInputError, MissingError
from psa.models import Delivery, TicketLink
from psa.outbox.tests.corrections.seen import OTHER, Post, Run, counts, verbs
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.providers.dummy.server import DummyServer
from psa.types import Actor, NoteKind, NotePart, RecordType, Scope, StatusPart
from resolutionflow.accounts.models import Account


@pytest.fixture
def long_note(post: Post, run: Run, settings: Any) -> Delivery:
    """A note in two parts, delivered."""
    settings.PSA = {**settings.PSA, "NOTE_MAX_CHARS": 400}
    first = post("\n".join(f"line {number} of a long note" for number in range(8)))
    assert first.parts == 2
    run()
    first.refresh_from_db()
    return first


@pytest.mark.parametrize("asked", [1, 2])
def test_all_parts_move_together(
    long_note: Delivery,
    other: TicketLink,
    tenant: Any,
    scope: Scope,
    run: Run,
    texts: Any,
    asked: int,
) -> None:
    part = Delivery.objects.get(unit=long_note.unit_id, part=asked)
    services.note_move(tenant, part.pk, other.pk, scope=scope)
    run()
    assert counts(texts) == (2, 2)
    run()
    old, new = texts()
    assert (old, ["(1/2)" in new[0], "(2/2)" in new[1]]) == ([], [True, True])
    assert verbs() == ["note.move-queued"] * 2 + ["note.moved"] * 2


def test_no_part_goes_before_all_are_there(
    long_note: Delivery,
    other: TicketLink,
    tenant: Any,
    scope: Scope,
    run: Run,
    texts: Any,
    sandbox: SandboxServer,
) -> None:
    services.note_move(tenant, long_note.pk, other.pk, scope=scope)
    copies = Delivery.objects.filter(supersedes__isnull=False).order_by("seq")
    Delivery.objects.filter(pk=copies[1].pk).update(held_by="pause")
    for _ in range(2):
        run()
    assert counts(texts) == (2, 1)
    services.delivery_discard(tenant, copies[1].pk, scope=scope)
    run()
    long_note.refresh_from_db()
    assert (counts(texts), long_note.problem["code"]) == ((2, 1), "not-moved")
    assert "Part of it stands there." in long_note.problem["text"]


def test_a_note_with_a_part_missing_does_not_move(
    long_note: Delivery, other: TicketLink, tenant: Any, scope: Scope
) -> None:
    services.note_remove(tenant, Delivery.objects.get(unit=long_note.unit_id, part=2).pk, scope=scope)
    with pytest.raises(ConflictError) as caught:
        services.note_move(tenant, long_note.pk, other.pk, scope=scope)
    assert caught.value.code == "parts-missing"
    assert Delivery.objects.filter(link=other).count() == 0


def test_only_the_note_moves_not_the_rest_of_its_unit(
    tenant: Any, link: TicketLink, other: TicketLink, actor: Actor, scope: Scope, run: Run, texts: Any
) -> None:
    parts = [
        NotePart(NoteKind.ANALYSIS, "for staff"),
        NotePart(NoteKind.RESOLUTION, "for all"),
        StatusPart("In Progress"),
    ]
    unit = services.unit_enqueue(tenant, link.pk, parts, actor=actor)
    run()
    services.note_move(tenant, unit.deliveries.get(kind="resolution").pk, other.pk, scope=scope)
    run()
    run()
    [old], [new] = texts()
    assert ("for staff" in old, "for all" in new) == (True, True)
    unit.refresh_from_db()
    assert unit.state == "delivered"


# What is refused ---------------------------------------------------------------------------------


def test_a_note_does_not_move_to_its_own_ticket(
    misplaced: Delivery, link: TicketLink, tenant: Any, scope: Scope
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        services.note_move(tenant, misplaced.pk, link.pk, scope=scope)
    assert caught.value.code == "same-ticket"


def test_a_ticket_merged_into_its_own_is_its_own(
    misplaced: Delivery, link: TicketLink, other: TicketLink, tenant: Any, scope: Scope
) -> None:
    TicketLink.objects.filter(pk=other.pk).update(merged_into=link)
    with pytest.raises(InvalidInputError) as caught:
        services.note_move(tenant, misplaced.pk, other.pk, scope=scope)
    assert caught.value.code == "same-ticket"


def test_a_note_does_not_move_to_another_tenants_ticket(
    misplaced: Delivery, other: TicketLink, tenant: Any, scope: Scope
) -> None:
    TicketLink.objects.filter(pk=other.pk).update(tenant=Account.objects.create(name="O", slug="o"))
    with pytest.raises(MissingError):
        services.note_move(tenant, misplaced.pk, other.pk, scope=scope)
    misplaced.refresh_from_db()
    assert "moving" not in misplaced.payload


@pytest.mark.parametrize("act", ["move", "correct", "remove"])
def test_a_note_on_its_way_is_not_changed_as_well(
    misplaced: Delivery, other: TicketLink, tenant: Any, scope: Scope, act: str
) -> None:
    services.note_move(tenant, misplaced.pk, other.pk, scope=scope)
    acts: dict[str, Callable[[], Any]] = {
        "move": lambda: services.note_move(tenant, misplaced.pk, other.pk, scope=scope),
        "correct": lambda: services.note_correct(tenant, misplaced.pk, scope=scope, text="x"),
        "remove": lambda: services.note_remove(tenant, misplaced.pk, scope=scope),
    }
    with pytest.raises(ConflictError) as caught:
        acts[act]()
    assert (caught.value.code, Delivery.objects.filter(link=other).count()) == ("moving", 1)


def test_a_note_on_its_way_can_be_hidden_at_once(
    misplaced: Delivery, other: TicketLink, tenant: Any, scope: Scope, run: Run, texts: Any
) -> None:
    services.note_move(tenant, misplaced.pk, other.pk, scope=scope)
    result = services.note_hide(tenant, misplaced.pk, scope=scope)
    assert f"Its copy for ticket {OTHER} stays as it is." in (result.notice or "")
    assert result.delivery.kind == "analysis"
    run()
    run()
    assert counts(texts) == (0, 1)


def test_nothing_is_queued_while_the_old_lane_is_in_flight(
    misplaced: Delivery, other: TicketLink, post: Post, tenant: Any, scope: Scope
) -> None:
    busy = post("busy")
    Delivery.objects.filter(pk=busy.pk).update(state="unknown")
    with pytest.raises(ConflictError) as caught:
        services.note_move(tenant, misplaced.pk, other.pk, scope=scope)
    assert caught.value.code == "in-flight"
    assert Delivery.objects.filter(link=other).count() == 0


# Between two connections -------------------------------------------------------------------------


def test_a_note_moves_to_another_psa(
    misplaced: Delivery,
    tenant: Any,
    actor: Actor,
    scope: Scope,
    run: Run,
    texts: Any,
    settings: Any,
) -> None:
    DummyServer.reset()
    paths = {**settings.PSA["PROVIDERS"], "dummy": "psa.providers.dummy.provider.DummyProvider"}
    settings.PSA = {**settings.PSA, "PROVIDERS": paths}
    second = services.connection_create(
        tenant,
        actor=actor,
        provider="dummy",
        name="Second",
        site="dummy.example",
        credentials={"api_key": "k"},
    )
    target = services.ticket_link(tenant, second.pk, "1001")
    services.note_move(tenant, misplaced.pk, target.pk, scope=scope)
    run()
    run()
    notes = DummyServer.of(str(second.pk)).notes[(RecordType.SERVICE, "1001")]
    assert "The VPN works again." in notes[-1].text
    assert notes[-1].kind is NoteKind.RESOLUTION
    assert texts()[0] == []
