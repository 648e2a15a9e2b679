"""Owns the totals of attempts: each attempt is counted once, by whichever process is first.

Ids are counted up to a mark, the newest id seen earlier. On PostgreSQL an id below the mark may be committed
after it, so a mark is good only once every transaction that was writing attempts when it was set has ended.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.db.models import Count, F, Max, Q, QuerySet, Sum

from psa.models import AttemptCursor, AttemptTotal, DeliveryAttempt
from psa.models.attempt_total import BUCKET_BOUNDS_MS

AT_ONCE = 10_000
"""Attempts counted in one transaction, so that a first run over a long history holds no lock for long."""

_WRITERS = """
    SELECT virtualtransaction FROM pg_locks
    WHERE locktype = 'relation' AND relation = %s::regclass AND mode = 'RowExclusiveLock'
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND pid <> pg_backend_pid()
"""
"""Who has written to a table and not committed yet: the lock is taken before the id and kept to the end."""


def attempt_totals_roll(now: datetime) -> int:
    """Bring the totals up to date and return how many attempts this call counted.

    Safe in any number of processes at once, and to break off: what is not counted now is counted next time.
    """
    counted = _count_to_mark()
    _mark(now)
    # Good at once wherever nobody is writing at this moment.
    return counted + _count_to_mark()


def counted_id() -> int:
    """Return the id up to which every attempt is in the totals; those above must not be removed."""
    return _cursor().counted_id


def _cursor() -> AttemptCursor:
    found, _made = AttemptCursor.objects.get_or_create(pk=1)
    return found


def _count_to_mark() -> int:
    cursor = _cursor()
    if cursor.seen_id <= cursor.counted_id or _writers() & set(cursor.seen_writers):
        return 0
    counted = 0
    low = cursor.counted_id
    while low < cursor.seen_id:
        high = min(low + AT_ONCE, cursor.seen_id)
        with transaction.atomic():
            claimed = AttemptCursor.objects.filter(pk=1, counted_id=low).update(counted_id=high)
            if not claimed:
                return counted
            counted += _count(low, high)
        low = high
    return counted


def _mark(now: datetime) -> None:
    """Set the next mark, unless the last one is still to be counted: moved on, it might never be good."""
    cursor = _cursor()
    if cursor.counted_id != cursor.seen_id:
        return
    newest = DeliveryAttempt.objects.aggregate(newest=Max("pk"))["newest"] or 0
    # After the newest id was read: who wrote a lower one has ended by then, or is among these.
    writers = sorted(_writers())
    AttemptCursor.objects.filter(pk=1, counted_id=cursor.counted_id, seen_id=cursor.seen_id).update(
        seen_id=max(newest, cursor.seen_id), seen_writers=writers, rolled_at=now
    )


def _writers() -> set[str]:
    """Return the transactions that are writing attempts; SQLite has one writer, whose ids are in order."""
    if database.vendor != "postgresql":
        return set()
    with database.cursor() as cursor:
        cursor.execute(_WRITERS, [DeliveryAttempt._meta.db_table])
        return {row[0] for row in cursor.fetchall()}


def _count(low: int, high: int) -> int:
    """Add the attempts with low < id ≤ high to the totals, in the transaction that claimed them."""
    at_most = {
        f"at_most_{bound}": Count("pk", filter=Q(duration_ms__lte=bound)) for bound in BUCKET_BOUNDS_MS
    }
    groups: QuerySet[Any, Any] = (
        DeliveryAttempt.objects.filter(pk__gt=low, pk__lte=high)
        .order_by()
        .values("action", "outcome", provider=F("delivery__connection__provider"), kind=F("delivery__kind"))
        .annotate(number=Count("pk"), ms=Sum("duration_ms"), **at_most)
    )
    counted = 0
    for row in groups:
        total, _made = AttemptTotal.objects.get_or_create(
            provider=row["provider"], action=row["action"], kind=row["kind"], outcome=row["outcome"]
        )
        # Read, then written: the claim on the cursor keeps every other process out until the commit.
        total.count += row["number"]
        total.duration_ms_sum += row["ms"]
        total.buckets = [before + row[name] for before, name in zip(total.buckets, at_most, strict=True)]
        total.save(update_fields=["count", "duration_ms_sum", "buckets"])
        counted += row["number"]
    return counted
