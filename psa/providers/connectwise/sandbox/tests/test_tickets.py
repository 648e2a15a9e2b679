"""Boards and their statuses, closing, merging and the other actions on tickets."""

from __future__ import annotations

from typing import Any

import pytest

from psa.providers.connectwise.sandbox.tests.conftest import Api, replace

Ticket = dict[str, Any]


def test_status_of_another_board_is_refused(api: Api, ticket: Ticket) -> None:
    for value in ({"name": "Investigating"}, {"id": 541}):
        answer = api.patch(f"/service/tickets/{ticket['id']}", replace("status", value))
        (item,) = answer.json()["errors"]
        assert answer.status_code == 400
        assert (item["code"], item["field"]) == ("NotFound", "status/name")
        assert "board 1" in item["message"]


def test_equal_name_gives_the_status_of_the_own_board(api: Api) -> None:
    for ticket in api.sandbox.tickets()[:12]:
        answer = api.patch(f"/service/tickets/{ticket['id']}", replace("status", {"name": "closed"}))
        assert answer.json()["status"]["id"] == {1: 507, 2: 525, 3: 545}[ticket["board"]["id"]]


def test_inactive_status_is_refused(api: Api, ticket: Ticket) -> None:
    answer = api.patch(f"/service/tickets/{ticket['id']}", replace("status", {"id": 508}))
    assert answer.json()["errors"][0]["code"] == "NotFound"


def test_closing_and_opening_follow_the_status(api: Api, ticket: Ticket) -> None:
    path = f"/service/tickets/{ticket['id']}"
    closed = api.patch(path, replace("status", {"name": "Closed"})).json()
    assert closed["closedFlag"] is True
    assert closed["closedBy"] == "rfapi"
    opened = api.patch(path, replace("status", {"name": "Completed"})).json()
    assert opened["closedFlag"] is False
    assert "closedDate" not in opened


def test_closed_flag_cannot_be_set(api: Api, ticket: Ticket) -> None:
    answer = api.patch(f"/service/tickets/{ticket['id']}", replace("closedFlag", True))
    assert answer.json()["closedFlag"] is False


def test_change_of_board_needs_a_status_of_it(api: Api, ticket: Ticket) -> None:
    path = f"/service/tickets/{ticket['id']}"
    assert api.patch(path, replace("board", {"id": 3})).status_code == 400
    answer = api.patch(path, replace("status", {"name": "Contained"}), replace("board", {"id": 3}))
    assert answer.json()["status"]["id"] == 543
    assert "type" not in answer.json()


def test_closing_without_the_right_is_silent(api: Api, ticket: Ticket) -> None:
    rows = [
        {"moduleFunctionName": "Service Tickets", "editLevel": "All", "inquireLevel": "All"},
        {"moduleFunctionName": "Close Service Tickets", "editLevel": "None"},
    ]
    api.sandbox.configure(security=rows)
    answer = api.patch(f"/service/tickets/{ticket['id']}", replace("status", {"name": "Closed"}))
    assert answer.status_code == 200
    assert answer.json()["status"]["id"] == ticket["status"]["id"]
    assert api.post("/service/tickets", {}).status_code == 403


def test_initial_texts_become_notes(api: Api) -> None:
    body = {
        "summary": "x",
        "company": {"id": 2},
        "initialDescription": "D",
        "initialInternalAnalysis": "I",
        "initialResolution": "R",
        "processNotifications": False,
        "skipCallback": True,
    }
    answer = api.post("/service/tickets", body).json()
    assert not {name for name in answer if name.startswith(("initial", "process", "skip"))}
    notes = api.get(f"/service/tickets/{answer['id']}/notes").json()
    shown = [(n["text"], n["detailDescriptionFlag"], n["internalAnalysisFlag"]) for n in notes]
    assert shown == [("D", True, False), ("I", False, True), ("R", False, False)]


def test_status_with_a_template_mails_unless_told_not_to(api: Api, ticket: Ticket) -> None:
    path = f"/service/tickets/{ticket['id']}"
    silent = replace("processNotifications", False)
    api.patch(path, replace("status", {"name": "Closed"}), silent)
    assert api.control("GET", "mails").json() == []
    api.patch(path, replace("status", {"name": "New"}))
    api.patch(path, replace("status", {"name": "Closed"}))
    (mail,) = api.sandbox.mails
    assert mail["recipients"] == [ticket["contactEmailAddress"]]
    assert (mail["reason"], mail["status"]) == ("status", "Closed")


