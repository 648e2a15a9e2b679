"""Owns what a growing installation may drop: old rows that nothing needs any more, and nothing else.

An open or dead delivery is never touched, an audit entry never removed. Each batch is one short transaction:
live workers hardly wait for it, and a run that is broken off did no harm. Another table is one more `_Kind`.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, models, transaction
from django.db import connection as database
from django.db.models import Exists, OuterRef, ProtectedError, Q, QuerySet, RestrictedError

from psa.conf import keep_problems, psa_settings
from psa.models import Delivery, DeliveryAttempt, FileBlock, IdempotencyRecord, WebhookReceipt, WorkUnit
from psa.models.callback import ReceiptState
from psa.models.delivery import DeliveryState, UnitState
from psa.outbox.totals import attempt_totals_roll, counted_id

log = logging.getLogger("psa.outbox")

AT_ONCE = 500
"""Rows looked at in one batch and removed in one transaction."""
UNITS_AT_ONCE = 200
"""Fewer, because each takes its deliveries and attempts along: about 0.1 seconds a transaction."""

KINDS = (
    "idempotency_records",
    "attempts",
    "webhook_receipts",
    "file_blocks",
    "units",
    "deliveries",
    "kept",
)
"""Names in the answer of `prune`."""

SETTLED = (DeliveryState.DELIVERED, DeliveryState.DISCARDED)
SETTLED_UNITS = (UnitState.DELIVERED, UnitState.DISCARDED)
DEALT_WITH = (ReceiptState.PROCESSED, ReceiptState.DUPLICATE, ReceiptState.REJECTED)

_POINTED_AT = (ProtectedError, RestrictedError, IntegrityError)
"""Raised when something began to point at a row after we looked."""


def _always() -> bool:
    return True


def prune(
    now: datetime, *, dry_run: bool = False, keep_going: Callable[[], bool] = _always
) -> dict[str, int]:
    """Remove what the `…_KEEP` settings allow and return how many rows of each kind went.

    Shape: {"idempotency_records": 3, "attempts": 9, "webhook_receipts": 27, "file_blocks": 4, "units": 1,
        "deliveries": 2, "kept": 0}; `kept` are old rows that something else points at. With dry_run: what
        would go.
    keep_going is asked before each batch; on False the call ends, and the next one goes on.
    Raises: ImproperlyConfigured, when a `…_KEEP` setting is no time, or none that is longer than 0.
    """
    for name, problem in keep_problems(psa_settings()):
        raise ImproperlyConfigured(f"PSA[{name!r}] {problem}")
    counts = Counter(dict.fromkeys(KINDS, 0))
    if not dry_run:
        # What is removed must have been counted before.
        attempt_totals_roll(now)
    for kind in _kinds(now, dry_run=dry_run):
        for page in _pages(kind):
            if not keep_going():
                return dict(counts)
            settled = page.filter(kind.settled)
            counts["kept"] += settled.filter(kind.pointed_at).count()
            free = settled.exclude(kind.pointed_at)
            counts.update(kind.count(_ids(free)) if dry_run else _remove(kind, free))
    if not dry_run:
        log.info("pruned %s", " ".join(f"{name}={number}" for name, number in counts.items()))
    return dict(counts)


@dataclass(frozen=True, slots=True)
class _Kind:
    """Rows of one table that may go once they are older than `cutoff`."""

    model: type[models.Model]
    age: str
    """Column with the time that counts."""
    cutoff: datetime
    settled: Q
    """True for rows that nobody works on any more."""
    remove: Callable[[list[int]], Counter[str]]
    """Removes rows by id, in the caller's transaction, and returns what went with them."""
    count: Callable[[list[int]], Counter[str]]
    """Returns what `remove` would."""
    pointed_at: Q
    """True for rows that something outside this removal points at."""
    at_once: int


