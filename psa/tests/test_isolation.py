"""No public function reaches another tenant's row by its id. A new function must be added to a table here."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import QuerySet
from django.utils import timezone

from psa import selectors, services
from psa.exceptions import MissingError
from psa.models import AuditEntry, Connection, Delivery, TicketLink, WorkUnit
from psa.providers.dummy.server import DummyServer
from psa.tests.conftest import World
from psa.types import Document, NoteDraft, NoteKind, NotePart, RecordType, StatusPart

pytestmark = pytest.mark.usefixtures("dummy")

Call = Callable[[World, World], Any]
"""Calls a function as our tenant's admin, with the ids of theirs."""


def file_there(world: World) -> str:
    """Put a file on the ticket at the PSA and return its id."""
    document = Document("8001", world.link.ticket_id, "A", "a.txt", 1)
    place = (RecordType.SERVICE, world.link.ticket_id)
    DummyServer.of(str(world.connection.pk)).files[place] = [(document, b"x")]
    return document.id


def problem_of(world: World) -> selectors.Problem:
    """Return the problem of a tenant's dead delivery."""
    return next(row for row in selectors.problems(world.account) if row.scope == "deliveries")


def another_link(world: World) -> TicketLink:
    """Return a ticket a note can be moved to."""
    return TicketLink.objects.create(
        tenant=world.account, connection=world.connection, record_type="service", ticket_id="1002"
    )


def put_on_ticket(world: World) -> None:
    """Let the delivery of a tenant stand on its ticket."""
    draft = NoteDraft(NoteKind.ANALYSIS, f"Spooler restarted.\n{world.delivery.marker}")
    server = DummyServer.of(str(world.connection.pk))
    note = server.note_store((RecordType.SERVICE, "1001"), draft, "Ann Ames")
    Delivery.objects.filter(pk=world.delivery.pk).update(
        state="delivered", external_id=note.id, delivered_at=timezone.now()
    )


ON_TICKET = {
    "services.note_hide",
    "services.note_correct",
    "services.note_move",
    "services.note_remove",
    "services.double_remove",
}
"""These change a note that stands on its ticket."""
RULES = [services.StatusRuleDraft("1", "resolved", "14")]
PARTS = [NotePart(NoteKind.ANALYSIS, "x"), StatusPart("New")]

