"""Tests of GET and POST /api/v1/flows/."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from resolutionflow.accounts.models import Account, User
from resolutionflow.flows.models import Flow
from resolutionflow.flows.services import StepDraft, flow_create

URL = "/api/v1/flows/"
VPN = {
    "title": "VPN does not connect",
    "keywords": ["vpn", "tunnel"],
    "steps": [{"title": "Ping the gateway", "body": "From outside."}, {"title": "Read the client's log"}],
}


def test_member_adds_a_flow_with_its_steps(api: APIClient) -> None:
    answer = api.post(URL, VPN)
    assert answer.status_code == 201
    assert [(step["position"], step["title"]) for step in answer.json()["steps"]] == [
        (1, "Ping the gateway"),
        (2, "Read the client's log"),
    ]


def test_flow_belongs_to_the_account_of_who_asked(api: APIClient, account: Account) -> None:
    api.post(URL, VPN)
    assert Flow.objects.get().account == account


def test_flow_is_published_unless_said_otherwise(api: APIClient) -> None:
    assert api.post(URL, {"title": "x"}).json()["published"] is True


def test_list_has_the_shape_of_all_lists(api: APIClient, account: Account) -> None:
    flow_create(account, title="Printer is offline")
    answer = api.get(URL).json()
    assert set(answer) >= {"count", "next", "previous", "results"}
    assert [flow["title"] for flow in answer["results"]] == ["Printer is offline"]


def test_outsider_does_not_see_it(outsider_api: APIClient, account: Account) -> None:
    flow_create(account, title="Printer is offline")
    assert outsider_api.get(URL).json()["results"] == []


def test_user_without_an_account_is_403(db: None) -> None:
    client = APIClient()
    client.force_authenticate(User.objects.create_user("lone"))
    assert client.get(URL).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"title": ""},
        {"title": "x" * 201},
        {"title": "x", "steps": [{"body": "no title"}]},
        {"title": "x", "steps": "no list"},
        {"title": "x", "keywords": ["y" * 51]},
        {"title": "x", "keywords": ["y"] * 51},
        {"title": "x", "steps": [{"title": "y"}] * 201},
    ],
)
def test_wrong_body_is_422_and_stores_nothing(api: APIClient, body: dict[str, object]) -> None:
    assert (api.post(URL, body).status_code, Flow.objects.count()) == (422, 0)


def test_list_costs_the_same_for_many_flows(
    api: APIClient, account: Account, django_assert_num_queries: object
) -> None:
    for number in range(12):
        flow_create(account, title=f"Flow {number}", steps=[StepDraft("One"), StepDraft("Two")])
    with django_assert_num_queries(4):  # which flows, flows, steps, count
        api.get(URL)