def _kinds(now: datetime, *, dry_run: bool) -> Iterator[_Kind]:
    """Yield what is configured to go, in the order in which one kind frees the next."""
    current = psa_settings()
    counted = _newest_attempt() if dry_run else counted_id()
    old_record = _record_settled() & Q(created_at__lt=now - current.IDEMPOTENCY_KEEP)
    old_attempt = Q(pk__in=[])
    yield _plain(
        "idempotency_records",
        IdempotencyRecord,
        "created_at",
        now - current.IDEMPOTENCY_KEEP,
        _record_settled(),
    )
    if current.ATTEMPTS_KEEP is not None:
        settled = Q(pk__lte=counted, delivery__state__in=SETTLED)
        old_attempt = settled & Q(started_at__lt=now - current.ATTEMPTS_KEEP)
        yield _plain("attempts", DeliveryAttempt, "started_at", now - current.ATTEMPTS_KEEP, settled)
    if current.RECEIPTS_KEEP is not None:
        cutoff = now - current.RECEIPTS_KEEP
        yield _plain("webhook_receipts", WebhookReceipt, "received_at", cutoff, Q(state__in=DEALT_WITH))
    if current.FILES_KEEP is not None:
        # What may yet be looked at again is not sent again, so its file can go all the same.
        yield _plain(
            "file_blocks",
            FileBlock,
            "created_at",
            now - current.FILES_KEEP,
            Q(delivery__state__in=SETTLED),
        )
    if current.DELIVERIES_KEEP is not None:
        cutoff = now - current.DELIVERIES_KEEP
        yield _Kind(
            model=WorkUnit,
            age="created_at",
            cutoff=cutoff,
            settled=_unit_settled(cutoff, counted),
            remove=_units_remove,
            count=lambda ids: _units_count(ids, old_attempt),
            pointed_at=_unit_pointed_at(old_record),
            at_once=UNITS_AT_ONCE,
        )


def _plain(name: str, model: type[models.Model], age: str, cutoff: datetime, settled: Q) -> _Kind:
    """Return a kind whose rows go alone."""

    def remove(ids: list[int]) -> Counter[str]:
        model._base_manager.filter(pk__in=ids).delete()
        return Counter({name: len(ids)})

    pointers = [_points(key, "") for key in _keys_to(model)]
    return _Kind(
        model=model,
        age=age,
        cutoff=cutoff,
        settled=settled,
        remove=remove,
        count=lambda ids: Counter({name: len(ids)}),
        pointed_at=_any_of(pointers),
        at_once=AT_ONCE,
    )


def _record_settled() -> Q:
    """True for idempotency records of work that is delivered or discarded, as the REST API judges it."""
    return Q(delivery__state__in=SETTLED) | Q(delivery=None) & (
        Q(unit=None) | Q(unit__state__in=SETTLED_UNITS)
    )


def _unit_settled(cutoff: datetime, counted: int) -> Q:
    """True for units nothing happened to since the cutoff; an attempt not counted yet keeps its unit."""
    deliveries = Delivery.objects.filter(unit=OuterRef("pk")).exclude(
        state__in=SETTLED, recheck_at=None, created_at__lt=cutoff
    )
    late = Delivery.objects.filter(unit=OuterRef("pk"), delivered_at__gte=cutoff)
    attempts = DeliveryAttempt.objects.filter(
        Q(started_at__gte=cutoff) | Q(pk__gt=counted), delivery__unit=OuterRef("pk")
    )
    return Q(state__in=SETTLED_UNITS) & Q(~Exists(deliveries), ~Exists(late), ~Exists(attempts))


