"""Owns how deliveries are listed: filters, what was tried in words, and when a page looks again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Any

from django import forms
from django.db.models import Count, Q, QuerySet
from django.utils.http import urlencode

from integrations_ui.dates import day_end, day_start
from integrations_ui.sessions.rows import (
    FOR_A_PERSON,
    LATER_S,
    OPEN_STATES,
    SOON_S,
    DeliveryRow,
    delivery_row,
)
from integrations_ui.wording import KINDS
from psa import selectors
from psa.types import Scope, Tenant
from resolutionflow.accounts.people import people

_NEEDS_YOU = Q(state="dead") | Q(state="ready", held_by__in=FOR_A_PERSON)
_WAITING = Q(state="retrying") | (Q(state="ready") & ~Q(held_by__in=("", *FOR_A_PERSON)))
STATE_FILTERS: Mapping[str, tuple[str, Q]] = {
    "way": ("On its way", Q(state__in=OPEN_STATES)),
    "queued": ("Queued", Q(state="ready", held_by="")),
    "sending": ("Sending", Q(state="sending")),
    "waiting": ("Waiting", _WAITING),
    "checking": ("Checking", Q(state="unknown")),
    "needs-you": ("Needs you", _NEEDS_YOU),
    "delivered": ("Delivered", Q(state="delivered")),
    "not-posted": ("Not posted", Q(state="discarded")),
}
"""Value of the filter → words and condition. What a connection that stands still holds counts as queued."""

ATTEMPTS = {
    "delivered": ("Posted", "good"),
    "found": ("Found on the ticket", "good"),
    "already-there": ("Was set already", "good"),
    "moved-on": ("Set, and moved on by the PSA", "good"),
    "entered-for-other": ("Entered for somebody else", "bad"),
    "shown-to-customer": ("Posted, and shown to the customer", "bad"),
    "not-found": ("Not on the ticket", "info"),
    "outcome-unknown": ("No clear answer", "wait"),
    "psa-busy": ("The PSA was busy", "wait"),
    "unreachable": ("Not reachable", "wait"),
    "unavailable": ("No usable answer", "wait"),
    "rate-limited": ("Asked us to wait", "wait"),
    "moved": ("Being upgraded, or moved", "wait"),
    "host-not-allowed": ("Address not allowed", "bad"),
    "certificate": ("Certificate not trusted", "bad"),
    "keys-refused": ("Keys refused", "bad"),
    "client-id-refused": ("Client ID refused", "bad"),
    "credentials-unreadable": ("Stored keys unreadable", "bad"),
    "psa-permission": ("Permission missing", "bad"),
    "ticket-gone": ("Ticket not found", "bad"),
    "ticket-merged": ("Ticket was merged", "info"),
    "ticket-converted": ("Ticket was converted", "info"),
    "already-closed": ("Ticket was closed", "wait"),
    "board-changed": ("Ticket is on another board", "wait"),
    "status-unchanged": ("The PSA kept the old status", "bad"),
    "psa-refused": ("Refused by the PSA", "bad"),
    "unsupported": ("Not offered by this PSA", "bad"),
    "worker-lost": ("The worker stopped in between", "wait"),
    "lease-too-short": ("Held up, nothing was sent", "wait"),
    "unexpected-error": ("Went wrong on our side", "bad"),
}
"""Outcome of an attempt → words, tone."""

ACTIONS = {"send": "Send", "look": "Look"}
"""What an attempt did → words."""

ATTEMPTS_SHOWN = 50
"""Attempts a page shows of one delivery, the newest."""


@dataclass(frozen=True, slots=True)
class ActivityRow:
    """One delivery of the list."""

    row: DeliveryRow
    attempts: int
    """How often it was sent or looked for."""


@dataclass(frozen=True, slots=True)
class AttemptLine:
    """One try at a delivery, or one look for it."""

    attempt: Any
    action: str
    words: str
    tone: str
    text: str
    answer: str
    """The PSA's own words."""

    @property
    def duration(self) -> str:
        """How long it took: "84 ms", "5.2 s"."""
        ms: int = self.attempt.duration_ms
        return f"{ms} ms" if ms < 1000 else f"{ms / 1000:.1f} s"


