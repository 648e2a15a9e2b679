"""Tests of the calls about providers and connections. Services are replaced at their boundary."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from rest_framework.test import APIClient

from psa import exceptions as errors
from psa import selectors, services
from psa.api.tests.conftest import SECRET
from psa.models import Connection
from psa.types import Capability, CredentialField
from resolutionflow.accounts.models import Account, User

URL = "/api/v1/connections/"
BODY = {
    "provider": "connectwise",
    "name": "Our PSA",
    "site": "na.example.com",
    "credentials": {"company_id": "acme", "public_key": "pub", "private_key": SECRET, "client_id": ""},
}
SHAPE = {"id", "provider", "name", "site", "state", "last_checked_at", "features", "problem"}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, connection: Connection) -> Callable[..., Mock]:
    """Return a function that replaces one service by a mock which answers with the connection."""

    def replace(name: str, **behaviour: Any) -> Mock:
        mock = Mock(**{"return_value": connection, **behaviour})
        monkeypatch.setattr(services, name, mock)
        return mock

    return replace


def test_providers_describe_their_forms(engineer_api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = SimpleNamespace(
        key="dummy",
        label="Dummy",
        capabilities={Capability.STATUS, Capability.NOTES},
        credential_schema=(CredentialField("api_key", "API key", secret=True, help="From the profile."),),
        site_example="psa.example.com",
    )
    monkeypatch.setattr(selectors, "provider_classes", lambda: [provider])
    assert engineer_api.get("/api/v1/providers/").json() == [
        {
            "key": "dummy",
            "label": "Dummy",
            "capabilities": ["notes", "status"],
            "credential_fields": [
                {
                    "name": "api_key",
                    "label": "API key",
                    "secret": True,
                    "required": True,
                    "help": "From the profile.",
                }
            ],
            "site_example": "psa.example.com",
        }
    ]


def test_everyone_reads_and_nobody_reads_a_secret(engineer_api: APIClient, connection: Connection) -> None:
    for answer in (engineer_api.get(URL), engineer_api.get(f"{URL}{connection.pk}/")):
        assert answer.status_code == 200
        assert SECRET not in answer.content.decode()
        assert "credentials" not in answer.content.decode()
    listed = engineer_api.get(URL).json()["results"][0]
    assert set(listed) >= SHAPE
    assert (listed["id"], listed["version"], listed["problem"]) == (connection.pk, "v2025.16", None)


def test_outsider_sees_nothing(outsider_api: APIClient, connection: Connection) -> None:
    assert outsider_api.get(URL).json()["count"] == 0
    one = f"{URL}{connection.pk}/"
    assert outsider_api.get(one).status_code == 404
    assert outsider_api.patch(one, {"name": "x"}).status_code == 404
    assert outsider_api.patch(one, {"disabled": True}).status_code == 404
    assert outsider_api.delete(one).status_code == 404
    assert outsider_api.post(f"{one}test/").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [("get", ""), ("post", ""), ("get", "1/"), ("patch", "1/"), ("delete", "1/"), ("post", "1/test/")],
)
def test_anonymous_is_401(db: None, method: str, path: str) -> None:
    assert getattr(APIClient(), method)(f"{URL}{path}").status_code == 401


@pytest.mark.parametrize("method", ["post", "patch", "delete"])
def test_engineers_change_nothing(engineer_api: APIClient, connection: Connection, method: str) -> None:
    path = URL if method == "post" else f"{URL}{connection.pk}/"
    answer = getattr(engineer_api, method)(path, BODY)
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/role")


@pytest.mark.parametrize("count", [1, 30])
def test_list_takes_as_many_queries_for_30_as_for_1(
    owner_api: APIClient, connection_make: Callable[..., Any], django_assert_num_queries: Any, count: int
) -> None:
    for _ in range(count):
        connection_make()
    with django_assert_num_queries(3):  # which rows, the rows, count
        assert owner_api.get(URL).json()["count"] == count


def test_create(
    owner_api: APIClient, owner: User, account: Account, service: Callable[..., Mock], connection: Connection
) -> None:
    mock = service("connection_create")
    answer = owner_api.post(URL, BODY)
    assert (answer.status_code, answer.json()["id"]) == (201, connection.pk)
    (tenant,), given = mock.call_args
    assert (tenant, given["actor"].user_id, given["verify"]) == (account, owner.pk, True)
    assert given["credentials"]["private_key"] == SECRET
    assert SECRET not in answer.content.decode()


def test_create_without_a_probe(owner_api: APIClient, service: Callable[..., Mock]) -> None:
    mock = service("connection_create")
    assert owner_api.post(URL, {**BODY, "verify": False}).status_code == 201
    assert mock.call_args.kwargs["verify"] is False


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"provider", "name", "site", "credentials"}),
        ({**BODY, "sites": "x"}, {"sites"}),
        ({"provider": "connectwise", "sites": "x"}, {"name", "site", "credentials", "sites"}),
        ({**BODY, "credentials": "x"}, {"credentials"}),
        ({**BODY, "credentials": {"public_key": ["x"]}}, {"credentials.public_key"}),
        ({**BODY, "name": "x" * 101}, {"name"}),
    ],
)
def test_body_is_refused_by_field(
    owner_api: APIClient, service: Callable[..., Mock], body: dict[str, Any], fields: set[str]
) -> None:
    mock = service("connection_create")
    answer = owner_api.post(URL, body)
    assert (answer.status_code, set(answer.json()["errors"])) == (422, fields)
    mock.assert_not_called()


@pytest.mark.parametrize(
    ("exc", "status", "slug", "fields"),
    [
        (errors.AuthenticationFailedError("Refused."), 422, "connection-refused", {"credentials"}),
        (errors.NotFoundError("No PSA there."), 422, "connection-refused", {"site"}),
        (errors.HostNotAllowedError("Private.", host="10.0.0.1"), 422, "host-not-allowed", {"site"}),
        (
            errors.RejectedError("No.", fields={"company_id": ["No."], "site": ["No."]}),
            422,
            "connection-refused",
            {"credentials.company_id", "site"},
        ),
        (errors.ClientIdRefusedError("Id."), 409, "client-id-refused", set()),
        (errors.ConnectFailedError("Down."), 503, "psa-unreachable", set()),
        (
            errors.InvalidInputError("Keys.", fields={"credentials.public_key": ["Required."]}),
            422,
            "invalid",
            {"credentials.public_key"},
        ),
        (errors.ConflictError("Twice.", code="connection-exists"), 409, "connection-exists", set()),
    ],
)
def test_create_that_fails(
    owner_api: APIClient,
    service: Callable[..., Mock],
    exc: Exception,
    status: int,
    slug: str,
    fields: set[str],
) -> None:
    service("connection_create", side_effect=exc)
    answer = owner_api.post(URL, BODY)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{slug}")
    assert set(answer.json().get("errors", {})) == fields
    assert answer.has_header("Retry-After") is (status == 503)


def test_own_client_id_that_is_refused_is_named(owner_api: APIClient, service: Callable[..., Mock]) -> None:
    service("connection_create", side_effect=errors.ClientIdRefusedError("Id."))
    answer = owner_api.post(URL, {**BODY, "credentials": {**BODY["credentials"], "client_id": "x"}})
    assert (answer.status_code, set(answer.json()["errors"])) == (422, {"credentials.client_id"})


def test_half_a_character_is_refused_by_field(owner_api: APIClient) -> None:
    body = json.dumps({**BODY, "name": "\ud800"})
    answer = owner_api.post(URL, data=body, content_type="application/json")
    assert (answer.status_code, set(answer.json()["errors"])) == (422, {"name"})


def test_change_passes_on_only_what_was_given(
    owner_api: APIClient, service: Callable[..., Mock], connection: Connection
) -> None:
    mock = service("connection_update")
    keys = {"public_key": "new", "client_id": None}
    answer = owner_api.patch(f"{URL}{connection.pk}/", {"credentials": keys})
    assert (answer.status_code, answer.json()["id"]) == (200, connection.pk)
    given = dict(mock.call_args.kwargs)
    assert given.pop("actor").name == "olga"
    assert given == {"credentials": keys, "verify": True}


@pytest.mark.parametrize(("disabled", "name"), [(True, "connection_disable"), (False, "connection_enable")])
def test_switch_off_and_on(
    owner_api: APIClient, service: Callable[..., Mock], connection: Connection, disabled: bool, name: str
) -> None:
    update, switch = service("connection_update"), service(name)
    assert owner_api.patch(f"{URL}{connection.pk}/", {"disabled": disabled}).status_code == 200
    switch.assert_called_once()
    update.assert_not_called()


def test_change_of_nothing_answers_the_connection(owner_api: APIClient, connection: Connection) -> None:
    assert owner_api.patch(f"{URL}{connection.pk}/", {}).json()["name"] == connection.name


def test_change_refuses_what_cannot_change(owner_api: APIClient, connection: Connection) -> None:
    answer = owner_api.patch(f"{URL}{connection.pk}/", {"provider": "other"})
    assert (answer.status_code, set(answer.json()["errors"])) == (422, {"provider"})


@pytest.mark.parametrize(("query", "force"), [("", False), ("?force=true", True), ("?force=0", False)])
def test_delete(
    owner_api: APIClient, service: Callable[..., Mock], connection: Connection, query: str, force: bool
) -> None:
    mock = service("connection_delete", return_value=None)
    answer = owner_api.delete(f"{URL}{connection.pk}/{query}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert mock.call_args.kwargs["force"] is force


def test_delete_while_one_is_sending(
    owner_api: APIClient, service: Callable[..., Mock], connection: Connection
) -> None:
    service("connection_delete", side_effect=errors.ConflictError("Wait.", code="deliveries-in-flight"))
    answer = owner_api.delete(f"{URL}{connection.pk}/")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/deliveries-in-flight")


def test_switch_that_is_no_switch(owner_api: APIClient, connection: Connection) -> None:
    assert owner_api.delete(f"{URL}{connection.pk}/?force=maybe").status_code == 422


def test_engineers_may_test(
    engineer_api: APIClient, service: Callable[..., Mock], connection: Connection
) -> None:
    service("connection_test")
    answer = engineer_api.post(f"{URL}{connection.pk}/test/").json()
    assert (answer["state"], answer["version"]) == ("connected", "v2025.16")
    assert answer["features"] == [{"feature": "notes", "status": "ok", "grant": ""}]
