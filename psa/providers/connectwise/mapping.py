"""Owns the border between ConnectWise's records and the neutral ones: its field names live here.

A record may lack any field but its id: ConnectWise leaves null members out. What has a wrong type counts as
missing; a record without an id raises ValueError.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from psa.types import (
    Agreement,
    BillableOption,
    Board,
    Company,
    Configuration,
    Contact,
    Document,
    Member,
    Note,
    NoteKind,
    Raw,
    RecordType,
    Ref,
    Status,
    Ticket,
    TimeDraft,
    TimeEntry,
)

SECTION_FLAGS: Mapping[NoteKind, str] = {
    NoteKind.ANALYSIS: "internalAnalysisFlag",
    NoteKind.RESOLUTION: "resolutionFlag",
    NoteKind.DISCUSSION: "detailDescriptionFlag",
}
"""The flag that puts a note into its section. Who reads it follows from the section alone."""

CHARGE_TYPES: Mapping[RecordType, str] = {
    RecordType.SERVICE: "ServiceTicket",
    RecordType.PROJECT: "ProjectTicket",
}
"""What time on a ticket is charged to; a project issue takes ProjectTicket, too."""

BILLABLE: Mapping[BillableOption, str] = {
    BillableOption.BILLABLE: "Billable",
    BillableOption.DO_NOT_BILL: "DoNotBill",
    BillableOption.NO_CHARGE: "NoCharge",
}

TIME_DOORS = ("addToDetailDescriptionFlag", "addToResolutionFlag")
"""Flags that show a time entry's notes to the customer."""

_ID = re.compile(r"-?[0-9]{1,18}")
_PROJECT_TYPES = frozenset({"ProjectTicket", "ProjectIssue"})


def utc(value: Any) -> datetime | None:
    """Return a date of ConnectWise as aware UTC in whole seconds, None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError):
        return None


def record_id(raw: Raw) -> str:
    """Return a record's id as text. Raises: ValueError when it has none."""
    value = raw.get("id")
    if isinstance(value, bool) or not isinstance(value, (int, str)) or not _ID.fullmatch(str(value)):
        raise ValueError("a record without an id")
    return str(value)


def ticket(raw: Raw, record_type: RecordType, url: str) -> Ticket:
    """Return a ticket; record_type is the collection it was read from, unless it names its own."""
    if _text(raw, "recordType") in _PROJECT_TYPES:
        record_type = RecordType.PROJECT
    info = _part(raw, "_info")
    board, status = _ref(raw, "board"), _part(raw, "status")
    merged = _part(raw, "mergedParentTicket").get("id")
    return Ticket(
        id=record_id(raw),
        record_type=record_type,
        summary=_text(raw, "summary"),
        board=board,
        status=Status(
            id=record_id(status),
            name=_text(status, "name"),
            board_id=board.id if board else "",
            closed=raw.get("closedFlag") is True,
            raw=status,
        )
        if status.get("id") is not None
        else None,
        company=_ref(raw, "company"),
        contact=_ref(raw, "contact"),
        owner=_named(_part(raw, "owner")),
        url=url,
        merged_into=str(merged) if merged else "",
        created_at=utc(info.get("dateEntered")) or utc(raw.get("dateEntered")),
        updated_at=utc(info.get("lastUpdated")),
        updated_by=_text(info, "updatedBy"),
        raw=raw,
    )


def note(raw: Raw, ticket_id: str) -> Note:
    """Return a note in any of its shapes: ticket note, project note, all-notes row, time entry note."""
    info = _part(raw, "_info")
    kind = note_kind(raw)
    contact = _part(raw, "contact")
    own = raw.get("ticketId") or _part(raw, "ticket").get("id") or ticket_id
    author = (
        _named(_part(raw, "member"))
        or _named(contact)
        or _text(raw, "originalAuthor")
        or _text(raw, "createdBy")
        or _text(info, "enteredBy")
    )
    moments = (raw.get("dateCreated"), info.get("dateEntered"), raw.get("timeStart"), info.get("lastUpdated"))
    return Note(
        id=record_id(raw),
        ticket_id=str(own),
        kind=kind,
        text=_text(raw, "text").replace("\r\n", "\n"),
        customer_visible=kind.customer_visible,
        author=author,
        author_is_contact=bool(contact) and not _part(raw, "member"),
        from_time_entry=raw.get("noteType") == "TimeEntryNote",
        created_at=next((moment for value in moments if (moment := utc(value))), None),
        raw=raw,
    )


