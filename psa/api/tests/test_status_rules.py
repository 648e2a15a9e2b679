"""The calls about status rules: their shape, who may make them, and what they refuse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from rest_framework.test import APIClient

from psa.api.tests.conftest import Make, client_of
from psa.exceptions import UnavailableError
from psa.models import Connection, StatusRule
from psa.provider_pool import providers_close
from psa.providers.dummy.server import DummyServer
from resolutionflow.accounts.models import Account, Role
from resolutionflow.accounts.services import user_create

DONE = {"board": "1", "outcome": "resolved", "status": "14"}
ANSWERED = {
    **DONE,
    "board_name": "Help Desk",
    "status_name": "Completed",
    "mail": "silent",
    "valid": True,
    "warnings": ["mails-customer"],
}


@pytest.fixture(autouse=True)
def dummy(settings: Any) -> Iterator[None]:
    settings.PSA = {**settings.PSA, "PROVIDERS": {"dummy": "psa.providers.dummy.provider.DummyProvider"}}
    DummyServer.reset()
    yield
    providers_close()


@pytest.fixture
def connection(connection_make: Make) -> Connection:
    return connection_make(provider="dummy", credentials={"api_key": "x"})


@pytest.fixture
def lead_api(account: Account) -> APIClient:
    return client_of(user_create(account, username="lea", password="x", role=Role.LEAD))


@pytest.fixture
def url(connection: Connection) -> str:
    return f"/api/v1/connections/{connection.pk}/status-rules/"


@pytest.mark.parametrize("status", ["14", 14, "Completed"])
def test_a_rule_is_answered_in_the_promised_shape(
    lead_api: APIClient, engineer_api: APIClient, url: str, status: Any
) -> None:
    answer = lead_api.put(url, [{**DONE, "board": 1, "status": status}])
    assert (answer.status_code, answer.json()) == (200, [ANSWERED])
    assert engineer_api.get(url).json() == [ANSWERED]


def test_what_was_answered_can_be_sent_back(lead_api: APIClient, url: str) -> None:
    listed = lead_api.put(url, {**DONE, "mail": "as_psa"}).json()
    assert lead_api.put(url, listed).json() == listed == [{**ANSWERED, "mail": "as_psa"}]


def test_a_put_replaces_all_rules(lead_api: APIClient, url: str) -> None:
    lead_api.put(url, [DONE, {"board": "2", "outcome": "escalated", "status": "21"}])
    assert [rule["board"] for rule in lead_api.put(url, [DONE]).json()] == ["1"]
    assert lead_api.put(url, []).json() == []


def test_a_status_of_another_board_is_refused_with_the_valid_ones(lead_api: APIClient, url: str) -> None:
    answer = lead_api.put(url, [DONE, {"board": "2", "outcome": "resolved", "status": "14"}])
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/unknown-status")
    assert answer.json()["errors"] == {"1.status": ["New", "Completed"]}
    assert not StatusRule.objects.exists()


@pytest.mark.parametrize(
    ("body", "status", "fields"),
    [
        ("[", 400, None),
        ('"x"', 400, None),
        ("[{}]", 422, {"0.board", "0.outcome", "0.status"}),
        ('[{"board": true, "outcome": "resolved", "status": "14"}]', 422, {"0.board"}),
        ('[{"board": "1", "outcome": "resolved", "status": {"id": 14}}]', 422, {"0.status"}),
        ('[{"board": "1", "outcome": "solved", "status": "14"}]', 422, {"0.outcome"}),
        ('[{"board": "1", "outcome": "resolved", "status": "14", "mail": "loud"}]', 422, {"0.mail"}),
        ('[{"board": "1", "outcome": "resolved", "status": "14", "notify": true}]', 422, {"0.notify"}),
        ('[{"board": "77", "outcome": "resolved", "status": "14"}]', 422, {"0.board"}),
        (f'[{{"board": "1", "outcome": "resolved", "status": "{"x" * 101}"}}]', 422, {"0.status"}),
    ],
)
def test_what_cannot_be_stored_is_refused_by_place(
    lead_api: APIClient, url: str, body: str, status: int, fields: set[str] | None
) -> None:
    answer = lead_api.put(url, body, content_type="application/json")
    assert answer.status_code == status
    assert set(answer.json().get("errors", ())) == (fields or set())


def test_a_psa_that_is_down_is_503_for_a_change_only(
    lead_api: APIClient, url: str, connection: Connection
) -> None:
    DummyServer.of(str(connection.pk)).fail_next("*", UnavailableError("Down."), times=9)
    answer = lead_api.put(url, [DONE])
    assert (answer.status_code, answer.has_header("Retry-After")) == (503, True)
    assert lead_api.get(url).status_code == 200


def test_who_may_do_what(
    owner_api: APIClient, lead_api: APIClient, engineer_api: APIClient, outsider_api: APIClient, url: str
) -> None:
    def statuses(client: APIClient) -> list[int]:
        return [client.get(url).status_code, client.put(url, []).status_code]

    assert statuses(owner_api) == [200, 200]
    assert statuses(lead_api) == [200, 200]
    assert statuses(engineer_api) == [200, 403]
    assert statuses(outsider_api) == [404, 404]
    assert statuses(APIClient()) == [401, 401]
