"""Rules of time entries: whose, on what, how long, in which period, and what of them shows on the ticket.

Source: docs/connectwise/quick-reference.md#time-entries
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from psa.providers.connectwise.reference import JsonObject
from psa.providers.connectwise.sandbox import errors
from psa.providers.connectwise.sandbox.behaviour import Call, CallbackBehaviour
from psa.providers.connectwise.sandbox.errors import Item
from psa.providers.connectwise.sandbox.resources import handle_delete, target_of
from psa.providers.connectwise.sandbox.state import State
from psa.providers.connectwise.sandbox.store import Record, utc_text
from psa.providers.connectwise.sandbox.validation import BodySchema, Context
from psa.providers.connectwise.sandbox.wire import Response

ENTRIES, SHEETS, NOTES = "time/entries", "time/sheets", "timeNotes"

CHARGED = {
    "ServiceTicket": ("service/tickets", "TicketReference"),
    "ProjectTicket": ("project/tickets", "TicketReference"),
    "Company": ("company/companies", "CompanyReference"),
}
"""chargeToType → table of what is charged, and how an entry refers to it. The others are not played here."""

ADD_TO = {
    "addToDetailDescriptionFlag": "detailDescriptionFlag",
    "addToInternalAnalysisFlag": "internalAnalysisFlag",
    "addToResolutionFlag": "resolutionFlag",
}
MAILS = ("emailResourceFlag", "emailContactFlag", "emailCcFlag")

SHEET_TAKES = frozenset({"Open", "Rejected"})
"""Statuses of a time sheet to which entries can be added."""
INVOICED = frozenset({"Billed", "BilledAgreement"})
DAY_HOURS = 24.0


class TimeEntryBehaviour(CallbackBehaviour):
    """An entry is checked against the company's rules, the ticket's status, the period and the sheet."""

    actions = frozenset(MAILS)

    def __init__(self) -> None:
        super().__init__("time")

    def prepare(
        self,
        call: Call,
        schema: BodySchema,
        data: JsonObject,
        parents: tuple[int, ...],
        context: Context,
    ) -> None:
        rules = _rules(call.state)
        if rules.get("disableTimeEntryFlag"):
            context.refuse("InvalidObject", "Time entry is disabled for this company.", "timeStart")
        if rules.get("requireTimeNoteFlag") and not str(data.get("notes", "")).strip():
            context.refuse("MissingRequiredField", "notes is required.", "notes")
        if "member" not in data:
            data["member"] = call.state.references.expand("MemberReference", call.actor)
        ticket = _charge(call, data, context)
        if ticket is not None and _status_refuses(call.state, ticket):
            name = ticket.data["status"]["name"]
            message = f"Time cannot be entered while the ticket's status is {name}."
            context.refuse("InvalidObject", message, "chargeToId")
        _fill_hours(data, rules, context)
        _check_agreement(call.state, data, context)
        if not context.problems:
            _fill_sheet(call, data, context)
        # Shown to the customer unless somebody says otherwise: the form of a ticket ticks it, too.
        data.setdefault("addToDetailDescriptionFlag", True)
        for flag in ADD_TO:
            data.setdefault(flag, False)
        if data.get("billableOption", "NoDefault") == "NoDefault":
            data["billableOption"] = "Billable"
        for name, table in (("workType", "WorkTypeReference"), ("workRole", "WorkRoleReference")):
            if name not in data:
                first = next(iter(call.state.store.table(f"lookup/{table}").rows.values()))
                data[name] = call.state.references.expand(table, first)
        data["status"] = "Open"
        data["invoiceFlag"] = False
        data["enteredBy"] = call.actor_name
        data["dateEntered"] = call.state.now()

    def change(
        self,
        call: Call,
        schema: BodySchema,
        old: Record,
        data: JsonObject,
        touched: set[str],
        context: Context,
    ) -> None:
        if old.data.get("status") in INVOICED:
            context.refuse("InvalidObject", "A billed time entry cannot be changed.", "status")
        _fill_hours(data, _rules(call.state), context)
        if not context.problems:
            _fill_sheet(call, data, context)

    def created(self, call: Call, record: Record) -> None:
        super().created(call, record)
        ticket = _ticket_of(call.state, record.data)
        if ticket is None:
            return
        _add_note(call, ticket, record.data)
        address = ticket.data.get("contactEmailAddress")
        for flag, people in (
            ("emailContactFlag", [address] if address else []),
            ("emailResourceFlag", [str(record.data["member"]["name"])]),
            ("emailCcFlag", [part for part in str(record.data.get("emailCc", "")).split(";") if part]),
        ):
            if call.sent.get(flag):
                call.state.mail("time", ticket.data, people, timeEntryId=record.id)
        call.publish("ticket", "updated", ticket)


def delete_entry(call: Call) -> Response:
    """Billed entries cannot be deleted."""
    _table, record = target_of(call)
    if record.data.get("status") in INVOICED or record.data.get("invoiceFlag"):
        item = Item("InvalidObject", "A billed time entry cannot be deleted.", "status")
        raise errors.invalid("timeEntry", [item])
    return handle_delete(call)


def entries_move(state: State, ticket_id: int, table: str) -> None:
    """Let the time of a ticket follow it when it is converted to the other kind."""
    kinds = {place: kind for kind, (place, _reference) in CHARGED.items()}
    entries = state.store.table(ENTRIES)
    for entry in entries.of(()):
        if entry.data.get("chargeToId") == ticket_id and _ticket_kind(entry.data):
            entries.put(entry, {**entry.data, "chargeToType": kinds[table]})


def _ticket_kind(entry: JsonObject) -> bool:
    return entry.get("chargeToType") in ("ServiceTicket", "ProjectTicket")


def _rules(state: State) -> JsonObject:
    rows = state.store.table("system/myCompany/timeExpense").rows.values()
    return next((row.data for row in rows), {})


def _charge(call: Call, data: JsonObject, context: Context) -> Record | None:
    """Fill in what is charged; return the ticket when it is one."""
    number, kind = data.get("chargeToId"), data.get("chargeToType")
    if number is None:
        if "company" not in data:
            message = "chargeToId is required unless company is given."
            context.refuse("MissingRequiredField", message, "chargeToId")
        return None
    if kind not in CHARGED:
        context.refuse("InvalidField", "chargeToType does not fit chargeToId.", "chargeToType")
        return None
    table, reference = CHARGED[kind]
    record = call.state.store.table(table).get(number)
    if record is None or (kind != "Company" and call.state.is_hidden(record.data)):
        context.refuse("NotFound", f"{kind} {number} was not found.", "chargeToId")
        return None
    if kind == "Company":
        data["company"] = call.state.references.expand(reference, record)
        return None
    data["ticket"] = call.state.references.expand(reference, record)
    for name in ("company", "project", "phase"):
        if name in record.data:
            data.setdefault(name, record.data[name])
    data["ticketBoard"] = record.data.get("board", {}).get("name", "")
    data["ticketStatus"] = record.data.get("status", {}).get("name", "")
    return record


def _ticket_of(state: State, entry: JsonObject) -> Record | None:
    if not _ticket_kind(entry):
        return None
    return state.store.table(CHARGED[entry["chargeToType"]][0]).get(entry["chargeToId"])


def _check_agreement(state: State, data: JsonObject, context: Context) -> None:
    """Refuse an agreement of another company, and one that is not active on the day."""
    number = data.get("agreement", {}).get("id")
    agreement = state.store.table("finance/agreements").get(number) if number else None
    if agreement is None:
        return
    found, day = agreement.data, str(data.get("timeStart", ""))[:10]
    if found["company"]["id"] != data.get("company", {}).get("id"):
        context.refuse("InvalidObject", "The agreement belongs to another company.", "agreement")
    elif (
        found["agreementStatus"] != "Active"
        or day < found["startDate"][:10]
        or day > found.get("endDate", "9999")[:10]
    ):
        context.refuse("InvalidObject", "The agreement is not active on this date.", "agreement")


def _status_refuses(state: State, ticket: Record) -> bool:
    status = state.store.table("service/boards/statuses").get(ticket.data.get("status", {}).get("id", 0))
    return status is not None and bool(status.data.get("timeEntryNotAllowed"))


def _fill_hours(data: JsonObject, rules: JsonObject, context: Context) -> None:
    """Work out the hours; what start and end say counts more than actualHours."""
    start, end = _moment(data.get("timeStart")), _moment(data.get("timeEnd"))
    if start is None:
        return
    if end is not None:
        hours = (end - start).total_seconds() / 3600 - float(data.get("hoursDeduct") or 0)
        data["actualHours"] = round(hours, 4)
    elif data.get("actualHours") is None:
        context.refuse("MissingRequiredField", "timeEnd or actualHours is required.", "timeEnd")
        return
    else:
        hours = float(data["actualHours"])
    if hours <= 0:
        context.refuse("InvalidField", "The hours of a time entry must be greater than zero.", "timeEnd")
    elif hours > DAY_HOURS:
        context.refuse("InvalidField", "A time entry cannot exceed 24 hours.", "timeEnd")
    factor = float(rules.get("roundingFactor") or 0)
    billed = math.ceil(round(hours / factor, 6)) * factor if factor else hours
    data["hoursBilled"] = round(billed, 4)


def _fill_sheet(call: Call, data: JsonObject, context: Context) -> None:
    """Put the entry on its member's sheet of that week, made when missing; closed ones take nothing."""
    start = _moment(data["timeStart"])
    closed_before = call.state.settings.time_closed_before
    if start is None:
        return
    if closed_before and utc_text(start) < closed_before:
        message = f"There are no open report periods for {start:%m/%d/%Y}."
        context.refuse("InvalidObject", message, "timeStart")
        return
    sheet = _sheet(call, data["member"], start)
    if sheet.data["status"] not in SHEET_TAKES:
        message = f"The time sheet of {start:%m/%d/%Y} has been submitted and takes no more entries."
        context.refuse("InvalidObject", message, "timeSheet")
        return
    name = f"{sheet.data['dateStart'][:10]} - {sheet.data['dateEnd'][:10]}"
    data["timeSheet"] = {"id": sheet.id, "name": name}


