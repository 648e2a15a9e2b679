"""Time entries against the sandbox over a socket: doors, refusals in words, faults, rights."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import responses

from psa.exceptions import (
    OutcomeUnknownError,
    PermissionDeniedError,
    RejectedError,
    TimeRefusedError,
)
from psa.providers.connectwise.provider import ConnectWiseProvider
from psa.providers.connectwise.sandbox.security import full_rows
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.providers.connectwise.tests.conftest import BASE
from psa.providers.http import trace_writes
from psa.types import BillableOption, Feature, FeatureStatus, RecordType, Ticket, TimeDraft

SERVICE = RecordType.SERVICE
MEMBER = "103"
NINE = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
SECRET = "Swapped the fuser, then the door code 4711."
DRAFT = TimeDraft(
    started_at=NINE,
    ended_at=NINE + timedelta(minutes=50),
    member_id=MEMBER,
    deduct_s=600,
    notes="Printer works again.",
    internal_notes=f"{SECRET}\nRef RF-ABCDEFGH",
)


def open_ticket(provider: ConnectWiseProvider) -> Ticket:
    return next(ticket for ticket in provider.ticket_search().items if not ticket.closed)


def entry_of(sandbox: SandboxServer, entry_id: str) -> dict[str, Any]:
    return sandbox.gateway.state.store.table("time/entries").rows[int(entry_id)].data


def rules(sandbox: SandboxServer, **changes: object) -> None:
    table = sandbox.gateway.state.store.table("system/myCompany/timeExpense")
    [row] = table.rows.values()
    table.put(row, {**row.data, **changes})


def sheet_is(sandbox: SandboxServer, status: str) -> None:
    """Give the member's sheet of that week a status; one entry makes the sheet."""
    table = sandbox.gateway.state.store.table("time/sheets")
    sheet = next(row for row in table.rows.values() if row.data["dateStart"] == "2026-11-02T00:00:00Z")
    table.put(sheet, {**sheet.data, "status": status})


def status_takes_no_time(sandbox: SandboxServer, ticket: Ticket) -> None:
    assert ticket.status is not None
    table = sandbox.gateway.state.store.table("service/boards/statuses")
    row = table.rows[int(ticket.status.id)]
    table.put(row, {**row.data, "timeEntryNotAllowed": True})


def test_the_doors_to_the_customer_are_named_and_shut(
    live: ConnectWiseProvider, sandbox: SandboxServer
) -> None:
    ticket = open_ticket(live)
    entry = live.time_entry_add(ticket.id, SERVICE, replace(DRAFT, billable=BillableOption.DO_NOT_BILL))
    body = next(
        row for row in sandbox.requests if row["method"] == "POST" and row["path"].endswith("/entries")
    )
    sent = json.loads(body["body"])
    flags = {name: value for name, value in sent.items() if name.endswith("Flag")}
    assert flags == dict.fromkeys(
        (
            "addToDetailDescriptionFlag",
            "addToInternalAnalysisFlag",
            "addToResolutionFlag",
            "emailResourceFlag",
            "emailContactFlag",
            "emailCcFlag",
        ),
        False,
    )
    assert (sent["chargeToType"], sent["hoursDeduct"]) == ("ServiceTicket", pytest.approx(0.1667))
    assert sent["billableOption"] == "DoNotBill"
    assert SECRET not in sent["notes"]
    stored = entry_of(sandbox, entry.id)
    assert (stored["actualHours"], stored["hoursBilled"]) == (pytest.approx(0.6666, abs=1e-3), 0.75)
    assert sandbox.gateway.state.mails == []
    shown = [note.text for note in live.ticket_notes(ticket.id, SERVICE) if note.customer_visible]
    assert not any(SECRET in text or DRAFT.notes in text for text in shown)


def test_an_answer_that_shows_it_to_the_customer_is_told(provider: ConnectWiseProvider) -> None:
    with responses.RequestsMock() as mocked:
        answer = {"id": 9, "chargeToId": 57001, "actualHours": 0.5, "addToResolutionFlag": True}
        mocked.post(f"{BASE}/time/entries", json=answer, status=201)
        assert provider.time_entry_add("57001", SERVICE, DRAFT).customer_visible


def test_a_project_issue_is_charged_as_a_project_ticket(
    live: ConnectWiseProvider, sandbox: SandboxServer
) -> None:
    ticket = next(iter(live.ticket_search(record_type=RecordType.PROJECT).items))
    table = sandbox.gateway.state.store.table("project/tickets")
    row = table.rows[int(ticket.id)]
    table.put(row, {**row.data, "recordType": "ProjectIssue"})
    entry = live.time_entry_add(ticket.id, RecordType.PROJECT, DRAFT)
    assert entry_of(sandbox, entry.id)["chargeToType"] == "ProjectTicket"
    assert [one.id for one in live.time_entry_find(ticket.id, RecordType.PROJECT, "RF-ABCDEFGH")] == [
        entry.id
    ]


