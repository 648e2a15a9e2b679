"""Owns the lane of a delivered note while somebody changes it: leased as for a send, and what is kept of it.

What is going on stands in the delivery's payload, so that a process which dies in between leaves a trace:
`correcting` {"what", "by", "at"} while a change is under way or its outcome is unknown, `moving` {"unit",
"ticket"} until a moved note may go here, `corrections` [{"what", "by", "at"}] what was done.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Q

from psa.conf import psa_settings
from psa.database import database_now
from psa.exceptions import ConflictError
from psa.models import AuditEntry, Delivery, TicketLink
from psa.models.delivery import DeliveryState, HeldBy
from psa.outbox.correct import Correction, Place
from psa.outbox.kick import lane_kick
from psa.outbox.lanes import IN_FLIGHT, lane_lock, unit_refresh
from psa.outbox.text import printable
from psa.provider_pool import provider_for
from psa.providers.base import Provider
from psa.providers.write_trace import trace_writes
from psa.redact import redact_text
from psa.signals import delivery_changed
from psa.types import Actor, Note, RecordType

CORRECTING = "correcting"
MOVING = "moving"
CORRECTIONS = "corrections"
UNSETTLED = "correction-unknown"
"""Code of the problem that a change whose outcome nobody knows leaves behind."""
TEXT_KEPT_CHARS = 20_000
"""Characters of a note the audit keeps: more than the longest one has."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A delivered note and its lane, leased by a person."""

    delivery: Delivery
    """With connection, link and unit joined; as it was when the lane was taken."""
    actor: Actor
    what: str
    """`hide`, `correct`, `remove`, `move` or `remove-double`."""
    token: str = field(repr=False)
    place: Place
    earlier: dict[str, Any] | None = None
    """An earlier change of this note whose outcome nobody knows."""


@contextmanager
def lane_held(delivery: Delivery, actor: Actor, what: str) -> Iterator[Hold]:
    """Hold the lane of a delivered note: nothing is sent to its ticket, and nobody else changes the note.

    All calls inside share one deadline, which is shorter than the lease. `hold_close` writes down what came
    of it; without that the lane is given back, and the note stays marked if a write may have left.
    Raises: ConflictError `in-flight`, `not-delivered`; CredentialsUnreadableError.
    """
    provider = provider_for(delivery.connection)
    hold = _take(delivery, provider, actor, what)
    sent = False
    try:
        with provider.http.one_deadline(), trace_writes() as trace:
            try:
                yield hold
            finally:
                sent = trace.sent
    finally:
        _give_up(hold, sent=sent)


def _take(delivery: Delivery, provider: Provider, actor: Actor, what: str) -> Hold:
    with transaction.atomic():
        lane_lock(delivery.link_id)
        row = _joined(delivery.pk)
        if row.state != DeliveryState.DELIVERED:
            raise ConflictError("This note is not on the ticket.", code="not-delivered")
        now = database_now()
        token = secrets.token_hex(16)
        busy = Delivery.objects.filter(link_id=row.link_id, state__in=IN_FLIGHT).exists()
        free = TicketLink.objects.filter(pk=row.link_id).filter(
            Q(lease_token="") | Q(lease_expires_at__lt=now)
        )
        until = now + timedelta(seconds=psa_settings().LEASE_S)
        if busy or not free.update(lease_token=token, lease_expires_at=until):
            raise ConflictError(
                "Something is being sent to this ticket, or changed there, right now. Try again shortly.",
                code="in-flight",
            )
        earlier = row.payload.get(CORRECTING)
        marked = {**row.payload, CORRECTING: _mark(what, actor, now)}
        Delivery.objects.filter(pk=row.pk).update(payload=marked)
    place = Place(provider, row.link.ticket_id, RecordType(row.link.record_type))
    return Hold(row, actor, what, token, place, earlier)


def _joined(pk: int) -> Delivery:
    return Delivery.objects.select_related("connection", "link", "unit").get(pk=pk)