def _sheet(call: Call, member: JsonObject, start: datetime) -> Record:
    monday = (start - timedelta(days=start.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)
    table = call.state.store.table(SHEETS)
    first = utc_text(monday)
    for sheet in table.rows.values():
        if sheet.data["member"]["id"] == member["id"] and sheet.data["dateStart"] == first:
            return sheet
    year, week, _day = monday.isocalendar()
    row: JsonObject = {
        "member": member,
        "year": year,
        "period": week,
        "dateStart": first,
        "dateEnd": utc_text(monday + timedelta(days=6)),
        "status": "Open",
        "hours": 0.0,
        "_info": {"lastUpdated": call.state.now(), "updatedBy": call.actor_name},
    }
    return table.add(row)


def _add_note(call: Call, ticket: Record, entry: JsonObject) -> None:
    """Show the notes in the sections their flags name, and internal notes under Internal."""
    sections = {section: bool(entry.get(flag)) for flag, section in ADD_TO.items()}
    shown = [(str(entry.get("notes", "")), sections)]
    if str(entry.get("internalNotes", "")).strip():
        internal = {section: section == "internalAnalysisFlag" for section in ADD_TO.values()}
        shown.append((str(entry["internalNotes"]), internal))
    for text, flags in shown:
        if not text.strip() or not any(flags.values()):
            continue
        row: dict[str, Any] = {
            "noteType": "TimeEntryNote",
            "ticket": entry["ticket"],
            "text": text,
            **flags,
            "timeStart": entry["timeStart"],
            "timeEnd": entry.get("timeEnd", entry["timeStart"]),
            "bundledFlag": False,
            "mergedFlag": False,
            "issueFlag": False,
            "originalAuthor": entry["member"]["name"],
            "member": entry["member"],
            "_info": {"lastUpdated": call.state.now(), "updatedBy": call.actor_name},
        }
        if entry["chargeToType"] == "ServiceTicket":
            row |= {"isMarkdownFlag": False, "createdByParentFlag": False}
        call.state.store.table(NOTES).add(row, (ticket.id,))


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    return datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
