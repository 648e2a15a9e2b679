"""What the admin of `psa` shows. What holds for every page of the admin is in `resolutionflow/tests`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from psa.admin.base import ScopedAdmin, admin_scope
from psa.models import Connection, MemberReview
from psa.tests.conftest import World
from resolutionflow.accounts.models import User


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


def test_every_page_is_a_scoped_one_that_lists_its_fields() -> None:
    found = [page for model, page in admin.site._registry.items() if model._meta.app_label == "psa"]
    assert len(found) > 10
    for page in found:
        assert isinstance(page, ScopedAdmin)
        assert page.fields or page.fieldsets


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


def test_deleted_connection_is_gone(owner: Client, ours: World) -> None:
    Connection.objects.filter(pk=ours.connection.pk).update(deleted_at=timezone.now())
    assert owner.get(row_url(ours.connection)).status_code == 404
    assert "Northwind PSA" not in owner.get(list_url("connection")).content.decode()


def test_mapping_tells_that_its_member_left_and_when_the_members_were_read(
    owner: Client, ours: World
) -> None:
    assert owner.get(row_url(ours.mapping)).status_code == 200  # before the first look
    left, read = datetime(2031, 5, 6, tzinfo=UTC), datetime(2032, 7, 8, tzinfo=UTC)
    type(ours.mapping).objects.update(member_left_at=left)
    MemberReview.objects.create(tenant=ours.account, connection=ours.connection, due_at=read, checked_at=read)
    for address in (row_url(ours.mapping), list_url("membermapping")):
        shown = owner.get(address).content.decode()
        assert ("May 6, 2031" in shown, "July 8, 2032" in shown) == (True, True)


def test_news_of_the_members_are_told_in_words(owner: Client, ours: World) -> None:
    news = [{"id": "7", "name": "Ann Ames", "change": "left", "at": "2026-03-02T09:14:05+00:00"}]
    review = MemberReview.objects.create(
        tenant=ours.account, connection=ours.connection, due_at=timezone.now(), news=news
    )
    assert "Ann Ames: Left, 2026-03-02" in owner.get(row_url(review)).content.decode()