def note_kind(raw: Raw) -> NoteKind:
    """Return what a note is to its readers: one customer-visible section makes it customer-visible."""
    for kind in (NoteKind.RESOLUTION, NoteKind.DISCUSSION):
        if raw.get(SECTION_FLAGS[kind]) is True:
            return kind
    return NoteKind.ANALYSIS


def note_body(kind: NoteKind, text: str, author_member_id: int | None, notify: bool) -> dict[str, Any]:
    """Return the body of a new note; service and project notes take the same fields.

    Source: docs/connectwise/quick-reference.md#notes
    """
    body: dict[str, Any] = {"text": text}
    body.update({flag: place is kind for place, flag in SECTION_FLAGS.items()})
    body["internalFlag"] = not kind.customer_visible
    body["externalFlag"] = kind.customer_visible
    # Always sent: what a missing value does is not documented, and true mails the customer.
    body["processNotifications"] = notify
    if author_member_id is not None:
        body["member"] = {"id": author_member_id}
    return body


def status(raw: Raw, board_id: str) -> Status:
    """Return a status of a board."""
    return Status(
        id=record_id(raw),
        name=_text(raw, "name"),
        board_id=board_id,
        closed=raw.get("closedStatus") is True,
        active=raw.get("inactive") is not True,
        time_entry_allowed=raw.get("timeEntryNotAllowed") is not True,
        mails_customer=bool(_part(raw, "emailTemplate").get("id")),
        raw=raw,
    )


def member(raw: Raw) -> Member:
    """Return a member of the slim list."""
    full = _text(raw, "fullName") or " ".join(
        part for part in (_text(raw, "firstName"), _text(raw, "lastName")) if part
    )
    identifier = _text(raw, "identifier")
    email = _text(raw, "defaultEmail").lower()
    return Member(
        id=record_id(raw),
        identifier=identifier,
        name=full or identifier,
        emails=(email,) if "@" in email else (),
        active=raw.get("inactiveFlag") is not True,
        is_api=raw.get("licenseClass") == "A",
        raw=raw,
    )


def board(raw: Raw) -> Board:
    """Return a board."""
    return Board(
        id=record_id(raw),
        name=_text(raw, "name"),
        record_type=RecordType.PROJECT if raw.get("projectFlag") is True else RecordType.SERVICE,
        active=raw.get("inactiveFlag") is not True,
        raw=raw,
    )


def company(raw: Raw) -> Company:
    """Return a company."""
    return Company(id=record_id(raw), identifier=_text(raw, "identifier"), name=_text(raw, "name"), raw=raw)


def contact(raw: Raw) -> Contact:
    """Return a contact; its mail addresses and phone numbers are communication items."""
    emails: dict[str, None] = {}
    phones: dict[str, None] = {}
    items = raw.get("communicationItems")
    for item in items if isinstance(items, list) else ():
        if not isinstance(item, Mapping) or not _text(item, "value"):
            continue
        if item.get("communicationType") == "Email":
            emails[_text(item, "value").lower()] = None
        elif item.get("communicationType") == "Phone":
            phones[_text(item, "value")] = None
    if _text(raw, "defaultPhoneNbr"):
        phones[_text(raw, "defaultPhoneNbr")] = None
    name = " ".join(part for part in (_text(raw, "firstName"), _text(raw, "lastName")) if part)
    return Contact(
        id=record_id(raw),
        name=name,
        company=_ref(raw, "company"),
        emails=tuple(emails),
        phones=tuple(phones),
        raw=raw,
    )


def configuration(raw: Raw) -> Configuration:
    """Return a device as a ticket names it: ConnectWise tells its id and its device identifier."""
    own_id = record_id(raw)
    name = _text(raw, "name") or _text(raw, "deviceIdentifier") or _text(_part(raw, "_info"), "name")
    return Configuration(
        id=own_id,
        name=name or f"#{own_id}",
        type=_text(_part(raw, "type"), "name"),
        company=_ref(raw, "company"),
        raw=raw,
    )


