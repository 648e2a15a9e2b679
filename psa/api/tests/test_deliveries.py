"""Tests of the calls about units and deliveries."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from psa import services
from psa.api.tests.conftest import client_of
from psa.exceptions import ConflictError
from psa.models import Connection, Delivery
from resolutionflow.accounts.models import Account, Role, User
from resolutionflow.accounts.services import user_create

URL = "/api/v1/deliveries/"
Make = Callable[..., Any]
SHAPE = {
    "id",
    "unit",
    "kind",
    "part",
    "parts",
    "state",
    "held_by",
    "attempts",
    "external_id",
    "problem",
    "next_attempt_at",
    "author",
    "created_at",
    "delivered_at",
}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, delivery: Delivery) -> Callable[..., Mock]:
    """Return a function that replaces one service by a mock which answers with the delivery."""

    def replace(name: str, **behaviour: Any) -> Mock:
        mock = Mock(**{"return_value": delivery, **behaviour})
        monkeypatch.setattr(services, name, mock)
        return mock

    return replace


def ids_of(client: APIClient, query: str = "") -> list[int]:
    return [entry["id"] for entry in client.get(f"{URL}?{query}").json()["results"]]


def test_delivery_has_the_promised_shape(engineer_api: APIClient, delivery: Delivery) -> None:
    answer = engineer_api.get(f"{URL}{delivery.pk}/").json()
    assert set(answer) >= SHAPE
    assert (answer["id"], answer["unit"], answer["kind"]) == (delivery.pk, delivery.unit_id, "analysis")
    assert (answer["held_by"], answer["external_id"], answer["problem"]) == (None, None, None)
    assert answer["author"] == {"name": "Eva Engineer", "kind": "api_member"}
    assert answer["text"] == "Restarted the spooler."
    assert answer["ticket"]["id"] == delivery.link.ticket_id


def test_list_leaves_the_text_out(engineer_api: APIClient, delivery: Delivery) -> None:
    listed = engineer_api.get(URL).json()["results"][0]
    assert set(listed) >= SHAPE
    assert "text" not in listed


def test_next_attempt_waits_for_the_connection(engineer_api: APIClient, delivery: Delivery) -> None:
    later = (timezone.now() + timedelta(minutes=3)).replace(microsecond=0)
    Connection.objects.update(not_before=later)
    answer = engineer_api.get(f"{URL}{delivery.pk}/").json()
    assert answer["next_attempt_at"] == later.isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("values", "held_by"),
    [({"held_by": "mapping"}, "mapping"), ({"state": "dead"}, None), ({"state": "delivered"}, None)],
)
def test_nothing_is_attempted_that_is_held_or_over(
    engineer_api: APIClient, delivery: Delivery, values: dict[str, Any], held_by: str | None
) -> None:
    Delivery.objects.update(**values)
    answer = engineer_api.get(f"{URL}{delivery.pk}/").json()
    assert (answer["held_by"], answer["next_attempt_at"]) == (held_by, None)


def test_broken_connection_holds(engineer_api: APIClient, delivery: Delivery) -> None:
    Connection.objects.update(state="broken")
    answer = engineer_api.get(f"{URL}{delivery.pk}/").json()
    assert (answer["held_by"], answer["next_attempt_at"]) == ("connection", None)


def test_engineers_see_their_own_and_leads_all(
    connection: Connection, unit_make: Make, account: Account, engineer: User, colleague: User
) -> None:
    lead = user_create(account, username="lea", password="x", role=Role.LEAD)
    own = unit_make(connection).deliveries.get().pk
    other = unit_make(connection, by=colleague).deliveries.get().pk
    assert ids_of(client_of(engineer)) == [own]
    assert ids_of(client_of(lead)) == [other, own]
    assert client_of(engineer).get(f"{URL}{other}/").status_code == 404
    assert client_of(lead).get(f"{URL}{other}/").status_code == 200


def test_outsider_gets_404(outsider_api: APIClient, delivery: Delivery) -> None:
    one = f"{URL}{delivery.pk}/"
    assert ids_of(outsider_api) == []
    assert outsider_api.get(one).status_code == 404
    assert outsider_api.get(f"/api/v1/units/{delivery.unit_id}/").status_code == 404
    assert outsider_api.post(f"{one}retry/").status_code == 404
    assert outsider_api.post(f"{one}discard/", {}).status_code == 404
    assert outsider_api.patch(one, {"text": "x"}).status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "deliveries/"),
        ("get", "deliveries/1/"),
        ("patch", "deliveries/1/"),
        ("post", "deliveries/1/retry/"),
        ("post", "deliveries/1/discard/"),
        ("get", "units/1/"),
    ],
)
def test_anonymous_is_401(db: None, method: str, path: str) -> None:
    assert getattr(APIClient(), method)(f"/api/v1/{path}").status_code == 401


def test_filters(engineer_api: APIClient, connection_make: Make, unit_make: Make) -> None:
    first, second = connection_make(), connection_make()
    dead = unit_make(first, origin="session:12", state="dead").deliveries.get().pk
    ready = unit_make(second, origin="session:1").deliveries.get().pk
    assert ids_of(engineer_api) == [ready, dead]
    assert ids_of(engineer_api, "state=dead") == [dead]
    assert ids_of(engineer_api, "session=1") == [ready]
    assert ids_of(engineer_api, f"connection={first.pk}") == [dead]
    assert ids_of(engineer_api, f"state=ready&session=12&connection={first.pk}") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("state=lost", "state"),
        ("session=x", "session"),
        ("connection=0", "connection"),
        (f"session={2**63}", "session"),
    ],
)
def test_filter_that_is_wrong(engineer_api: APIClient, query: str, field: str) -> None:
    answer = engineer_api.get(f"{URL}?{query}")
    assert (answer.status_code, set(answer.json()["errors"])) == (422, {field})


@pytest.mark.parametrize("count", [1, 30])
def test_list_takes_as_many_queries_for_30_as_for_1(
    engineer_api: APIClient,
    connection_make: Make,
    unit_make: Make,
    django_assert_num_queries: Any,
    count: int,
) -> None:
    for _ in range(count):
        unit_make(connection_make())
    with django_assert_num_queries(3):  # which rows, the rows, count
        assert engineer_api.get(URL).json()["count"] == count


@pytest.mark.parametrize("parts", [1, 8])
def test_unit_takes_as_many_queries_for_8_parts_as_for_1(
    engineer_api: APIClient,
    connection: Connection,
    unit_make: Make,
    django_assert_max_num_queries: Any,
    parts: int,
) -> None:
    unit = unit_make(connection, parts=parts)
    with django_assert_max_num_queries(5):
        answer = engineer_api.get(f"/api/v1/units/{unit.pk}/").json()
    assert (answer["id"], answer["state"]) == (unit.pk, "open")
    assert [entry["part"] for entry in answer["deliveries"]] == list(range(1, parts + 1))


def test_unit_of_a_colleague_is_404(
    engineer_api: APIClient, owner_api: APIClient, connection: Connection, unit_make: Make, colleague: User
) -> None:
    path = f"/api/v1/units/{unit_make(connection, by=colleague).pk}/"
    assert engineer_api.get(path).status_code == 404
    assert owner_api.get(path).status_code == 200


@pytest.mark.parametrize("action", ["retry", "discard"])
def test_colleagues_delivery_cannot_be_touched(
    engineer_api: APIClient, connection: Connection, unit_make: Make, colleague: User, action: str
) -> None:
    other = unit_make(connection, by=colleague, state="dead").deliveries.get()
    assert engineer_api.post(f"{URL}{other.pk}/{action}/", {}).status_code == 404


def test_retry(
    engineer_api: APIClient, delivery: Delivery, service: Callable[..., Mock], account: Account
) -> None:
    mock = service("delivery_retry")
    answer = engineer_api.post(f"{URL}{delivery.pk}/retry/")
    assert (answer.status_code, answer.json()["id"]) == (200, delivery.pk)
    assert mock.call_args.args == (account, delivery.pk)


@pytest.mark.parametrize(
    ("body", "given"),
    [
        ({}, {"reason": "", "rest": "discard"}),
        ({"reason": "By hand", "rest": "continue"}, {"reason": "By hand", "rest": "continue"}),
    ],
)
def test_discard(
    engineer_api: APIClient, delivery: Delivery, service: Callable[..., Mock], body: Any, given: Any
) -> None:
    mock = service("delivery_discard")
    assert engineer_api.post(f"{URL}{delivery.pk}/discard/", body).status_code == 200
    passed = dict(mock.call_args.kwargs)
    assert passed.pop("scope").actor.name == "Eva Engineer"
    assert passed == given


@pytest.mark.parametrize(("body", "field"), [({"rest": "maybe"}, "rest"), ({"resaon": "x"}, "resaon")])
def test_discard_refuses_by_field(
    engineer_api: APIClient, delivery: Delivery, service: Callable[..., Mock], body: Any, field: str
) -> None:
    mock = service("delivery_discard")
    answer = engineer_api.post(f"{URL}{delivery.pk}/discard/", body)
    assert (answer.status_code, set(answer.json()["errors"])) == (422, {field})
    mock.assert_not_called()


def test_discard_while_sending_is_a_conflict(
    engineer_api: APIClient, delivery: Delivery, service: Callable[..., Mock]
) -> None:
    service("delivery_discard", side_effect=ConflictError("It is being sent.", code="sending"))
    answer = engineer_api.post(f"{URL}{delivery.pk}/discard/")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/sending")


def test_edit_answers_the_new_delivery(
    engineer_api: APIClient,
    delivery: Delivery,
    service: Callable[..., Mock],
    connection: Connection,
    unit_make: Make,
) -> None:
    new = unit_make(connection, supersedes=delivery).deliveries.get()
    mock = service("delivery_edit", return_value=new)
    answer = engineer_api.patch(f"{URL}{delivery.pk}/", {"text": " Shorter.\n"})
    assert (answer.status_code, answer.json()["id"]) == (200, new.pk)
    assert answer.json()["supersedes"] == delivery.pk
    assert mock.call_args.kwargs["text"] == " Shorter.\n"


@pytest.mark.parametrize("body", [{}, {"text": ""}, {"text": None}, {"text": "x", "kind": "resolution"}])
def test_edit_needs_a_text_and_nothing_else(engineer_api: APIClient, delivery: Delivery, body: Any) -> None:
    assert engineer_api.patch(f"{URL}{delivery.pk}/", body).status_code == 422
