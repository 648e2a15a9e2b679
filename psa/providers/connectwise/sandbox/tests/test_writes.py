"""Creating, replacing, patching and deleting: what bodies are taken and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from psa.providers.connectwise.sandbox.tests.conftest import Api, replace

NEW = {"summary": "Scanner jams", "company": {"identifier": "Osprey"}}


def items(answer: requests.Response) -> list[tuple[str, str]]:
    assert answer.status_code == 400, answer.text
    return [(item["code"], item["field"]) for item in answer.json()["errors"]]


def test_created_ticket_has_defaults(api: Api) -> None:
    answer = api.post("/service/tickets", NEW)
    ticket = answer.json()
    assert answer.status_code == 201
    assert ticket["board"]["name"] == "Help Desk"
    assert ticket["status"]["name"] == "New"
    assert ticket["closedFlag"] is False
    assert ticket["recordType"] == "ServiceTicket"
    assert ticket["contact"]["name"]
    assert ticket["_info"]["enteredBy"] == "rfapi"
    assert all(value is not None for value in ticket.values())


def test_unknown_field_is_named(api: Api) -> None:
    assert items(api.post("/service/tickets", {**NEW, "colour": "red"})) == [("InvalidField", "colour")]


def test_all_missing_fields_are_named_at_once(api: Api) -> None:
    assert items(api.post("/service/tickets", {})) == [
        ("MissingRequiredField", "summary"),
        ("MissingRequiredField", "company"),
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"summary": "x" * 101}, ("InvalidField", "summary")),
        ({"summary": 5}, ("InvalidField", "summary")),
        ({"severity": "Awful"}, ("InvalidField", "severity")),
        ({"budgetHours": "many"}, ("InvalidField", "budgetHours")),
        ({"requiredDate": "2026-03-02T08:00:00.5Z"}, ("InvalidField", "requiredDate")),
        ({"company": {"identifier": "Nobody"}}, ("NotFound", "company/identifier")),
        ({"company": {"id": 99999}}, ("NotFound", "company/id")),
        ({"company": 2}, ("InvalidField", "company")),
        ({"board": {"name": "No Such Board"}}, ("NotFound", "board/name")),
        ({"customerUpdatedFlag": "yes"}, ("InvalidField", "customerUpdatedFlag")),
    ],
)
def test_bad_value_is_refused(api: Api, change: dict[str, Any], expected: tuple[str, str]) -> None:
    assert items(api.post("/service/tickets", {**NEW, **change})) == [expected]


def test_body_that_is_no_json(api: Api) -> None:
    headers = {"Content-Type": "application/json"}
    assert api.call("POST", "/service/tickets", data="{", headers=headers).status_code == 400


def test_wrong_content_type(api: Api) -> None:
    assert api.call("POST", "/service/tickets", data={"summary": "x"}).status_code == 415


def test_put_replaces_and_needs_severity(api: Api) -> None:
    created = api.post("/service/tickets", {**NEW, "poNumber": "PO 7"}).json()
    path = f"/service/tickets/{created['id']}"
    assert ("MissingRequiredField", "severity") in items(api.call("PUT", path, json=NEW))
    body = {**NEW, "severity": "High", "impact": "Low"}
    answer = api.call("PUT", path, json=body)
    assert answer.status_code == 200
    assert "poNumber" not in answer.json()
    assert answer.json()["_info"]["dateEntered"] == created["_info"]["dateEntered"]


def test_record_as_read_can_be_put_back(api: Api) -> None:
    record = api.get("/service/tickets/57001").json()
    answer = api.call("PUT", "/service/tickets/57001", json=record)
    assert answer.status_code == 200, answer.text
    changed = {name for name in record if record[name] != answer.json().get(name)}
    assert changed <= {"_info"}


def test_delete_answers_204_without_body(api: Api) -> None:
    created = api.post("/service/tickets", NEW).json()
    answer = api.call("DELETE", f"/service/tickets/{created['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert api.get(f"/service/tickets/{created['id']}").status_code == 404


PATH = "/service/tickets/57001"


@pytest.mark.parametrize(
    "step",
    [
        replace("Summary", "x"),
        replace("colour", "x"),
        replace("status", 502),
        replace("Status", {"id": 502}),
        replace("status/colour", 1),
        replace("initialDescription", "x"),
        replace("_info", {}),
        replace("id", 1),
        {"op": "Replace", "path": "summary", "value": "x"},
        {"op": "test", "path": "summary", "value": "x"},
        {"path": "summary", "value": "x"},
        {"op": "replace", "value": "x"},
        "summary",
        replace("summary", None),
        replace("board", None),
        replace("summary", "x" * 101),
        replace("owner", {"identifier": "nobody"}),
        replace("integratorTags/7", "x"),
    ],
)
def test_bad_step_is_refused_and_changes_nothing(api: Api, step: Any) -> None:
    before = api.sandbox.ticket(57001)
    assert api.patch(PATH, replace("poNumber", "1"), step).status_code == 400
    assert api.sandbox.ticket(57001) is before


def test_unknown_path_is_quoted(api: Api) -> None:
    assert "'colour'" in api.patch(PATH, replace("colour", "x")).json()["errors"][0]["message"]


@pytest.mark.parametrize("body", [{}, {"op": "replace", "path": "summary", "value": "x"}, "x", None])
def test_patch_body_must_be_an_array(api: Api, body: Any) -> None:
    assert api.call("PATCH", PATH, json=body if body is not None else 5).status_code == 400


@pytest.mark.parametrize(
    ("step", "field", "expected"),
    [
        (replace("summary", "New title"), "summary", "New title"),
        (replace("/summary", "With slash"), "summary", "With slash"),
        (replace("budgetHours", "2.5"), "budgetHours", 2.5),
        (replace("knowledgeBaseLinkId", "12"), "knowledgeBaseLinkId", 12),
        (replace("customerUpdatedFlag", "True"), "customerUpdatedFlag", True),
        ({"op": "add", "path": "poNumber", "value": "7"}, "poNumber", "7"),
        ({"op": "remove", "path": "type"}, "type", None),
        (replace("subType", ""), "subType", None),
        ({"op": "add", "path": "integratorTags", "value": ["a"]}, "integratorTags", ["a"]),
    ],
)
def test_step_changes_a_field(api: Api, step: Any, field: str, expected: Any) -> None:
    answer = api.patch(PATH, step)
    assert answer.status_code == 200, answer.text
    assert answer.json().get(field) == expected


@pytest.mark.parametrize(
    "step",
    [
        replace("owner", {"id": 104}),
        replace("owner", {"identifier": "dpatel"}),
        replace("owner/id", 104),
        replace("owner/id", "104"),
        replace("owner/identifier", "DPATEL"),
    ],
)
def test_reference_is_taken_in_several_forms(api: Api, step: Any) -> None:
    answer = api.patch(PATH, step).json()
    assert answer["owner"]["name"] == "Dev Patel"
    assert answer["owner"]["_info"]["member_href"].endswith("/system/members/104")
    assert "dpatel" in answer["resources"]


def test_array_elements_have_indexes(api: Api) -> None:
    path = f"/company/contacts/{api.sandbox.store.table('company/contacts').of(())[0].id}"
    item = {"type": {"id": 3}, "value": "8135550199"}
    answer = api.patch(
        path,
        {"op": "add", "path": "communicationItems/-", "value": item},
        replace("/communicationItems/1/value", "8135550100"),
        {"op": "remove", "path": "communicationItems/0"},
    )
    assert answer.status_code == 200, answer.text
    values = [i["value"] for i in answer.json()["communicationItems"]]
    assert values == ["8135550100", "8135550199"]
    rows = api.get(f"{path}/communications").json()
    assert sorted(row["value"] for row in rows) == values


def test_custom_fields_left_out_keep_their_value(api: Api) -> None:
    api.patch(PATH, replace("customFields", [{"id": 1, "value": "Cable"}]))
    answer = api.patch(PATH, replace("customFields", [{"id": 2, "value": True}])).json()
    assert [field.get("value") for field in answer["customFields"]] == ["Cable", True]


def test_patch_raises_last_updated_only(api: Api) -> None:
    before = api.sandbox.ticket(57001)["_info"]
    after = api.patch(PATH, replace("poNumber", "1")).json()["_info"]
    assert after["lastUpdated"] > before["lastUpdated"]
    assert after["updatedBy"] == "rfapi"
    assert after["dateEntered"] == before["dateEntered"]


def test_company_identifier_is_unique(api: Api) -> None:
    answer = api.post("/company/companies", {"identifier": "osprey", "name": "Twin"})
    assert items(answer) == [("ObjectExists", "identifier")]


def test_created_company_has_its_types_as_associations(api: Api) -> None:
    body = {"identifier": "NewCo", "name": "New Co", "types": [{"name": "Client"}]}
    company = api.post("/company/companies", body).json()
    (row,) = api.get(f"/company/companies/{company['id']}/typeAssociations").json()
    assert row["type"]["name"] == "Client"
    assert api.get("/company/companies", childConditions="types/id = 1").status_code == 200


def test_configurations_in_bulk(api: Api) -> None:
    rows = api.call("DELETE", "/company/configurations/bulk", json=[{"id": 1}, {"id": 99999}])
    assert rows.status_code == 207
    assert [row["success"] for row in rows.json()["payload"]] == [True, False]