class ActivityFilter(forms.Form):
    """The filters of the list. What is wrong with one is said, and that one does not count."""

    state = forms.ChoiceField(required=False, label="State")
    person = forms.TypedChoiceField(required=False, coerce=int, empty_value=None, label="Posted by")
    ticket = forms.CharField(required=False, max_length=40, label="Ticket")
    kind = forms.ChoiceField(required=False, label="Kind")
    since = forms.DateField(required=False, label="From", widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(required=False, label="To", widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, scope: Scope, data: Any) -> None:
        super().__init__(data, auto_id="filter-%s")
        choices: dict[str, list[tuple[Any, str]]] = {
            "state": [("", "Any"), *((value, words) for value, (words, _q) in STATE_FILTERS.items())],
            "kind": [("", "Any"), *KINDS.items()],
            "person": [("", "Anybody")],
        }
        if scope.can_lead:
            choices["person"] += [(person.id, person.name) for person in people(scope.tenant)]
        else:
            del self.fields["person"]
        for name, found in choices.items():
            if name in self.fields:
                self.fields[name].choices = found  # type: ignore[attr-defined]
        self.fields["ticket"].widget.attrs |= {"inputmode": "numeric", "placeholder": "Number"}

    @property
    def values(self) -> dict[str, Any]:
        """What counts: the filters that are set and make sense."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value not in ("", None)}

    @property
    def query(self) -> str:
        """The filters as a query string that goes before another parameter: `state=dead&`."""
        found = {
            name: value.isoformat() if isinstance(value, date) else value
            for name, value in self.values.items()
        }
        return f"{urlencode(found)}&" if found else ""

    def apply(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return the deliveries that the filters let through."""
        values = self.values
        if "state" in values:
            rows = rows.filter(STATE_FILTERS[values["state"]][1])
        if "person" in values:
            rows = rows.filter(created_by_id=values["person"])
        if "ticket" in values:
            rows = rows.filter(link__ticket_id=values["ticket"].strip().lstrip("#"))
        if "kind" in values:
            rows = rows.filter(kind=values["kind"])
        if "since" in values:
            rows = rows.filter(created_at__gte=day_start(values["since"]))
        if "until" in values:
            rows = rows.filter(created_at__lt=day_end(values["until"]))
        return rows


def visible_deliveries(scope: Scope) -> QuerySet[Any]:
    """Return the deliveries a person may see: everybody's for leads, else their own."""
    found = selectors.deliveries(scope.tenant)
    return found if scope.can_lead else found.filter(created_by_id=scope.actor.user_id)


def activity_rows(scope: Scope, found: Iterable[Any]) -> list[ActivityRow]:
    """Return deliveries as the list shows them. Costs one query beyond theirs."""
    deliveries = list(found)
    counts = attempt_counts(scope.tenant, [delivery.pk for delivery in deliveries])
    return [ActivityRow(delivery_row(scope, delivery), counts.get(delivery.pk, 0)) for delivery in deliveries]


def attempt_counts(tenant: Tenant, ids: Sequence[int]) -> dict[int, int]:
    """Return how many attempts each delivery has."""
    rows = selectors.deliveries(tenant).filter(pk__in=ids).order_by()
    return dict(rows.values_list("pk").annotate(Count("attempt_rows")))


def attempt_lines(delivery: Any) -> list[AttemptLine]:
    """Return the newest attempts at a delivery, the last one first."""
    return [_attempt_line(row) for row in delivery.attempt_rows.order_by("-pk")[:ATTEMPTS_SHOWN]]


def poll_s(rows: Iterable[DeliveryRow]) -> int:
    """Return in how many seconds a page with these rows asks again; 0 when nothing changes by itself."""
    held = [selectors.delivery_held_by(row.delivery) for row in rows if row.delivery.state in OPEN_STATES]
    if any(reason in ("", "earlier") for reason in held):
        return SOON_S
    # What waits for a dead part moves only when somebody decides, and then the page is loaded anew.
    return LATER_S if any(reason != "dead" for reason in held) else 0


def fingerprint(rows: Iterable[DeliveryRow], *more: Any) -> str:
    """Return what tells whether a page would look different now."""
    facts = [
        (
            row.delivery.pk,
            row.words,
            row.text,
            row.can_retry,
            row.delivery.attempts,
            str(row.next_at),
            row.delivery.status_seen,
        )
        for row in rows
    ]
    return sha256(repr((facts, more)).encode()).hexdigest()[:16]


def _attempt_line(row: Any) -> AttemptLine:
    words, tone = ATTEMPTS.get(row.outcome, (row.outcome.replace("-", " ").capitalize(), "info"))
    text, _newline, answer = row.error.partition("\n")
    return AttemptLine(row, ACTIONS.get(row.action, row.action), words, tone, text, answer)
