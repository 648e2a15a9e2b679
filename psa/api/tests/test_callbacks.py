"""Callbacks over REST: everyone reads, admins ask and take back; the secret stays with admins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from rest_framework.test import APIClient

from psa.models import CallbackSubscription, Connection
from psa.provider_pool import providers_close
from psa.providers.dummy.server import DummyServer

pytestmark = pytest.mark.database


@pytest.fixture
def connection(connection_make: Any, settings: Any) -> Iterator[Connection]:
    settings.PSA = {
        **settings.PSA,
        "PROVIDERS": {"dummy": "psa.providers.dummy.provider.DummyProvider"},
        "BASE_URL": "https://psa.example.com",
    }
    DummyServer.reset()
    yield connection_make(provider="dummy", site="dummy.example", credentials={"api_key": "k"}, endpoint=None)
    providers_close()


@pytest.fixture
def url(connection: Connection) -> str:
    return f"/api/v1/connections/{connection.pk}/callbacks/"


def test_an_admin_asks_for_a_callback_and_takes_it_back(
    owner_api: APIClient, url: str, connection: Connection
) -> None:
    answer = owner_api.post(url, {"level": "board", "object_id": 2}, format="json")
    assert answer.status_code == 201
    row = CallbackSubscription.objects.get()
    assert answer.json() == {
        "id": row.pk,
        "type": "ticket",
        "level": "board",
        "object_id": "2",
        "url": f"https://psa.example.com/psa/webhooks/{row.secret_id}/",
        "state": "active",
        "problem": None,
        "last_received_at": None,
        "verified": 0,
        "rejected": 0,
    }
    assert len(DummyServer.of(str(connection.pk)).callbacks) == 1
    assert owner_api.delete(f"{url}{row.pk}/").status_code == 204
    assert DummyServer.of(str(connection.pk)).callbacks == {}
    assert owner_api.get(url).json() == []
    assert owner_api.delete(f"{url}{row.pk}/").status_code == 404


def test_an_engineer_sees_what_arrives_but_not_the_secret(
    owner_api: APIClient, engineer_api: APIClient, outsider_api: APIClient, url: str
) -> None:
    owner_api.post(url, {}, format="json")
    [row] = engineer_api.get(url).json()
    assert row["url"] == "https://psa.example.com/psa/webhooks/…/"
    assert engineer_api.post(url, {}, format="json").status_code == 403
    assert engineer_api.delete(f"{url}{row['id']}/").status_code == 403
    assert outsider_api.get(url).status_code == 404
    assert outsider_api.delete(f"{url}{row['id']}/").status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"type": "invoice"}, "type"),
        ({"level": "status"}, "level"),
        ({"level": "board"}, "object_id"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_wrong_wishes_are_refused_by_field(
    owner_api: APIClient, url: str, body: dict[str, Any], field: str
) -> None:
    answer = owner_api.post(url, body, format="json")
    assert (answer.status_code, list(answer.json()["errors"])) == (422, [field])


def test_without_a_public_address_nothing_can_be_asked_for(
    owner_api: APIClient, url: str, settings: Any
) -> None:
    settings.PSA = {**settings.PSA, "BASE_URL": ""}
    answer = owner_api.post(url, {}, format="json")
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (409, "base-url-missing")