@pytest.mark.parametrize(
    "code", ["period-closed", "sheet-closed", "status-takes-no-time", "notes-required", "time-disabled"]
)
def test_a_refusal_is_told_by_its_reason(
    live: ConnectWiseProvider, sandbox: SandboxServer, code: str
) -> None:
    ticket = open_ticket(live)
    draft = DRAFT
    if code == "period-closed":
        sandbox.gateway.state.settings.time_closed_before = "2026-11-03T00:00:00Z"
    elif code == "sheet-closed":
        live.time_entry_add(ticket.id, SERVICE, replace(DRAFT, internal_notes="x"))
        sheet_is(sandbox, "PendingApproval")
    elif code == "status-takes-no-time":
        status_takes_no_time(sandbox, ticket)
    elif code == "notes-required":
        draft = replace(DRAFT, notes="")
    else:
        rules(sandbox, disableTimeEntryFlag=True)
    with pytest.raises(TimeRefusedError) as caught:
        live.time_entry_add(ticket.id, SERVICE, draft)
    assert caught.value.objection == code
    assert live.time_entry_find(ticket.id, SERVICE, "RF-ABCDEFGH") == []
    told = [one.code for one in live.time_check(ticket, draft) if one.binding]
    # Periods cannot be read: only ConnectWise itself says that one is closed.
    assert told == ([] if code == "period-closed" else [code])


def test_more_than_a_day_is_refused_in_connectwise_words(live: ConnectWiseProvider) -> None:
    with pytest.raises(RejectedError) as caught:
        live.time_entry_add(
            open_ticket(live).id, SERVICE, replace(DRAFT, ended_at=NINE + timedelta(hours=25))
        )
    assert "24 hours" in caught.value.vendor_text


@pytest.mark.parametrize(
    ("fault", "stored"),
    [
        ({"kind": "drop_before"}, 0),
        ({"kind": "drop_after"}, 1),
        ({"kind": "garbage"}, 1),
        ({"kind": "status", "status": 503}, 0),
        ({"kind": "status", "status": 500, "after": True}, 1),
    ],
)
def test_time_is_sent_once_and_looked_up(
    live: ConnectWiseProvider, sandbox: SandboxServer, fault: dict[str, object], stored: int
) -> None:
    ticket = open_ticket(live)
    sandbox.faults.add(method="POST", path="/time/entries$", count=1, **fault)
    with trace_writes() as trace, pytest.raises(OutcomeUnknownError):
        live.time_entry_add(ticket.id, SERVICE, DRAFT)
    assert trace.sent
    assert len(live.time_entry_find(ticket.id, SERVICE, "RF-ABCDEFGH")) == stored


def test_a_missing_right_names_its_rows(live: ConnectWiseProvider, sandbox: SandboxServer) -> None:
    ticket = open_ticket(live)
    rows = full_rows(sandbox.gateway.state.member().data)
    for row in rows:
        if row["moduleFunctionName"] == "Time Entry":
            row["addLevel"] = "None"
    sandbox.gateway.state.settings.security = rows
    with pytest.raises(PermissionDeniedError) as caught:
        live.time_entry_add(ticket.id, SERVICE, DRAFT)
    assert caught.value.feature == Feature.TIME_ENTRIES
    assert "Time Entry: Add All" in caught.value.grant
    probed = {one.feature: one.status for one in live.probe().features}
    assert probed[Feature.TIME_ENTRIES] is FeatureStatus.DENIED


def test_lists_that_may_not_be_read_are_empty(live: ConnectWiseProvider, sandbox: SandboxServer) -> None:
    ticket = open_ticket(live)
    for path in ("/time/workTypes", "/time/workRoles", "/system/myCompany"):
        sandbox.faults.add("status", method="GET", path=path, status=403)
    choices = live.time_choices(ticket, MEMBER)
    assert (choices.work_types, choices.work_roles, choices.rounding_hours) == ((), (), None)
    assert live.time_check(ticket, DRAFT) == []


def test_what_is_there_already_is_told_with_its_ticket_and_time(live: ConnectWiseProvider) -> None:
    ticket = open_ticket(live)
    live.time_entry_add(ticket.id, SERVICE, DRAFT)
    [overlap] = live.time_check(ticket, DRAFT)
    assert f"0.67 h on ticket {ticket.id}, 09:00–09:50 UTC" in overlap.text


def test_an_entry_of_another_zone_is_stored_in_utc(live: ConnectWiseProvider, sandbox: SandboxServer) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    # 25 October 2026: at 3:00 the clock goes back to 2:00, so this hour and a half lasts two and a half.
    start, end = datetime(2026, 10, 25, 1, 30, tzinfo=berlin), datetime(2026, 10, 25, 3, 0, tzinfo=berlin)
    draft = replace(DRAFT, started_at=start.astimezone(UTC), ended_at=end.astimezone(UTC), deduct_s=0)
    entry = live.time_entry_add(open_ticket(live).id, SERVICE, draft)
    stored = entry_of(sandbox, entry.id)
    assert (stored["timeStart"], stored["timeEnd"]) == ("2026-10-24T23:30:00Z", "2026-10-25T02:00:00Z")
    assert float(entry.actual_hours) == 2.5
