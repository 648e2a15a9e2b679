"""Owns the time part of the complete dialog: the form, what it starts from, and what it asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from django import forms
from django.utils.dateparse import parse_datetime

from integrations_ui.sessions.forms import errors_add
from psa import selectors as psa_selectors
from psa.exceptions import InvalidInputError
from psa.types import OVERRULABLE, BillableOption, Capability
from resolutionflow.sessions import services
from resolutionflow.sessions.models import FlowSession
from resolutionflow.sessions.ticket_time import SessionTime

NAMES = (
    "add_time",
    "start",
    "end",
    "deduct_minutes",
    "notes",
    "billable",
    "work_type",
    "work_role",
    "agreement",
    "only_mine",
    "fold",
    "answer",
    "attach_export",
)
"""Fields of the form, as they travel through the preview."""
BILLABLE = [
    ("", "As the PSA decides"),
    (BillableOption.BILLABLE.value, "Billable"),
    (BillableOption.DO_NOT_BILL.value, "Do not bill (left off the invoice)"),
    (BillableOption.NO_CHARGE.value, "No charge (shown on the invoice)"),
]
ANSWERS = {
    "without": "Post without time",
    "hold": "Hold the time for a lead",
    "add": "Add it all the same",
    "skip": "Skip it: it is there already",
}
"""What may be done about what stands against time → words."""
_LOCAL = "%Y-%m-%dT%H:%M"
_BAD_TIME = "Give a date and a time."


@dataclass(frozen=True, slots=True)
class Offers:
    """What the ticket's PSA can take beside notes and status."""

    time: bool = False
    files: bool = False


def offers(session: FlowSession) -> Offers:
    """Return what may be offered for a session's ticket. Asks nobody."""
    link: Any = session.link
    if link is None:
        return Offers()
    found = next(
        (cls for cls in psa_selectors.provider_classes() if cls.key == link.connection.provider), None
    )
    if found is None:
        return Offers()
    return Offers(found.supports(Capability.TIME_ENTRIES), found.supports(Capability.DOCUMENTS))


class MomentInput(forms.DateTimeInput):
    """A date with its time, in the zone of whoever reads the page."""

    input_type = "datetime-local"


class TimeForm(forms.Form):
    """Time for the ticket, and whether the documentation is attached."""

    add_time = forms.BooleanField(required=False, label="Enter my time")
    start = forms.CharField(required=False, label="Start", max_length=40, widget=MomentInput)
    end = forms.CharField(required=False, label="End", max_length=40, widget=MomentInput)
    deduct_minutes = forms.IntegerField(
        required=False, min_value=0, max_value=24 * 60, label="Pauses, in minutes"
    )
    notes = forms.CharField(
        required=False,
        max_length=300,
        label="Sentence for the invoice",
        help_text="The customer reads it. Steps stand in the internal notes only.",
    )
    billable = forms.ChoiceField(required=False, choices=BILLABLE, label="Billing")
    work_type = forms.CharField(required=False, max_length=40, label="Work type")
    work_role = forms.CharField(required=False, max_length=40, label="Work role")
    agreement = forms.CharField(required=False, max_length=40, label="Agreement")
    only_mine = forms.BooleanField(required=False, label="Enter nothing for colleagues")
    fold = forms.ChoiceField(required=False, choices=[("", ""), ("0", ""), ("1", "")])
    answer = forms.ChoiceField(required=False, choices=[("", ""), *ANSWERS.items()])
    attach_export = forms.BooleanField(required=False, label="Attach the session's documentation")

    def __init__(self, data: Any, *, zone: tzinfo, suggested: SessionTime | None, **options: Any) -> None:
        self.zone, self.suggested = zone, suggested
        super().__init__(data, **options)

    def clean(self) -> dict[str, Any]:
        """Read the two times, where time is to be entered."""
        values = super().clean() or self.cleaned_data
        if values.get("add_time"):
            for name in ("start", "end"):
                values[name] = self._moment(name, values.get(name) or "")
        return values

    def wish(self) -> services.TimeWish | None:
        """Return the time that is asked for; None without any."""
        values = self.cleaned_data
        answer = values["answer"]
        if not values["add_time"] or answer == "without":
            return None
        return services.TimeWish(
            start=values["start"],
            end=values["end"],
            deduct_minutes=values["deduct_minutes"] or 0,
            notes=values["notes"],
            billable=BillableOption(values["billable"]) if values["billable"] else None,
            work_type=values["work_type"],
            work_role=values["work_role"],
            agreement=values["agreement"],
            hold=answer == "hold",
            skip=answer == "skip",
            only_mine=values["only_mine"],
            accept=frozenset(OVERRULABLE if answer in ("add", "hold") else ()),
        )

    def refused(self, exc: InvalidInputError) -> bool:
        """Put what was said about time into the form; False when nothing was."""
        if not any(name.startswith("time.") for name in exc.fields):
            return False
        names = {f"time.{name}": name for name in self.fields} | {
            "time.hold": "start",
            "time.accept": "start",
        }
        errors_add(self, exc, names)
        return True

    @property
    def folds(self) -> Sequence[tuple[str, str]]:
        """The two moments a time may mean that the clock showed twice: value, words."""
        for name in ("start", "end"):
            typed = parse(str(self[name].value() or ""))
            if typed is not None and typed.tzinfo is None and _is_twice(typed, self.zone):
                return [
                    (str(fold), f"{typed:%H:%M} {typed.replace(tzinfo=self.zone, fold=fold).tzname()}")
                    for fold in (0, 1)
                ]
        return ()

    def _moment(self, name: str, text: str) -> datetime | None:
        if self.suggested is not None:
            exact = self.suggested.mine.started_at if name == "start" else self.suggested.mine.ended_at
            if text[:16] == local(exact, self.zone):
                return exact
        typed, fold = parse(text), self.data.get("fold")
        if typed is None:
            self.add_error(name, _BAD_TIME)
        elif fold in ("0", "1") and typed.tzinfo is None and _is_twice(typed, self.zone):
            return typed.replace(tzinfo=self.zone, fold=int(fold)).astimezone(UTC)
        return typed


def time_initial(suggested: SessionTime) -> dict[str, Any]:
    """Return what the form starts from: the engineer's own time. It takes a tick to enter it."""
    mine = suggested.mine
    return {
        "deduct_minutes": mine.deduct_s // 60,
        "notes": suggested.notes,
    }


def local(moment: datetime, zone: tzinfo) -> str:
    """Return a time as a field for it holds it."""
    return moment.astimezone(zone).strftime(_LOCAL)


def parse(text: str) -> datetime | None:
    """Return a typed time, None when it is none."""
    try:
        return parse_datetime(text.strip())
    except ValueError:
        return None


def hidden(form: TimeForm) -> Mapping[str, str]:
    """Return the values as they were typed, to travel through the preview; the answer is asked there."""
    return {name: form.data.get(name, "") for name in NAMES if name != "answer" and form.data.get(name)}


def answers(objections: Sequence[Any]) -> list[tuple[str, str]]:
    """Return what may be done about objections: value, words; empty without any."""
    if any(found.binding for found in objections):
        return [(name, ANSWERS[name]) for name in ("without", "hold")]
    return [(name, ANSWERS[name]) for name in ("add", "skip")] if objections else []


def _is_twice(moment: datetime, zone: tzinfo) -> bool:
    first, second = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return False
    return first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == moment
