"""Owns what people do with a whole problem: retry or discard everything that has one cause.

A group may have 100,000 deliveries. They are changed BATCH at a time, each batch in a transaction of its own
and in a number of statements that does not depend on its size, by the same steps as a single delivery. What
is done stays done if a later batch fails; asking again does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from django.db import connection as database
from django.db import transaction
from django.db.models import QuerySet

from psa.database import database_now
from psa.exceptions import ConflictError, MissingError, RoleError
from psa.models import AuditEntry, Delivery, TicketLink
from psa.models.connection import FLOWING_STATES
from psa.models.delivery import NOTE_KINDS, DeliveryState
from psa.outbox import health, statements
from psa.outbox.lanes import lane_lock, lanes_recompute
from psa.outbox.time_entry import HELD
from psa.selectors.problem import (
    Problem,
    ProblemScope,
    Source,
    problem_deliveries,
    problem_get,
    problem_sight,
)
from psa.services.announce import deliveries_tell
from psa.services.changes import audit_row, discarded_rows, give_up, put_back, reason_of
from psa.services.connections import connection_test
from psa.types import Actor, Feature, Scope, Tenant

BATCH = 500
"""Deliveries changed in one transaction, in about twenty statements. Their lanes, on SQLite everything, wait
meanwhile: 0.2 to 0.4 seconds on a busy machine of two cores.
"""


@dataclass(frozen=True, slots=True)
class _Done:
    """What came of a step."""

    changed: int
    """Deliveries of the problem it was done for."""
    entries: Sequence[AuditEntry]
    told: Sequence[int] = ()
    """Deliveries that reached another state by it."""


_Step = Callable[[list[Delivery], datetime], _Done]
"""Changes deliveries whose lanes are held; leaves out those a worker was faster with."""


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
            "Mend them there, then discard this problem.",
            code="not-retryable",
        )
    if problem.code == HELD["code"] and not scope.can_lead:
        raise RoleError("They are held for a lead: only a lead or an admin lets them go.")
    if problem.cause.source is Source.HELD:
        # By itself, before any lane is locked: workers lock connection and lanes in another order.
        kind = NOTE_KINDS[0] if problem.cause.feature == Feature.NOTES else problem.cause.feature
        health.refusal_forget(problem.connections[0].pk, kind)

    def step(found: list[Delivery], now: datetime) -> _Done:
        changed = put_back(found, now)
        back = [row for row in found if row.pk in changed]
        entries = [audit_row(row, scope.actor, "delivery.retried", problem=problem.code) for row in back]
        # What was held is as ready as before.
        return _Done(len(back), entries, [row.pk for row in back if row.state != DeliveryState.READY])

    rows = problem_deliveries(tenant, problem, created_by=sight)
    # As they stand in their lanes, so that nothing overtakes what is put back with a later batch.
    return _each(rows, step, "link_id", "seq")


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

    def acknowledge(found: list[Delivery], _now: datetime) -> _Done:
        ids = [row.pk for row in found]
        if rows.filter(pk__in=ids).update(problem=None) < len(ids):
            # Looked at or mended by somebody else meanwhile, or it has another problem now.
            ids = list(Delivery.objects.filter(pk__in=ids, problem=None).values_list("pk", flat=True))
        facts = {"problem": problem.code, "reason": reason.strip()[:300]}
        seen = [row for row in found if row.pk in set(ids)]
        return _Done(
            len(seen), [audit_row(row, scope.actor, "delivery.acknowledged", **facts) for row in seen]
        )

    def discard(found: list[Delivery], _now: datetime) -> _Done:
        gone = give_up(found, text, rest=True)
        entries = discarded_rows(gone, scope.actor, text, problem=problem.code)
        asked = {row.pk for row in found}
        return _Done(sum(row.pk in asked for row in gone), entries, [row.pk for row in gone])

    # The last of each lane first: it has its own turn before an earlier part of its unit takes it along.
    step = acknowledge if problem.cause.source is Source.FLAWED else discard
    return _each(rows, step, "link_id", "-seq")


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


def _each(rows: QuerySet[Delivery], step: _Step, *order: str) -> int:
    """Do a step for each of the rows, BATCH at a time in this order, and return for how many it was done."""
    ids = list(rows.order_by(*order).values_list("pk", flat=True))
    changed, busy = 0, list[int]()
    for batch in _batches(ids):
        lanes = _lanes_of(batch)
        with transaction.atomic():
            held = _lanes_lock(set(lanes.values()))
            changed += _change(rows, [pk for pk in batch if lanes.get(pk) in held], held, step)
        busy += [pk for pk in batch if lanes.get(pk) not in held]
    for batch in _batches(busy):
        for link_id, waiting in groupby(batch, key=_lanes_of(batch).get):
            if link_id is not None:
                with transaction.atomic():
                    lane_lock(link_id)
                    changed += _change(rows, list(waiting), {link_id}, step)
    return changed


def _batches(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), BATCH):
        yield ids[start : start + BATCH]


def _lanes_of(ids: list[int]) -> dict[int, int]:
    """Return the lane of each delivery as it stands now: a merge moves them."""
    return dict(Delivery.objects.filter(pk__in=ids).order_by().values_list("pk", "link_id"))


def _lanes_lock(link_ids: set[int]) -> set[int]:
    """Lock those of the lanes that nobody holds at this moment, and return them.

    Waiting for a lane with others in hand could end in a deadlock with a worker that writes down several
    results; the others have their turn afterwards, one by one. SQLite has one lock for everything.
    """
    lanes = TicketLink.objects.filter(pk__in=link_ids).order_by("pk")
    if database.features.has_select_for_update_skip_locked:
        locked = lanes.select_for_update(skip_locked=True, no_key=True, of=("self",))
        return set(locked.values_list("pk", flat=True))
    if link_ids:
        lane_lock(min(link_ids))
    return link_ids


def _change(rows: QuerySet[Delivery], ids: list[int], lanes: set[int], step: _Step) -> int:
    """Do a step for those of the ids that still have the cause, in lanes that are held; return how many."""
    now = database_now()
    # Texts are long and only needed for the few that ask first: see changes.put_back.
    still = rows.filter(pk__in=ids, link_id__in=lanes).select_related("link").defer("payload")
    found = list(still.order_by("pk"))
    if not found:
        return 0
    done = step(found, now)
    lanes_recompute({delivery.link_id for delivery in found})
    statements.units_settle({delivery.unit_id for delivery in found})
    AuditEntry.objects.bulk_create(done.entries)
    deliveries_tell(done.told)
    return done.changed
