"""Owns the second half of a move: the old note goes once the new one stands on the other ticket.

Until then the note is on both tickets rather than on none, and the delivery says so. A periodic job looks: a
worker that dies in between leaves everything to the next one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from psa.conf import psa_settings
from psa.database import database_now
from psa.exceptions import ConflictError, PsaError
from psa.models import Connection, Delivery, WorkUnit
from psa.models.delivery import OPEN_STATES, DeliveryState
from psa.outbox.claim import flowing
from psa.outbox.correct import Correction, notes_of, notes_remove
from psa.outbox.hold import MOVING, audit, gone, hold_close, lane_held
from psa.outbox.lanes import lane_lock
from psa.outbox.supersede import ignore_enqueue
from psa.providers.registry import provider_class
from psa.types import Actor

log = logging.getLogger("psa.outbox")

AGAIN_AFTER = timedelta(minutes=1)
"""Wait after a removal that did not work: its PSA was silent, or gave no clear answer."""
AT_MOST = 1_000
"""Copies looked at in one turn."""
COPY_OF = "copy_of"
"""Name in the payload of a copy: the id of the delivery that waits for it."""
BUDGET_S = 20.0
"""A turn begins no further removal after so long: the other periodic jobs wait for it."""
MOVED_WHY = "it belongs to another ticket."
NOT_REMOVED = "not-removed"
"""Code of the problem of a note whose copy stands elsewhere, and which the PSA keeps here."""


def moving_problem(ticket_id: str) -> dict[str, str]:
    """Return what a person reads of a note that is on its way to another ticket."""
    return {
        "code": "moving",
        "text": f"It is being moved to ticket {ticket_id}, and is removed here once it stands there.",
        "remedy": "",
    }


def moves_finish(now: datetime, going: Callable[[], bool] = lambda: True) -> int:
    """Take notes off their old tickets whose copies were delivered elsewhere; return how many.

    going is asked before each: a worker that stops leaves the rest to another one.
    """
    copies = Delivery.objects.filter(
        # Few supersede another: by this the index finds them among a million. A condition on the payload of
        # the old notes would have PostgreSQL read them all.
        supersedes__isnull=False,
        payload__has_key=COPY_OF,
        supersedes__connection__in=Connection.objects.filter(flowing(now)),
    )
    found = dict(copies.order_by("supersedes_id").values_list("pk", f"payload__{COPY_OF}")[:AT_MOST])
    rows = Delivery.objects.select_related("connection", "link").filter(pk__in=set(found.values()))
    moving = {row.pk: row for row in rows if row.state == DeliveryState.DELIVERED and MOVING in row.payload}
    for pk, old in found.items():
        if old not in moving:
            _forget(pk)
    until = time.monotonic() + BUDGET_S
    count = 0
    for _pk, row in sorted(moving.items()):
        if time.monotonic() > until or not going():
            break
        if row.payload[MOVING].get("again_at", "") <= now.isoformat():
            count += _finish(row, row.payload[MOVING])
    return count


def _forget(pk: int) -> None:
    """Let a copy be a note like any other, once nothing waits for it."""
    with transaction.atomic():
        lane_lock(Delivery.objects.values_list("link_id", flat=True).get(pk=pk))
        row = Delivery.objects.get(pk=pk)
        payload = {name: value for name, value in row.payload.items() if name != COPY_OF}
        Delivery.objects.filter(pk=pk).update(payload=payload)


def _finish(row: Delivery, moving: dict[str, Any]) -> bool:
    """Do the next step of one move; True when the old note is gone."""
    copies = list(Delivery.objects.filter(unit_id=moving.get("unit")))
    there = {copy.part for copy in copies if copy.state == DeliveryState.DELIVERED}
    if copies and there == set(range(1, copies[0].parts + 1)):
        try:
            return _remove(row, moving)
        except ConflictError:
            return False  # somebody is at work on this ticket: the next turn is soon
        except PsaError as exc:
            log.info("moved note %s cannot be removed yet: %s", row.pk, exc)
            _postpone(row)
            return False
    if not any(copy.state in (*OPEN_STATES, DeliveryState.DEAD) for copy in copies):
        _call_off(row, moving, in_part=bool(there))
    return False


def _remove(row: Delivery, moving: dict[str, Any]) -> bool:
    unit = WorkUnit.objects.get(pk=moving["unit"])
    actor = Actor(unit.created_by_id, unit.created_by_name)
    with lane_held(row, actor, "move") as hold:
        if MOVING not in hold.delivery.payload:
            return False
        result = notes_remove(hold.place, notes_of(hold.place, hold.delivery))
        with transaction.atomic():
            audit(hold, result, done="note.moved", asked="note.move")
            if result.error is None:
                values = gone(f"Moved to ticket {moving['ticket']} by {actor.name}.")
                return hold_close(hold, result, done="moved", payload={MOVING: None}, **values)
            if result.refused:
                provider = provider_class(row.connection.provider, psa_settings().PROVIDERS)
                ignore_enqueue(hold.delivery, provider, MOVED_WHY, actor=actor)
                problem = {
                    "code": NOT_REMOVED,
                    "text": f"It stands on ticket {moving['ticket']} and here: {result.error.message}",
                    "remedy": "A note that asks to ignore it was queued here. Remove it in the PSA.",
                }
                hold_close(hold, Correction(), done="copied", payload={MOVING: None}, problem=problem)
                return False
            hold_close(hold, result)
    raise result.error


def _postpone(row: Delivery) -> None:
    again = (database_now() + AGAIN_AFTER).isoformat()
    with transaction.atomic():
        fresh = _locked(row)
        if fresh is not None:
            moving = {**fresh.payload[MOVING], "again_at": again}
            Delivery.objects.filter(pk=row.pk).update(payload={**fresh.payload, MOVING: moving})


def _call_off(row: Delivery, moving: dict[str, Any], *, in_part: bool) -> None:
    """Let a note stay whose copy was given up."""
    there = " Part of it stands there." if in_part else ""
    text = f"The move to ticket {moving.get('ticket')} was given up, so the note stays here.{there}"
    with transaction.atomic():
        fresh = _locked(row)
        if fresh is not None:
            payload = {name: value for name, value in fresh.payload.items() if name != MOVING}
            problem = {"code": "not-moved", "text": text, "remedy": ""}
            Delivery.objects.filter(pk=row.pk).update(payload=payload, problem=problem)


def _locked(row: Delivery) -> Delivery | None:
    """Return a moving delivery as it is now, its lane locked; None when it moves no more."""
    lane_lock(row.link_id)
    fresh = Delivery.objects.get(pk=row.pk)
    return fresh if fresh.state == DeliveryState.DELIVERED and MOVING in fresh.payload else None
