"""The calls about mappings: their shapes, who may make them, and what they refuse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from rest_framework.test import APIClient

from psa.api.tests.conftest import Make, client_of
from psa.exceptions import UnavailableError
from psa.models import Connection, MemberMapping
from psa.provider_pool import providers_close
from psa.providers.dummy.server import DummyServer
from resolutionflow.accounts.models import Account, Role, User
from resolutionflow.accounts.services import user_create

ANN = {"id": "7", "name": "Ann Ames", "emails": ["ann@msp.example"]}
BEN = {"id": "8", "name": "Ben Boyd", "emails": ["ben@msp.example"]}


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
def ann(account: Account) -> User:
    return user_create(
        account, username="ann", password="x", first_name="Ann", last_name="Ames", email="ANN@msp.example"
    )


@pytest.fixture
def lead_api(account: Account) -> APIClient:
    return client_of(user_create(account, username="lea", password="x", role=Role.LEAD))


@pytest.fixture
def url(connection: Connection) -> str:
    return f"/api/v1/connections/{connection.pk}/members/"


def row(user: User, member: dict[str, Any] | None, how: str | None = "manual") -> dict[str, Any]:
    return {
        "user": user.pk,
        "user_name": user.display_name,
        "member": member,
        "how": how,
        "active": member is not None,
        "member_left": False,
    }


def test_mappings_are_listed_in_the_promised_shape(
    lead_api: APIClient, engineer_api: APIClient, url: str, engineer: User
) -> None:
    lead_api.put(url, [{"user": engineer.pk, "member": 8}])
    assert engineer_api.get(url).json() == {
        "count": 1,
        "next": None,
        "previous": None,
        "results": [row(engineer, BEN)],
    }


def test_a_match_answers_the_list_and_who_is_left(
    lead_api: APIClient, url: str, ann: User, engineer: User
) -> None:
    user_create(ann.membership.account, username="ben1", password="x", email="ben@msp.example")
    user_create(ann.membership.account, username="ben2", password="x", email="ben@msp.example")
    answer = lead_api.post(f"{url}match/")
    found = answer.json()
    assert (answer.status_code, found["matched"], found["results"]) == (200, 1, [row(ann, ANN, "email")])
    assert [(entry["user_name"], entry["candidates"]) for entry in found["ambiguous"]] == [
        ("ben1", [BEN]),
        ("ben2", [BEN]),
    ]
    assert {(entry["user_name"], entry["why"]) for entry in found["unmatched"]} == {
        ("Eva Engineer", "no-email"),
        ("lea", "no-email"),
    }


@pytest.mark.parametrize("member", ["8", 8, {"id": "8", "name": "ignored", "emails": []}])
def test_a_member_is_given_by_id_or_as_it_was_answered(
    lead_api: APIClient, url: str, engineer: User, member: Any
) -> None:
    answer = lead_api.put(url, [{"user": engineer.pk, "member": member}])
    assert (answer.status_code, answer.json()["results"]) == (200, [row(engineer, BEN)])


def test_what_was_answered_can_be_sent_back(lead_api: APIClient, url: str, ann: User) -> None:
    listed = lead_api.post(f"{url}match/").json()["results"]
    assert lead_api.put(url, listed).json()["results"] == listed
    assert MemberMapping.objects.count() == 1


def test_one_object_stands_for_a_list_of_one(lead_api: APIClient, url: str, engineer: User) -> None:
    assert lead_api.put(url, {"user": engineer.pk, "member": "8"}).json()["count"] == 1


@pytest.mark.parametrize("ends", [{"member": None}, {"member": "8", "active": False}])
def test_a_mapping_is_ended(
    lead_api: APIClient, url: str, engineer: User, colleague: User, ends: dict[str, Any]
) -> None:
    lead_api.put(url, [{"user": engineer.pk, "member": "8"}, {"user": colleague.pk, "member": "7"}])
    answer = lead_api.put(url, [{"user": engineer.pk, **ends}])
    assert answer.json()["results"] == [row(colleague, ANN)]
    (closed,) = lead_api.get(f"{url}?show=closed").json()["results"]
    assert closed == {**row(engineer, BEN), "active": False}


def test_people_without_a_mapping_are_listed(
    lead_api: APIClient, url: str, engineer: User, ann: User
) -> None:
    lead_api.post(f"{url}match/")
    found = lead_api.get(f"{url}?show=unmapped").json()["results"]
    assert row(engineer, None, None) in found
    assert ann.pk not in {entry["user"] for entry in found}


def test_free_members_are_listed_and_searched(lead_api: APIClient, url: str, ann: User) -> None:
    lead_api.post(f"{url}match/")
    nobody = {"user": None, "user_name": "", "how": None, "active": False, "member_left": False}
    assert lead_api.get(f"{url}?show=free").json()["results"] == [{**nobody, "member": BEN}]
    assert lead_api.get(f"{url}?show=free&q=carl").json()["results"] == []


def test_a_member_who_left_is_told(lead_api: APIClient, url: str, engineer: User) -> None:
    lead_api.put(url, {"user": engineer.pk, "member": "8"})
    MemberMapping.objects.update(member_left_at="2026-03-02T09:00:00Z")
    assert lead_api.get(url).json()["results"][0]["member_left"] is True


def test_a_member_somebody_has_is_a_conflict_that_names_them(
    lead_api: APIClient, url: str, engineer: User, colleague: User
) -> None:
    lead_api.put(url, {"user": engineer.pk, "member": "8"})
    answer = lead_api.put(url, {"user": colleague.pk, "member": "8"})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/member-taken")
    assert "Eva Engineer" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status", "fields"),
    [
        ("[", 400, None),
        ("3", 400, None),
        ('"x"', 400, None),
        ("[3]", 422, {"0"}),
        ("[{}]", 422, {"0.user", "0.member"}),
        ('[{"user": 1}]', 422, {"0.member"}),
        ('[{"user": "eva", "member": "8"}]', 422, {"0.user"}),
        ('[{"user": 1, "member": true}]', 422, {"0.member"}),
        ('[{"user": 1, "member": ""}]', 422, {"0.member"}),
        ('[{"user": 1, "member": {}}]', 422, {"0.member"}),
        ('[{"user": 1, "member": [8]}]', 422, {"0.member"}),
        ('[{"user": 1, "member": "8\\u0000"}]', 422, {"0.member"}),
        (f'[{{"user": 1, "member": "{"8" * 41}"}}]', 422, {"0.member"}),
        ('[{"user": 1, "member": "8", "membr": "8"}]', 422, {"0.membr"}),
        ('[{"user": 1, "member": "8"}, {"user": 1, "member": "7"}]', 422, {"user"}),
        ('[{"user": 999999, "member": "8"}]', 422, {"user"}),
        ('[{"user": 9223372036854775807, "member": null}]', 200, None),
        ('[{"user": 9223372036854775808, "member": null}]', 422, {"0.user"}),
        ("[]", 200, None),
    ],
)
def test_what_cannot_be_read_is_refused_by_place(
    lead_api: APIClient, url: str, body: str, status: int, fields: set[str] | None
) -> None:
    answer = lead_api.put(url, body, content_type="application/json")
    assert answer.status_code == status
    assert set(answer.json().get("errors", ())) == (fields or set())


def test_too_many_rows_are_refused(lead_api: APIClient, url: str) -> None:
    answer = lead_api.put(url, [{"user": number, "member": None} for number in range(1, 1002)])
    assert (answer.status_code, "1,000" in answer.json()["detail"]) == (422, True)


@pytest.mark.parametrize("query", ["show=everything", f"show=free&q={'x' * 201}", "page=0"])
def test_a_wrong_filter_is_refused(lead_api: APIClient, url: str, query: str) -> None:
    assert lead_api.get(f"{url}?{query}").status_code == 422


def test_a_psa_that_is_down_is_503_where_it_must_be_asked(
    lead_api: APIClient, url: str, connection: Connection, engineer: User
) -> None:
    DummyServer.of(str(connection.pk)).fail_next("members", UnavailableError("Down."), times=9)
    calls = [
        lead_api.post(f"{url}match/"),
        lead_api.put(url, {"user": engineer.pk, "member": "8"}),
        lead_api.get(f"{url}?show=free"),
    ]
    assert [(call.status_code, call.has_header("Retry-After")) for call in calls] == [(503, True)] * 3
    assert lead_api.get(url).status_code == 200
    assert lead_api.get(f"{url}?show=unmapped").status_code == 200


def test_who_may_do_what(
    owner_api: APIClient,
    lead_api: APIClient,
    engineer_api: APIClient,
    outsider_api: APIClient,
    url: str,
) -> None:
    def statuses(client: APIClient) -> list[int]:
        return [
            client.get(url).status_code,
            client.put(url, []).status_code,
            client.post(f"{url}match/").status_code,
        ]

    assert statuses(owner_api) == [200, 200, 200]
    assert statuses(lead_api) == [200, 200, 200]
    assert statuses(engineer_api) == [200, 403, 403]
    assert statuses(outsider_api) == [404, 404, 404]
    assert statuses(APIClient()) == [401, 401, 401]


def test_a_wrong_role_is_told_as_a_role(engineer_api: APIClient, url: str) -> None:
    assert engineer_api.put(url, []).json()["type"] == "/problems/role"


def test_the_list_takes_as_many_queries_for_many_mappings_as_for_few(
    lead_api: APIClient,
    url: str,
    connection: Connection,
    account: Account,
    django_assert_max_num_queries: Any,
) -> None:
    for number in range(60):
        MemberMapping.objects.create(
            tenant=account,
            connection=connection,
            user=User.objects.create(username=f"u{number}"),
            user_name=f"u{number:03}",
            member_id=str(number),
            member_name="M",
        )
    lead_api.get(url)
    with django_assert_max_num_queries(4):
        answer = lead_api.get(url).json()
    assert (answer["count"], len(answer["results"])) == (60, 50)
