"""Owns the dummy's time entries: a closed period, statuses without time, and what a member did already."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime
from decimal import ROUND_CEILING, Decimal

from psa.exceptions import NotFoundError, RejectedError, TimeRefusedError
from psa.providers.base import Provider
from psa.providers.dummy.server import DummyServer
from psa.types import Agreement, RecordType, Ref, Ticket, TimeChoices, TimeDraft, TimeEntry, TimeObjection

ROUNDING_HOURS = Decimal("0.25")
WORK_TYPES = (Ref("1", "Remote"), Ref("2", "On-site"))
AGREEMENTS = (
    Agreement("2", "Managed services"),
    Agreement("1", "Block hours 2025", active=False, ends_at=datetime(2025, 12, 31, tzinfo=UTC)),
)
"""Of every company."""
WORK_ROLES = (Ref("1", "Engineer"),)


class DummyTime(Provider):
    """Time in memory; `provider.DummyProvider` puts it together with the rest."""

    server: DummyServer
    _reading: Callable[[str], AbstractContextManager[None]]
    _writing: Callable[[str], AbstractContextManager[None]]
    _place: Callable[[str, RecordType], tuple[RecordType, str]]

    def time_choices(self, ticket: Ticket, member_id: str) -> TimeChoices:
        with self._reading("time_choices"):
            running = tuple(Ref(one.id, one.name) for one in AGREEMENTS if one.active)
            return TimeChoices(WORK_TYPES, WORK_ROLES, running, ROUNDING_HOURS, notes_required=False)

    def agreements_of(self, company_id: str) -> list[Agreement]:
        with self._reading("agreements_of"):
            if company_id not in self.server.companies:
                raise NotFoundError(f"There is no company {str(company_id)[:40]}.", status=404)
            return list(AGREEMENTS)

    def time_check(self, ticket: Ticket, draft: TimeDraft) -> list[TimeObjection]:
        with self._reading("time_check"):
            return [*self._binding(ticket, draft), *self._entered(ticket, draft)]

    def time_entries_of(
        self, ticket_id: str, record_type: RecordType, *, member_id: str = "", day: date | None = None
    ) -> list[TimeEntry]:
        with self._reading("time_entries_of"):
            place = self._place(ticket_id, record_type)
            return [
                entry
                for entry in reversed(self.server.times.get(place, []))
                if member_id in ("", entry.member.id)
                and (day is None or (entry.started_at is not None and entry.started_at.date() == day))
            ]

    def time_entry_add(self, ticket_id: str, record_type: RecordType, draft: TimeDraft) -> TimeEntry:
        span_s = int((draft.ended_at - draft.started_at).total_seconds())
        if not 0 <= draft.deduct_s < span_s:
            raise _refused("end", "The end must lie after the start by more than the pauses.")
        with self._writing("time_entry_add"):
            place = self._place(ticket_id, record_type)
            member = self.server.members.get(draft.member_id)
            if member is None or not member.active:
                raise _refused("member", "There is no such active member.")
            for objection in self._binding(self.server.tickets[place], draft):
                raise TimeRefusedError(objection.text, objection=objection.code)
            hours = Decimal(span_s - draft.deduct_s) / 3600
            steps = (hours / ROUNDING_HOURS).to_integral_value(ROUND_CEILING)
            entry = TimeEntry(
                id=str(7001 + sum(len(entries) for entries in self.server.times.values())),
                ticket_id=place[1],
                member=Ref(member.id, member.name),
                started_at=draft.started_at,
                ended_at=draft.ended_at,
                actual_hours=round(hours, 4),
                billed_hours=steps * ROUNDING_HOURS,
                notes=draft.notes,
                internal_notes=draft.internal_notes,
                billable=draft.billable,
            )
            self.server.times.setdefault(place, []).append(entry)
            return entry

    def time_entry_find(self, ticket_id: str, record_type: RecordType, marker: str) -> list[TimeEntry]:
        with self._reading("time_entry_find"):
            place = self._place(ticket_id, record_type)
            return [entry for entry in self.server.times.get(place, []) if marker in entry.internal_notes]

    def _binding(self, ticket: Ticket, draft: TimeDraft) -> list[TimeObjection]:
        found: list[TimeObjection] = []
        if ticket.status is not None and not ticket.status.time_entry_allowed:
            text = f"The status {ticket.status.name} takes no time entries."
            found.append(TimeObjection("status-takes-no-time", text))
        chosen = [one for one in AGREEMENTS if one.id == draft.agreement_id]
        if draft.agreement_id and not (chosen and chosen[0].covers(draft.started_at.date())):
            found.append(TimeObjection("agreement-closed", "The agreement cannot be used on that day."))
        closed_before = self.server.time_closed_before
        if closed_before is not None and draft.started_at.date() < closed_before:
            text = f"The period of {draft.started_at:%d %b %Y} is closed."
            found.append(TimeObjection("period-closed", text))
        return found

    def _entered(self, ticket: Ticket, draft: TimeDraft) -> list[TimeObjection]:
        every = [entry for entries in self.server.times.values() for entry in entries]
        mine = [entry for entry in every if entry.member.id == draft.member_id and entry.started_at]
        overlap = tuple(
            entry
            for entry in mine
            if entry.started_at
            and entry.ended_at
            and entry.started_at < draft.ended_at
            and draft.started_at < entry.ended_at
        )
        same_day = tuple(
            entry
            for entry in mine
            if entry not in overlap
            and entry.ticket_id == ticket.id
            and entry.started_at
            and entry.started_at.date() == draft.started_at.date()
        )
        found: list[TimeObjection] = []
        if overlap:
            found.append(TimeObjection("overlap", "At that time there is an entry already.", overlap))
        if same_day:
            text = "On that day there is time on this ticket already."
            found.append(TimeObjection("same-day", text, same_day))
        return found


def _refused(field: str, sentence: str) -> RejectedError:
    return RejectedError(sentence, fields={field: [sentence]})
