"""Owns time entries: what can be chosen, what stands against one, entering one and finding it again.

Source: docs/connectwise/quick-reference.md#time-entries
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

from psa.exceptions import (
    NotFoundError,
    ProviderError,
    RejectedError,
    TimeRefusedError,
    UnavailableError,
)
from psa.providers.connectwise import mapping
from psa.providers.connectwise.conditions import all_of, as_id, equals, is_id, since
from psa.providers.connectwise.paging import PAGE_MAX_ROWS
from psa.providers.connectwise.parts import NOT_TOLD, ConnectWisePart
from psa.providers.connectwise.raw_values import record_id, utc
from psa.types import (
    Agreement,
    Raw,
    RecordType,
    Ref,
    Ticket,
    TimeChoices,
    TimeDraft,
    TimeEntry,
    TimeObjection,
)

READ_MAX_PAGES = 5
"""Pages of 1000 entries that are read of one ticket or member."""


SHEET_TAKES = frozenset({"Open", "Rejected"})

SENTENCES = {
    "status-takes-no-time": "The ticket's status takes no time. Change the status, or post without time.",
    "period-closed": "The period of that day is closed in ConnectWise. Post without time, or ask a lead.",
    "sheet-closed": "The time sheet of that week was submitted. Have it reopened, or post without time.",
    "notes-required": "ConnectWise asks for a note on each time entry. Write one sentence for the invoice.",
    "time-disabled": "Time entry is switched off in ConnectWise. Post without time.",
    "agreement-closed": "The agreement cannot be used on that day. Choose another one, or none.",
}

_REFUSALS: tuple[tuple[str, str], ...] = (
    (r"report(ing)? period|period .*(closed|not open)", "period-closed"),
    (r"time ?sheet", "sheet-closed"),
    (r"\bstatus\b", "status-takes-no-time"),
    (r"\bnotes\b.*required", "notes-required"),
    (r"time entry is disabled", "time-disabled"),
    (r"agreement", "agreement-closed"),
)
"""What ConnectWise's words mean; the first that fits."""


class TimeOperations(ConnectWisePart):
    """Time on service tickets, project tickets and project issues."""

    def time_choices(self, ticket: Ticket, member_id: str) -> TimeChoices:
        rules = self._time_rules("time_choices")
        return TimeChoices(
            work_types=self._choices("/time/workTypes/info"),
            work_roles=self._choices("/time/workRoles/info"),
            agreements=tuple(
                Ref(one.id, one.name)
                for one in self._agreements(ticket)
                if one.covers(datetime.now(UTC).date())
            ),
            rounding_hours=mapping.hours(rules.get("roundingFactor")) or None,
            notes_required=rules.get("requireTimeNoteFlag") is True,
            disabled=rules.get("disableTimeEntryFlag") is True,
        )

    def time_check(self, ticket: Ticket, draft: TimeDraft) -> list[TimeObjection]:
        rules = self._time_rules("time_check")
        codes: list[str] = []
        if rules.get("disableTimeEntryFlag") is True:
            codes.append("time-disabled")
        if rules.get("requireTimeNoteFlag") is True and not draft.notes.strip():
            codes.append("notes-required")
        if self._status_takes_no_time(ticket):
            codes.append("status-takes-no-time")
        if self._sheet_closed(draft):
            codes.append("sheet-closed")
        if draft.agreement_id and self._agreement_closed(ticket, draft):
            codes.append("agreement-closed")
        found = [TimeObjection(code, SENTENCES[code]) for code in codes]
        return [*found, *self._objections_of_others(ticket, draft)]

    def time_entries_of(
        self, ticket_id: str, record_type: RecordType, *, member_id: str = "", day: date | None = None
    ) -> list[TimeEntry]:
        conditions = all_of(_charged(ticket_id, record_type), _of_member(member_id))
        found = self._entries(conditions, "time_entries_of", ticket_id)
        return [entry for entry in found if day is None or _day(entry) == day]

    def time_entry_add(self, ticket_id: str, record_type: RecordType, draft: TimeDraft) -> TimeEntry:
        operation = "time_entry_add"
        body = _body(ticket_id, record_type, draft, operation)
        try:
            return self.api.write(
                "POST",
                "/time/entries",
                lambda raw: mapping.time_entry(raw, str(ticket_id)),
                operation=operation,
                json=body,
            )
        except RejectedError as exc:
            raise _known(exc) from exc

    def time_entry_find(self, ticket_id: str, record_type: RecordType, marker: str) -> list[TimeEntry]:
        if not marker.strip():
            raise UnavailableError("Time can only be found by its marker.", operation="time_entry_find")
        # All of the ticket's, and no text filter: no source says that internal notes can be filtered.
        found = self._entries(_charged(ticket_id, record_type), "time_entry_find", ticket_id)
        return [entry for entry in found if marker in entry.internal_notes]

    # What is read on the way --------------------------------------------------------------------

    def _entries(self, conditions: str, operation: str, ticket_id: str = "") -> list[TimeEntry]:
        return self.api.newest(
            "/time/entries",
            lambda raw: mapping.time_entry(raw, str(ticket_id)),
            operation=operation,
            max_pages=READ_MAX_PAGES,
            conditions=conditions,
        )

    def _time_rules(self, operation: str) -> Raw:
        try:
            rows = self.api.page(
                "/system/myCompany/timeExpense", lambda raw: raw, operation=operation, page_size=1
            )
        except NOT_TOLD:
            return {}
        return rows.items[0] if rows.items else {}

    def _choices(self, path: str) -> tuple[Ref, ...]:
        try:
            rows = self.api.full_list(path, lambda raw: raw, operation="time_choices")
        except NOT_TOLD:
            return ()
        active = [row for row in rows if row.get("inactiveFlag") is not True]
        return tuple(Ref(record_id(row), str(row.get("name") or "")) for row in active)

    def _agreements(self, ticket: Ticket) -> list[Agreement]:
        try:
            return self.agreements_of(ticket.company.id) if ticket.company else []
        except NOT_TOLD:
            return []

    def _agreement_closed(self, ticket: Ticket, draft: TimeDraft) -> bool:
        chosen = [one for one in self._agreements(ticket) if one.id == draft.agreement_id]
        return bool(chosen) and not chosen[0].covers(draft.started_at.date())

    def _status_takes_no_time(self, ticket: Ticket) -> bool:
        if ticket.status is None:
            return False
        try:
            statuses = self.statuses_for(ticket)
        except NOT_TOLD:
            return False
        return any(one.id == ticket.status.id and not one.time_entry_allowed for one in statuses)

    def _sheet_closed(self, draft: TimeDraft) -> bool:
        try:
            sheets = self.api.page(
                "/time/sheets",
                lambda raw: raw,
                operation="time_check",
                conditions=_of_member(draft.member_id),
                order_by="id desc",
                page_size=PAGE_MAX_ROWS,
            )
        except NOT_TOLD:
            return False
        day = draft.started_at.date()
        for sheet in sheets.items:
            first, last = utc(sheet.get("dateStart")), utc(sheet.get("dateEnd"))
            if first and last and first.date() <= day <= last.date():
                return sheet.get("status") not in SHEET_TAKES
        return False

    def _objections_of_others(self, ticket: Ticket, draft: TimeDraft) -> list[TimeObjection]:
        """Return what the member entered already that may be the same time."""
        from_day = draft.started_at - timedelta(days=1)
        conditions = all_of(_of_member(draft.member_id), since("timeStart", from_day))
        try:
            entries = self._entries(conditions, "time_check")
        except NOT_TOLD:
            return []
        overlapping = tuple(entry for entry in entries if _overlaps(entry, draft))
        same_day = tuple(
            entry
            for entry in entries
            if entry not in overlapping
            and entry.ticket_id == ticket.id
            and _day(entry) == draft.started_at.date()
        )
        found: list[TimeObjection] = []
        if overlapping:
            text = f"At that time there is an entry already: {_told(overlapping)}."
            found.append(TimeObjection("overlap", text, overlapping))
        if same_day:
            text = f"On that day there is time on this ticket already: {_told(same_day)}."
            found.append(TimeObjection("same-day", text, same_day))
        return found


