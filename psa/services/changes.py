"""Owns the steps by which people change a delivery, alone or as one of many, and what is kept of them.

The caller holds the delivery's lane, and puts lane and unit in order afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psa.database import SecondsSince
from psa.models import AuditEntry, Delivery, MemberMapping
from psa.models.delivery import API_MEMBER, DeliveryState, HeldBy
from psa.types import Actor

DEFINITE = (DeliveryState.READY, DeliveryState.RETRYING, DeliveryState.DEAD)
"""States in which we know that nothing is on the ticket yet, so a person may change their mind."""
ASKED_FIRST = ("already-closed", "board-changed")
"""Problems by which a status asks whether it is wanted all the same; who retries says yes."""


def waits_for_person(delivery: Delivery) -> bool:
    """True for what is queued but held until a person grants a permission or maps a member."""
    held = delivery.held_by in (HeldBy.PERMISSION, HeldBy.MAPPING)
    return delivery.state == DeliveryState.READY and held


def put_back(rows: Sequence[Delivery], now: datetime) -> set[int]:
    """Put deliveries back into their lanes with fresh attempts and no age; return the ids of those.

    Missing are those that a worker was faster with. What may be on the ticket is looked up first: see
    `claim.looks_first`.
    """
    changed = _move(
        [row.pk for row in rows],
        state=DeliveryState.READY,
        held_by=HeldBy.EARLIER,
        attempts=0,
        looks=0,
        held_since=None,
        held_s=SecondsSince("created_at", now),
        due_at=now,
        problem=None,
    )
    asked = [row.pk for row in rows if row.pk in changed and (row.problem or {}).get("code") in ASKED_FIRST]
    if asked:
        _force(asked)
    return changed


def give_up(rows: Sequence[Delivery], reason: str, *, rest: bool) -> list[Delivery]:
    """Discard deliveries, with rest also what follows them in their units; return all as they were before.

    Nothing follows an optional part: time that is left out takes no status with it. The rest of a unit is
    left alone where a worker was faster: then it must still be posted.
    """
    gone = _discard(rows, reason)
    if not rest or not gone:
        return gone
    first: dict[int, int] = {}
    for row in gone:
        if row.optional:
            continue
        first[row.unit_id] = min(row.seq, first.get(row.unit_id, row.seq))
    units = Delivery.objects.filter(unit_id__in=first, state__in=DEFINITE).order_by("pk")
    found = units.select_related("link").defer("payload")
    return gone + _discard([row for row in found if row.seq > first[row.unit_id]], reason)


def _discard(rows: Sequence[Delivery], reason: str) -> list[Delivery]:
    if not rows:
        return []
    changed = _move(
        [row.pk for row in rows],
        state=DeliveryState.DISCARDED,
        discard_reason=reason,
        held_by=HeldBy.NOTHING,
    )
    return [row for row in rows if row.pk in changed]


def _move(ids: Sequence[int], *, state: DeliveryState, **values: Any) -> set[int]:
    """Give definite deliveries another state, and return the ids of those that have it then."""
    found = Delivery.objects.filter(pk__in=ids)
    if found.filter(state__in=DEFINITE).update(state=state, **values) == len(ids):
        return set(ids)
    return set(found.filter(state=state).values_list("pk", flat=True))


def _force(ids: Sequence[int]) -> None:
    """Let statuses be set although something spoke against it. Many are the same, so few statements do."""
    same: dict[str, list[int]] = {}
    payloads: dict[str, dict[str, Any]] = {}
    for pk, payload in Delivery.objects.filter(pk__in=ids).order_by("pk").values_list("pk", "payload"):
        key = json.dumps(payload, sort_keys=True)
        payloads[key] = payload
        same.setdefault(key, []).append(pk)
    for key, payload in payloads.items():
        Delivery.objects.filter(pk__in=same[key]).update(payload={**payload, "force": True})


def reason_of(reason: str, actor: Actor) -> str:
    """Return the reason that is stored with a discarded delivery."""
    return reason.strip()[:300] or f"Discarded by {actor.name}."[:300]


def shown_as(connection_id: int, user_id: int | None) -> dict[str, str]:
    """Return what is known beforehand of the author the PSA will show; it is decided when a note is sent.

    Shape: {"author_name", "author_kind"}, columns of a delivery.
    """
    mapping = None
    if user_id is not None:
        mapped = MemberMapping.objects.filter(connection_id=connection_id, user_id=user_id, active=True)
        mapping = mapped.first()
    if mapping is None:
        return {"author_name": API_MEMBER, "author_kind": "api_member"}
    return {"author_name": mapping.member_name[:200], "author_kind": "member"}


def audit_row(delivery: Delivery, actor: Actor, verb: str, **facts: object) -> AuditEntry:
    """Return an audit entry, not stored yet, about a delivery as it was before the change, its link joined.

    Nothing is written to the PSA by such a change, so readers and mail are no question.
    """
    return AuditEntry(
        tenant_id=delivery.tenant_id,
        connection_id=delivery.connection_id,
        actor_id=actor.user_id,
        actor_name=actor.name[:200],
        verb=verb,
        object_type="delivery",
        object_id=str(delivery.pk),
        ticket_id=delivery.link.ticket_id,
        kind=delivery.kind,
        shown_as=delivery.author_name,
        facts={"unit": delivery.unit_id, "state_before": delivery.state, **facts},
    )


def discarded_rows(gone: Sequence[Delivery], actor: Actor, reason: str, **facts: object) -> list[AuditEntry]:
    """Return the audit entries, not stored yet, of discarded deliveries as they were before."""
    return [audit_row(row, actor, "delivery.discarded", reason=reason, **facts) for row in gone]
