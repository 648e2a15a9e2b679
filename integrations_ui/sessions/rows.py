"""Owns how a session and its deliveries are shown: words, what may be done about them, when to look again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from django.db.models import CharField, Count, Q, QuerySet, Value
from django.db.models.functions import Cast, Concat
from django.utils import timezone

from integrations_ui.wording import KINDS, delivery_words
from psa import selectors
from psa.types import Scope, Tenant
from resolutionflow.sessions.models import FlowSession

OPEN_STATES = ("ready", "sending", "retrying", "unknown")
"""States a delivery leaves by itself."""
FOR_A_PERSON = ("permission", "mapping")
"""What holds a delivery until a person does something elsewhere."""
SOON_S, LATER_S = 3, 20
"""Seconds until a page asks again: while something moves, and while it waits for the PSA or a person."""

_CHANGED_MEANWHILE = ("already-closed", "board-changed")
"""Problems by which a status asks whether it is wanted all the same."""


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One delivery as a page shows it."""

    delivery: Any
    kind: str
    words: str
    tone: str
    text: str
    """What happened, as a sentence; empty when the words say it all."""
    remedy: str
    next_at: datetime | None
    """When it is tried or looked up next, None when that is not a matter of time."""
    can_retry: bool
    can_edit: bool
    can_discard: bool
    asks_first: bool
    """True for a status that waits for a yes."""
    may_act: bool = False
    """True for whoever may change it, and read everything about it."""
    shown_text: str = ""
    """Text of a note or of a time entry, for whoever may change it."""
    status: str = ""
    """Name of the status the ticket has got, or is to get; empty while only its id is known."""


@dataclass(frozen=True, slots=True)
class UnitRow:
    """What a person posted at once."""

    unit: Any
    rows: Sequence[DeliveryRow]

    @property
    def link(self) -> Any:
        """The ticket it goes to."""
        return self.rows[0].delivery.link


@dataclass(frozen=True, slots=True)
class Board:
    """All deliveries of a session, the newest unit first."""

    units: Sequence[UnitRow]
    poll_s: int
    """Seconds until a page asks again; 0 when nothing changes by itself any more."""
    state: str
    """Fingerprint of what is shown: the same one means that nothing changed."""

    @property
    def needs_person(self) -> int:
        """How many deliveries somebody has to decide about."""
        return sum(row.delivery.state == "dead" for unit in self.units for row in unit.rows)


def session_board(scope: Scope, session: FlowSession) -> Board:
    """Return the deliveries of a session. Costs one query; engineers may change their own only."""
    found = selectors.unit_origin_deliveries(scope.tenant, session.origin).order_by("-unit_id", "seq")
    units: dict[int, list[Any]] = {}
    for delivery in found:
        units.setdefault(delivery.unit_id, []).append(delivery)
    rows = [
        UnitRow(deliveries[0].unit, [delivery_row(scope, delivery) for delivery in deliveries])
        for deliveries in units.values()
    ]
    every = [row for unit in rows for row in unit.rows]
    return Board(rows, _poll_s(every), _state(every))


def delivery_row(scope: Scope, delivery: Any) -> DeliveryRow:
    """Return one delivery as a page shows it. Needs connection, link and unit joined."""
    held = selectors.delivery_held_by(delivery)
    words, tone = _words(delivery, held)
    problem = delivery.problem or {}
    text, remedy = str(problem.get("text") or ""), str(problem.get("remedy") or "")
    if delivery.state == "discarded":
        text, remedy = delivery.discard_reason, ""
    mine = may_act(scope, delivery)
    dead = delivery.state == "dead"
    return DeliveryRow(
        delivery=delivery,
        kind=KINDS.get(delivery.kind, delivery.kind),
        words=words,
        tone=tone,
        text=text,
        remedy=remedy,
        next_at=_next_at(delivery, held),
        can_retry=mine
        and (dead or delivery.state == "retrying" or (delivery.state == "ready" and held in FOR_A_PERSON)),
        can_edit=mine and dead and delivery.is_note,
        can_discard=mine and (dead or delivery.state in ("ready", "retrying")),
        asks_first=dead and problem.get("code") in _CHANGED_MEANWHILE,
        may_act=mine,
        shown_text=_shown_text(delivery) if mine else "",
        status=_status(delivery),
    )


