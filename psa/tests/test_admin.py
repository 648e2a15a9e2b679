"""The admin shows the own tenant's rows, read-only, and no secret in any form."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection as database
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from psa.admin.base import ScopedAdmin, admin_scope
from psa.exceptions import AuthenticationFailedError
from psa.models import AuditEntry, Connection, Delivery, DeliveryAttempt, TicketLink, WorkUnit
from psa.providers.dummy.server import DummyServer
from psa.tests.conftest import OWN_SECRET, SECRET, World
from resolutionflow.accounts.models import User
from resolutionflow.accounts.services import user_create

PAGES = [
    "connection",
    "ticketlink",
    "workunit",
    "delivery",
    "deliveryattempt",
    "auditentry",
    "membermapping",
    "statusrule",
    "callbacksubscription",
    "webhookreceipt",
]


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def list_url(page: str) -> str:
    return reverse(f"admin:psa_{page}_changelist")


def row_url(row: Any) -> str:
    return reverse(f"admin:psa_{row._meta.model_name}_change", args=[row.pk])


@pytest.fixture
def owner(ours: World) -> Client:
    return signed_in(ours.owner)


def test_every_page_is_a_scoped_one() -> None:
    found = {
        model._meta.model_name: page
        for model, page in admin.site._registry.items()
        if model._meta.app_label == "psa"
    }
    assert set(found) == set(PAGES)
    for page in found.values():
        assert isinstance(page, ScopedAdmin)
        assert page.fields or page.fieldsets


def test_owner_reads_every_page_and_no_secret_is_in_it(owner: Client, ours: World) -> None:
    ciphertext = Connection.objects.get(pk=ours.connection.pk).credentials.sealed()
    secrets = [SECRET, OWN_SECRET, ciphertext, "psa1:", str(ours.subscription.secret_id), "sIgNaTuRe"]
    for row in ours.rows():
        for url in (list_url(row._meta.model_name), row_url(row)):
            answer = owner.get(url)
            assert answer.status_code == 200, url
            shown = answer.content.decode()
            assert not [secret for secret in secrets if secret in shown], url
            assert 'name="_save"' not in shown, url


def test_connection_page_tells_the_facts(owner: Client, ours: World) -> None:
    shown = owner.get(row_url(ours.connection)).content.decode()
    for fact in (
        "Northwind PSA",
        "Stored; never shown.",
        "The PSA is down. Wait.",
        "notes: denied (Service Desk: Notes)",
        "Secret board",
        "1.0",
    ):
        assert fact in shown


def test_unreadable_credentials_do_not_break_the_pages(owner: Client, ours: World, keys: Any) -> None:
    keys("b3RoZXIta2V5LW90aGVyLWtleS1vdGhlci1rZXktMDE=")
    assert "Northwind PSA" in owner.get(list_url("connection")).content.decode()
    assert "Cannot be decrypted" in owner.get(row_url(ours.connection)).content.decode()
    assert owner.get(list_url("membermapping")).status_code == 200
    assert owner.get(row_url(ours.mapping)).status_code == 200


def test_rows_of_another_tenant_are_absent(owner: Client, theirs: World) -> None:
    for row in theirs.rows():
        listed = owner.get(list_url(row._meta.model_name)).content.decode()
        assert "Fabrikam" not in listed
        assert f"/{row._meta.model_name}/{row.pk}/change/" not in listed
        assert owner.get(row_url(row)).status_code == 404
        history = reverse(f"admin:psa_{row._meta.model_name}_history", args=[row.pk])
        assert owner.get(history).status_code == 404


def test_nothing_is_added_changed_or_deleted(owner: Client, ours: World) -> None:
    for row in ours.rows():
        name = row._meta.model_name
        assert owner.get(reverse(f"admin:psa_{name}_add")).status_code == 403
        assert owner.post(row_url(row), {"name": "x"}).status_code == 403
        assert owner.post(reverse(f"admin:psa_{name}_delete", args=[row.pk])).status_code == 403
        everything = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
        owner.post(list_url(name), everything)
        assert type(row)._base_manager.filter(pk=row.pk).exists()


def test_engineer_gets_no_page(ours: World) -> None:
    client = signed_in(ours.engineer)
    for row in ours.rows():
        assert client.get(list_url(row._meta.model_name)).status_code == 302
        assert client.get(row_url(row)).status_code == 302


def test_staff_without_the_right_to_manage_gets_no_page(ours: World) -> None:
    User.objects.filter(pk=ours.engineer.pk).update(is_staff=True)
    client = signed_in(ours.engineer)
    assert "/admin/psa/" not in client.get(reverse("admin:index")).content.decode()
    for row in ours.rows():
        assert client.get(list_url(row._meta.model_name)).status_code == 403
        assert client.get(row_url(row)).status_code in (403, 404)


def test_superuser_without_a_tenant_gets_no_page(ours: World) -> None:
    root = User.objects.create_superuser("root", "root@example.com", "x")
    client = signed_in(root)
    assert client.get(reverse("admin:index")).status_code == 200
    assert client.get(list_url("connection")).status_code == 403
    assert client.get(row_url(ours.connection)).status_code in (403, 404)


def test_scope_is_asked_once_a_request(ours: World, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr("psa.scope.superuser_scope", lambda request: asked.append(request))
    settings.PSA = {**settings.PSA, "SCOPE": "psa.scope.superuser_scope"}
    request = RequestFactory().get("/")
    assert admin_scope(request) is None
    assert admin_scope(request) is None
    assert len(asked) == 1


@pytest.mark.parametrize("lookup", ["credentials__startswith", "credentials", "credentials__contains"])
def test_secrets_cannot_be_asked_for(owner: Client, ours: World, lookup: str) -> None:
    answer = owner.get(list_url("connection"), {lookup: "psa1"})
    assert (answer.status_code, answer.headers["Location"].endswith("?e=1")) == (302, True)


def test_filter_offers_own_connections_only(owner: Client, ours: World, theirs: World) -> None:
    # Django leaves out a filter with a single choice.
    Connection.objects.create(tenant=ours.account, provider="dummy", name="Second PSA", credentials={})
    shown = owner.get(list_url("delivery")).content.decode()
    assert "Northwind PSA" in shown
    assert "Fabrikam PSA" not in shown


@pytest.mark.usefixtures("dummy")
def test_action_tests_the_connection(owner: Client, ours: World, theirs: World) -> None:
    chosen = {"action": "connections_test", "_selected_action": [ours.connection.pk, theirs.connection.pk]}
    answer = owner.post(list_url("connection"), chosen, follow=True)
    assert "Northwind PSA: Connected." in answer.content.decode()
    assert Connection.objects.get(pk=ours.connection.pk).state == "connected"
    assert Connection.objects.get(pk=theirs.connection.pk).state == "degraded"
    assert AuditEntry.objects.filter(verb="connection.tested").get().actor == ours.owner


@pytest.mark.usefixtures("dummy")
def test_action_tells_what_is_wrong(owner: Client, ours: World) -> None:
    chosen = {"action": "connections_test", "_selected_action": [ours.connection.pk]}
    DummyServer.of(str(ours.connection.pk)).fail_next("*", AuthenticationFailedError("The keys are refused."))
    assert "Northwind PSA: " in owner.post(list_url("connection"), chosen, follow=True).content.decode()
    Connection.objects.filter(pk=ours.connection.pk).update(state="disabled")
    answer = owner.post(list_url("connection"), chosen, follow=True)
    assert "The connection is disabled." in answer.content.decode()


@pytest.mark.usefixtures("dummy")
def test_button_tests_the_connection(owner: Client, ours: World) -> None:
    url = reverse("admin:psa_connection_test", args=[ours.connection.pk])
    assert url in owner.get(row_url(ours.connection)).content.decode()
    assert owner.get(url).status_code == 405
    answer = owner.post(url, follow=True)
    assert answer.redirect_chain == [(row_url(ours.connection), 302)]
    assert "Northwind PSA: Connected." in answer.content.decode()


@pytest.mark.usefixtures("dummy")
def test_button_is_for_people_who_manage_the_tenant(owner: Client, ours: World, theirs: World) -> None:
    url = reverse("admin:psa_connection_test", args=[theirs.connection.pk])
    assert owner.post(url).status_code == 404
    assert signed_in(theirs.engineer).post(url).status_code == 302
    User.objects.filter(pk=theirs.engineer.pk).update(is_staff=True)
    assert signed_in(theirs.engineer).post(url).status_code == 403
    assert Connection.objects.get(pk=theirs.connection.pk).state == "degraded"


def test_deleted_connection_is_gone(owner: Client, ours: World) -> None:
    Connection.objects.filter(pk=ours.connection.pk).update(deleted_at=timezone.now())
    assert owner.get(row_url(ours.connection)).status_code == 404
    assert "Northwind PSA" not in owner.get(list_url("connection")).content.decode()


def test_queries_do_not_grow_with_the_rows(owner: Client, ours: World) -> None:
    def count(url: str) -> int:
        with CaptureQueriesContext(database) as queries:
            assert owner.get(url).status_code == 200
        return len(queries)

    urls = [list_url(page) for page in PAGES] + [row_url(ours.delivery), row_url(ours.unit)]
    for url in urls:
        count(url)  # the first one fills Django's cache of content types
    before = {url: count(url) for url in urls}
    for number in range(2, 8):
        _more_of_everything(ours, number)
    assert {url: count(url) for url in urls} == before


def _more_of_everything(world: World, number: int) -> None:
    """Add one more row of every kind, and another part and attempt to the pages that show those."""

    def copy(row: Any, **changes: Any) -> Any:
        values = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields[1:]}
        return type(row)._base_manager.create(**{**values, **changes})

    person = user_create(world.account, username=f"person-{number}", password="x")
    connection = copy(world.connection, company_id=str(number), credentials={"api_key": "k"})
    at = {"connection_id": connection.pk}
    link = copy(world.link, ticket_id=str(number), **at)
    unit = copy(world.unit, link_id=link.pk)
    copy(world.delivery, seq=number, marker=f"RF-{number}")
    delivery = copy(world.delivery, link_id=link.pk, unit_id=unit.pk, marker=f"RF-x{number}", **at)
    copy(world.attempt)
    copy(world.attempt, delivery_id=delivery.pk)
    copy(world.audit, **at)
    copy(world.mapping, user_id=person.pk, own_credentials={"private_key": "k"}, **at)
    copy(world.rule, **at)
    subscription = copy(world.subscription, secret_id=uuid.uuid4(), **at)
    copy(world.receipt, subscription_id=subscription.pk)
    assert Delivery.objects.count() == DeliveryAttempt.objects.count()
    assert TicketLink.objects.count() == WorkUnit.objects.count()
