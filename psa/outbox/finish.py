"""Owns what is written down after an attempt. A worker whose lease was taken over changes nothing."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from psa.conf import psa_settings
from psa.models import AuditEntry, Connection, Delivery, DeliveryAttempt, TicketLink
from psa.models.delivery import DeliveryKind, DeliveryState, HeldBy
from psa.outbox import health, statements
from psa.outbox.claim import Claim
from psa.outbox.hold import kept_text
from psa.outbox.lanes import hold_rest, lanes_promote
from psa.outbox.merge import lane_follow, snapshot
from psa.outbox.outcome import POISON, Next, Outcome, backoff_s
from psa.outbox.recheck import duplicate_problem
from psa.outbox.text import printable
from psa.outbox.time_entry import time_hours
from psa.signals import delivery_changed
from psa.types import NoteKind

RECHECK_AFTER = timedelta(minutes=5)
"""When a delivery that was sent twice is looked at again: the PSA may commit the first write late."""

UNREADABLE_WAIT_S = 1.0
"""Least wait after a look that could not read the ticket, however short the looks are set."""

WRITTEN = (
    "state",
    "due_at",
    "problem",
    "sends",
    "attempts",
    "looks",
    "held_by",
    "held_since",
    "delivered_at",
    "external_id",
    "author_name",
    "author_kind",
    "status_seen",
    "recheck_at",
)
"""Fields of a delivery that an attempt may change."""

AGAIN = (DeliveryState.READY, DeliveryState.RETRYING)

ENDS_LOOKING = ("ticket-gone",)
"""What a look may find instead of our write that ends the matter. Any other refusal is of the look alone."""

_jitter = random.SystemRandom().random


@dataclass(frozen=True, slots=True)
class Finished:
    """A claim, what came of it, and how long it took."""

    claim: Claim
    outcome: Outcome
    started_at: datetime
    duration_ms: int


def finish(rows: Iterable[Finished], now: datetime) -> None:
    """Write down finished attempts, all in one transaction, and let the next delivery of each lane run.

    One statement a delivery and about ten for all of them together: results come faster than they could be
    written one by one.
    """
    with transaction.atomic():
        ours = [replace(row, outcome=_storable(row.outcome)) for row in _held(list(rows))]
        if not ours:
            return
        deliveries = _deliveries(ours)
        attempts: list[DeliveryAttempt] = []
        audits: list[AuditEntry] = []
        for row in ours:
            delivery = deliveries[row.claim.delivery_id]
            attempts.append(_attempt(row))
            audits += _write(row, delivery, now)
        again = [row.pk for row in deliveries.values() if row.state in AGAIN]
        with statements.together():
            statements.lanes_free([row.claim.link_id for row in ours])
            statements.fields_write([*deliveries.values()], WRITTEN)
            statements.rows_insert(attempts)
            statements.rows_insert(audits)
            lanes_promote([row.claim.link_id for row in ours], again, now)
            statements.units_settle({row.claim.unit_id for row in ours})
        for row in ours:
            if row.outcome.next is Next.FOLLOW and row.outcome.ticket is not None:
                # It settles the units whose deliveries it moves itself.
                lane_follow(TicketLink.objects.get(pk=row.claim.link_id), row.outcome.ticket, now)


def _held(rows: list[Finished]) -> list[Finished]:
    """Lock lanes and return the results that count: where somebody else holds one, ours is too late.

    In the order of connections, so that two workers never wait for each other's.
    """
    holders = statements.lanes_held([row.claim.link_id for row in rows]) if rows else {}
    ours = [row for row in rows if holders.get(row.claim.link_id) == row.claim.token]
    return sorted(ours, key=lambda row: (row.claim.connection_id, row.claim.link_id))


def _deliveries(rows: list[Finished]) -> dict[int, Delivery]:
    """Return the rows' deliveries by id; those of one connection share its object and see its changes."""
    found = statements.rows_of(Delivery, {row.claim.delivery_id for row in rows})
    connections = statements.rows_of(Connection, {row.connection_id for row in found.values()})
    for delivery in found.values():
        delivery.connection = connections[delivery.connection_id]
    return found