def _shown_text(delivery: Any) -> str:
    """Return what a delivery says: time what prints on the invoice and what staff read, a file its name."""
    payload = delivery.payload
    if delivery.kind == "document":
        return str(payload.get("file_name", ""))
    if delivery.kind != "time":
        return str(payload.get("text", "")) if delivery.is_note else ""
    notes = payload.get("notes") or "nothing"
    return f"Prints on the invoice: {notes}\n\nStaff only:\n{payload.get('internal_notes', '')}"


def may_act(scope: Scope, delivery: Any) -> bool:
    """True when a person may change a delivery: their own, or anyone's for leads."""
    return scope.can_lead or (
        delivery.created_by_id is not None and delivery.created_by_id == scope.actor.user_id
    )


def needing_person(account: Any, found: QuerySet[FlowSession]) -> QuerySet[FlowSession]:
    """Keep the sessions that have a delivery somebody has to do something about."""
    stuck = selectors.deliveries(account).filter(Q(state="dead") | Q(state="ready", held_by__in=FOR_A_PERSON))
    origin = Concat(Value("session:"), Cast("pk", CharField()), output_field=CharField())
    return found.alias(origin_text=origin).filter(origin_text__in=stuck.order_by().values("unit__origin"))


def summaries(tenant: Tenant, sessions: Iterable[FlowSession]) -> dict[int, tuple[str, str]]:
    """Return words and tone of what each session posted: the state that matters most. Costs two queries."""
    wanted = {session.origin: session.pk for session in sessions}
    if not wanted:
        return {}
    known = {connection.pk: connection for connection in selectors.connections(tenant)}
    counted = (
        selectors.deliveries(tenant)
        .filter(unit__origin__in=wanted)
        .order_by()
        .values("unit__origin", "state", "held_by", "connection_id")
        .annotate(number=Count("pk"))
    )
    best: dict[int, tuple[int, tuple[str, str]]] = {}
    for row in counted:
        held, connection = row["held_by"], known.get(row["connection_id"])
        flows = connection is not None and selectors.connection_flows(connection)
        if row["state"] in OPEN_STATES and held in ("", "earlier") and not flows:
            held = "connection"
        rank = _RANKS.index(row["state"]) * 2 + (held in ("", "earlier", "dead"))
        words = _summary(row["state"], held, connection)
        session_id = wanted[row["unit__origin"]]
        if session_id not in best or rank < best[session_id][0]:
            best[session_id] = (rank, words)
    return {session_id: words for session_id, (_, words) in best.items()}


_RANKS = ("dead", "unknown", "retrying", "ready", "sending", "delivered", "discarded")
"""States of deliveries, the one that says most about a session first."""


def _summary(state: str, held: str, connection: Any) -> tuple[str, str]:
    if held == "connection" and connection is not None and state in OPEN_STATES:
        return f"Waiting for {connection.name}", "wait"
    return delivery_words(state, held if held not in ("earlier", "dead") else "")


def _words(delivery: Any, held: str) -> tuple[str, str]:
    if held == "connection" and delivery.state != "sending":
        return f"Waiting for {delivery.connection.name}", "wait"
    return delivery_words(delivery.state, held)


def _status(delivery: Any) -> str:
    wanted = str(delivery.payload.get("status", ""))
    return delivery.status_seen or ("" if wanted.isdecimal() else wanted)


def _next_at(delivery: Any, held: str) -> datetime | None:
    if held or delivery.state not in ("ready", "retrying", "unknown"):
        return None
    waits = (delivery.due_at, delivery.connection.not_before, delivery.connection.open_until)
    moment = max(moment for moment in waits if moment)
    return moment if moment > timezone.now() else None


def _poll_s(rows: Sequence[DeliveryRow]) -> int:
    opened = [row for row in rows if row.delivery.state in OPEN_STATES]
    held = [selectors.delivery_held_by(row.delivery) for row in opened]
    if any(reason in ("", "earlier") for reason in held):
        return SOON_S
    # What waits for a dead part moves only when somebody decides, and then the page is loaded anew.
    return LATER_S if any(reason != "dead" for reason in held) else 0


def _state(rows: Sequence[DeliveryRow]) -> str:
    facts = [
        (row.delivery.pk, row.words, row.text, row.can_retry, str(row.next_at), row.delivery.status_seen)
        for row in rows
    ]
    return sha256(repr(facts).encode()).hexdigest()[:16]
