"""Owns the steps by which people change a delivery, alone or as one of many, and what is kept of them.

The caller holds the delivery's lane, and puts lane and unit in order afterwards.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from psa.models import AuditEntry, Delivery
from psa.models.delivery import DeliveryState, HeldBy
from psa.types import Actor

DEFINITE = (DeliveryState.READY, DeliveryState.RETRYING, DeliveryState.DEAD)
"""States in which we know that nothing is on the ticket yet, so a person may change their mind."""
ASKED_FIRST = ("already-closed", "board-changed")
"""Problems by which a status asks whether it is wanted all the same; who retries says yes."""


def waits_for_person(delivery: Delivery) -> bool:
    """True for what is queued but held until a person grants a permission or maps a member."""
    held = delivery.held_by in (HeldBy.PERMISSION, HeldBy.MAPPING)
    return delivery.state == DeliveryState.READY and held


def put_back(delivery: Delivery, now: datetime) -> bool:
    """Put a delivery back into its lane with fresh attempts and no age; False when a worker was faster.

    What may be on the ticket is looked up first: see `claim.looks_first`.
    """
    values: dict[str, Any] = {
        "state": DeliveryState.READY,
        "held_by": HeldBy.EARLIER,
        "attempts": 0,
        "looks": 0,
        "held_since": None,
        "held_s": max(int((now - delivery.created_at).total_seconds()), 0),
        "due_at": now,
        "problem": None,
    }
    if (delivery.problem or {}).get("code") in ASKED_FIRST:
        values["payload"] = {**delivery.payload, "force": True}
    return bool(Delivery.objects.filter(pk=delivery.pk, state=delivery.state).update(**values))


def give_up(delivery: Delivery, reason: str, *, rest: bool) -> list[int]:
    """Discard a delivery, with rest also what follows it in its unit; return their ids.

    Empty when a worker was faster: then the rest of the unit must still be posted.
    """
    gone = {"state": DeliveryState.DISCARDED, "discard_reason": reason, "held_by": HeldBy.NOTHING}
    if not Delivery.objects.filter(pk=delivery.pk, state__in=DEFINITE).update(**gone):
        return []
    if not rest:
        return [delivery.pk]
    later = Delivery.objects.filter(unit_id=delivery.unit_id, seq__gt=delivery.seq, state__in=DEFINITE)
    ids = list(later.values_list("pk", flat=True))
    Delivery.objects.filter(pk__in=ids, state__in=DEFINITE).update(**gone)
    return [delivery.pk, *ids]


def reason_of(reason: str, actor: Actor) -> str:
    """Return the reason that is stored with a discarded delivery."""
    return reason.strip()[:300] or f"Discarded by {actor.name}."[:300]


def audit_row(delivery: Delivery, actor: Actor, verb: str, **facts: object) -> AuditEntry:
    """Return an audit entry, not stored yet, about a delivery as it was before the change."""
    return AuditEntry(
        tenant_id=delivery.tenant_id,
        connection_id=delivery.connection_id,
        actor_id=actor.user_id,
        actor_name=actor.name,
        verb=verb,
        object_type="delivery",
        object_id=str(delivery.pk),
        kind=delivery.kind,
        facts={"unit": delivery.unit_id, "state_before": delivery.state, **facts},
    )
