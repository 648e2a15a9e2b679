"""Tests of the calls about time and files: shapes, bad bodies, a PSA that is away, other tenants."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from rest_framework.test import APIClient

from psa import selectors as psa_selectors
from psa import services as psa_services
from psa.exceptions import MissingError, UnavailableError
from psa.types import Document, Download, PartPreview, Ref, TimeChoices, TimeEntry, TimeObjection
from resolutionflow.sessions.models import FlowSession
from resolutionflow.sessions.tests.conftest import Delivery

START = datetime(2026, 3, 2, 13, 0, tzinfo=UTC)
TIME = {"start": "2026-03-02T14:00", "end": "2026-03-02T14:30"}
ENTRY = TimeEntry("91", "4711", Ref("7", "Eva"), START, START + timedelta(minutes=30), Decimal("0.5"))
FILE = Document("55", "4711", "Report", 'Bericht "März".pdf', 12, created_by="Eva")


def _url(session: FlowSession, rest: str) -> str:
    return f"/api/v1/sessions/{session.pk}/{rest}/"


@pytest.fixture
def psa_time(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A PSA that knows about time: `objections` stand against each entry, `asked` is what was asked."""
    told: dict[str, Any] = {"objections": (), "asked": []}

    def unit_preview(account: Any, link_id: int, parts: Any, *, actor: Any) -> list[PartPreview]:
        told["asked"] += parts
        return [
            PartPreview("time", 1, 1, part.notes, "staff", (), "Eva", "member", objections=told["objections"])
            for part in parts
        ]

    def time_entries(account: Any, link_id: int, user_id: Any, *, day: Any) -> list[TimeEntry]:
        told["day"] = day
        return [ENTRY]

    choices = TimeChoices(work_types=(Ref("1", "Remote"),), rounding_hours=Decimal("0.25"))
    monkeypatch.setattr(psa_services, "unit_preview", unit_preview)
    monkeypatch.setattr(psa_selectors, "time_choices", lambda *args: choices)
    monkeypatch.setattr(psa_selectors, "time_entries", time_entries)
    return told


# what is suggested ------------------------------------------------------------------------------


def test_suggestion_has_everything_one_needs(
    api: APIClient, linked: FlowSession, psa_time: dict[str, Any]
) -> None:
    FlowSession.objects.filter(pk=linked.pk).update(started_at=START)

    body = api.get(_url(linked, "time")).json()

    assert (body["zone"], body["notes"]) == ("Europe/Berlin", "Worked on: Printer offline")
    (mine,) = body["engineers"]
    assert (mine["engineer"], mine["start"]) == ("Eva Engineer", "2026-03-02T13:00:00Z")
    assert "more than 24 hours" in mine["left_out"]
    assert body["choices"]["work_types"] == [{"id": "1", "name": "Remote"}]
    assert body["choices"]["rounding_hours"] == 0.25
    assert [(entry["hours"], entry["billed_hours"]) for entry in body["entries"]] == [(0.5, None)]
    assert body["problem"] is None
    assert str(psa_time["day"]) == "2026-03-02"


def test_who_did_nothing_yet_is_listed_too(
    owner_api: APIClient, linked: FlowSession, psa_time: dict[str, Any]
) -> None:
    body = owner_api.get(_url(linked, "time")).json()

    assert [row["engineer"] for row in body["engineers"]] == ["Eva Engineer", "olga"]


def test_a_psa_that_is_away_is_a_sentence_beside_what_we_know(
    api: APIClient, linked: FlowSession, psa_time: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: Any) -> None:
        raise UnavailableError("ConnectWise gives no usable answer.")

    monkeypatch.setattr(psa_selectors, "time_choices", away)

    answer = api.get(_url(linked, "time"))

    assert answer.status_code == 200
    assert answer.json()["choices"] is None
    assert answer.json()["problem"] == "ConnectWise gives no usable answer."
    assert [row["engineer"] for row in answer.json()["engineers"]] == ["Eva Engineer"]


def test_time_of_a_session_without_a_ticket_is_409(api: APIClient, session: FlowSession) -> None:
    for answer in (api.get(_url(session, "time")), api.get(_url(session, "documents"))):
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/no-ticket")


# entering it ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"start": None}, "start"),
        ({"start": "yesterday"}, "start"),
        ({"start": "2026-03-02"}, "start"),
        ({"start": 7}, "start"),
        ({"end": "2026-02-30T10:00"}, "end"),
        ({"end": "2026-03-02T14:00"}, "end"),
        ({"end": "2026-03-03T15:00"}, "end"),
        ({"end": "2999-03-03T15:00"}, "end"),
        ({"start": "0001-01-01T00:00+14:00"}, "start"),
        ({"start": "2026-10-25T02:30"}, "start"),
        ({"deduct_minutes": -1}, "deduct_minutes"),
        ({"deduct_minutes": 30}, "deduct_minutes"),
        ({"deduct_minutes": 10**20}, "deduct_minutes"),
        ({"billable_option": "perhaps"}, "billable_option"),
        ({"accept": ["period-closed"]}, "accept.0"),
        ({"work_type": "x" * 41}, "work_type"),
        ({"notes": "x" * 301}, "notes"),
        ({"member": "7"}, "member"),
    ],
)
@pytest.mark.parametrize("call", ["time", "complete"])
def test_bad_time_is_422_by_field(
    api: APIClient,
    linked: FlowSession,
    psa_time: dict[str, Any],
    change: dict[str, Any],
    field: str,
    call: str,
) -> None:
    time = {**TIME, **change}
    body = time if call == "time" else {"outcome": "cancelled", "time": time}

    answer = api.post(_url(linked, call), body, format="json")

    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == [field if call == "time" else f"time.{field}"]
    assert not Delivery.objects.exists()
    linked.refresh_from_db()
    assert linked.is_open


