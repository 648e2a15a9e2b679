"""Tests of the calls from end to end, on the provider that lives in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from rest_framework.test import APIClient

from psa import services
from psa.exceptions import AuthenticationFailedError, ConnectFailedError
from psa.models import Connection, Delivery, TicketLink
from psa.providers.dummy.server import DummyServer
from psa.types import Actor, NoteKind, NotePart, StatusPart
from resolutionflow.accounts.models import Account, User

URL = "/api/v1/connections/"
BODY = {
    "provider": "dummy",
    "name": "Memory",
    "site": "dummy.example",
    "credentials": {"api_key": "k3y-of-ours"},
}


@pytest.fixture(autouse=True)
def dummy(settings: Any) -> Iterator[None]:
    settings.PSA = {**settings.PSA, "PROVIDERS": {"dummy": "psa.providers.dummy.provider.DummyProvider"}}
    DummyServer.reset()
    yield
    DummyServer.reset()


@pytest.fixture
def connected(owner_api: APIClient) -> Connection:
    return Connection.objects.get(pk=owner_api.post(URL, BODY).json()["id"])


@pytest.fixture
def link(connected: Connection, account: Account, engineer_api: APIClient) -> TicketLink:
    ticket = engineer_api.get(f"{URL}{connected.pk}/tickets/").json()["results"][0]["id"]
    return services.ticket_link(account, connected.pk, ticket)


@pytest.fixture
def note(link: TicketLink, account: Account, engineer: User) -> Delivery:
    parts = [NotePart(NoteKind.ANALYSIS, "Restarted the spooler."), StatusPart("In Progress")]
    unit = services.unit_enqueue(account, link.pk, parts, actor=Actor(engineer.pk, "Eva"), origin="session:9")
    return unit.deliveries.order_by("seq")[0]


def test_provider_is_listed(engineer_api: APIClient) -> None:
    (provider,) = engineer_api.get("/api/v1/providers/").json()
    assert provider["key"] == "dummy"
    assert [field["name"] for field in provider["credential_fields"]] == ["api_key"]


def test_connection_lives_and_dies(owner_api: APIClient) -> None:
    made = owner_api.post(URL, BODY)
    assert (made.status_code, made.json()["state"], made.json()["version"]) == (201, "connected", "1.0")
    one = f"{URL}{made.json()['id']}/"
    assert owner_api.post(f"{one}test/").json()["features"]
    assert owner_api.patch(one, {"name": "New name"}).json()["name"] == "New name"
    assert owner_api.patch(one, {"disabled": True}).json()["state"] == "disabled"
    assert owner_api.get(f"{one}boards/").json()["type"] == "/problems/connection-disabled"
    assert owner_api.patch(one, {"disabled": False}).json()["state"] == "unverified"
    assert owner_api.delete(one).status_code == 204
    assert owner_api.get(one).status_code == 404
    assert owner_api.get(URL).json()["count"] == 0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"credentials": {}}, "credentials.api_key"),
        ({"credentials": {"api_key": "refused"}}, "credentials"),
        ({"credentials": {"api_key": "a b"}}, "credentials.api_key"),
        ({"credentials": {"api_key": "k", "other": "x"}}, "credentials.other"),
        ({"provider": "none"}, "provider"),
        ({"site": "http://user:pw@x"}, "site"),
    ],
)
def test_refused_connection_is_not_stored(owner_api: APIClient, change: dict[str, Any], field: str) -> None:
    answer = owner_api.post(URL, {**BODY, **change})
    assert (answer.status_code, set(answer.json()["errors"])) == (422, {field})
    assert Connection.objects.count() == 0


def test_second_connection_to_one_place_is_a_conflict(owner_api: APIClient, connected: Connection) -> None:
    answer = owner_api.post(URL, BODY)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/connection-exists")


def test_psa_that_is_down_stores_nothing(owner_api: APIClient) -> None:
    DummyServer.of("new").fail_next("*", ConnectFailedError("The PSA does not answer."))
    answer = owner_api.post(URL, BODY)
    assert (answer.status_code, answer.has_header("Retry-After")) == (503, True)
    assert Connection.objects.count() == 0


def test_connection_without_a_probe(owner_api: APIClient) -> None:
    DummyServer.of("new").fail_next("*", ConnectFailedError("The PSA does not answer."))
    assert owner_api.post(URL, {**BODY, "verify": False}).json()["state"] == "unverified"


def test_board_statuses_and_tickets(engineer_api: APIClient, connected: Connection) -> None:
    one = f"{URL}{connected.pk}/"
    board = engineer_api.get(f"{one}boards/").json()["results"][0]
    statuses = engineer_api.get(f"{one}boards/{board['id']}/statuses/").json()["results"]
    assert {type(status["id"]) for status in statuses} == {str}
    tickets = engineer_api.get(f"{one}tickets/?board={board['id']}").json()["results"]
    assert {ticket["board"]["id"] for ticket in tickets} == {board["id"]}
    assert engineer_api.get(f"{one}tickets/?mine=1").json()["type"] == "/problems/no-member-mapping"


def test_keys_that_stopped_working_are_409(engineer_api: APIClient, connected: Connection) -> None:
    refusal = AuthenticationFailedError("The PSA refuses the keys.")
    DummyServer.of(str(connected.pk)).fail_next("ticket_search", refusal)
    answer = engineer_api.get(f"{URL}{connected.pk}/tickets/")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/connection-broken")


def test_unit_and_its_deliveries(engineer_api: APIClient, note: Delivery) -> None:
    unit = engineer_api.get(f"/api/v1/units/{note.unit_id}/").json()
    assert [(entry["kind"], entry["held_by"]) for entry in unit["deliveries"]] == [
        ("analysis", None),
        ("status", "earlier"),
    ]
    assert engineer_api.get("/api/v1/deliveries/?session=9").json()["count"] == 2


def test_dead_note_is_edited(engineer_api: APIClient, note: Delivery) -> None:
    Delivery.objects.filter(pk=note.pk).update(state="dead")
    one = f"/api/v1/deliveries/{note.pk}/"
    answer = engineer_api.patch(one, {"text": "Restarted it."})
    assert (answer.status_code, answer.json()["supersedes"], answer.json()["text"]) == (
        200,
        note.pk,
        "Restarted it.",
    )
    assert engineer_api.get(one).json()["state"] == "discarded"
    assert engineer_api.patch(one, {"text": "Again."}).json()["type"] == "/problems/not-dead"


@pytest.mark.parametrize("text", ["   ", "\n\u200b\n", "\u0000"])
def test_edit_to_nothing_is_refused(engineer_api: APIClient, note: Delivery, text: str) -> None:
    Delivery.objects.filter(pk=note.pk).update(state="dead")
    assert engineer_api.patch(f"/api/v1/deliveries/{note.pk}/", {"text": text}).status_code == 422


def test_dead_note_is_retried(engineer_api: APIClient, note: Delivery) -> None:
    one = f"/api/v1/deliveries/{note.pk}/"
    assert engineer_api.post(f"{one}retry/").json()["type"] == "/problems/not-retryable"
    Delivery.objects.filter(pk=note.pk).update(state="dead")
    assert engineer_api.post(f"{one}retry/").json()["state"] == "ready"


@pytest.mark.parametrize(
    ("rest", "states"), [("discard", ["discarded"] * 2), ("continue", ["discarded", "ready"])]
)
def test_note_is_discarded(engineer_api: APIClient, note: Delivery, rest: str, states: list[str]) -> None:
    answer = engineer_api.post(f"/api/v1/deliveries/{note.pk}/discard/", {"rest": rest})
    assert (answer.status_code, answer.json()["state"]) == (200, "discarded")
    assert list(Delivery.objects.order_by("pk").values_list("state", flat=True)) == states


def test_note_that_is_leaving_cannot_be_discarded(engineer_api: APIClient, note: Delivery) -> None:
    Delivery.objects.filter(pk=note.pk).update(state="sending")
    answer = engineer_api.post(f"/api/v1/deliveries/{note.pk}/discard/")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/in-flight")


def test_connection_with_a_note_in_flight_needs_force(
    owner_api: APIClient, connected: Connection, note: Delivery
) -> None:
    Delivery.objects.filter(pk=note.pk).update(state="sending")
    one = f"{URL}{connected.pk}/"
    assert owner_api.delete(one).json()["type"] == "/problems/deliveries-in-flight"
    assert owner_api.delete(f"{one}?force=true").status_code == 204
