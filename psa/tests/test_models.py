"""What the database itself refuses, and what the models say of a row."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, models, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from psa.models import (
    AttemptCursor,
    AttemptTotal,
    CallbackSubscription,
    Connection,
    Delivery,
    IdempotencyRecord,
    MemberMapping,
    PeriodicJob,
    StatusRule,
    TicketLink,
    WebhookReceipt,
    WorkUnit,
)
from psa.models.tenant import tenant_key
from psa.tests.conftest import World

OPEN = ["ready", "retrying", "dead", "discarded", "delivered"]


def copy(row: Any, **changes: Any) -> Any:
    """Store a row like another one, with changes."""
    values = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields[1:]}
    with transaction.atomic():
        return type(row)._base_manager.create(**{**values, **changes})


# Connection


@pytest.mark.parametrize("company", ["Northwind", "NORTHWIND"])
def test_one_live_connection_per_company(ours: World, company: str) -> None:
    with pytest.raises(IntegrityError):
        copy(ours.connection, company_id=company)


@pytest.mark.parametrize("change", [{"company_id": "x"}, {"site": "other.example"}, {"provider": "other"}])
def test_other_company_site_or_provider_is_another_connection(ours: World, change: dict[str, str]) -> None:
    assert copy(ours.connection, **change).pk


def test_deleted_connection_makes_room(ours: World) -> None:
    Connection.objects.update(deleted_at=timezone.now())
    assert copy(ours.connection).pk
    assert Connection.objects.live().count() == 1


def test_two_tenants_may_reach_the_same_company(ours: World, theirs: World) -> None:
    assert copy(ours.connection, tenant_id=theirs.account.pk)
    assert list(Connection.objects.of(ours.account)) == [ours.connection]


# Lanes and deliveries


def test_one_lane_per_ticket(ours: World) -> None:
    with pytest.raises(IntegrityError):
        copy(ours.link)
    assert copy(ours.link, record_type="project").pk


@pytest.mark.parametrize("first", ["sending", "unknown"])
@pytest.mark.parametrize("second", ["sending", "unknown"])
def test_one_delivery_in_flight_per_lane(ours: World, first: str, second: str) -> None:
    Delivery.objects.update(state=first)
    with pytest.raises(IntegrityError):
        copy(ours.delivery, seq=2, marker="", state=second)


@pytest.mark.parametrize("state", OPEN)
def test_others_wait_beside_the_one_in_flight(ours: World, state: str) -> None:
    Delivery.objects.update(state="sending")
    assert copy(ours.delivery, seq=2, marker="", state=state).pk


def test_lanes_are_in_flight_at_once(ours: World) -> None:
    Delivery.objects.update(state="sending")
    link = copy(ours.link, ticket_id="1002")
    assert copy(ours.delivery, link_id=link.pk, marker="", state="sending").pk


def test_marker_is_unique_in_a_connection(ours: World) -> None:
    with pytest.raises(IntegrityError):
        copy(ours.delivery, seq=2)
    copy(ours.delivery, seq=2, marker="")
    assert copy(ours.delivery, seq=3, marker="").pk


def test_place_in_a_lane_is_taken_once(ours: World) -> None:
    with pytest.raises(IntegrityError):
        copy(ours.delivery, marker="")


def test_querysets_speak_the_domain(ours: World) -> None:
    waiting = copy(ours.delivery, seq=2, marker="", state="ready")
    assert list(Delivery.objects.dead()) == [ours.delivery]
    assert list(Delivery.objects.open()) == [waiting]


@pytest.mark.parametrize(("kind", "is_note"), [("analysis", True), ("resolution", True), ("status", False)])
def test_note_kinds(kind: str, is_note: bool) -> None:
    assert Delivery(kind=kind).is_note is is_note


# Rules, mappings, callbacks


def test_one_status_rule_per_outcome(ours: World) -> None:
    with pytest.raises(IntegrityError):
        copy(ours.rule)
    assert copy(ours.rule, outcome="escalated").pk


@pytest.mark.parametrize("change", [{"member_id": "8"}, {"user_id": None}])
def test_active_mapping_is_unique_both_ways(ours: World, change: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError):
        copy(ours.mapping, **change)
    assert copy(ours.mapping, active=False, **change).pk


def test_one_callback_per_object_unless_removed(ours: World) -> None:
    with pytest.raises(IntegrityError):
        copy(ours.subscription, secret_id="0b5b6a4e-0000-4000-8000-000000000001")
    CallbackSubscription.objects.update(state="removed")
    assert copy(ours.subscription, secret_id="0b5b6a4e-0000-4000-8000-000000000002", state="wanted").pk


def test_receipt_is_processed_once(ours: World) -> None:
    copy(ours.receipt, state="processed", dedupe_key="m1")
    copy(ours.receipt, state="duplicate", dedupe_key="m1")
    with pytest.raises(IntegrityError):
        copy(ours.receipt, state="processed", dedupe_key="m1")


def test_idempotency_key_is_taken_once_by_a_caller(ours: World, theirs: World) -> None:
    record = IdempotencyRecord.objects.create(tenant=ours.account, caller="user:1", key="k", fingerprint="f")
    with pytest.raises(IntegrityError):
        copy(record)
    assert copy(record, caller="user:2").pk
    assert copy(record, tenant_id=theirs.account.pk).pk


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("connection", {"state": "odd", "company_id": "x"}),
        ("link", {"record_type": "odd"}),
        ("unit", {"state": "odd"}),
        ("delivery", {"state": "odd", "seq": 9, "marker": ""}),
        ("delivery", {"kind": "odd", "seq": 9, "marker": ""}),
        ("rule", {"mail": "odd", "outcome": "x"}),
        ("mapping", {"how": "odd", "active": False}),
        ("receipt", {"state": "odd"}),
    ],
)
def test_unknown_word_is_refused(ours: World, kind: str, change: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError):
        copy(getattr(ours, kind), **change)


# Keys to other rows


def test_history_is_protected(ours: World) -> None:
    for row in (ours.connection, ours.link, ours.unit, ours.delivery, ours.subscription, ours.account):
        with pytest.raises(ProtectedError):
            row.delete()


def test_person_that_leaves_leaves_a_name(ours: World) -> None:
    name = ours.engineer.username
    ours.engineer.delete()
    ours.delivery.refresh_from_db()
    ours.mapping.refresh_from_db()
    assert (ours.delivery.created_by, ours.delivery.created_by_name) == (None, name)
    assert (ours.mapping.user, ours.mapping.user_name) == (None, name)


def test_every_key_to_a_delivery_is_protected() -> None:
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if field.related_model is Delivery:
                assert field.remote_field.on_delete is models.PROTECT, field


def test_every_row_of_a_tenant_names_it() -> None:
    reached = {"DeliveryAttempt", "FileBlock", "WebhookReceipt"}  # by the row they belong to
    global_rows = {PeriodicJob.__name__, AttemptTotal.__name__, AttemptCursor.__name__}
    for model in apps.get_app_config("psa").get_models():
        if model.__name__ in reached | global_rows:
            continue
        field = model._meta.get_field("tenant")
        assert field.related_model is apps.get_model(settings.PSA_TENANT_MODEL), model
        assert field.remote_field.on_delete is models.PROTECT


def test_project_without_a_tenant_model_is_told(settings: Any) -> None:
    del settings.PSA_TENANT_MODEL
    with pytest.raises(ImproperlyConfigured, match="PSA_TENANT_MODEL"):
        tenant_key()


def test_rows_have_a_readable_name(ours: World) -> None:
    for row in ours.rows():
        assert str(row)
        assert "object (" not in str(row)
    assert str(ours.link) == "#1001 Northwind printer"
    assert {type(row) for row in ours.rows()} >= {
        MemberMapping,
        StatusRule,
        TicketLink,
        WebhookReceipt,
        WorkUnit,
    }
