"""Owns the border between ConnectWise's records and the neutral ones: its field names live here.

A record may lack any field but its id: ConnectWise leaves null members out. What has a wrong type counts as
missing; a record without an id raises ValueError.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC
from decimal import Decimal
from typing import Any

from psa.providers.connectwise.raw_values import named, part, record_id, ref, text, utc
from psa.types import (
    BillableOption,
    Board,
    Document,
    Member,
    Note,
    NoteKind,
    Raw,
    RecordType,
    Ref,
    Sla,
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

_PROJECT_TYPES = frozenset({"ProjectTicket", "ProjectIssue"})


def ticket(raw: Raw, record_type: RecordType, url: str) -> Ticket:
    """Return a ticket; record_type is the collection it was read from, unless it names its own."""
    if text(raw, "recordType") in _PROJECT_TYPES:
        record_type = RecordType.PROJECT
    info = part(raw, "_info")
    board, status = ref(raw, "board"), part(raw, "status")
    merged = part(raw, "mergedParentTicket").get("id")
    return Ticket(
        id=record_id(raw),
        record_type=record_type,
        summary=text(raw, "summary"),
        board=board,
        status=Status(
            id=record_id(status),
            name=text(status, "name"),
            board_id=board.id if board else "",
            closed=raw.get("closedFlag") is True,
            raw=status,
        )
        if status.get("id") is not None
        else None,
        company=ref(raw, "company"),
        contact=ref(raw, "contact"),
        site=ref(raw, "site"),
        agreement=ref(raw, "agreement"),
        owner=named(part(raw, "owner")),
        assigned=_assigned(raw),
        type=named(part(raw, "type")),
        subtype=named(part(raw, "subType")),
        item=named(part(raw, "item")),
        priority=named(part(raw, "priority")),
        url=url,
        merged_into=str(merged) if merged else "",
        created_at=utc(info.get("dateEntered")) or utc(raw.get("dateEntered")),
        updated_at=utc(info.get("lastUpdated")),
        updated_by=text(info, "updatedBy"),
        raw=raw,
    )


def _assigned(raw: Raw) -> tuple[str, ...]:
    """Return the identifiers of the members of a ticket: its owner, and those of its schedule."""
    listed = [text(part(raw, "owner"), "identifier"), *text(raw, "resources").split(",")]
    return tuple(dict.fromkeys(name.strip() for name in listed if name.strip()))


def note(raw: Raw, ticket_id: str) -> Note:
    """Return a note in any of its shapes: ticket note, project note, all-notes row, time entry note."""
    info = part(raw, "_info")
    kind = note_kind(raw)
    contact = part(raw, "contact")
    own = raw.get("ticketId") or part(raw, "ticket").get("id") or ticket_id
    author = (
        named(part(raw, "member"))
        or named(contact)
        or text(raw, "originalAuthor")
        or text(raw, "createdBy")
        or text(info, "enteredBy")
    )
    moments = (raw.get("dateCreated"), info.get("dateEntered"), raw.get("timeStart"), info.get("lastUpdated"))
    return Note(
        id=record_id(raw),
        ticket_id=str(own),
        kind=kind,
        text=text(raw, "text").replace("\r\n", "\n"),
        customer_visible=kind.customer_visible,
        author=author,
        author_is_contact=bool(contact) and not part(raw, "member"),
        from_time_entry=raw.get("noteType") == "TimeEntryNote",
        created_at=next((moment for value in moments if (moment := utc(value))), None),
        raw=raw,
    )


def sla(raw: Raw) -> Sla | None:
    """Return the service level of a ticket, None for a ticket without one."""
    name = named(part(raw, "sla"))
    goals = {goal: utc(raw.get(goal)) for goal in ("respondByGoalUTC", "resplanGoalUTC", "resolutionGoalUTC")}
    if not name and not any(goals.values()):
        return None
    kept = raw.get("isInSla")
    return Sla(
        name=name,
        kept=kept if isinstance(kept, bool) else None,
        respond_by=goals["respondByGoalUTC"],
        plan_by=goals["resplanGoalUTC"],
        resolve_by=goals["resolutionGoalUTC"],
        responded_at=utc(raw.get("dateResponded")),
        planned_at=utc(raw.get("dateResplan")),
        resolved_at=utc(raw.get("dateResolved")),
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
        name=text(raw, "name"),
        board_id=board_id,
        closed=raw.get("closedStatus") is True,
        active=raw.get("inactive") is not True,
        time_entry_allowed=raw.get("timeEntryNotAllowed") is not True,
        mails_customer=bool(part(raw, "emailTemplate").get("id")),
        raw=raw,
    )


def member(raw: Raw) -> Member:
    """Return a member of the slim list."""
    full = text(raw, "fullName") or " ".join(
        part for part in (text(raw, "firstName"), text(raw, "lastName")) if part
    )
    identifier = text(raw, "identifier")
    email = text(raw, "defaultEmail").lower()
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
        name=text(raw, "name"),
        record_type=RecordType.PROJECT if raw.get("projectFlag") is True else RecordType.SERVICE,
        active=raw.get("inactiveFlag") is not True,
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
    billable = {word: option for option, word in BILLABLE.items()}
    return TimeEntry(
        id=record_id(raw),
        ticket_id=str(charged) if isinstance(charged, int) else ticket_id,
        member=ref(raw, "member") or Ref("", ""),
        started_at=utc(raw.get("timeStart")),
        ended_at=utc(raw.get("timeEnd")),
        actual_hours=hours(raw.get("actualHours")),
        billed_hours=hours(raw["hoursBilled"]) if raw.get("hoursBilled") is not None else None,
        notes=text(raw, "notes").replace("\r\n", "\n"),
        internal_notes=text(raw, "internalNotes").replace("\r\n", "\n"),
        customer_visible=any(raw.get(flag) is True for flag in TIME_DOORS),
        billable=billable.get(text(raw, "billableOption")),
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


def document(raw: Raw, ticket_id: str) -> Document:
    """Return a file of a ticket. Only one that says it is not public is for staff alone."""
    size = raw.get("size")
    return Document(
        id=record_id(raw),
        ticket_id=ticket_id,
        title=text(raw, "title"),
        file_name=text(raw, "fileName"),
        size=size if isinstance(size, int) and size >= 0 else None,
        customer_visible=raw.get("publicFlag") is not False,
        created_at=utc(raw.get("createdOnDate")) or utc(part(raw, "_info").get("lastUpdated")),
        created_by=text(raw, "owner"),
        raw=raw,
    )