MISSING: dict[str, Call] = {
    "services.connection_update": lambda us, them: services.connection_update(
        us.account, them.connection.pk, actor=us.actor, name="x", verify=False
    ),
    "services.connection_test": lambda us, them: services.connection_test(
        us.account, them.connection.pk, actor=us.actor
    ),
    "services.connection_disable": lambda us, them: services.connection_disable(
        us.account, them.connection.pk, actor=us.actor
    ),
    "services.connection_enable": lambda us, them: services.connection_enable(
        us.account, them.connection.pk, actor=us.actor
    ),
    "services.connection_reencrypt": lambda us, them: services.connection_reencrypt(
        us.account, them.connection.pk, actor=us.actor
    ),
    "services.connection_delete": lambda us, them: services.connection_delete(
        us.account, them.connection.pk, actor=us.actor, force=True
    ),
    "services.ticket_link": lambda us, them: services.ticket_link(us.account, them.connection.pk, "1001"),
    "services.unit_enqueue": lambda us, them: services.unit_enqueue(
        us.account, them.link.pk, PARTS, actor=us.actor
    ),
    "services.unit_preview": lambda us, them: services.unit_preview(
        us.account, them.link.pk, PARTS, actor=us.actor
    ),
    "services.status_check": lambda us, them: services.status_check(us.account, them.link.pk, "New"),
    "services.delivery_retry": lambda us, them: services.delivery_retry(
        us.account, them.delivery.pk, scope=us.scope
    ),
    "services.delivery_discard": lambda us, them: services.delivery_discard(
        us.account, them.delivery.pk, scope=us.scope
    ),
    "services.delivery_edit": lambda us, them: services.delivery_edit(
        us.account, them.delivery.pk, scope=us.scope, text="x"
    ),
    "services.note_hide": lambda us, them: services.note_hide(us.account, them.delivery.pk, scope=us.scope),
    "services.note_correct": lambda us, them: services.note_correct(
        us.account, them.delivery.pk, scope=us.scope, text="x"
    ),
    "services.note_move": lambda us, them: services.note_move(
        us.account, them.delivery.pk, another_link(us).pk, scope=us.scope
    ),
    "services.note_remove": lambda us, them: services.note_remove(
        us.account, them.delivery.pk, scope=us.scope
    ),
    "services.double_remove": lambda us, them: services.double_remove(
        us.account, them.delivery.pk, scope=us.scope
    ),
    "services.problem_retry": lambda us, them: services.problem_retry(
        us.account, problem_of(them).id, scope=us.scope
    ),
    "services.problem_discard": lambda us, them: services.problem_discard(
        us.account, problem_of(them).id, scope=us.scope
    ),
    "services.members_match": lambda us, them: services.members_match(
        us.account, them.connection.pk, actor=us.actor
    ),
    "services.member_mappings_set": lambda us, them: services.member_mappings_set(
        us.account, them.connection.pk, {us.engineer.pk: "8"}, actor=us.actor
    ),
    "services.member_news_clear": lambda us, them: services.member_news_clear(us.account, them.connection.pk),
    "services.status_rules_set": lambda us, them: services.status_rules_set(
        us.account, them.connection.pk, RULES, actor=us.actor
    ),
    "services.status_rules_refresh": lambda us, them: services.status_rules_refresh(
        us.account, them.connection.pk
    ),
    "services.callback_add": lambda us, them: services.callback_add(
        us.account, them.connection.pk, actor=us.actor
    ),
    "services.callback_remove": lambda us, them: services.callback_remove(
        us.account, them.connection.pk, them.subscription.pk, actor=us.actor
    ),
    "services.receipt_replay": lambda us, them: services.receipt_replay(
        us.account, them.receipt.pk, actor=us.actor
    ),
    "selectors.callbacks": lambda us, them: selectors.callbacks(us.account, them.connection.pk),
    "selectors.callback_get": lambda us, them: selectors.callback_get(
        us.account, them.connection.pk, them.subscription.pk
    ),
    "selectors.callback_levels": lambda us, them: selectors.callback_levels(us.account, them.connection.pk),
    "services.context_handed_out": lambda us, them: services.context_handed_out(
        us.account, them.link.pk, actor=us.actor, to="x", facts={}
    ),
    "selectors.ticket_context": lambda us, them: selectors.ticket_context(
        us.account, them.connection.pk, "1001"
    ),
    "selectors.link_context": lambda us, them: selectors.link_context(us.account, them.link.pk),
    "selectors.members": lambda us, them: selectors.members(us.account, them.connection.pk),
    "selectors.members_known": lambda us, them: selectors.members_known(us.account, them.connection.pk),
    "selectors.members_search": lambda us, them: selectors.members_search(us.account, them.connection.pk),
    "selectors.member_mappings": lambda us, them: selectors.member_mappings(us.account, them.connection.pk),
    "selectors.member_rows": lambda us, them: selectors.member_rows(us.account, them.connection.pk),
    "selectors.member_plan": lambda us, them: selectors.member_plan(us.account, them.connection.pk),
    "selectors.member_review": lambda us, them: selectors.member_review(us.account, them.connection.pk),
    "selectors.status_rules": lambda us, them: selectors.status_rules(us.account, them.connection.pk),
    "selectors.boards_without_rule": lambda us, them: selectors.boards_without_rule(
        us.account, them.connection.pk
    ),
    "selectors.problem_get": lambda us, them: selectors.problem_get(us.account, problem_of(them).id),
    "selectors.connection_get": lambda us, them: selectors.connection_get(us.account, them.connection.pk),
    "selectors.tickets_search": lambda us, them: selectors.tickets_search(us.account, them.connection.pk),
    "selectors.boards": lambda us, them: selectors.boards(us.account, them.connection.pk),
    "selectors.boards_known": lambda us, them: selectors.boards_known(us.account, them.connection.pk),
    "selectors.statuses": lambda us, them: selectors.statuses(us.account, them.connection.pk, "1"),
    "selectors.time_choices": lambda us, them: selectors.time_choices(
        us.account, them.link.pk, them.engineer.pk
    ),
    "selectors.time_entries": lambda us, them: selectors.time_entries(
        us.account, them.link.pk, them.engineer.pk
    ),
    "selectors.documents": lambda us, them: selectors.documents(us.account, them.link.pk),
    "selectors.document_open": lambda us, them: selectors.document_open(
        us.account, them.link.pk, file_there(them)
    ),
    "selectors.delivery_get": lambda us, them: selectors.delivery_get(us.account, them.delivery.pk),
    "selectors.unit_get": lambda us, them: selectors.unit_get(us.account, them.unit.pk),
}
"""These raise MissingError, as for an id that does not exist."""

