"""Tests of the calls that take back what stands on a ticket, on the provider that lives in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from psa.api.tests.conftest import client_of
from psa.exceptions import ConnectFailedError, OutcomeUnknownError, PermissionDeniedError
from psa.models import AuditEntry, Connection, Delivery, TicketLink
from psa.provider_pool import providers_close
from psa.providers.dummy.server import DummyServer
from psa.types import Note, NoteDraft, NoteKind, RecordType
from resolutionflow.accounts.models import Account, Role, User
from resolutionflow.accounts.services import user_create

PLACE = (RecordType.SERVICE, "1001")
MARKER = "Ref RF-AAAABBBB"
SLUG = "/problems/"


@pytest.fixture(autouse=True)
def dummy(settings: Any) -> Iterator[None]:
    settings.PSA = {**settings.PSA, "PROVIDERS": {"dummy": "psa.providers.dummy.provider.DummyProvider"}}
    DummyServer.reset()
    yield
    providers_close()
    DummyServer.reset()


@pytest.fixture
def connection(connection_make: Any) -> Connection:
    return connection_make(
        provider="dummy", site="dummy.example", credentials={"api_key": "k"}, endpoint=None
    )


@pytest.fixture
def server(connection: Connection) -> DummyServer:
    return DummyServer.of(str(connection.pk))


@pytest.fixture
def note(connection: Connection, server: DummyServer, unit_make: Any) -> Delivery:
    """A resolution that mailed and stands on its ticket."""
    made = server.note_store(PLACE, NoteDraft(NoteKind.RESOLUTION, f"Too much.\n\n{MARKER}"), "Ann Ames")
    unit = unit_make(
        connection,
        state="delivered",
        kind="resolution",
        external_id=made.id,
        marker=MARKER,
        author_kind="member",
        author_name="Ann Ames",
        delivered_at=timezone.now(),
        payload={"text": "Too much.", "notify": True},
    )
    TicketLink.objects.filter(pk=unit.link_id).update(ticket_id="1001", next_seq=2)
    return unit.deliveries.get()


def url(delivery: Delivery, call: str = "correct") -> str:
    return f"/api/v1/deliveries/{delivery.pk}/{call}/"


def on_ticket(server: DummyServer, number: str = "1001") -> list[Note]:
    """Return our notes on a ticket."""
    return [row for row in server.notes.get((RecordType.SERVICE, number), []) if "Ref RF-" in row.text]


def test_hide_answers_the_delivery_and_what_to_know(
    engineer_api: APIClient, note: Delivery, server: DummyServer
) -> None:
    shown = engineer_api.get(f"/api/v1/deliveries/{note.pk}/").json()
    answer = engineer_api.post(url(note), {"hide": True})
    found = answer.json()
    assert (answer.status_code, set(found)) == (200, {*shown, "notice", "replacement"})
    assert (found["id"], found["kind"], found["state"]) == (note.pk, "analysis", "delivered")
    assert (found["notice"], found["replacement"]) == ("A mail already sent cannot be recalled.", None)
    assert [(row.kind, row.customer_visible) for row in on_ticket(server)] == [(NoteKind.ANALYSIS, False)]


def test_what_was_done_is_shown_with_the_delivery(engineer_api: APIClient, note: Delivery) -> None:
    engineer_api.post(url(note), {"text": "Less."})
    engineer_api.post(url(note), {"hide": True})
    shown = engineer_api.get(f"/api/v1/deliveries/{note.pk}/").json()
    assert [(row["what"], row["by"]) for row in shown["corrections"]] == [
        ("corrected", "Eva Engineer"),
        ("hidden", "Eva Engineer"),
    ]
    assert shown["corrections"][0]["at"].endswith("Z")


def test_a_text_replaces_the_old_one(engineer_api: APIClient, note: Delivery, server: DummyServer) -> None:
    found = engineer_api.post(url(note), {"text": "Less."}).json()
    assert (found["text"], found["notice"]) == ("Less.", None)
    assert [row.text for row in on_ticket(server)] == [f"Less.\n\n{MARKER}"]


def test_a_removed_note_is_discarded(engineer_api: APIClient, note: Delivery, server: DummyServer) -> None:
    found = engineer_api.post(url(note), {"remove": True}).json()
    assert (found["state"], on_ticket(server)) == ("discarded", [])
    again = engineer_api.post(url(note), {"remove": True})
    assert (again.status_code, again.json()["type"]) == (409, f"{SLUG}not-delivered")


@pytest.mark.parametrize("number", ["1002", 1002, " #1002 "])
def test_a_move_queues_a_copy(
    engineer_api: APIClient, note: Delivery, server: DummyServer, number: Any
) -> None:
    answer = engineer_api.post(url(note), {"move_to": number})
    found = answer.json()
    assert (answer.status_code, found["state"], found["problem"]["code"]) == (200, "delivered", "moving")
    assert "queued for ticket 1002" in found["notice"]
    copy = engineer_api.get(f"/api/v1/deliveries/{found['replacement']}/").json()
    assert (copy["supersedes"], copy["ticket"]["id"], copy["state"]) == (note.pk, "1002", "ready")
    assert (copy["text"], len(on_ticket(server))) == ("Too much.", 1)


def test_a_move_may_name_another_connection(
    engineer_api: APIClient, note: Delivery, connection_make: Any
) -> None:
    second = connection_make(
        provider="dummy", site="second.example", credentials={"api_key": "k"}, endpoint=None
    )
    found = engineer_api.post(url(note), {"move_to": "1003", "connection": second.pk}).json()
    assert Delivery.objects.get(pk=found["replacement"]).connection_id == second.pk


def test_another_accounts_connection_is_not_there(
    engineer_api: APIClient, note: Delivery, connection_make: Any, outsider: User
) -> None:
    theirs = connection_make(
        tenant=Account.objects.get(slug="fabrikam"), provider="dummy", site="x.example", endpoint=None
    )
    answer = engineer_api.post(url(note), {"move_to": "1003", "connection": theirs.pk})
    assert (answer.status_code, answer.json()["type"]) == (404, f"{SLUG}not-found")
    assert DummyServer.of(str(theirs.pk)).calls == []


@pytest.mark.parametrize(
    ("number", "status", "slug"),
    [("9999", 404, "ticket-not-found"), ("abc", 422, "invalid"), ("1001", 422, "same-ticket")],
)
def test_a_ticket_that_will_not_do_is_refused(
    engineer_api: APIClient, note: Delivery, number: str, status: int, slug: str
) -> None:
    answer = engineer_api.post(url(note), {"move_to": number})
    assert (answer.status_code, answer.json()["type"]) == (status, SLUG + slug)
    if status == 422:
        assert set(answer.json()["errors"]) == {"move_to"}
    assert Delivery.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, set()),
        ({"hide": True, "remove": True}, set()),
        ({"text": "x", "hide": True}, set()),
        ({"hide": False}, {"hide"}),
        ({"remove": False}, {"remove"}),
        ({"hide": "perhaps"}, {"hide"}),
        ({"text": None}, {"text"}),
        ({"move_to": ""}, {"move_to"}),
        ({"move_to": True}, {"move_to"}),
        ({"move_to": "1" * 41}, {"move_to"}),
        ({"hide": True, "connection": 3}, {"connection"}),
        ({"move_to": "1002", "connection": 0}, {"connection"}),
        ({"move_to": "1002", "connection": 2**63}, {"connection"}),
        ({"hidden": True}, {"hidden"}),
        ({"text": ""}, {"text"}),
        ({"text": " \n "}, {"text"}),
        ({"text": "x" * 15_000}, {"text"}),
    ],
)
def test_an_impossible_body_changes_nothing(
    engineer_api: APIClient, note: Delivery, server: DummyServer, body: dict[str, Any], fields: set[str]
) -> None:
    answer = engineer_api.post(url(note), body)
    assert answer.status_code == 422
    assert set(answer.json().get("errors", {})) == fields
    assert (server.calls, len(on_ticket(server))) == ([], 1)


@pytest.mark.parametrize("body", [[], "hide", 1])
def test_a_body_that_is_no_object_cannot_be_read(engineer_api: APIClient, note: Delivery, body: Any) -> None:
    assert engineer_api.post(url(note), body).status_code == 400


def test_a_refusal_is_answered_200_with_a_sentence_and_the_note_instead(
    engineer_api: APIClient, note: Delivery, server: DummyServer
) -> None:
    server.fail_next("note_change", PermissionDeniedError("Grant Edit All.", grant="Edit All", status=403))
    answer = engineer_api.post(url(note), {"hide": True})
    found = answer.json()
    assert (answer.status_code, found["kind"]) == (200, "resolution")
    assert found["notice"].startswith("Grant Edit All. A note that asks to ignore it was queued instead.")
    queued = engineer_api.get(f"/api/v1/deliveries/{found['replacement']}/").json()
    assert (queued["supersedes"], queued["kind"]) == (note.pk, "resolution")


def test_an_unclear_answer_is_503_and_the_same_again_is_safe(
    engineer_api: APIClient, note: Delivery, server: DummyServer
) -> None:
    server.fail_next("note_change", OutcomeUnknownError("No clear answer."))
    answer = engineer_api.post(url(note), {"hide": True})
    assert (answer.status_code, answer.json()["type"]) == (503, f"{SLUG}psa-outcome-unknown")
    assert answer.has_header("Retry-After")
    assert "again" in answer.json()["detail"]
    shown = engineer_api.get(f"/api/v1/deliveries/{note.pk}/").json()
    assert shown["problem"]["code"] == "correction-unknown"
    assert engineer_api.post(url(note), {"hide": True}).json()["problem"] is None


def test_a_psa_that_is_away_is_503(engineer_api: APIClient, note: Delivery, server: DummyServer) -> None:
    server.fail_next("*", ConnectFailedError("The PSA does not answer."))
    answer = engineer_api.post(url(note), {"hide": True})
    assert (answer.status_code, answer.json()["type"]) == (503, f"{SLUG}psa-unreachable")


@pytest.mark.parametrize("call", ["correct", "remove-double"])
def test_who_may_call(
    note: Delivery, account: Account, colleague: User, outsider_api: APIClient, call: str
) -> None:
    body = {"hide": True} if call == "correct" else {}
    assert APIClient().post(url(note, call), body).status_code == 401
    assert outsider_api.post(url(note, call), body).status_code == 404
    assert client_of(colleague).post(url(note, call), body).status_code == 404
    lead = user_create(account, username="lea", password="x", role=Role.LEAD)
    assert client_of(lead).post(url(note, call), body).status_code == 200


def test_a_double_is_removed(engineer_api: APIClient, note: Delivery, server: DummyServer) -> None:
    server.note_store(PLACE, NoteDraft(NoteKind.RESOLUTION, f"Too much.\n\n{MARKER}"), "Ann Ames")
    Delivery.objects.update(problem={"code": "duplicate", "text": "Twice.", "remedy": "Remove one."})
    answer = engineer_api.post(url(note, "remove-double"))
    found = answer.json()
    assert (answer.status_code, found["problem"], found["notice"]) == (200, None, None)
    assert [row.id for row in on_ticket(server)] == [note.external_id]
    assert found["corrections"][0]["what"] == "double-removed"
    assert AuditEntry.objects.get().verb == "note.double-removed"


def test_a_double_the_psa_keeps_is_a_conflict(
    engineer_api: APIClient, note: Delivery, server: DummyServer
) -> None:
    server.note_store(PLACE, NoteDraft(NoteKind.RESOLUTION, f"Too much.\n\n{MARKER}"), "Ann Ames")
    server.fail_next("note_remove", PermissionDeniedError("No.", grant="Delete All", status=403))
    answer = engineer_api.post(url(note, "remove-double"))
    assert (answer.status_code, answer.json()["grant"]) == (409, "Delete All")


def test_only_posts_are_taken(engineer_api: APIClient, note: Delivery) -> None:
    for call in ("correct", "remove-double"):
        assert engineer_api.get(url(note, call)).status_code == 405