def _attempt(row: Finished) -> DeliveryAttempt:
    claim, outcome = row.claim, row.outcome
    # A success that a look could not read holds other people's notes.
    read = claim.look and outcome.http_status is not None and outcome.http_status < 300
    evidence = "" if read else outcome.vendor_text
    return DeliveryAttempt(
        delivery_id=claim.delivery_id,
        action="look" if claim.look else "send",
        started_at=row.started_at,
        duration_ms=row.duration_ms,
        outcome=outcome.code[:24],
        http_status=outcome.http_status,
        request_id=outcome.request_id,
        error="\n".join(part for part in (outcome.text, evidence) if part),
    )


def _write(row: Finished, delivery: Delivery, now: datetime) -> list[AuditEntry]:
    """Say on a delivery what became of it, and store it of its connection; return the audit entries of it.

    The caller stores the delivery's fields that are WRITTEN.
    """
    claim, outcome = row.claim, row.outcome
    before = delivery.state
    if before == DeliveryState.DISCARDED and outcome.next is not Next.DELIVERED:
        # Its connection was deleted by force while it was sent: what did not arrive is not wanted any more.
        return []
    _apply(delivery, row, now)
    if outcome.ticket is not None and outcome.next is not Next.FOLLOW:
        # updated_at tells when the ticket was last read; an UPDATE does not set it by itself.
        TicketLink.objects.filter(pk=claim.link_id).update(**snapshot(outcome.ticket), updated_at=now)
    health.note(delivery.connection, outcome, now)
    health.endpoint_remember(delivery.connection, claim.provider.endpoint)
    if delivery.state == DeliveryState.DEAD:
        hold_rest(delivery)
    if delivery.state != before:
        transaction.on_commit(lambda: delivery_changed.send_robust(Delivery, delivery=delivery))
    return [_audit(delivery, claim, outcome)] if delivery.state == DeliveryState.DELIVERED else []


def _storable(outcome: Outcome) -> Outcome:
    """Return an outcome whose texts every database takes: a PSA may answer NUL, lone surrogates, novels."""
    return replace(
        outcome,
        text=printable(outcome.text),
        remedy=printable(outcome.remedy),
        vendor_text=printable(outcome.vendor_text),
        external_id=printable(outcome.external_id)[:60],
        author_name=printable(outcome.author_name)[:200],
        status_seen=printable(outcome.status_seen)[:100],
        before=printable(outcome.before)[:100],
        feature=printable(outcome.feature)[:40],
        grant=printable(outcome.grant)[:500],
    )


def _apply(delivery: Delivery, row: Finished, now: datetime) -> None:
    """Move the delivery to its next state, in memory."""
    claim, outcome = row.claim, row.outcome
    if outcome.sent and outcome.next in (Next.DELIVERED, Next.UNKNOWN):
        delivery.sends += 1
    following = outcome.next
    if claim.look and following is not Next.DELIVERED and outcome.code not in ENDS_LOOKING:
        # Whatever hindered the look, the write may still have happened.
        following = Next.UNKNOWN
    problem = {"code": outcome.code, "text": outcome.text, "remedy": outcome.remedy} if outcome.text else None
    delivery.problem = problem
    if following is Next.DELIVERED:
        delivery.attempts += 0 if claim.look else 1
        _delivered(delivery, outcome, now)
    elif following is Next.UNKNOWN:
        _unknown(delivery, claim, outcome, now)
    elif following is Next.RETRY:
        delivery.attempts += 1
        _again(delivery, DeliveryState.RETRYING, now, backoff_s(delivery.attempts, _jitter()))
    elif following is Next.WAIT:
        state = (
            DeliveryState.RETRYING if outcome.code in ("unreachable", "unavailable") else DeliveryState.READY
        )
        wait = outcome.wait_s if outcome.wait_s is not None else health.wait_s(delivery.connection, _jitter())
        _again(delivery, state, now, wait)
    elif following is Next.FOLLOW:
        delivery.state, delivery.due_at, delivery.problem = DeliveryState.READY, now, None
    elif following is Next.HOLD:
        delivery.attempts += 1
        delivery.state, delivery.held_by, delivery.held_since = DeliveryState.READY, HeldBy.PERMISSION, now
    else:
        delivery.attempts += 0 if claim.look else 1
        delivery.state = DeliveryState.DEAD


def _delivered(delivery: Delivery, outcome: Outcome, now: datetime) -> None:
    delivery.state = DeliveryState.DELIVERED
    delivery.delivered_at = now
    delivery.external_id = outcome.external_id
    delivery.author_name = outcome.author_name[:200]
    delivery.author_kind = outcome.author_kind
    delivery.status_seen = outcome.status_seen[:100]
    if outcome.doubles:
        delivery.problem = duplicate_problem(delivery.kind, outcome.doubles + 1)
    if delivery.sends > 1 and delivery.marker:
        delivery.recheck_at = now + RECHECK_AFTER