def hours(value: Any) -> Decimal:
    """Return decimal hours, 0 for anything that is no number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return Decimal(0)
    return Decimal(str(value))


def time_entry(raw: Raw, ticket_id: str) -> TimeEntry:
    """Return a time entry; ticket_id is used where the record does not tell what it is charged to."""
    charged = raw.get("chargeToId")
    billable = {text: option for option, text in BILLABLE.items()}
    return TimeEntry(
        id=record_id(raw),
        ticket_id=str(charged) if isinstance(charged, int) else ticket_id,
        member=_ref(raw, "member") or Ref("", ""),
        started_at=utc(raw.get("timeStart")),
        ended_at=utc(raw.get("timeEnd")),
        actual_hours=hours(raw.get("actualHours")),
        billed_hours=hours(raw["hoursBilled"]) if raw.get("hoursBilled") is not None else None,
        notes=_text(raw, "notes").replace("\r\n", "\n"),
        internal_notes=_text(raw, "internalNotes").replace("\r\n", "\n"),
        customer_visible=any(raw.get(flag) is True for flag in TIME_DOORS),
        billable=billable.get(_text(raw, "billableOption")),
        raw=raw,
    )


def time_body(
    ticket_id: int, record_type: RecordType, draft: TimeDraft, ids: Mapping[str, int]
) -> dict[str, Any]:
    """Return the body of a new time entry. Shape: ids has `member` and what was chosen.

    The doors are always named and always shut: what a missing flag means depends on the ticket's board.

    Source: docs/connectwise/quick-reference.md#time-entries
    """
    body: dict[str, Any] = {
        "chargeToId": ticket_id,
        "chargeToType": CHARGE_TYPES[record_type],
        "timeStart": f"{draft.started_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "timeEnd": f"{draft.ended_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "hoursDeduct": round(draft.deduct_s / 3600, 4),
        "notes": draft.notes,
        "internalNotes": draft.internal_notes,
        "addToInternalAnalysisFlag": False,
        "emailResourceFlag": False,
        "emailContactFlag": False,
        "emailCcFlag": False,
    }
    body |= dict.fromkeys(TIME_DOORS, False)
    names = {"member": "member", "work_type": "workType", "work_role": "workRole", "agreement": "agreement"}
    body |= {field: {"id": ids[name]} for name, field in names.items() if name in ids}
    if draft.billable is not None:
        body["billableOption"] = BILLABLE[draft.billable]
    return body


def agreement(raw: Raw) -> Agreement:
    """Return an agreement; one whose status is not told counts unless it was cancelled."""
    status = _text(raw, "agreementStatus")
    return Agreement(
        id=record_id(raw),
        name=_text(raw, "name"),
        type=_text(_part(raw, "type"), "name"),
        company=_ref(raw, "company"),
        active=status in ("", "Active") and raw.get("cancelledFlag") is not True,
        starts_at=utc(raw.get("startDate")),
        ends_at=None if raw.get("noEndingDateFlag") is True else utc(raw.get("endDate")),
        raw=raw,
    )


def document(raw: Raw, ticket_id: str) -> Document:
    """Return a file of a ticket. Only one that says it is not public is for staff alone."""
    size = raw.get("size")
    return Document(
        id=record_id(raw),
        ticket_id=ticket_id,
        title=_text(raw, "title"),
        file_name=_text(raw, "fileName"),
        size=size if isinstance(size, int) and size >= 0 else None,
        customer_visible=raw.get("publicFlag") is not False,
        created_at=utc(raw.get("createdOnDate")) or utc(_part(raw, "_info").get("lastUpdated")),
        created_by=_text(raw, "owner"),
        raw=raw,
    )


def _part(raw: Raw, name: str) -> Raw:
    value = raw.get(name)
    return value if isinstance(value, Mapping) else {}


def _text(raw: Raw, name: str) -> str:
    value = raw.get(name)
    return value if isinstance(value, str) else ""


def _named(raw: Raw) -> str:
    return _text(raw, "name") or _text(raw, "identifier")


def _ref(raw: Raw, name: str) -> Ref | None:
    part = _part(raw, name)
    if part.get("id") is None:
        return None
    return Ref(record_id(part), _named(part))