def _mark(what: str, actor: Actor, now: datetime) -> dict[str, str]:
    return {"what": what, "by": actor.name, "at": f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"}


def _give_up(hold: Hold, *, sent: bool) -> None:
    """Give back a lane that was not closed; what may have been sent stays marked."""
    with transaction.atomic():
        if not _lane_back(hold):
            return
        row = _joined(hold.delivery.pk)
        if sent:
            _mark_unsettled(row)
        else:
            _unmark(row, hold)
        row.save(update_fields=["payload", "problem"])


def _lane_back(hold: Hold) -> bool:
    """Give the lane back; False when that is done already, or the lease ended and somebody else has it."""
    link_id = hold.delivery.link_id
    lane_lock(link_id)
    mine = TicketLink.objects.filter(pk=link_id, lease_token=hold.token)
    given = mine.update(lease_token="", lease_expires_at=None, cache_epoch=F("cache_epoch") + 1)
    if given:
        lane_kick(link_id)
    return bool(given)


def _unmark(row: Delivery, hold: Hold) -> None:
    """Take the mark away, or put back the one that was there before."""
    payload = {name: value for name, value in row.payload.items() if name != CORRECTING}
    row.payload = {**payload, CORRECTING: hold.earlier} if hold.earlier else payload


def _mark_unsettled(row: Delivery) -> None:
    if row.problem is None:
        row.problem = {
            "code": UNSETTLED,
            "text": "Somebody changed this note, and the PSA gave no clear answer.",
            "remedy": "Do the same again: the ticket is looked at first, and nothing is done twice.",
        }


def hold_close(hold: Hold, result: Correction, *, done: str = "", **values: Any) -> bool:
    """Write down what came of a change and give the lane back; False when that was too late.

    Shape: done (`hidden`, `corrected`, …) is what people read of it. values are new columns of the delivery,
        for a change that nothing stopped; `payload` is merged into the one there is, where a None takes a
        name out.
    Runs in the caller's transaction, as its last step.
    """
    if not _lane_back(hold):
        return False
    row = _joined(hold.delivery.pk)
    before = row.state
    if result.unknown:
        _mark_unsettled(row)
    elif result.error is not None:
        _unmark(row, hold)
    else:
        payload = {**row.payload, **values.pop("payload", {}), CORRECTING: None}
        if done:
            said = _mark(done, hold.actor, database_now())
            payload[CORRECTIONS] = [*row.payload.get(CORRECTIONS, []), said]
        row.payload = {name: value for name, value in payload.items() if value is not None}
        if row.problem and row.problem.get("code") == UNSETTLED:
            row.problem = None
        for name, value in values.items():
            setattr(row, name, value)
    changed = () if result.error else tuple(values)
    row.save(update_fields={"payload", "problem", *changed})
    if row.state != before:
        unit_refresh(row.unit_id)
        transaction.on_commit(lambda: delivery_changed.send_robust(Delivery, delivery=row), robust=True)
    return True


def gone(reason: str) -> dict[str, Any]:
    """Return the columns of a delivery whose note was taken off its ticket."""
    return {
        "state": DeliveryState.DISCARDED,
        "discard_reason": reason[:300],
        "held_by": HeldBy.NOTHING,
        "problem": None,
        "recheck_at": None,
    }


def audit(hold: Hold, result: Correction, *, done: str, asked: str, text: str | None = None) -> None:
    """Store one entry for each write that was made, refused, or may have been made.

    Shape: done and asked are verbs: `note.hidden`, and `note.hide` for `note.hide-refused` and
        `note.hide-unknown`; text is the new one that was asked for.
    """
    entries = []
    for change in result.changes:
        facts: dict[str, Any] = {} if change.sent else {"already": True}
        after = change.after
        visible = after is not None and after.customer_visible
        entries.append(_entry(hold, done, change.before, after.text if after else None, visible, facts))
    if result.error is None and not entries:
        entries.append(_entry(hold, done, None, None, False, {"already": True}))
    if result.error is not None and (result.refused or result.unknown):
        verb = f"{asked}-refused" if result.refused else f"{asked}-unknown"
        note = result.stopped_at
        visible_now = note.customer_visible if note and result.refused else None
        facts = {"error": redact_text(result.error.message, max_chars=500)}
        entries.append(_entry(hold, verb, note, text, visible_now, facts))
    AuditEntry.objects.bulk_create(entries)


def _entry(
    hold: Hold, verb: str, note: Note | None, after: str | None, visible: bool | None, facts: dict[str, Any]
) -> AuditEntry:
    row = hold.delivery
    if hold.earlier:
        facts = {**facts, "earlier": hold.earlier}
    return AuditEntry(
        tenant_id=row.tenant_id,
        connection_id=row.connection_id,
        actor_id=hold.actor.user_id,
        actor_name=hold.actor.name[:200],
        verb=verb,
        object_type="delivery",
        object_id=str(row.pk),
        ticket_id=row.link.ticket_id,
        kind=row.kind,
        shown_as=row.author_name,
        customer_visible=visible,
        mailed=False,
        facts={
            "delivery": row.pk,
            "unit": row.unit_id,
            "external_id": note.id[:60] if note else row.external_id,
            "before": kept_text(note.text) if note else None,
            "after": None if after is None else kept_text(after),
            "mailed_before": bool(row.payload.get("notify")),
            **facts,
        },
    )


def kept_text(text: str) -> str:
    """Return a text as the audit keeps it: without secrets, and of characters every database takes."""
    return redact_text(printable(text), max_chars=TEXT_KEPT_CHARS)
