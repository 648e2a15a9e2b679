"""Tests of the calls about what needs a person, by cause."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from psa import selectors
from psa.api.tests.conftest import client_of
from psa.models import AuditEntry, Connection, Delivery
from resolutionflow.accounts.models import Account, Role, User
from resolutionflow.accounts.services import user_create

URL = "/api/v1/problems/"
Make = Callable[..., Any]
REFUSED = {"code": "psa-refused", "text": "The PSA refused this.", "remedy": "Change the text."}
DOUBLED = {"code": "duplicate", "text": "This note stands 2 times.", "remedy": "Remove one."}
CLIENT_ID = {"code": "client-id-refused", "text": "The PSA refused the client ID.", "remedy": "Wait."}


def only(client: APIClient) -> dict[str, Any]:
    [found] = client.get(URL).json()["results"]
    return dict(found)


def test_a_problem_has_the_promised_shape(
    engineer_api: APIClient, connection: Connection, unit_make: Make
) -> None:
    unit_make(connection, state="dead", problem=REFUSED)
    delivery = Delivery.objects.get()
    answer = engineer_api.get(URL).json()
    [found] = answer.pop("results")
    assert answer == {"count": 1, "next": None, "previous": None}
    assert isinstance(found.pop("id"), int)
    assert found == {
        **REFUSED,
        "scope": "deliveries",
        "connection": {"id": connection.pk, "name": connection.name},
        "count": 1,
        "oldest_at": delivery.created_at.isoformat().replace("+00:00", "Z"),
        "deliveries": [delivery.pk],
        "can_retry": True,
        "can_discard": True,
    }


def test_an_operators_problem_has_no_connection(owner_api: APIClient, connection_make: Make) -> None:
    for _ in range(2):
        connection_make(state="degraded", problem=CLIENT_ID)
    found = only(owner_api)
    assert (found["scope"], found["connection"], found["can_discard"]) == ("operator", None, False)


def test_lists_are_cut_into_pages(owner_api: APIClient, connection_make: Make) -> None:
    for _ in range(51):
        connection_make(state="broken")
    first = owner_api.get(URL).json()
    assert (first["count"], len(first["results"])) == (51, 50)
    assert len(owner_api.get(first["next"]).json()["results"]) == 1


def test_engineers_see_their_own_and_leads_all(
    connection: Connection, unit_make: Make, account: Account, engineer_api: APIClient, colleague: User
) -> None:
    lead = client_of(user_create(account, username="lea", password="x", role=Role.LEAD))
    unit_make(connection, state="dead", problem=REFUSED)
    unit_make(connection, state="dead", problem=REFUSED, by=colleague)
    assert (only(lead)["count"], only(engineer_api)["count"]) == (2, 1)
    assert only(lead)["id"] == only(engineer_api)["id"]


def test_retry_and_discard_answer_how_many_were_changed(
    engineer_api: APIClient, connection: Connection, unit_make: Make
) -> None:
    for _ in range(3):
        unit_make(connection, state="dead", problem=REFUSED)
    answer = engineer_api.post(f"{URL}{only(engineer_api)['id']}/retry/")
    assert (answer.status_code, answer.json()) == (200, {"changed": 3})
    Delivery.objects.update(state="dead", problem=REFUSED)
    answer = engineer_api.post(f"{URL}{only(engineer_api)['id']}/discard/", {"reason": "By hand"})
    assert (answer.status_code, answer.json()) == (200, {"changed": 3})
    assert set(Delivery.objects.values_list("state", "discard_reason")) == {("discarded", "By hand")}
    assert only_or_none(engineer_api) is None


def only_or_none(client: APIClient) -> Any:
    return next(iter(client.get(URL).json()["results"]), None)


@pytest.mark.parametrize("action", ["retry", "discard"])
def test_an_engineer_changes_own_deliveries_only(
    engineer_api: APIClient, connection: Connection, unit_make: Make, colleague: User, action: str
) -> None:
    unit_make(connection, state="dead", problem=REFUSED)
    other = unit_make(connection, state="dead", problem=REFUSED, by=colleague).deliveries.get()
    answer = engineer_api.post(f"{URL}{only(engineer_api)['id']}/{action}/")
    assert answer.json() == {"changed": 1}
    other.refresh_from_db()
    assert other.state == "dead"


@pytest.mark.parametrize("action", ["retry", "discard"])
def test_unknown_and_other_peoples_problems_are_404(
    engineer_api: APIClient,
    outsider_api: APIClient,
    connection: Connection,
    unit_make: Make,
    colleague: User,
    account: Account,
    action: str,
) -> None:
    unit_make(connection, state="dead", problem=REFUSED, by=colleague)
    [found] = selectors.problems(account)
    for client in (engineer_api, outsider_api):
        assert only_or_none(client) is None
        assert client.post(f"{URL}{found.id}/{action}/").status_code == 404
    for unknown in (0, 7, 2**80):
        assert engineer_api.post(f"{URL}{unknown}/{action}/").status_code == 404
    assert Delivery.objects.get().state == "dead"
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(("method", "path"), [("get", ""), ("post", "1/retry/"), ("post", "1/discard/")])
def test_anonymous_is_401(db: None, method: str, path: str) -> None:
    assert getattr(APIClient(), method)(f"{URL}{path}").status_code == 401


def test_what_cannot_be_done_is_a_conflict(
    owner_api: APIClient, connection: Connection, connection_make: Make, unit_make: Make
) -> None:
    connection_make(state="broken")
    unit_make(connection, state="delivered", problem=DOUBLED)
    sick, doubled = owner_api.get(URL).json()["results"]
    answer = owner_api.post(f"{URL}{sick['id']}/discard/")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/not-discardable")
    answer = owner_api.post(f"{URL}{doubled['id']}/retry/")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/not-retryable")


@pytest.mark.parametrize("body", [{"rest": "continue"}, {"reason": "x" * 301}])
def test_discard_refuses_by_field(
    engineer_api: APIClient, connection: Connection, unit_make: Make, body: dict[str, str]
) -> None:
    unit_make(connection, state="dead", problem=REFUSED)
    answer = engineer_api.post(f"{URL}{only(engineer_api)['id']}/discard/", body)
    assert (answer.status_code, set(answer.json()["errors"])) == (422, set(body))
    assert Delivery.objects.get().state == "dead"


@pytest.mark.parametrize("count", [1, 30])
def test_list_takes_as_many_queries_for_30_as_for_1(
    owner_api: APIClient,
    connection_make: Make,
    unit_make: Make,
    django_assert_num_queries: Any,
    count: int,
) -> None:
    for _ in range(count):
        unit_make(connection_make(state="broken"), state="dead", problem=REFUSED)
        unit_make(connection_make(), state="delivered", problem=DOUBLED)
    # dead 2, without permission 1, without mapping 1, delivered 2, connections 1, what waits for them 1
    with django_assert_num_queries(8):
        assert owner_api.get(URL).json()["count"] == 3 * count
