"""How a note is hidden, corrected and removed in ConnectWise: what is sent, and which answers count."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
import responses

from psa.exceptions import (
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    ProviderError,
    RateLimitedError,
    RejectedError,
)
from psa.providers.connectwise.permissions import grant_for, removal_grant
from psa.providers.connectwise.provider import ConnectWiseProvider
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.providers.connectwise.tests.conftest import BASE
from psa.types import Feature, NoteDraft, NoteKind, RecordType

SERVICE = RecordType.SERVICE
HIDDEN = {
    "id": 5,
    "text": "x",
    "detailDescriptionFlag": False,
    "internalAnalysisFlag": True,
    "resolutionFlag": False,
}
SHOWN = {**HIDDEN, "internalAnalysisFlag": False, "resolutionFlag": True}


def note_answers(
    answer: Any, stored: Any, *, place: str = "service", status: int = 200, read: int = 200
) -> None:
    """Answer the PATCH of note 5 on ticket 7, then its second read."""
    url = f"{BASE}/{place}/tickets/7/notes/5"
    responses.add("PATCH", url, json=answer, status=status)
    responses.add("GET", url, json=stored, status=read)


def sent() -> dict[str, Any]:
    """Return the PATCH as field → value, each step a replace."""
    steps = json.loads(responses.calls[0].request.body)
    assert {step["op"] for step in steps} == {"replace"}
    assert len({step["path"] for step in steps}) == len(steps)
    return {step["path"]: step["value"] for step in steps}


# What is sent ------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", RecordType)
@responses.activate
def test_hiding_sends_every_flag_and_mails_nobody(provider: ConnectWiseProvider, place: RecordType) -> None:
    note_answers(HIDDEN, HIDDEN, place=place.value)
    provider.note_change("7", place, "5", kind=NoteKind.ANALYSIS)
    assert sent() == {
        "detailDescriptionFlag": False,
        "internalAnalysisFlag": True,
        "resolutionFlag": False,
        "internalFlag": True,
        "externalFlag": False,
        "processNotifications": False,
    }


@responses.activate
def test_a_correction_leaves_the_flags_alone_and_mails_nobody(provider: ConnectWiseProvider) -> None:
    note_answers(SHOWN, SHOWN)
    provider.note_change("7", SERVICE, "5", text="x")
    assert sent() == {"text": "x", "processNotifications": False}


@pytest.mark.parametrize("kind", NoteKind)
@responses.activate
def test_exactly_one_section_is_asked_for(provider: ConnectWiseProvider, kind: NoteKind) -> None:
    note_answers(HIDDEN, HIDDEN)
    with contextlib.suppress(RejectedError):
        provider.note_change("7", SERVICE, "5", kind=kind)
    flags = ("detailDescriptionFlag", "internalAnalysisFlag", "resolutionFlag")
    assert sum(sent()[flag] for flag in flags) == 1
    assert sent()["externalFlag"] is kind.customer_visible
    assert sent()["internalFlag"] is not kind.customer_visible


# Which answers count -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stored",
    [
        SHOWN,
        {**HIDDEN, "detailDescriptionFlag": True},
        {**HIDDEN, "internalAnalysisFlag": None},
        {"id": 5, "text": "x"},
    ],
)
@responses.activate
def test_an_echo_of_the_change_does_not_hide_a_note(
    provider: ConnectWiseProvider, stored: dict[str, Any]
) -> None:
    note_answers(HIDDEN, stored)
    with pytest.raises(RejectedError) as caught:
        provider.note_change("7", SERVICE, "5", kind=NoteKind.ANALYSIS)
    assert "kind" in caught.value.fields


@responses.activate
def test_another_text_than_the_one_sent_is_an_error(provider: ConnectWiseProvider) -> None:
    note_answers({**HIDDEN, "text": "new"}, {**HIDDEN, "text": "old"})
    with pytest.raises(RejectedError) as caught:
        provider.note_change("7", SERVICE, "5", text="new")
    assert "text" in caught.value.fields


@responses.activate
def test_line_ends_may_come_back_in_another_form(provider: ConnectWiseProvider) -> None:
    note_answers(HIDDEN, {**HIDDEN, "text": "one\r\ntwo \r\n"})
    assert provider.note_change("7", SERVICE, "5", text="one\ntwo").id == "5"


@pytest.mark.parametrize("read", [401, 403, 429, 500])
@responses.activate
def test_a_change_that_cannot_be_read_again_is_unknown(provider: ConnectWiseProvider, read: int) -> None:
    note_answers(HIDDEN, {"code": "X", "message": "no"}, read=read)
    with pytest.raises(OutcomeUnknownError):
        provider.note_change("7", SERVICE, "5", kind=NoteKind.ANALYSIS)


@responses.activate
def test_a_refused_change_is_not_read_again(provider: ConnectWiseProvider) -> None:
    note_answers({"code": "X", "message": "no"}, HIDDEN, status=429)
    with pytest.raises(RateLimitedError):
        provider.note_change("7", SERVICE, "5", kind=NoteKind.ANALYSIS)
    assert [call.request.method for call in responses.calls] == ["PATCH"]


# Against the sandbox, over a socket --------------------------------------------------------------


@pytest.fixture
def shown(live: ConnectWiseProvider) -> tuple[str, str]:
    """Return ticket and note of something a customer reads."""
    ticket = next(t.id for t in live.ticket_search().items if not t.closed)
    return ticket, live.note_add(ticket, SERVICE, NoteDraft(NoteKind.RESOLUTION, "Too much.")).id


def kind_of(live: ConnectWiseProvider, shown: tuple[str, str]) -> NoteKind:
    return live.note_get(shown[0], SERVICE, shown[1]).kind


@pytest.mark.parametrize(
    ("fault", "error", "hidden"),
    [
        ({"kind": "drop_before"}, OutcomeUnknownError, False),
        ({"kind": "drop_after"}, OutcomeUnknownError, True),
        ({"kind": "garbage"}, OutcomeUnknownError, True),
        ({"kind": "garbage", "body": "<html>maintenance</html>"}, OutcomeUnknownError, True),
        ({"kind": "status", "status": 503}, OutcomeUnknownError, False),
        ({"kind": "status", "status": 504, "after": True}, OutcomeUnknownError, True),
        ({"kind": "status", "status": 403}, PermissionDeniedError, False),
        ({"kind": "status", "status": 405}, RejectedError, False),
        ({"kind": "status", "status": 400}, RejectedError, False),
    ],
)
def test_hiding_says_what_is_known_and_may_be_repeated(
    live: ConnectWiseProvider,
    sandbox: SandboxServer,
    shown: tuple[str, str],
    fault: dict[str, object],
    error: type[ProviderError],
    hidden: bool,
) -> None:
    ticket, note = shown
    sandbox.faults.add(method="PATCH", path=r"/notes/\d+$", count=1, **fault)
    with pytest.raises(error):
        live.note_change(ticket, SERVICE, note, kind=NoteKind.ANALYSIS)
    assert (kind_of(live, shown) is NoteKind.ANALYSIS) is hidden
    live.note_change(ticket, SERVICE, note, kind=NoteKind.ANALYSIS)
    assert kind_of(live, shown) is NoteKind.ANALYSIS
    assert sandbox.mails == []


def test_a_role_without_the_delete_level_is_told_which_one_it_needs(
    live: ConnectWiseProvider, sandbox: SandboxServer, shown: tuple[str, str]
) -> None:
    levels = {"addLevel": "All", "editLevel": "All", "inquireLevel": "All"}
    sandbox.configure(security=[{"moduleFunctionName": "Service Tickets", **levels}])
    with pytest.raises(PermissionDeniedError) as caught:
        live.note_remove(shown[0], SERVICE, shown[1])
    assert caught.value.grant == "Service Desk > Service Tickets: Delete All"
    assert caught.value.grant in caught.value.message
    assert kind_of(live, shown) is NoteKind.RESOLUTION


def test_a_removed_note_cannot_be_read_or_changed(live: ConnectWiseProvider, shown: tuple[str, str]) -> None:
    ticket, note = shown
    live.note_remove(ticket, SERVICE, note)
    for call in (
        lambda: live.note_get(ticket, SERVICE, note),
        lambda: live.note_change(ticket, SERVICE, note, text="x"),
    ):
        with pytest.raises(NotFoundError):
            call()


def test_a_note_of_another_ticket_is_not_changed(live: ConnectWiseProvider, shown: tuple[str, str]) -> None:
    other = next(t.id for t in live.ticket_search().items if t.id != shown[0])
    with pytest.raises(NotFoundError):
        live.note_change(other, SERVICE, shown[1], kind=NoteKind.ANALYSIS)
    assert kind_of(live, shown) is NoteKind.RESOLUTION


def test_the_grant_for_removal_is_not_the_one_for_notes() -> None:
    assert removal_grant(RecordType.SERVICE) not in grant_for(Feature.NOTES)
    assert removal_grant(RecordType.PROJECT) == "Project > Project Tickets: Delete All"
