"""Tests of the calls that post to a ticket: notes, status, completion, and their idempotency."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from rest_framework.test import APIClient

from psa.exceptions import InvalidInputError
from psa.types import Actor
from resolutionflow.accounts.models import Account, User
from resolutionflow.sessions import services
from resolutionflow.sessions.models import FlowSession
from resolutionflow.sessions.tests.conftest import (
    STEP_BODY,
    SUMMARY,
    AtOnce,
    Delivery,
    client_of,
    kinds,
    texts,
)

RESOLVED = {"outcome": "resolved", "resolution": SUMMARY}


def _url(session: FlowSession, rest: str) -> str:
    return f"/api/v1/sessions/{session.pk}/{rest}/"


def _slug(answer: Any) -> str:
    slug: str = answer.json()["type"].rsplit("/", 1)[-1]
    return slug


# notes


def test_note_is_accepted_as_a_delivery(api: APIClient, linked: FlowSession) -> None:
    answer = api.post(_url(linked, "notes"), {"kind": "analysis"})
    body = answer.json()
    assert answer.status_code == 202
    assert (body["kind"], body["part"], body["state"]) == ("analysis", 1, "ready")
    assert body["unit"] == Delivery.objects.get().unit_id


def test_note_in_own_words(api: APIClient, linked: FlowSession) -> None:
    api.post(_url(linked, "notes"), {"kind": "discussion", "text": "We are on it. 🎉\r\nSoon"})
    assert "We are on it. 🎉\nSoon" in texts(linked)["discussion"]


def test_control_characters_in_a_note_are_dropped(api: APIClient, linked: FlowSession) -> None:
    answer = api.post(_url(linked, "notes"), {"kind": "discussion", "text": "a\x00b\x07c\x1bd"})
    assert answer.status_code == 202
    assert "abcd" in texts(linked)["discussion"]


@pytest.mark.parametrize("notify", [None, False, True])
def test_nobody_is_mailed_unless_asked(api: APIClient, linked: FlowSession, notify: bool | None) -> None:
    body = {"kind": "discussion", "text": "x"} | ({} if notify is None else {"notify": notify})
    api.post(_url(linked, "notes"), body)
    assert Delivery.objects.get().payload["notify"] is bool(notify)


@pytest.mark.parametrize(
    ("body", "slug", "fields"),
    [
        ({}, "invalid", ["kind"]),
        ({"kind": "internal"}, "invalid", ["kind"]),
        ({"kind": None}, "invalid", ["kind"]),
        ({"kind": "analysis", "flag": True}, "invalid", ["flag"]),
        ({"kind": "gossip", "flag": True}, "invalid", ["flag", "kind"]),
        ({"kind": "analysis", "notify": True}, "notify-internal", ["notify"]),
        ({"kind": "analysis", "notify": "perhaps"}, "invalid", ["notify"]),
        ({"kind": "analysis", "text": ""}, "empty-text", ["text"]),
        ({"kind": "analysis", "text": " \r\n\t"}, "empty-text", ["text"]),
        ({"kind": "discussion"}, "empty-text", ["text"]),
        ({"kind": "discussion", "text": None}, "empty-text", ["text"]),
        ({"kind": "discussion", "text": "\x00\x07"}, "empty-text", ["text"]),
        ({"kind": "resolution"}, "empty-text", ["text"]),
        ({"kind": "discussion", "text": {"a": 1}}, "invalid", ["text"]),
        ({"kind": "discussion", "text": "x" * 130_000}, "text-too-long", ["text"]),
        ({"kind": "discussion", "text": "x" * 1_000_001}, "invalid", ["text"]),
    ],
)
def test_wrong_note_is_422_by_field(
    api: APIClient, linked: FlowSession, body: dict[str, Any], slug: str, fields: list[str]
) -> None:
    answer = api.post(_url(linked, "notes"), body)
    assert (answer.status_code, _slug(answer), sorted(answer.json()["errors"])) == (422, slug, fields)
    assert kinds(linked) == []


@pytest.mark.parametrize(
    ("rest", "body"),
    [("notes", {"kind": "analysis"}), ("status", {"status": "Closed"}), ("complete", RESOLVED)],
)
def test_session_without_a_ticket_is_409(
    api: APIClient, session: FlowSession, rest: str, body: dict[str, Any]
) -> None:
    answer = api.post(_url(session, rest), body)
    assert (answer.status_code, _slug(answer)) == (409, "no-ticket")


# idempotency


def test_same_key_posts_once(api: APIClient, linked: FlowSession) -> None:
    first = api.post(_url(linked, "notes"), {"kind": "analysis"}, headers={"Idempotency-Key": "k1"})
    again = api.post(_url(linked, "notes"), {"kind": "analysis"}, headers={"Idempotency-Key": "k1"})
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert kinds(linked) == ["analysis"]


def test_replay_is_201_once_delivered(api: APIClient, linked: FlowSession) -> None:
    api.post(_url(linked, "notes"), {"kind": "analysis"}, headers={"Idempotency-Key": "k1"})
    Delivery.objects.update(state="delivered", external_id="99")
    again = api.post(_url(linked, "notes"), {"kind": "analysis"}, headers={"Idempotency-Key": "k1"})
    assert (again.status_code, again.json()["external_id"]) == (201, "99")


def test_same_key_for_another_body_is_refused(api: APIClient, linked: FlowSession) -> None:
    api.post(_url(linked, "notes"), {"kind": "analysis"}, headers={"Idempotency-Key": "k1"})
    other = {"kind": "discussion", "text": "x"}
    answer = api.post(_url(linked, "notes"), other, headers={"Idempotency-Key": "k1"})
    assert (answer.status_code, _slug(answer)) == (422, "idempotency-mismatch")


def test_without_a_key_each_call_is_new(api: APIClient, linked: FlowSession) -> None:
    for _ in range(2):
        api.post(_url(linked, "notes"), {"kind": "discussion", "text": "x"})
    assert kinds(linked) == ["discussion", "discussion"]


def test_completion_is_replayed(api: APIClient, linked: FlowSession) -> None:
    first = api.post(_url(linked, "complete"), RESOLVED, headers={"Idempotency-Key": "k1"})
    again = api.post(_url(linked, "complete"), RESOLVED, headers={"Idempotency-Key": "k1"})
    assert (again.status_code, again.json()) == (202, first.json())


def test_same_note_twice_at_once_is_one_delivery(
    at_once: AtOnce, engineer: User, linked: FlowSession
) -> None:
    def post() -> tuple[int, int]:
        answer = client_of(engineer).post(
            _url(linked, "notes"), {"kind": "analysis"}, headers={"Idempotency-Key": "k1"}
        )
        return answer.status_code, answer.json()["id"]

    first, second = at_once([post, post])
    assert first == second
    assert at_once([lambda: kinds(linked)]) == [["analysis"]]


def test_two_completions_at_once_give_one_unit(at_once: AtOnce, engineer: User, linked: FlowSession) -> None:
    def complete() -> tuple[int, int]:
        answer = client_of(engineer).post(_url(linked, "complete"), RESOLVED)
        unit = answer.json() if answer.status_code == 202 else answer.json()["unit"]
        return answer.status_code, unit["id"]

    answers = at_once([complete, complete, complete])
    assert sorted(status for status, _ in answers) == [202, 409, 409]
    assert len({unit for _, unit in answers}) == 1
    assert at_once([lambda: kinds(linked)]) == [["analysis", "resolution"]]


def test_note_and_completion_at_once_document_once(
    at_once: AtOnce, engineer: User, linked: FlowSession
) -> None:
    def note() -> int:
        status: int = client_of(engineer).post(_url(linked, "notes"), {"kind": "analysis"}).status_code
        return status

    def complete() -> int:
        status: int = client_of(engineer).post(_url(linked, "complete"), RESOLVED).status_code
        return status

    assert at_once([note, complete]) == [202, 202]
    # Whichever came first: a note after the completion is a wish of its own, one before it is not repeated.
    (queued,) = at_once([lambda: kinds(linked)])
    assert queued in (["analysis", "resolution"], ["analysis", "resolution", "analysis"])


def test_steps_at_once_get_numbers_of_their_own(
    at_once: AtOnce, account: Account, actor: Actor, linked: FlowSession
) -> None:
    def add() -> int:
        return services.step_add(account, linked.pk, actor=actor, body="x").position

    assert sorted(at_once([add] * 4)) == [2, 3, 4, 5]


# status


@pytest.mark.parametrize("status", ["7", 7, "Closed"])
def test_status_is_queued(api: APIClient, linked: FlowSession, status: Any) -> None:
    answer = api.post(_url(linked, "status"), {"status": status})
    assert (answer.status_code, answer.json()["kind"]) == (202, "status")


def test_unknown_status_is_refused_with_the_known_ones(
    api: APIClient, linked: FlowSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> None:
        raise InvalidInputError("No.", code="unknown-status", fields={"status": ["New", "Closed"]})

    monkeypatch.setattr("psa.services.status_check", refuse)
    answer = api.post(_url(linked, "status"), {"status": "Clsoed"})
    assert (answer.status_code, _slug(answer)) == (422, "unknown-status")
    assert answer.json()["errors"] == {"status": ["New", "Closed"]}
    answer = api.post(_url(linked, "complete"), {**RESOLVED, "status": "Clsoed"})
    assert (answer.status_code, kinds(linked)) == (422, [])


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["status"]),
        ({"status": ""}, ["status"]),
        ({"status": None}, ["status"]),
        ({"status": [1]}, ["status"]),
        ({"status": "Closed", "why": "x"}, ["why"]),
    ],
)
def test_wrong_status_is_422_by_field(
    api: APIClient, linked: FlowSession, body: dict[str, Any], fields: list[str]
) -> None:
    answer = api.post(_url(linked, "status"), body)
    assert (answer.status_code, sorted(answer.json()["errors"])) == (422, fields)


# completion


def test_completion_answers_the_unit(api: APIClient, linked: FlowSession) -> None:
    answer = api.post(_url(linked, "complete"), RESOLVED)
    assert answer.status_code == 202
    assert [row["kind"] for row in answer.json()["deliveries"]] == ["analysis", "resolution"]
    session = api.get(f"/api/v1/sessions/{linked.pk}/").json()
    assert (session["state"], session["outcome"], session["unit"]) == (
        "completed",
        "resolved",
        answer.json()["id"],
    )


def test_second_completion_is_409_with_the_first_unit(api: APIClient, linked: FlowSession) -> None:
    first = api.post(_url(linked, "complete"), RESOLVED).json()
    for extra in ({}, {"dry_run": True}):
        answer = api.post(_url(linked, "complete"), RESOLVED | extra)
        assert (answer.status_code, _slug(answer)) == (409, "already-completed")
        assert answer.json()["unit"] == first


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["outcome"]),
        ({"outcome": "fine"}, ["outcome"]),
        ({"outcome": "resolved"}, ["resolution"]),
        ({"outcome": "resolved", "resolution": ""}, ["resolution"]),
        ({"outcome": "resolved", "resolution": "\x07 \n"}, ["resolution"]),
        ({"outcome": "resolved", "resolution": "x" * 20_001}, ["resolution"]),
        ({"outcome": "resolved", "resolution": "x", "note": "x"}, ["note"]),
        ({"outcome": "resolved", "resolution": ["x"]}, ["resolution"]),
        ({"outcome": "cancelled", "status": ""}, ["status"]),
        ({"outcome": "cancelled", "notify": "x"}, ["notify"]),
    ],
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_wrong_completion_is_422_by_field(
    api: APIClient, linked: FlowSession, body: dict[str, Any], fields: list[str], dry_run: bool
) -> None:
    answer = api.post(_url(linked, "complete"), {**body, "dry_run": dry_run})
    assert (answer.status_code, sorted(answer.json()["errors"])) == (422, fields)
    linked.refresh_from_db()
    assert (linked.is_open, kinds(linked)) == (True, [])


def test_parts_that_are_not_built_are_refused(api: APIClient, linked: FlowSession) -> None:
    body = {**RESOLVED, "create_article": True}
    answer = api.post(_url(linked, "complete"), body)
    assert (answer.status_code, _slug(answer)) == (422, "unsupported")
    assert sorted(answer.json()["errors"]) == ["create_article"]
    assert kinds(linked) == []


def test_parts_that_are_not_wanted_are_no_error(api: APIClient, linked: FlowSession) -> None:
    body = {**RESOLVED, "time": None, "attach_export": False, "create_article": None}
    assert api.post(_url(linked, "complete"), body).status_code == 202


def _rows() -> dict[str, int]:
    return {
        model._meta.label: model._default_manager.count()
        for model in apps.get_models()
        if model._meta.app_label in {"psa", "flow_sessions"}
    }


def test_dry_run_shows_everything_and_stores_nothing(api: APIClient, linked: FlowSession) -> None:
    before = _rows()
    answer = api.post(
        _url(linked, "complete"), RESOLVED | {"dry_run": True}, headers={"Idempotency-Key": "k1"}
    )
    body = answer.json()
    assert answer.status_code == 200
    assert (body["dry_run"], body["outcome"], body["left_out"]) == (True, "resolved", [])
    assert [(row["kind"], row["visible_to"], row["mails"]) for row in body["deliveries"]] == [
        ("analysis", "staff", []),
        ("resolution", "customer", []),
    ]
    assert STEP_BODY in body["deliveries"][0]["text"]
    assert body["deliveries"][1]["text"].startswith(SUMMARY) or SUMMARY in body["deliveries"][1]["text"]
    assert STEP_BODY not in body["deliveries"][1]["text"]
    assert set(body["deliveries"][0]["author"]) == {"name", "kind"}
    linked.refresh_from_db()
    assert (linked.is_open, linked.resolution, _rows()) == (True, "", before)


def test_dry_run_says_why_the_analysis_is_left_out(api: APIClient, linked: FlowSession) -> None:
    api.post(_url(linked, "notes"), {"kind": "analysis"})
    body = api.post(_url(linked, "complete"), RESOLVED | {"dry_run": True}).json()
    assert [row["kind"] for row in body["deliveries"]] == ["resolution"]
    assert "no step was added" in body["left_out"][0]["reason"]


def test_note_after_the_completion_is_fine(api: APIClient, linked: FlowSession) -> None:
    api.post(_url(linked, "complete"), RESOLVED)
    answer = api.post(_url(linked, "notes"), {"kind": "discussion", "text": "All well?"})
    assert answer.status_code == 202


def test_note_costs_the_same_for_many_steps(
    api: APIClient, account: Account, actor: Actor, linked: FlowSession, django_assert_max_num_queries: Any
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def cost() -> int:
        with CaptureQueriesContext(
            connection,
        ) as found:
            api.post(_url(linked, "notes"), {"kind": "analysis"})
        return len(found)

    first = cost()
    for _ in range(10):
        services.step_add(account, linked.pk, actor=actor, body="x")
    assert cost() == first
