"""Tests of ticket search, boards and statuses. Selectors are replaced at their boundary."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from unittest.mock import Mock

import pytest
from rest_framework.test import APIClient

from psa import exceptions as errors
from psa import selectors
from psa.types import Board, Page, RecordType, Ref, Status, Ticket
from resolutionflow.accounts.models import Account, User

URL = "/api/v1/connections/3/"
TICKET = Ticket(
    id="4711",
    record_type=RecordType.SERVICE,
    summary="Printer offline",
    board=Ref("1", "Service Desk"),
    status=Status("12", "In Progress", raw={"secret": "x"}),
    company=Ref("250", "Contoso"),
    owner="Eva",
    url="https://psa.example.com/4711",
    updated_at=datetime(2026, 3, 2, 9, 14, 5, tzinfo=UTC),
)


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> Mock:
    mock = Mock(return_value=Page(items=(TICKET,), next_page=2))
    monkeypatch.setattr(selectors, "tickets_search", mock)
    return mock


def test_search_answers_tickets_in_the_promised_shape(engineer_api: APIClient, search: Mock) -> None:
    answer = engineer_api.get(f"{URL}tickets/?q=printer").json()
    assert answer == {
        "count": None,
        "next": f"http://testserver{URL}tickets/?page=2&q=printer",
        "previous": None,
        "results": [
            {
                "id": "4711",
                "record_type": "service",
                "summary": "Printer offline",
                "board": {"id": "1", "name": "Service Desk"},
                "status": {"id": "12", "name": "In Progress", "closed": False},
                "company": {"id": "250", "name": "Contoso"},
                "owner": "Eva",
                "url": "https://psa.example.com/4711",
                "updated_at": "2026-03-02T09:14:05Z",
            }
        ],
    }


def test_search_passes_on_what_was_asked(
    engineer_api: APIClient, engineer: User, account: Account, search: Mock
) -> None:
    engineer_api.get(f"{URL}tickets/?q= vpn &board=7&mine=true&page=3")
    assert search.call_args.args == (account, 3)
    assert search.call_args.kwargs == {
        "query": "vpn",
        "board_id": "7",
        "mine_user_id": engineer.pk,
        "page": 3,
    }


def test_search_of_everything_on_the_last_page(engineer_api: APIClient, search: Mock) -> None:
    bare = Ticket(id="1", record_type=RecordType.PROJECT, summary="")
    search.return_value = Page(items=(bare,), next_page=None)
    answer = engineer_api.get(f"{URL}tickets/?page=2").json()
    assert search.call_args.kwargs["mine_user_id"] is None
    assert (answer["next"], answer["previous"]) == (None, f"http://testserver{URL}tickets/")
    assert answer["results"][0]["board"] is answer["results"][0]["status"] is None


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=0", "page"),
        ("mine=perhaps", "mine"),
        (f"q={'x' * 201}", "q"),
        ("q=a%00b", "q"),
        ("board=%0A1%0A2", "board"),
    ],
)
def test_search_refuses_by_field(engineer_api: APIClient, search: Mock, query: str, field: str) -> None:
    answer = engineer_api.get(f"{URL}tickets/?{query}")
    assert (answer.status_code, set(answer.json()["errors"])) == (422, {field})
    search.assert_not_called()


@pytest.mark.parametrize(
    ("exc", "status", "slug"),
    [
        (errors.ConnectFailedError("Down."), 503, "psa-unreachable"),
        (errors.RateLimitedError("Slow.", retry_after_s=5), 503, "psa-rate-limited"),
        (errors.AuthenticationFailedError("Keys."), 409, "connection-broken"),
        (errors.PermissionDeniedError("Role.", grant="Service Desk: inquire"), 409, "psa-permission"),
        (errors.MissingError("There is no such connection."), 404, "not-found"),
        (errors.UnsupportedOperationError("Dummy", "service_tickets"), 422, "unsupported"),
    ],
)
def test_psa_that_cannot_be_asked(
    engineer_api: APIClient, search: Mock, exc: Exception, status: int, slug: str
) -> None:
    search.side_effect = exc
    answer = engineer_api.get(f"{URL}tickets/")
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{slug}")
    assert answer.has_header("Retry-After") is (status == 503)


def test_boards(engineer_api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selectors, "boards", lambda tenant, connection_id: [Board("1", "Desk", raw={"x": 1})])
    assert engineer_api.get(f"{URL}boards/").json() == {
        "count": 1,
        "next": None,
        "previous": None,
        "results": [{"id": "1", "name": "Desk", "record_type": "service", "active": True}],
    }


def test_statuses_of_a_board(
    engineer_api: APIClient, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    mock = Mock(return_value=[Status("12", "Closed", board_id="1", closed=True)])
    monkeypatch.setattr(selectors, "statuses", mock)
    answer = engineer_api.get(f"{URL}boards/1/statuses/").json()["results"]
    mock.assert_called_once_with(account, 3, "1")
    assert answer == [
        {
            "id": "12",
            "name": "Closed",
            "closed": True,
            "active": True,
            "time_entry_allowed": True,
            "mails_customer": False,
        }
    ]


@pytest.mark.parametrize("path", ["tickets/", "boards/", "boards/1/statuses/"])
def test_anonymous_is_401(db: None, path: str) -> None:
    assert APIClient().get(f"{URL}{path}").status_code == 401


def test_board_of_an_impossible_id_is_404(engineer_api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: Any) -> None:
        raise AssertionError("not asked")

    monkeypatch.setattr(selectors, "statuses", nothing)
    assert engineer_api.get(f"{URL}boards/{'9' * 41}/statuses/").status_code == 404
