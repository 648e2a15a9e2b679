"""The conditions language, over made-up rows and over the API."""

from __future__ import annotations

from typing import Any

import pytest

from psa.providers.connectwise.sandbox.conditions import (
    compile_child_conditions,
    compile_conditions,
    compile_custom_field_conditions,
    parse_moment,
)
from psa.providers.connectwise.sandbox.errors import ApiError
from psa.providers.connectwise.sandbox.tests.conftest import Api

ROW: dict[str, Any] = {
    "id": 7,
    "summary": 'Printer "Bay\\1" [down]',
    "board": {"id": 3, "name": "Help Desk"},
    "closedFlag": False,
    "budgetHours": 2.5,
    "severity": "Low",
    "requiredDate": "2026-03-02T08:00:00Z",
    "_info": {"lastUpdated": "2026-03-02T08:30:00Z", "updatedBy": "bkeller"},
    "customFields": [{"id": 1, "caption": "Root Cause", "value": "Toner"}],
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id = 7", True),
        ("id=7", True),
        ("id != 7", False),
        ("id > 6 and id < 8", True),
        ("id >= 7 AND id <= 7", True),
        ("id = -7", False),
        ("budgetHours = 2.5", True),
        ("Board/Name = 'help desk'", True),
        ("BOARD/ID in (1, 3)", True),
        ("board/id not in (1,3)", False),
        ('board/name in ("x","HELP DESK")', True),
        ("closedFlag = False", True),
        ("closedFlag = true", False),
        ("owner = null", True),
        ("owner/identifier = null", True),
        ("board/name != null", True),
        ('owner/identifier != "x"', False),
        ('summary contains "printer"', True),
        ('summary not contains "scanner"', True),
        (r'summary contains "\"Bay\\1\""', True),
        ('summary like "*printer*"', True),
        ('summary like "%Bay%"', True),
        ('summary like "Bay%"', False),
        ('summary like "%[[]down]"', True),
        ('summary not like "%zzz%"', True),
        ("lastUpdated > [2026-03-02T08:00:00Z]", True),
        ("lastUpdated>[2026-03-02]", True),
        ("lastUpdated = [2026-03-02T10:30:00+02:00]", True),
        ("lastUpdated < [2026-03-02T08:30:00.500000+00:00]", True),
        ("requiredDate = [2026-03-02T08:00:00Z]", True),
        ("_info/updatedBy = 'bkeller'", True),
        ('severity = "low"', True),
        ("id = 1 or id = 7 and closedFlag = true", False),
        ("id = 7 or id = 1 and closedFlag = true", True),
        ("(id = 7 or id = 1) and closedFlag = true", False),
        ("not (id = 1)", True),
        ("not id = 7", False),
    ],
)
def test_expression_decides_about_a_row(text: str, expected: bool) -> None:
    assert compile_conditions("Ticket", text)(ROW) is expected


@pytest.mark.parametrize(
    "text",
    [
        "nonsense = 1",
        "board/nonsense = 1",
        "customFields/value = 1",
        "initialDescription = 'x'",
        "id = 'seven'",
        "id contains 7",
        "closedFlag = 1",
        "closedFlag > true",
        "summary = unquoted",
        "summary = 5",
        "severity = 'Awful'",
        "lastUpdated > '2026-03-02'",
        "lastUpdated > [yesterday]",
        "board = 3",
        "id in ()",
        "id in (1",
        "(id = 1",
        "id = 1 and",
        "id 1",
        "id = 1 id = 2",
        "id < null",
        'summary = "open',
    ],
)
def test_bad_expression_is_refused(text: str) -> None:
    with pytest.raises(ApiError) as caught:
        compile_conditions("Ticket", text)
    assert caught.value.status == 400
    assert b'"ApiFindCondition"' in caught.value.body


def test_unknown_field_is_named_with_its_whole_path() -> None:
    with pytest.raises(ApiError) as caught:
        compile_conditions("Ticket", "board/colour = 1")
    assert b"board/colour is not a recognized name." in caught.value.body


def test_note_type_cannot_be_filtered() -> None:
    with pytest.raises(ApiError):
        compile_conditions("ServiceTicketNote", 'noteType = "TicketNote"')


def test_child_conditions_look_at_one_element_at_a_time() -> None:
    row = {
        "communicationItems": [
            {"value": "a@b.example", "communicationType": "Email"},
            {"value": "555", "communicationType": "Phone"},
        ]
    }
    both = 'communicationItems/value = "{}" and communicationItems/communicationType = "Email"'
    assert compile_child_conditions("Contact", both.format("a@b.example"))(row)
    assert not compile_child_conditions("Contact", both.format("555"))(row)
    with pytest.raises(ApiError):
        compile_child_conditions("Contact", 'communicationItems/value in ("a")')


def test_custom_field_conditions_match_caption_and_value() -> None:
    assert compile_custom_field_conditions('caption="Root Cause" AND value != null')(ROW)
    assert not compile_custom_field_conditions('caption="Root Cause" AND value = "Ink"')(ROW)


def test_moment_without_zone_is_utc() -> None:
    assert parse_moment("2026-03-02T08:00:00") == parse_moment("2026-03-02T08:00:00Z")


def test_list_is_filtered_over_the_api(api: Api) -> None:
    rows = api.get("/service/tickets", conditions='board/name="Security" and closedFlag=false').json()
    assert rows
    assert {row["board"]["name"] for row in rows} == {"Security"}
    contact = api.sandbox.store.table("company/contacts").of(())[0].data
    mail = contact["communicationItems"][0]["value"]
    found = api.get("/company/contacts", childConditions=f'communicationItems/value="{mail}"').json()
    assert [row["id"] for row in found] == [contact["id"]]


def test_tickets_of_a_device(api: Api) -> None:
    ticket_id, devices = next(iter(api.sandbox.gateway.state.attached.items()))
    rows = api.get("/service/tickets", conditions=f"configuration/id = {devices[0]}").json()
    assert ticket_id in [row["id"] for row in rows]
    two = f"configuration/id = {devices[0]} or configuration/id = 3"
    assert api.get("/service/tickets", conditions=two).status_code == 400
    assert api.get("/service/tickets", conditions="configurations/id = 1").status_code == 400


def test_search_takes_its_filters_in_the_body(api: Api) -> None:
    body = {"Conditions": "board/id = 3", "orderBy": "id desc"}
    answer = api.call("POST", "/service/tickets/search", json=body, params={"pageSize": 3, "fields": "id"})
    ids = [row["id"] for row in answer.json()]
    assert answer.status_code == 200
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == 3


def test_bottomless_expression_is_refused(api: Api) -> None:
    body = {"conditions": "(" * 5000 + "id = 1" + ")" * 5000}
    assert api.post("/service/tickets/search", body).status_code == 400


def test_count_takes_conditions(api: Api) -> None:
    open_ones = api.get("/service/tickets/count", conditions="closedFlag = false").json()["count"]
    assert 0 < open_ones < api.get("/service/tickets/count").json()["count"] == 60