def _charged(ticket_id: str, record_type: RecordType) -> str:
    """Return the filter for a ticket's entries. Raises: NotFoundError for an id that no ticket can have."""
    kind = mapping.CHARGE_TYPES[record_type]
    try:
        return all_of(is_id("chargeToId", ticket_id), equals("chargeToType", kind))
    except ValueError as exc:
        raise NotFoundError(f"There is no ticket {str(ticket_id)[:40]!r}.") from exc


def _of_member(member_id: str) -> str:
    try:
        return is_id("member/id", member_id) if member_id else ""
    except ValueError as exc:
        raise _refused("member", "There is no such member.", "time_entries_of") from exc


def _body(ticket_id: str, record_type: RecordType, draft: TimeDraft, operation: str) -> dict[str, Any]:
    if not draft.member_id:
        raise _refused("member", "A time entry needs the member whose time it is.", operation)
    span_s = (draft.ended_at - draft.started_at).total_seconds()
    if not 0 <= draft.deduct_s < span_s:
        raise _refused("end", "The end must lie after the start by more than the pauses.", operation)
    chosen = {
        "member": draft.member_id,
        "work_type": draft.work_type_id,
        "work_role": draft.work_role_id,
        "agreement": draft.agreement_id,
    }
    ids: dict[str, int] = {}
    for name, value in chosen.items():
        try:
            ids |= {name: as_id(value)} if value else {}
        except ValueError as exc:
            raise _refused(name, f"There is no such {name.replace('_', ' ')}.", operation) from exc
    try:
        ticket = as_id(ticket_id)
    except ValueError as exc:
        raise NotFoundError(f"There is no ticket {str(ticket_id)[:40]!r}.") from exc
    return mapping.time_body(ticket, record_type, draft, ids)


def _known(exc: RejectedError) -> ProviderError:
    """Return a refusal with the code of what stands against the entry, where ConnectWise's words tell."""
    words = f"{exc.vendor_text} {exc.message}"
    for pattern, code in _REFUSALS:
        if re.search(pattern, words, re.IGNORECASE):
            return TimeRefusedError(
                SENTENCES[code],
                objection=code,
                fields=exc.fields,
                operation=exc.operation,
                status=exc.status,
                request_id=exc.request_id,
                vendor_text=exc.vendor_text,
            )
    return exc


def _overlaps(entry: TimeEntry, draft: TimeDraft) -> bool:
    if entry.started_at is None or entry.ended_at is None:
        return False
    return entry.started_at < draft.ended_at and draft.started_at < entry.ended_at


def _day(entry: TimeEntry) -> date | None:
    return entry.started_at.date() if entry.started_at else None


def _told(entries: tuple[TimeEntry, ...]) -> str:
    return ", ".join(_one_told(entry) for entry in entries[:3])


def _one_told(entry: TimeEntry) -> str:
    told = f"{entry.actual_hours:.2f} h"
    if entry.ticket_id:
        told += f" on ticket {entry.ticket_id}"
    if entry.started_at and entry.ended_at:
        told += f", {entry.started_at:%H:%M}–{entry.ended_at:%H:%M} UTC"
    return told


def _refused(field: str, sentence: str, operation: str) -> ProviderError:
    return RejectedError(sentence, fields={field: [sentence]}, operation=operation)
