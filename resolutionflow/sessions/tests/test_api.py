"""Tests of the calls about sessions themselves: shapes, roles, bad bodies, costs."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from psa.exceptions import ConnectFailedError, InvalidInputError, MissingError
from psa.types import Actor, RecordType
from resolutionflow.accounts.models import Account, User
from resolutionflow.sessions import services
from resolutionflow.sessions.models import FlowSession, Outcome, SessionPause, SessionStep
from resolutionflow.sessions.tests.conftest import STEP_BODY, SUMMARY, Delivery, client_of

URL = "/api/v1/sessions/"


def _url(session: FlowSession, rest: str = "") -> str:
    return f"{URL}{session.pk}/{rest}"


def test_new_session(api: APIClient) -> None:
    answer = api.post(URL, {"title": " Printer offline "})
    assert answer.status_code == 201
    body = answer.json()
    assert (
        body
        | {
            "title": "Printer offline",
            "state": "open",
            "outcome": None,
            "flow": None,
            "ticket": None,
            "steps": [],
            "unit": None,
            "created_by": "Eva Engineer",
        }
        == body
    )


def test_session_follows_a_flow(api: APIClient, account: Account) -> None:
    flow = account.flows.create(title="Printers")
    assert api.post(URL, {"title": "x", "flow": flow.pk}).json()["flow"] == flow.pk


def test_colleagues_share_sessions(owner_api: APIClient, session: FlowSession) -> None:
    assert owner_api.get(_url(session)).json()["title"] == "Printer offline"
    assert owner_api.post(_url(session, "steps/"), {"body": "Second pair of eyes"}).status_code == 201


CALLS = [
    ("get", "", None),
    ("patch", "", {"title": "x"}),
    ("post", "steps/", {"body": "x"}),
    ("put", "ticket/", {"connection": 1, "ticket_id": "1"}),
    ("delete", "ticket/", None),
    ("get", "documentation/", None),
    ("post", "notes/", {"kind": "analysis"}),
    ("post", "status/", {"status": "Closed"}),
    ("post", "complete/", {"outcome": "cancelled"}),
    ("post", "complete/", {"outcome": "cancelled", "dry_run": True}),
]


@pytest.mark.parametrize(("method", "rest", "body"), CALLS)
def test_outsider_gets_404(
    outsider_api: APIClient, linked: FlowSession, method: str, rest: str, body: Any
) -> None:
    answer = getattr(outsider_api, method)(_url(linked, rest), body)
    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[-1]) == (404, "not-found")


@pytest.mark.parametrize(
    ("method", "rest", "body"), [("get", None, None), ("post", None, {"title": "x"}), *CALLS]
)
def test_nobody_gets_401(linked: FlowSession, method: str, rest: str | None, body: Any) -> None:
    url = URL if rest is None else _url(linked, rest)
    assert getattr(client_of(None), method)(url, body).status_code == 401


def test_user_without_an_account_gets_403(db: None) -> None:
    assert client_of(User.objects.create_user("lone")).get(URL).status_code == 403


def test_outsider_sees_an_empty_list(outsider_api: APIClient, session: FlowSession) -> None:
    assert outsider_api.get(URL).json()["results"] == []


@pytest.mark.parametrize("number", [0, 10**30])
def test_session_that_is_not_there(api: APIClient, number: int) -> None:
    assert api.get(f"{URL}{number}/").status_code == 404
    assert api.post(f"{URL}{number}/notes/", {"kind": "analysis"}).status_code == 404


@pytest.mark.parametrize(
    ("method", "rest", "body", "fields"),
    [
        ("post", None, {}, ["title"]),
        ("post", None, {"title": ""}, ["title"]),
        ("post", None, {"title": "x" * 201}, ["title"]),
        ("post", None, {"title": "x", "flow": 10**30}, ["flow"]),
        ("post", None, {"title": "x", "flow": 999}, ["flow"]),
        ("post", None, {"title": "x", "nonsense": 1}, ["nonsense"]),
        ("patch", "", {"titel": "x"}, ["titel"]),
        ("patch", "", {"title": None}, ["title"]),
        ("patch", "", {"state": "completed"}, ["state"]),
        ("patch", "", {"resolution": "x" * 20_001}, ["resolution"]),
        ("post", "steps/", {}, ["body"]),
        ("post", "steps/", {"body": " "}, ["body"]),
        ("post", "steps/", {"body": ["x"]}, ["body"]),
        ("post", "steps/", {"body": "x" * 90_001}, ["body"]),
        ("post", "steps/", {"body": "x", "title": "y" * 201}, ["title"]),
        ("post", "steps/", {"body": "x", "position": 7}, ["position"]),
        ("put", "ticket/", {}, ["connection", "ticket_id"]),
        ("put", "ticket/", {"connection": "abc", "ticket_id": {}}, ["connection", "ticket_id"]),
        ("put", "ticket/", {"connection": 1, "ticket_id": "", "board": 1}, ["board", "ticket_id"]),
        ("put", "ticket/", {"connection": 1, "ticket_id": "1", "record_type": "Sales"}, ["record_type"]),
        ("put", "ticket/?open=dicsard", {"connection": 1, "ticket_id": "1"}, ["open"]),
    ],
)
def test_wrong_body_is_422_by_field_and_stores_nothing(
    api: APIClient,
    session: FlowSession,
    psa_tickets: list[Any],
    method: str,
    rest: str | None,
    body: dict[str, Any],
    fields: list[str],
) -> None:
    answer = getattr(api, method)(URL if rest is None else _url(session, rest), body)
    assert (answer.status_code, sorted(answer.json()["errors"])) == (422, fields)
    session.refresh_from_db()
    assert (session.title, session.link) == ("Printer offline", None)
    assert (FlowSession.objects.count(), SessionStep.objects.count()) == (1, 1)


@pytest.mark.parametrize("body", ["[]", '"text"', "7", "null", "{", "[[["])
@pytest.mark.parametrize("rest", [None, "steps/", "notes/", "status/", "complete/"])
def test_body_that_is_no_object_is_400(
    api: APIClient, linked: FlowSession, rest: str | None, body: str
) -> None:
    url = URL if rest is None else _url(linked, rest)
    answer = api.post(url, body, content_type="application/json")
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")


def test_step_keeps_emoji_and_loses_control_characters(api: APIClient, session: FlowSession) -> None:
    answer = api.post(_url(session, "steps/"), {"body": "Fixed 👩‍🔧\x00\x07\r\nDone", "result": "ok"})
    assert (answer.status_code, answer.json()["body"]) == (201, "Fixed 👩‍🔧\nDone")


def test_half_an_emoji_is_refused(api: APIClient, session: FlowSession) -> None:
    answer = api.post(_url(session, "steps/"), '{"body": "\\ud83d"}', content_type="application/json")
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["body"])


def test_patch_changes_what_is_given(api: APIClient, session: FlowSession, account: Account) -> None:
    flow = account.flows.create(title="Printers")
    api.patch(_url(session), {"flow": flow.pk})
    body = api.patch(_url(session), {"resolution": SUMMARY}).json()
    assert (body["title"], body["flow"], body["resolution"]) == ("Printer offline", flow.pk, SUMMARY)
    assert api.patch(_url(session), {"flow": None}).json()["flow"] is None


@pytest.mark.parametrize(
    ("method", "rest", "body"), [("patch", "", {"title": "late"}), ("post", "steps/", {"body": "late"})]
)
def test_completed_session_is_409(
    api: APIClient, account: Account, actor: Actor, linked: FlowSession, method: str, rest: str, body: Any
) -> None:
    draft = services.CompletionDraft(Outcome.CANCELLED)
    services.session_complete(account, linked.pk, draft, actor=actor)
    answer = getattr(api, method)(_url(linked, rest), body)
    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[-1]) == (409, "session-completed")


def test_documentation(api: APIClient, session: FlowSession) -> None:
    body = api.get(_url(session, "documentation/")).json()
    assert STEP_BODY in body["analysis"]
    assert body["resolution"] == ""


# ticket


@pytest.mark.parametrize("ticket_id", ["4711", 4711])
def test_link_answers_the_ticket(
    api: APIClient, session: FlowSession, connection: Any, psa_tickets: list[Any], ticket_id: Any
) -> None:
    answer = api.put(_url(session, "ticket/"), {"connection": connection.pk, "ticket_id": ticket_id})
    assert answer.status_code == 200
    assert answer.json() == api.get(_url(session)).json()["ticket"]
    assert (
        answer.json()
        | {
            "connection": connection.pk,
            "ticket_id": "4711",
            "record_type": "service",
            "summary": "Printer offline",
            "board": "Service Desk",
            "linked_by": "Eva Engineer",
        }
        == answer.json()
    )
    assert psa_tickets == [("4711", None)]


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("service", RecordType.SERVICE),
        ("ServiceTicket", RecordType.SERVICE),
        ("project", RecordType.PROJECT),
        ("PROJECTTICKET", RecordType.PROJECT),
        ("ProjectIssue", RecordType.PROJECT),
        (None, None),
    ],
)
def test_record_types_are_understood(
    api: APIClient,
    session: FlowSession,
    connection: Any,
    psa_tickets: list[Any],
    word: str | None,
    wanted: RecordType | None,
) -> None:
    api.put(_url(session, "ticket/"), {"connection": connection.pk, "ticket_id": "4711", "record_type": word})
    assert psa_tickets == [("4711", wanted)]


@pytest.mark.parametrize(
    ("error", "status", "slug"),
    [
        (MissingError("Hidden.", code="ticket-not-found"), 404, "ticket-not-found"),
        (
            InvalidInputError("Wrong.", code="wrong-record-type", fields={"record_type": ["project"]}),
            422,
            "wrong-record-type",
        ),
        (ConnectFailedError("Down."), 503, "psa-unreachable"),
    ],
)
def test_what_the_psa_does_not_confirm_is_not_stored(
    api: APIClient,
    session: FlowSession,
    connection: Any,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    status: int,
    slug: str,
) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr("psa.services.ticket_link", refuse)
    answer = api.put(_url(session, "ticket/"), {"connection": connection.pk, "ticket_id": "1"})
    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[-1]) == (status, slug)
    session.refresh_from_db()
    assert session.link is None


def test_unlink(api: APIClient, linked: FlowSession) -> None:
    assert api.delete(_url(linked, "ticket/")).status_code == 204
    assert api.get(_url(linked)).json()["ticket"] is None


@pytest.mark.parametrize("method", ["put", "delete"])
def test_leaving_a_ticket_with_open_deliveries(
    api: APIClient, linked: FlowSession, connection: Any, method: str
) -> None:
    api.post(_url(linked, "notes/"), {"kind": "analysis"})
    body = {"connection": connection.pk, "ticket_id": "4712"} if method == "put" else None
    answer = getattr(api, method)(_url(linked, "ticket/"), body)
    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[-1]) == (409, "open-deliveries")
    assert getattr(api, method)(_url(linked, "ticket/?open=discard"), body).status_code in {200, 204}
    assert Delivery.objects.get().state == "discarded"


# costs


def test_list_costs_the_same_for_many_sessions(
    api: APIClient,
    account: Account,
    actor: Actor,
    connection: Any,
    psa_tickets: list[Any],
    django_assert_num_queries: Any,
) -> None:
    for number in range(12):
        made = services.session_create(account, actor=actor, title=f"Session {number}")
        services.step_add(account, made.pk, actor=actor, body="x")
        services.ticket_link(account, made.pk, connection.pk, str(number), actor=actor)
    api.get(URL)
    with django_assert_num_queries(3):  # which rows, the rows, count
        body = api.get(URL).json()
    assert body["count"] == 12
    assert body["results"][0]["title"] == "Session 11"


def test_session_costs_the_same_for_many_steps(
    api: APIClient, account: Account, actor: Actor, session: FlowSession, django_assert_num_queries: Any
) -> None:
    for _ in range(12):
        services.step_add(account, session.pk, actor=actor, body="x")
    with django_assert_num_queries(3):  # session, steps, pauses
        assert len(api.get(_url(session)).json()["steps"]) == 13


# pauses -----------------------------------------------------------------------------------------


def test_pause_and_resume_show_on_the_session(api: APIClient, session: FlowSession) -> None:
    paused = api.post(f"/api/v1/sessions/{session.pk}/pause/")
    again = api.post(f"/api/v1/sessions/{session.pk}/pause/")
    resumed = api.post(f"/api/v1/sessions/{session.pk}/resume/")

    assert (paused.status_code, again.status_code, resumed.status_code) == (200, 200, 200)
    assert paused.json()["paused_at"] == again.json()["paused_at"] is not None
    assert resumed.json()["paused_at"] is None
    (pause,) = resumed.json()["pauses"]
    assert pause["paused_by"] == "Eva Engineer"
    assert pause["end"] >= pause["start"]


@pytest.mark.parametrize("call", ["pause", "resume"])
def test_a_completed_session_does_not_rest(
    api: APIClient, account: Account, actor: Actor, linked: FlowSession, call: str
) -> None:
    services.session_complete(account, linked.pk, services.CompletionDraft(Outcome.CANCELLED), actor=actor)

    answer = api.post(f"/api/v1/sessions/{linked.pk}/{call}/")

    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/session-completed")


@pytest.mark.parametrize("call", ["pause", "resume"])
def test_outsiders_find_no_session_to_pause(outsider_api: APIClient, session: FlowSession, call: str) -> None:
    assert outsider_api.post(f"/api/v1/sessions/{session.pk}/{call}/").status_code == 404
    assert not SessionPause.objects.exists()