EMPTY: dict[str, Call] = {
    "services.open_deliveries_discard": lambda us, them: services.open_deliveries_discard(
        us.account, them.link.pk, actor=us.actor, origin=them.unit.origin, reason="x"
    ),
    "services.member_mappings_close": lambda us, them: services.member_mappings_close(
        us.account, them.engineer.pk, actor=us.actor
    ),
    "services.deliveries_hand_over": lambda us, them: services.deliveries_hand_over(
        us.account, them.engineer.pk, us.owner.pk, scope=us.scope
    ),
    "selectors.deliveries_to_hand_over": lambda us, them: selectors.deliveries_to_hand_over(
        us.account, them.engineer.pk
    ),
    "selectors.problem_deliveries": lambda us, them: selectors.problem_deliveries(
        us.account, problem_of(them)
    ),
    "selectors.unit_origin_deliveries": lambda us, them: selectors.unit_origin_deliveries(
        us.account, them.unit.origin
    ),
    "selectors.document_posted": lambda us, them: selectors.document_posted(
        us.account, them.link.pk, them.unit.origin, them.delivery.text_hash
    ),
    "selectors.open_deliveries": lambda us, them: selectors.open_deliveries(us.account, them.link.pk),
    "selectors.note_posted": lambda us, them: selectors.note_posted(
        us.account, them.link.pk, them.unit.origin, them.delivery.text_hash
    ),
    "selectors.status_rule": lambda us, them: selectors.status_rule(us.account, them.link.pk, "resolved"),
}
"""These find nothing."""

OWN_ONLY: dict[str, Call] = {
    "selectors.audit_entries": lambda us, them: selectors.audit_entries(us.account),
    "selectors.connections": lambda us, them: selectors.connections(us.account),
    "selectors.deliveries": lambda us, them: selectors.deliveries(us.account),
    "selectors.problems": lambda us, them: [
        row.connection for row in selectors.problems(us.account) if row.scope == "connection"
    ],
}
"""These take no id and list rows of the tenant."""

NO_ID = {"services.connection_create"}
"""Takes a tenant and no id: what it makes belongs to that tenant."""


def public_functions() -> dict[str, Any]:
    """Return every public function of the two doors whose first argument is a tenant."""
    found = {}
    for module, prefix in ((services, "services"), (selectors, "selectors")):
        for name, function in inspect.getmembers(module, inspect.isfunction):
            first = next(iter(inspect.signature(function).parameters), "")
            if (
                not name.startswith("_")
                and function.__module__.startswith(module.__name__)
                and first == "tenant"
            ):
                found[f"{prefix}.{name}"] = function
    return found


def test_every_function_with_a_tenant_is_in_a_table() -> None:
    assert set(public_functions()) == {*MISSING, *EMPTY, *OWN_ONLY, *NO_ID}


@pytest.mark.parametrize("name", [*MISSING, *EMPTY])
def test_own_ids_are_found(name: str, ours: World) -> None:
    """Each call of the tables works on a row of one's own: it fails below for the tenant's sake only."""
    call = MISSING.get(name) or EMPTY[name]
    Connection.objects.update(company_id="")  # the provider in memory knows no accounts
    if name in ON_TICKET:
        put_on_ticket(ours)
    if name == "selectors.note_posted":
        Delivery.objects.update(state="delivered")
    if name == "selectors.document_posted":
        Delivery.objects.update(kind="document", state="delivered")
    found = call(ours, ours)
    if name in EMPTY:
        assert list(found) if isinstance(found, QuerySet) else found


@pytest.mark.parametrize("name", MISSING)
def test_other_tenants_ids_are_missing(name: str, ours: World, theirs: World) -> None:
    before = snapshot(theirs)
    with pytest.raises(MissingError) as caught:
        MISSING[name](ours, theirs)
    assert "Fabrikam" not in str(caught.value)
    assert snapshot(theirs) == before
    assert DummyServer.of(str(theirs.connection.pk)).calls == []


@pytest.mark.parametrize("name", EMPTY)
def test_other_tenants_ids_find_nothing(name: str, ours: World, theirs: World) -> None:
    before = snapshot(theirs)
    found = EMPTY[name](ours, theirs)
    assert not (list(found) if isinstance(found, QuerySet) else found)
    assert snapshot(theirs) == before


@pytest.mark.parametrize("name", OWN_ONLY)
def test_lists_hold_own_rows_only(name: str, ours: World, theirs: World) -> None:
    found = OWN_ONLY[name](ours, theirs)
    assert [row.tenant_id for row in found] == [ours.account.pk]


def test_another_tenants_search_filter_says_nothing_of_its_mappings(ours: World, theirs: World) -> None:
    with pytest.raises(MissingError):
        selectors.tickets_search(ours.account, theirs.connection.pk, mine_user_id=theirs.engineer.pk)


def snapshot(world: World) -> list[Any]:
    """Return everything a tenant has in the tables, ciphertext included."""
    rows = []
    for row in world.rows():
        stored = type(row)._base_manager.get(pk=row.pk)
        fields = row._meta.concrete_fields
        rows.append(
            [field.value_to_string(stored) for field in fields if field.get_internal_type() != "BinaryField"]
        )
    audit = list(AuditEntry.objects.filter(tenant=world.account).values_list("pk", flat=True))
    units = list(WorkUnit.objects.filter(tenant=world.account).values_list("pk", flat=True))
    deliveries = list(Delivery.objects.filter(tenant=world.account).values_list("pk", flat=True))
    return [rows, audit, units, deliveries]