def test_time_that_is_there_already_is_a_question(
    api: APIClient, linked: FlowSession, psa_time: dict[str, Any]
) -> None:
    psa_time["objections"] = (TimeObjection("overlap", "You already have 0.50 h here.", (ENTRY,)),)
    body = {"outcome": "cancelled", "time": TIME}

    alone = api.post(_url(linked, "time"), TIME, format="json")
    completing = api.post(_url(linked, "complete"), body, format="json")
    skipping = {**body, "time": {**TIME, "skip": True, "only_mine": True}}

    assert (alone.status_code, alone.json()["type"]) == (422, "/problems/time-overlap")
    assert completing.json()["errors"] == {"time.start": ["You already have 0.50 h here."]}
    assert api.post(_url(linked, "complete"), skipping, format="json").status_code == 202
    assert list(Delivery.objects.values_list("kind", flat=True)) == ["analysis"]


def test_a_closed_period_is_told_with_its_ways_out(
    api: APIClient, linked: FlowSession, psa_time: dict[str, Any]
) -> None:
    psa_time["objections"] = (TimeObjection("period-closed", "March is closed."),)

    answer = api.post(_url(linked, "complete"), {"outcome": "cancelled", "time": TIME}, format="json")

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/period-closed")
    assert answer.json()["detail"] == "March is closed. Leave the time out, or hold it for a lead."
    assert answer.json()["errors"] == {"time.start": ["March is closed."]}


def test_dry_run_shows_objections_and_stores_nothing(
    api: APIClient, linked: FlowSession, psa_time: dict[str, Any]
) -> None:
    psa_time["objections"] = (TimeObjection("overlap", "You already have 0.50 h here.", (ENTRY,)),)

    answer = api.post(_url(linked, "time"), {**TIME, "dry_run": True}, format="json")

    assert answer.status_code == 200
    (part,) = answer.json()["deliveries"]
    (objection,) = part["objections"]
    assert (objection["code"], objection["binding"]) == ("overlap", False)
    assert objection["entries"][0]["start"] == "2026-03-02T13:00:00Z"
    assert not Delivery.objects.exists()


def test_times_are_meant_in_the_callers_zone(
    api: APIClient, linked: FlowSession, psa_time: dict[str, Any]
) -> None:
    api.post(_url(linked, "time"), {**TIME, "dry_run": True}, format="json")

    (part,) = psa_time["asked"]
    assert part.started_at == START


# files ------------------------------------------------------------------------------------------


def test_files_of_the_ticket_are_listed(
    api: APIClient, linked: FlowSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psa_selectors, "documents", lambda account, link_id: [FILE])

    body = api.get(_url(linked, "documents")).json()

    assert (body["count"], body["next"], body["previous"]) == (1, None, None)
    assert (body["results"][0]["file_name"], body["results"][0]["size"]) == ('Bericht "März".pdf', 12)


def test_a_file_is_saved_never_shown(
    api: APIClient, linked: FlowSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[bool] = []

    def blocks() -> Iterator[bytes]:
        yield b"<script>"
        yield b"x</script>"

    found = Download(FILE, "text/html", blocks(), lambda: closed.append(True))
    monkeypatch.setattr(psa_selectors, "document_open", lambda *args: found)

    answer: Any = api.get(_url(linked, "documents/55"))

    assert b"".join(answer.streaming_content) == b"<script>x</script>"
    answer.close()
    assert closed == [True]
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Disposition"].startswith(
        "attachment; filename*=utf-8''Bericht%20%22M%C3%A4rz%22.pdf"
    )


def test_a_file_of_another_ticket_is_404(
    api: APIClient, linked: FlowSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*args: Any) -> None:
        raise MissingError("The ticket has no such file.", code="document-not-found")

    monkeypatch.setattr(psa_selectors, "document_open", missing)

    assert api.get(_url(linked, "documents/56")).status_code == 404


def test_a_psa_that_is_away_has_no_files_now(
    api: APIClient, linked: FlowSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: Any) -> None:
        raise UnavailableError("ConnectWise gives no usable answer.", retry_after_s=7)

    monkeypatch.setattr(psa_selectors, "documents", away)

    answer = api.get(_url(linked, "documents"))

    assert (answer.status_code, answer["Retry-After"]) == (503, "7")


@pytest.mark.parametrize(
    ("method", "rest"),
    [("get", "time"), ("post", "time"), ("post", "export"), ("get", "documents"), ("get", "documents/55")],
)
def test_outsiders_find_nothing(outsider_api: APIClient, linked: FlowSession, method: str, rest: str) -> None:
    body = TIME if rest == "time" else {}

    assert getattr(outsider_api, method)(_url(linked, rest), body, format="json").status_code == 404
