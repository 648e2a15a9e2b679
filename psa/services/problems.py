"""Owns what people do with a whole problem: retry or discard everything that has one cause.

A group may have 100,000 deliveries. They are changed BATCH at a time, each batch in a transaction of its own,
by the same steps as a single one. What is done stays done if a later batch fails; asking again does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from django.db import connection as database
from django.db import transaction
from django.db.models import F, QuerySet

from psa.database import database_now
from psa.exceptions import ConflictError, MissingError
from psa.models import AuditEntry, Delivery, TicketLink
from psa.models.delivery import NOTE_KINDS
from psa.outbox import health
from psa.outbox.claim import FLOWING_STATES
from psa.outbox.lanes import lane_lock, lane_recompute, unit_refresh
from psa.selectors.problem import (
    Problem,
    ProblemScope,
    Source,
    problem_deliveries,
    problem_get,
    problem_sight,
)
from psa.services.announce import deliveries_tell
from psa.services.changes import audit_row, give_up, put_back, reason_of
from psa.services.connections import connection_test
from psa.types import Actor, Feature, Scope, Tenant

BATCH = 50
"""Deliveries changed in one transaction. Others wait for their lanes, on SQLite for everything, meanwhile.

On a busy machine of two cores a batch of 200 held its locks for 0.6 to 2 seconds.
"""


@dataclass(frozen=True, slots=True)
class _Done:
    """What is written into the audit about a step, and which deliveries reached another state by it."""

    entry: AuditEntry
    told: Sequence[int] = ()


_Step = Callable[[Delivery, datetime], _Done | None]
"""Changes one delivery whose lane is held; None if it came too late."""


def problem_retry(tenant: Tenant, problem_id: int, *, scope: Scope) -> int:
    """Put every delivery of a problem back into its lane and return how many.

    What is in flight meanwhile is skipped. A connection's problem is retried by testing the connection, the
    operator's by testing all it touches: then the number of connections that flow again is returned.
    Raises: ConflictError `not-retryable`, `connection-disabled`; MissingError.
    """
    sight = problem_sight(scope)
    problem = problem_get(tenant, problem_id, created_by=sight)
    if problem.scope is not ProblemScope.DELIVERIES:
        return _test(tenant, problem, scope.actor)
    if not problem.can_retry:
        raise ConflictError(
            "These notes are on their tickets already, so posting them again would double them. "
            "Mend them in the PSA, then discard this problem.",
            code="not-retryable",
        )
    held = problem.cause.source is Source.HELD
    if held:
        # By itself, before any lane is locked: workers lock connection and lanes in another order.
        kind = NOTE_KINDS[0] if problem.cause.feature == Feature.NOTES else problem.cause.feature
        health.refusal_forget(problem.connections[0].pk, kind)

    def step(delivery: Delivery, now: datetime) -> _Done | None:
        if not put_back(delivery, now):
            return None
        entry = audit_row(delivery, scope.actor, "delivery.retried", problem=problem.code)
        return _Done(entry, [] if held else [delivery.pk])

    return _each(problem_deliveries(tenant, problem, created_by=sight), step)


def problem_discard(tenant: Tenant, problem_id: int, *, scope: Scope, reason: str = "") -> int:
    """Discard every delivery of a problem, with what follows it in its unit, and return how many had it.

    What is in flight meanwhile is skipped. Notes that are on their ticket stay there: discarding says that
    somebody has looked at them, and clears the problem.
    Raises: ConflictError `not-discardable`; MissingError.
    """
    sight = problem_sight(scope)
    problem = problem_get(tenant, problem_id, created_by=sight)
    if not problem.can_discard:
        raise ConflictError(
            "This is no problem of single deliveries: solve what is wrong with the connection, or delete it.",
            code="not-discardable",
        )
    rows = problem_deliveries(tenant, problem, created_by=sight)
    text = reason_of(reason, scope.actor)

    def acknowledge(delivery: Delivery, _now: datetime) -> _Done | None:
        if not rows.filter(pk=delivery.pk).update(problem=None):
            return None
        facts = {"problem": problem.code, "reason": reason.strip()[:300]}
        return _Done(audit_row(delivery, scope.actor, "delivery.acknowledged", **facts))

    def discard(delivery: Delivery, _now: datetime) -> _Done | None:
        gone = give_up(delivery, text, rest=True)
        if not gone:
            return None
        return _Done(audit_row(delivery, scope.actor, "delivery.discarded", problem=problem.code), gone)

    return _each(rows, acknowledge if problem.cause.source is Source.FLAWED else discard)


def _test(tenant: Tenant, problem: Problem, actor: Actor) -> int:
    if problem.scope is ProblemScope.CONNECTION:
        tested = connection_test(tenant, problem.connections[0].pk, actor=actor)
        return int(tested.state in FLOWING_STATES)
    flowing = 0
    for connection in problem.connections:
        # One that was switched off or deleted meanwhile is no reason to leave the others.
        with suppress(ConflictError, MissingError):
            flowing += connection_test(tenant, connection.pk, actor=actor).state in FLOWING_STATES
    return flowing


def _each(rows: QuerySet[Delivery], step: _Step) -> int:
    """Do a step for each of the rows, the newest first, and return for how many it was done.

    The newest first, so that a later part of a unit has its own turn before an earlier one takes it along.
    """
    changed, busy = 0, list[int]()
    below: int | None = None
    while True:
        left = rows if below is None else rows.filter(pk__lt=below)
        batch = list(left.order_by("-pk").values_list("pk", "link_id")[:BATCH])
        if batch:
            with transaction.atomic():
                lanes = _lanes_lock({link_id for _pk, link_id in batch})
                changed += _change(rows, [pk for pk, link_id in batch if link_id in lanes], lanes, step)
            busy += [pk for pk, link_id in batch if link_id not in lanes]
            below = batch[-1][0]
        if len(batch) < BATCH:
            break
    for pk in busy:
        with transaction.atomic():
            link_id = rows.filter(pk=pk).values_list("link_id", flat=True).first()
            if link_id is not None:
                lane_lock(link_id)
                changed += _change(rows, [pk], {link_id}, step)
    return changed


def _lanes_lock(link_ids: set[int]) -> set[int]:
    """Lock those of the lanes that nobody holds at this moment, and return them.

    Waiting for a lane with others in hand could end in a deadlock with a worker that writes down several
    results; the others have their turn afterwards, one by one. SQLite has one lock for everything.
    """
    lanes = TicketLink.objects.filter(pk__in=link_ids).order_by("pk")
    if database.features.has_select_for_update_skip_locked:
        locked = lanes.select_for_update(skip_locked=True, no_key=True, of=("self",))
        return set(locked.values_list("pk", flat=True))
    lanes.order_by().update(next_seq=F("next_seq"))
    return link_ids


def _change(rows: QuerySet[Delivery], ids: Sequence[int], lanes: set[int], step: _Step) -> int:
    """Do a step for those of the ids that still have the cause, in lanes that are held; return how many."""
    now = database_now()
    # Texts are long and only needed for the few that ask first: see changes.put_back.
    found = list(rows.filter(pk__in=ids, link_id__in=lanes).defer("payload").order_by("-pk"))
    done = [result for delivery in found if (result := step(delivery, now)) is not None]
    for link_id in sorted({delivery.link_id for delivery in found}):
        lane_recompute(link_id, now)
    for unit_id in sorted({delivery.unit_id for delivery in found}):
        unit_refresh(unit_id)
    AuditEntry.objects.bulk_create([result.entry for result in done])
    deliveries_tell([pk for result in done for pk in result.told])
    return len(done)
