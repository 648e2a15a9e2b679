"""Files of records: the form that is taken, what is answered, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from psa.providers.connectwise.sandbox.tests.conftest import Api


def upload(api: Api, fields: dict[str, Any], name: str = "notes.txt", content: bytes = b"abc") -> Any:
    files = {"file": (name, content, "text/plain")}
    return api.call("POST", "/system/documents", data=fields, files=files)


def on(ticket: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"recordType": "Ticket", "recordId": ticket["id"], **fields}


def test_private_file_is_listed_and_downloaded_again(api: Api, ticket: dict[str, Any]) -> None:
    made = upload(api, on(ticket, Title="Notes", PrivateFlag="True"), content=b"\x00\r\n--\xff")
    assert made.status_code == 201, made.text
    document = made.json()
    assert (document["title"], document["fileName"], document["size"]) == ("Notes", "notes.txt", 6)
    assert document["publicFlag"] is False
    listed = api.get("/system/documents", recordType="Ticket", recordId=ticket["id"]).json()
    assert document in listed
    count = api.get("/system/documents/count", recordType="Ticket", recordId=ticket["id"]).json()
    assert count == {"count": len(listed)}
    answer = api.get(f"/system/documents/{document['id']}/download")
    assert answer.content == b"\x00\r\n--\xff"
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="notes.txt"'


def test_without_the_private_flag_the_customer_sees_it(api: Api, ticket: dict[str, Any]) -> None:
    assert upload(api, on(ticket)).json()["publicFlag"] is True


def test_files_of_another_ticket_are_not_listed(api: Api, ticket: dict[str, Any]) -> None:
    upload(api, on(ticket))
    for fields in (
        {"recordType": "Ticket", "recordId": 57002},
        {"recordType": "ProjectTicket", "recordId": ticket["id"]},
    ):
        assert api.get("/system/documents", **fields).json() == []


def test_file_can_be_removed(api: Api, ticket: dict[str, Any]) -> None:
    number = upload(api, on(ticket)).json()["id"]
    assert api.call("DELETE", f"/system/documents/{number}").status_code == 204
    assert api.get(f"/system/documents/{number}/download").status_code == 404


@pytest.mark.parametrize(
    ("fields", "name", "content", "field"),
    [
        ({"recordType": "Nothing"}, "x.txt", b"x", "recordType"),
        ({}, "x.txt", b"", "file"),
        ({}, "a:b.txt", b"x", "file"),
    ],
)
def test_bad_uploads_are_refused(
    api: Api, ticket: dict[str, Any], fields: dict[str, Any], name: str, content: bytes, field: str
) -> None:
    answer = upload(api, on(ticket, **fields), name, content)
    assert answer.status_code == 400
    assert [item["field"] for item in answer.json()["errors"]] == [field]


def test_missing_ticket_file_and_form_are_refused(api: Api, ticket: dict[str, Any]) -> None:
    assert upload(api, {"recordType": "Ticket", "recordId": 1}).status_code == 404
    assert upload(api, {"recordType": "ProjectTicket", "recordId": ticket["id"]}).status_code == 404
    nothing = api.call(
        "POST", "/system/documents", files={"recordType": (None, "Ticket"), "recordId": (None, "57001")}
    )
    assert nothing.status_code == 400
    assert api.post("/system/documents", {"recordType": "Ticket"}).status_code == 415
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert api.call("POST", "/system/documents", data=b"nonsense", headers=headers).status_code == 400


def test_limit_of_the_company_is_kept(api: Api, ticket: dict[str, Any]) -> None:
    limits = api.sandbox.store.table("system/fileuploadsettings")
    limits.put(limits.rows[1], {**limits.rows[1].data, "globalFileSizeLimit": 1})
    assert upload(api, on(ticket), content=b"x" * 1024 * 1024).status_code == 201
    answer = upload(api, on(ticket), content=b"x" * (1024 * 1024 + 1))
    assert "1 MB" in answer.json()["errors"][0]["message"]


def test_role_without_attachments_is_refused(api: Api, ticket: dict[str, Any]) -> None:
    api.sandbox.configure(security=[{"moduleFunctionName": "Manage Attachments", "inquireLevel": "All"}])
    assert upload(api, on(ticket)).status_code == 403
    assert api.get("/system/documents").status_code == 200
    assert api.get("/system/fileuploadsettings").status_code == 403


def test_files_and_time_follow_a_ticket_that_is_converted(api: Api) -> None:
    upload(api, {"recordType": "Ticket", "recordId": 57001})
    before = len(api.sandbox.files(57001))
    where = {"recordType": "ProjectTicket", "phase": {"id": 1}, "wbsCode": "1.1"}
    answer: requests.Response = api.post("/service/tickets/57001/convert", where)
    assert answer.status_code < 300, answer.text
    assert api.get("/system/documents", recordType="Ticket", recordId=57001).json() == []
    assert len(api.get("/system/documents", recordType="ProjectTicket", recordId=57001).json()) == before
    conditions = 'chargeToId = 57001 and chargeToType = "ProjectTicket"'
    assert api.get("/time/entries", conditions=conditions).json()