def _unknown(delivery: Delivery, claim: Claim, outcome: Outcome, now: datetime) -> None:
    looks = psa_settings().RECONCILE_LOOKS_S
    if not claim.look:
        delivery.attempts += 1
        delivery.looks = 0
    elif outcome.looked:
        delivery.looks += 1
        if delivery.looks >= len(looks):
            delivery.looks = 0
            delivery.problem = None
            if delivery.attempts >= psa_settings().DELIVERY_MAX_ATTEMPTS:
                delivery.state = DeliveryState.DEAD
                delivery.problem = {
                    "code": "gave-up",
                    "text": f"Sent {delivery.attempts} times without an answer and not found on the ticket.",
                    "remedy": "Look at the ticket, then retry or discard.",
                }
            else:
                _again(delivery, DeliveryState.RETRYING, now, 0.0)
            return
    delivery.state = DeliveryState.UNKNOWN
    uncounted = claim.look and not outcome.looked
    step = looks[min(delivery.looks, len(looks) - 1)]
    # Retry-After postpones the look; a look that could not read the ticket is tried again, however long.
    wait = max(looks[-1], UNREADABLE_WAIT_S) if uncounted else step
    delivery.due_at = now + timedelta(seconds=max(outcome.wait_s or 0.0, wait))


def _again(delivery: Delivery, state: DeliveryState, now: datetime, wait_s: float) -> None:
    """Put the delivery back into its lane, unless it used up its attempts or grew too old."""
    current = psa_settings()
    age = now - delivery.created_at - timedelta(seconds=delivery.held_s)
    if delivery.attempts >= current.DELIVERY_MAX_ATTEMPTS:
        delivery.state = DeliveryState.DEAD
        delivery.problem = delivery.problem or {
            "code": POISON,
            "text": f"It failed {delivery.attempts} times.",
            "remedy": "Retry or discard it.",
        }
    elif age > current.DELIVERY_MAX_AGE:
        delivery.state = DeliveryState.DEAD
        delivery.problem = {
            "code": "expired",
            "text": f"It could not be delivered within {current.DELIVERY_MAX_AGE.days} days.",
            "remedy": "Retry it once the PSA answers again, or discard it.",
        }
    else:
        delivery.state = state
        delivery.due_at = now + timedelta(seconds=wait_s)


def _audit(delivery: Delivery, claim: Claim, outcome: Outcome) -> AuditEntry:
    facts: dict[str, Any] = {
        "delivery": delivery.pk,
        "unit": delivery.unit_id,
        "external_id": delivery.external_id,
    }
    verb, mailed, visible = "note.delivered", bool(delivery.payload.get("notify")), None
    if delivery.kind == DeliveryKind.STATUS:
        verb = "status.set"
        facts |= {"before": outcome.before or None, "after": outcome.status_seen}
        if outcome.code == "already-there" and not delivery.sends:
            # Somebody else had set it: nothing was sent.
            verb, mailed = "status.found", False
            facts |= {"before": outcome.status_seen, "already": True}
    elif delivery.kind == DeliveryKind.TIME:
        # Its notes print on the invoice.
        verb, visible = "time.entered", bool(delivery.payload["notes"]) or outcome.code == "shown-to-customer"
        facts |= {
            "after": kept_text(outcome.written),
            "hours": time_hours(delivery.payload),
            "engineer": delivery.payload["engineer"]["name"],
        }
    elif delivery.kind == DeliveryKind.DOCUMENT:
        verb, visible = "document.attached", outcome.code == "shown-to-customer"
        facts |= {"after": kept_text(outcome.written), "size": delivery.payload["size"]}
    else:
        visible = NoteKind(delivery.kind).customer_visible or outcome.code == "shown-to-customer"
        facts["after"] = kept_text(outcome.written)
    return AuditEntry(
        tenant_id=delivery.tenant_id,
        connection_id=delivery.connection_id,
        actor_id=delivery.created_by_id,
        actor_name=delivery.created_by_name,
        verb=verb,
        object_type="delivery",
        object_id=str(delivery.pk),
        ticket_id=claim.ticket_id,
        kind=delivery.kind,
        shown_as=delivery.author_name,
        customer_visible=visible,
        mailed=mailed,
        facts=facts,
    )
