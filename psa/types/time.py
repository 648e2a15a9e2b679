"""Owns time worked on a ticket: what is about to be entered, what was, and what can be chosen."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from psa.types.records import Raw, Ref

OVERRULABLE = ("overlap", "same-day")
"""Codes of objections to time that a person may overrule: they know whether it was another piece of work."""
BINDING = (
    "status-takes-no-time",
    "period-closed",
    "sheet-closed",
    "notes-required",
    "time-disabled",
    "agreement-closed",
)
"""Codes of objections to time for which the PSA would refuse it."""


class BillableOption(StrEnum):
    """Whether the customer pays for time."""

    BILLABLE = "billable"
    DO_NOT_BILL = "do_not_bill"
    """Left off the invoice."""
    NO_CHARGE = "no_charge"
    """Shown on the invoice, at no charge."""


@dataclass(frozen=True, slots=True)
class TimeDraft:
    """A time entry about to be written.

    Units: started_at and ended_at are aware UTC, whole seconds; deduct_s is seconds of pauses between them.
    Shape: notes is one sentence the customer may read (it prints on the invoice) and never holds a step;
        internal_notes is for staff, LF line ends, its last line is the marker. An empty choice is left to the
        PSA.
    """

    started_at: datetime
    ended_at: datetime
    member_id: str
    """Whose time it is. Never empty: time of the API member is nobody's."""
    deduct_s: int = 0
    notes: str = ""
    internal_notes: str = ""
    work_type_id: str = ""
    work_role_id: str = ""
    agreement_id: str = ""
    billable: BillableOption | None = None


@dataclass(frozen=True, slots=True)
class TimeEntry:
    """One time entry as the PSA stored it.

    Units: started_at and ended_at are aware UTC, None when the PSA keeps hours only; hours are decimal hours;
        billed_hours is what the PSA made of actual_hours by its rounding.
    """

    id: str
    ticket_id: str
    member: Ref
    started_at: datetime | None
    ended_at: datetime | None
    actual_hours: Decimal
    billed_hours: Decimal | None = None
    notes: str = ""
    internal_notes: str = ""
    customer_visible: bool = False
    """True when its notes were added to a part of the ticket the customer reads, or mailed to them."""
    billable: BillableOption | None = None
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class TimeChoices:
    """What can be chosen for a member's time on one ticket, and the company's rules for it."""

    work_types: tuple[Ref, ...] = ()
    work_roles: tuple[Ref, ...] = ()
    agreements: tuple[Ref, ...] = ()
    """Open agreements of the ticket's company."""
    rounding_hours: Decimal | None = None
    """Step the PSA rounds actual hours up to, None when it cannot be read."""
    notes_required: bool = False
    disabled: bool = False
    """True when the company does not take time entries at all."""


@dataclass(frozen=True, slots=True)
class TimeObjection:
    """Why the PSA would refuse a time entry, found out before it is sent.

    Shape: code is one of `BINDING` or `OVERRULABLE`.
    """

    code: str
    text: str
    """One sentence: what stands against it, and what to do."""
    entries: tuple[TimeEntry, ...] = ()
    """For `overlap` and `same-day`: what the member has there already."""

    @property
    def binding(self) -> bool:
        """True when the PSA will refuse the entry; False when a person may say that it is right."""
        return self.code not in OVERRULABLE
