"""Owns the whole story of one delivery: what was done about it, what took its place, what can be done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.urls import reverse
from django.utils.dateparse import parse_datetime

from integrations_ui.audit_rows import AuditLine, audit_lines
from integrations_ui.sessions.rows import DeliveryRow, delivery_row, may_act
from psa import selectors
from psa.types import Capability, Scope

CORRECTIONS = {
    "hidden": "Hidden from the customer",
    "corrected": "Corrected",
    "moving": "On its way to another ticket",
    "moved": "Moved to another ticket",
    "copied": "Copied to another ticket; the PSA kept it here",
    "removed": "Removed from the ticket",
    "double-removed": "Extra note removed",
}
"""What was done to a note on its ticket → words."""
KIN_SHOWN = 200
"""Deliveries of one piece of work that are looked at: eight parts of each note, and every text they had."""
HISTORY_SHOWN = 100
"""Entries of the audit a page shows of one delivery, the newest."""


@dataclass(frozen=True, slots=True)
class CorrectionLine:
    """One change of a note on its ticket."""

    words: str
    by: str
    at: Any


@dataclass(frozen=True, slots=True)
class Kin:
    """A delivery that belongs to this one."""

    row: DeliveryRow
    relation: str
    """What it is to the one that is shown, in words."""
    visible: bool
    """False for one the person may not open."""


@dataclass(frozen=True, slots=True)
class Offers:
    """What can be done about a note that stands on its ticket."""

    hide: bool = False
    correct: bool = False
    move: bool = False
    remove: bool = False
    remove_extra: bool = False

    def __bool__(self) -> bool:
        return any((self.hide, self.correct, self.move, self.remove, self.remove_extra))


def offers_of(scope: Scope, delivery: Any) -> Offers:
    """Return what the person may do about a delivered note, as far as its provider offers it."""
    on_ticket = delivery.is_note and delivery.state == "delivered" and may_act(scope, delivery)
    connection = delivery.connection
    if not on_ticket or connection.deleted_at is not None or connection.state == "disabled":
        return Offers()
    provider = next((cls for cls in selectors.provider_classes() if cls.key == connection.provider), None)
    if provider is None:
        return Offers()
    changes = Capability.NOTE_CHANGES in provider.capabilities
    removal = Capability.NOTE_REMOVAL in provider.capabilities
    code = (delivery.problem or {}).get("code", "")
    still = "moving" not in delivery.payload
    return Offers(
        hide=changes and (delivery.kind != "analysis" or code == "shown-to-customer"),
        correct=changes and still,
        move=removal and still,
        remove=removal and still,
        remove_extra=removal and code == "duplicate",
    )


def correction_lines(delivery: Any) -> list[CorrectionLine]:
    """Return what people did to a note on its ticket, in order."""
    return [
        CorrectionLine(
            CORRECTIONS.get(str(entry.get("what")), str(entry.get("what"))),
            str(entry.get("by", "")),
            parse_datetime(str(entry.get("at", ""))),
        )
        for entry in delivery.payload.get("corrections", [])
    ]


def history_lines(scope: Scope, delivery: Any) -> list[AuditLine]:
    """Return what the audit knows of a delivery, the newest first. Costs two queries."""
    found = selectors.audit_entries(scope.tenant).filter(object_type="delivery", object_id=str(delivery.pk))[
        :HISTORY_SHOWN
    ]
    return audit_lines(scope.tenant, found)


def kin_of(scope: Scope, delivery: Any) -> Sequence[Kin]:
    """Return what was posted together with a delivery, what it took the place of, and what took its place.

    Costs two queries, however long the chain is: edits stay in the unit, copies and notes that ask to ignore
    it are one step away.
    """
    unit = selectors.deliveries(scope.tenant).filter(unit_id=delivery.unit_id)
    together = list(unit.order_by("seq")[:KIN_SHOWN])
    ids = [row.pk for row in together]
    before = [row.supersedes_id for row in together if row.supersedes_id and row.supersedes_id not in ids]
    elsewhere = selectors.deliveries(scope.tenant).filter(Q(supersedes_id__in=ids) | Q(pk__in=before))
    every = {row.pk: row for row in (*together, *elsewhere.exclude(pk__in=ids).order_by("pk"))}
    older = _ancestors(delivery, every)
    younger = {row.pk for row in every.values() if delivery.pk in _ancestors(row, every)}
    found = []
    for row in every.values():
        if row.pk == delivery.pk:
            continue
        if row.pk in older or row.pk in younger:
            relation = _relation(row, delivery, is_older=row.pk in older)
        elif row.unit_id == delivery.unit_id:
            relation = "Posted together with it"
        else:
            continue
        found.append(Kin(delivery_row(scope, row), relation, may_act(scope, row)))
    return found


def session_url(delivery: Any) -> str:
    """Return the address of the session a delivery came from, empty when it came from none."""
    kind, _colon, number = delivery.unit.origin.partition(":")
    if kind != "session" or not number.isdecimal() or len(number) > 18:
        return ""
    return reverse("integrations_ui:session", args=[int(number)])


def _ancestors(row: Any, every: dict[int, Any]) -> set[int]:
    found: set[int] = set()
    while row is not None and row.supersedes_id is not None and row.supersedes_id not in found:
        found.add(row.supersedes_id)
        row = every.get(row.supersedes_id)
    return found


def _relation(row: Any, delivery: Any, *, is_older: bool) -> str:
    older, younger = (row, delivery) if is_older else (delivery, row)
    if younger.payload.get("ignores") == older.pk:
        return "The note this one asks to ignore" if is_older else "A note that asks to ignore this one"
    if younger.link_id != older.link_id:
        ticket = row.link.ticket_id
        return f"Where it stood before: ticket {ticket}" if is_older else f"Its copy for ticket {ticket}"
    return "The text before this one" if is_older else "The text that took its place"