def _unit_pointed_at(old_record: Q) -> Q:
    """True for units that, or whose deliveries or attempts, something else points at."""
    inside = {
        Delivery._meta.get_field("unit"),
        Delivery._meta.get_field("supersedes"),
        DeliveryAttempt._meta.get_field("delivery"),
        FileBlock._meta.get_field("delivery"),
    }
    pointers = [
        # What goes before the units in the same run does not hold them, in a dry run either.
        _points(key, path, gone=old_record if key.model is IdempotencyRecord else None)
        for model, path in ((WorkUnit, ""), (Delivery, "__unit"), (DeliveryAttempt, "__delivery__unit"))
        for key in _keys_to(model)
        if key not in inside
    ]
    later_text = Delivery.objects.filter(supersedes__unit=OuterRef("pk")).exclude(unit=OuterRef("pk"))
    return _any_of([*pointers, Exists(later_text)])


def _units_remove(ids: list[int]) -> Counter[str]:
    deliveries = Delivery.objects.filter(unit__in=ids)
    attempts, _by_model = DeliveryAttempt.objects.filter(delivery__unit__in=ids).delete()
    FileBlock.objects.filter(delivery__unit__in=ids).delete()
    # Within a unit an edited text points at the one it replaced; nothing outside does.
    deliveries.exclude(supersedes=None).update(supersedes=None)
    gone = deliveries.count()
    deliveries.delete()
    WorkUnit.objects.filter(pk__in=ids).delete()
    return Counter(units=len(ids), deliveries=gone, attempts=attempts)


def _units_count(ids: list[int], old_attempt: Q) -> Counter[str]:
    attempts = DeliveryAttempt.objects.filter(delivery__unit__in=ids).exclude(old_attempt)
    deliveries = Delivery.objects.filter(unit__in=ids)
    return Counter(units=len(ids), deliveries=deliveries.count(), attempts=attempts.count())


def _newest_attempt() -> int:
    return DeliveryAttempt.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def _keys_to(model: type[models.Model]) -> list[models.ForeignKey[Any, Any]]:
    """Return the foreign keys of any app that hold a row of a model; those that become NULL do not."""
    found = (
        relation.field
        for relation in model._meta.get_fields(include_hidden=True)
        if isinstance(relation, models.ManyToOneRel)
    )
    return [key for key in found if key.remote_field.on_delete is not models.SET_NULL]


def _points(key: models.ForeignKey[Any, Any], path: str, gone: Q | None = None) -> Exists:
    rows = key.model._base_manager.filter(**{f"{key.name}{path}": OuterRef("pk")})
    return Exists(rows if gone is None else rows.exclude(gone))


def _any_of(conditions: list[Exists]) -> Q:
    found = Q(pk__in=[])
    for condition in conditions:
        found |= Q(condition)
    return found


def _pages(kind: _Kind) -> Iterator[QuerySet[Any]]:
    """Yield the old rows of a table in the order of their ids, a batch at a time: one pass over the table."""
    rows = kind.model._base_manager.filter(**{f"{kind.age}__lt": kind.cutoff}).order_by("pk")
    low = 0
    while page := list(rows.filter(pk__gt=low).values_list("pk", flat=True)[: kind.at_once]):
        yield rows.filter(pk__gt=low, pk__lte=page[-1])
        low = page[-1]


def _ids(rows: QuerySet[Any], *, lock: bool = False) -> list[int]:
    """Return the ids of rows; with lock those that nobody else is removing, locked until the commit."""
    rows = rows.only("pk")
    if lock and database.features.has_select_for_update_skip_locked:
        rows = rows.select_for_update(skip_locked=True, of=("self",))
    return [row.pk for row in rows]


def _remove(kind: _Kind, free: QuerySet[Any]) -> Counter[str]:
    try:
        with transaction.atomic():
            ids = _ids(free, lock=True)
            return kind.remove(ids) if ids else Counter()
    except _POINTED_AT:
        log.info("something began to point at old rows of %s; they go one by one", kind.model._meta.label)
    gone: Counter[str] = Counter()
    for pk in _ids(free):
        try:
            with transaction.atomic():
                ids = _ids(free.filter(pk=pk), lock=True)
                gone.update(kind.remove(ids) if ids else {})
        except _POINTED_AT:
            gone["kept"] += 1
    return gone
