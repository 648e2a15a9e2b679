"""Owns time entries on their way: what one is planned as, how it is sent, and how it is found again.

A time entry is its engineer's, who need not be the one who posted. Without a mapped member it is never sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from psa.exceptions import InvalidInputError
from psa.outbox.claim import Claim
from psa.outbox.outcome import Health, Next, Outcome
from psa.outbox.text import note_text, printable
from psa.types import BillableOption, RecordType, TimeDraft, TimeEntry, TimePart

MAX_SPAN = timedelta(hours=24)
CLOCKS_DIFFER = timedelta(minutes=5)
"""How far a clock may run ahead of ours before its time counts as the future."""
NOTES_MAX_CHARS = 500
ENTERED_FOR_OTHER = "entered-for-other"
"""Code of the problem of an entry that the PSA gave to another member."""
HELD = {
    "code": "held-for-lead",
    "text": "This time entry waits for a lead.",
    "remedy": "A lead retries it once the period is open, or discards it to leave it out.",
}


def time_payload(part: TimePart) -> dict[str, Any]:
    """Return what is stored of a time entry.

    Raises: InvalidInputError `invalid-time`, naming start, end, deduct_minutes or notes.
    """
    began, ended = (
        moment.astimezone(UTC).replace(microsecond=0) for moment in (part.started_at, part.ended_at)
    )
    notes = " ".join(printable(part.notes).split())
    fields: dict[str, list[str]] = {}
    if ended <= began:
        fields["end"] = ["The end must lie after the start."]
    elif ended - began > MAX_SPAN:
        fields["end"] = ["A time entry covers at most 24 hours."]
    elif not 0 <= part.deduct_s < (ended - began).total_seconds():
        fields["deduct_minutes"] = ["The pauses must be shorter than the time between start and end."]
    if ended > timezone.now() + CLOCKS_DIFFER:
        fields.setdefault("end", ["Time in the future cannot be entered."])
    if len(notes) > NOTES_MAX_CHARS:
        fields["notes"] = [f"At most {NOTES_MAX_CHARS} characters; these are {len(notes)}."]
    if fields:
        raise InvalidInputError(next(iter(fields.values()))[0], code="invalid-time", fields=fields)
    return {
        "engineer": {"id": part.engineer.user_id, "name": part.engineer.name[:200]},
        "started_at": began.isoformat(),
        "ended_at": ended.isoformat(),
        "deduct_s": part.deduct_s,
        "notes": notes,
        "internal_notes": printable(part.internal_notes.replace("\r\n", "\n")).strip(),
        "work_type": part.work_type,
        "work_role": part.work_role,
        "agreement": part.agreement,
        "billable": part.billable.value if part.billable else "",
        "hold": part.hold,
    }


def time_draft(payload: Mapping[str, Any], member_id: str, marker: str = "") -> TimeDraft:
    """Return the entry a payload stands for. Shape: the marker is the last line of its internal notes."""
    billable = payload["billable"]
    return TimeDraft(
        started_at=datetime.fromisoformat(payload["started_at"]),
        ended_at=datetime.fromisoformat(payload["ended_at"]),
        member_id=member_id,
        deduct_s=payload["deduct_s"],
        notes=payload["notes"],
        internal_notes=note_text(payload["internal_notes"], part=1, parts=1, marker=marker).strip(),
        work_type_id=payload["work_type"],
        work_role_id=payload["work_role"],
        agreement_id=payload["agreement"],
        billable=BillableOption(billable) if billable else None,
    )


def time_hours(payload: Mapping[str, Any]) -> float:
    """Return the hours a payload stands for, pauses taken off."""
    began, ended = (datetime.fromisoformat(payload[name]) for name in ("started_at", "ended_at"))
    pauses_s: int = payload["deduct_s"]
    return round(((ended - began).total_seconds() - pauses_s) / 3600, 4)


def time_send(claim: Claim) -> Outcome:
    """Enter the time and return what came of it.

    Raises: ProviderError.
    """
    if not claim.author_member_id:
        return Outcome(
            Next.DEAD,
            "time-not-mapped",
            f"{claim.author_name} is mapped to no member: nobody else's time may be entered for them.",
            "Map them on the members page, then retry; or discard it to leave the time out.",
            Health.NEUTRAL,
        )
    draft = time_draft(claim.payload, claim.author_member_id, claim.marker)
    entry = claim.provider.time_entry_add(claim.ticket_id, RecordType(claim.record_type), draft)
    outcome = _delivered(claim, entry, code="delivered", sent=True)
    if entry.member.id in ("", claim.author_member_id):
        return outcome
    return replace(
        outcome,
        code=ENTERED_FOR_OTHER,
        text=f"The PSA entered this time for {entry.member.name}, not for {claim.author_name}.",
        remedy="Correct or remove the time entry in the PSA.",
    )


def time_look(claim: Claim) -> Outcome:
    """Return DELIVERED when the entry is on the ticket, UNKNOWN with `looked` when it is not.

    Raises: ProviderError, when the ticket's time could not be read: such a look does not count.
    """
    found = claim.provider.time_entry_find(claim.ticket_id, RecordType(claim.record_type), claim.marker)
    if not found:
        return Outcome(Next.UNKNOWN, "not-found", health=Health.GOOD, looked=True)
    oldest = min(found, key=lambda entry: (len(entry.id), entry.id))
    return _delivered(claim, oldest, code="found", looked=True, doubles=len(found) - 1)


def _delivered(claim: Claim, entry: TimeEntry, *, code: str, **facts: Any) -> Outcome:
    leaked = entry.customer_visible
    return Outcome(
        next=Next.DELIVERED,
        code="shown-to-customer" if leaked else code,
        text="The PSA shows the notes of this time entry to the customer." if leaked else "",
        remedy="Open the time entry and take its notes off the ticket now." if leaked else "",
        health=Health.GOOD,
        external_id=entry.id,
        written=entry.notes,
        author_name=claim.author_name,
        author_kind="member",
        **facts,
    )
