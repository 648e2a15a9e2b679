"""Sections, authors, text, mails, and the two lists of notes."""

from __future__ import annotations

from typing import Any

import pytest

from psa.providers.connectwise.sandbox.tests.conftest import Api, replace

PATH = "/service/tickets/57001/notes"
PROJECT = "/project/tickets/57061/notes"


@pytest.mark.parametrize("path", [PATH, PROJECT])
def test_note_without_section_is_refused(api: Api, path: str) -> None:
    answer = api.post(path, {"text": "where?"})
    assert answer.status_code == 400
    assert answer.json()["code"] == "InvalidObject"
    assert answer.json()["errors"][0]["code"] == "InvalidObject"


def test_refusal_names_the_service_note(api: Api) -> None:
    answer = api.post(PATH, {"text": "where?"}).json()
    assert answer["message"] == "serviceNote object is invalid"


@pytest.mark.parametrize("path", [PATH, PROJECT])
def test_text_comes_back_byte_for_byte(api: Api, path: str) -> None:
    text = "Line 1\nLine 2 — ünï \U0001f469\u200d\U0001f527 \u0000 end \\ \" '"
    made = api.post(path, {"text": text, "internalAnalysisFlag": True})
    assert made.status_code == 201
    assert made.json()["text"] == text
    assert api.get(f"{path}/{made.json()['id']}").json()["text"] == text


def test_author_defaults_to_the_api_member(api: Api) -> None:
    note = api.post(PATH, {"text": "x", "resolutionFlag": True}).json()
    assert note["member"]["identifier"] == "rfapi"
    assert note["createdBy"] == "rfapi"


@pytest.mark.parametrize("member", [{"id": 103}, {"identifier": "cdiaz"}])
def test_author_is_the_member_named(api: Api, member: dict[str, Any]) -> None:
    note = api.post(PATH, {"text": "x", "resolutionFlag": True, "member": member}).json()
    assert note["member"]["name"] == "Carmen Diaz"


def test_unknown_author_is_refused(api: Api) -> None:
    body = {"text": "x", "resolutionFlag": True, "member": {"identifier": "nobody"}}
    (item,) = api.post(PATH, body).json()["errors"]
    assert (item["code"], item["field"]) == ("NotFound", "member/identifier")


def test_internal_and_external_flag_are_echoed_once(api: Api) -> None:
    body = {"text": "x", "internalAnalysisFlag": True, "internalFlag": True, "externalFlag": True}
    made = api.post(PATH, body).json()
    assert (made["internalFlag"], made["externalFlag"]) == (True, True)
    read = api.get(f"{PATH}/{made['id']}").json()
    assert not {"internalFlag", "externalFlag", "processNotifications"} & read.keys()


def test_note_touches_its_ticket(api: Api) -> None:
    before = api.sandbox.ticket(57001)["_info"]["lastUpdated"]
    api.post(PATH, {"text": "x", "internalAnalysisFlag": True})
    assert api.sandbox.ticket(57001)["_info"]["lastUpdated"] > before


def test_mail_goes_out_only_when_asked_for(api: Api) -> None:
    body = {"text": "x", "internalAnalysisFlag": True}
    api.post(PATH, body)
    api.post(PATH, {**body, "processNotifications": False})
    assert api.sandbox.mails == []
    api.post(PATH, {**body, "processNotifications": True})
    (mail,) = api.sandbox.mails
    assert mail["recipients"] == [api.sandbox.ticket(57001)["contactEmailAddress"]]


def test_all_notes_hold_time_entry_notes_too(api: Api) -> None:
    plain = api.get(PATH).json()
    everything = api.get("/service/tickets/57001/allNotes").json()
    kinds = {note["noteType"] for note in everything}
    assert kinds == {"TicketNote", "TimeEntryNote"}
    assert len(everything) == len(plain) + 1
    assert not any({"dateCreated", "createdBy"} & note.keys() for note in everything)
    assert api.sandbox.all_notes(57001) == everything
    filtered = api.get("/service/tickets/57001/allNotes", conditions='noteType="TicketNote"')
    assert filtered.status_code == 400


def test_note_can_be_changed_and_deleted(api: Api) -> None:
    note = api.post(PATH, {"text": "x", "detailDescriptionFlag": True}).json()
    path = f"{PATH}/{note['id']}"
    steps = [replace("detailDescriptionFlag", False), replace("internalAnalysisFlag", True)]
    assert api.patch(path, *steps).json()["internalAnalysisFlag"] is True
    assert api.patch(path, replace("internalAnalysisFlag", False)).status_code == 400
    assert api.call("DELETE", path).status_code == 204
    assert api.get(path).status_code == 404


def test_note_is_found_by_text(api: Api) -> None:
    api.post(PATH, {"text": "done\nRef RF-ABCD2345", "internalAnalysisFlag": True})
    rows = api.get(PATH, conditions='text contains "RF-ABCD2345"').json()
    assert len(rows) == 1
    assert api.get(f"{PATH}/count", conditions='text contains "RF-ABCD2345"').json() == {"count": 1}


def test_note_of_another_ticket_is_not_found(api: Api) -> None:
    note = api.sandbox.notes(57002)[0]
    assert api.get(f"{PATH}/{note['id']}").status_code == 404


def test_note_to_a_missing_ticket(api: Api) -> None:
    answer = api.post("/service/tickets/1/notes", {"text": "x", "internalAnalysisFlag": True})
    assert (answer.status_code, answer.json()["message"]) == (404, "Ticket 1 not found")


def test_mark_as_moves_a_project_note(api: Api) -> None:
    note = api.sandbox.notes(57061)[0]
    body = {"resolutionFlag": True}
    assert api.post(f"/project/ticketNote/{note['id']}/markAs/", body).status_code == 200
    assert api.get(f"{PROJECT}/{note['id']}").json()["resolutionFlag"] is True