def test_project_tickets_are_kept_apart(api: Api) -> None:
    projects = api.get("/project/tickets", pageSize=100).json()
    assert {row["isIssueFlag"] for row in projects} == {True, False}
    assert not {row["id"] for row in projects} & {t["id"] for t in api.sandbox.tickets()}
    assert api.get(f"/service/tickets/{projects[0]['id']}").status_code == 404


def test_project_board_takes_no_service_ticket(api: Api) -> None:
    body = {"summary": "x", "company": {"id": 2}, "board": {"id": 4}}
    assert api.post("/service/tickets", body).status_code == 400


def test_hidden_board_hides_its_tickets(api: Api) -> None:
    api.control("POST", "settings", {"excluded_boards": [3]})
    rows = api.get("/service/tickets", pageSize=100).json()
    assert {row["board"]["id"] for row in rows} == {1, 2}
    hidden = next(t for t in api.sandbox.tickets() if t["board"]["id"] == 3)
    assert api.get(f"/service/tickets/{hidden['id']}/notes").status_code == 404
    assert api.get("/system/myMembers/info").json()["excludedServiceBoardIds"] == [3]


def test_merge(api: Api) -> None:
    body = {"mergeTicketIds": [57004], "status": {"name": "Closed"}}
    assert api.post("/service/tickets/57001/merge", body).json()["success"] is True
    merged = api.get("/service/tickets/57004").json()
    assert merged["mergedParentTicket"]["id"] == 57001
    assert merged["closedFlag"] is True
    assert api.get("/service/tickets/57001").json()["hasMergedChildTicketFlag"] is True


def test_children_show_their_notes_in_the_parent(api: Api) -> None:
    before = len(api.get("/service/tickets/57001/notes").json())
    api.post("/service/tickets/57001/attachChildren", {"childTicketIds": [57002]})
    assert api.get("/service/tickets/57002").json()["parentTicketId"] == 57001
    assert len(api.get("/service/tickets/57001/notes").json()) > before


def test_copy(api: Api) -> None:
    copy = api.call("POST", "/service/tickets/57001/copy").json()
    assert copy["id"] != 57001
    assert copy["summary"] == api.sandbox.ticket(57001)["summary"]


def test_convert_keeps_id_and_notes(api: Api) -> None:
    notes = len(api.sandbox.notes(57001))
    body = {"phase": {"name": "Discovery"}, "wbsCode": "1.9"}
    assert api.post("/service/tickets/57001/convert", body).status_code == 200
    assert api.get("/service/tickets/57001").status_code == 404
    assert api.get("/project/tickets/57001").json()["phase"]["name"] == "Discovery"
    assert len(api.get("/project/tickets/57001/notes").json()) == notes
    assert api.post("/project/tickets/57001/convert", {"recordType": "ServiceTicket"}).ok
    assert api.get("/service/tickets/57001").status_code == 200


def test_sla_minutes_are_computed(api: Api) -> None:
    (row,) = api.get("/service/tickets/calculateSla", conditions="id = 57001").json()
    assert row["resolveMinutes"] > 0


def test_device_is_attached_once(api: Api) -> None:
    path = "/service/tickets/57002/configurations"
    assert api.post(path, {"id": 4}).json()["id"] == 4
    assert api.post(path, {"id": 4}).json()["errors"][0]["code"] == "ObjectExists"
    assert api.post(path, {"id": 4000}).json()["errors"][0]["code"] == "NotFound"
    assert [row["id"] for row in api.get(path).json()] == [4]
    assert api.call("DELETE", f"{path}/4").status_code == 204
    assert api.get(f"{path}/4").status_code == 404


@pytest.mark.parametrize("path", ["/service/boards/1/statuses", "/service/boards/1/statuses/info"])
def test_statuses_have_their_marks(api: Api, path: str) -> None:
    rows = {row["name"]: row for row in api.get(path).json()}
    slim = path.endswith("info")
    assert rows["Old Triage"]["inactiveFlag" if slim else "inactive"] is True
    assert rows["Closed"]["closedFlag" if slim else "closedStatus"] is True
    assert rows["Completed"]["closedFlag" if slim else "closedStatus"] is False
