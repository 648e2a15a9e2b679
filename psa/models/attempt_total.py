"""Owns how many attempts there ever were and how long they took: totals that outlive the attempts."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

BUCKET_BOUNDS_MS = (50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000)
"""Upper bounds of the histogram of durations. Stored lists have this length: a change needs a migration."""


def empty_buckets() -> list[int]:
    """Return a histogram in which nothing was counted."""
    return [0] * len(BUCKET_BOUNDS_MS)


class AttemptTotal(models.Model):
    """Counted attempts of one provider, action, kind and outcome. Only `outbox.totals` writes here."""

    provider = models.CharField(max_length=40)
    action = models.CharField(max_length=4)
    kind = models.CharField(max_length=12)
    outcome = models.CharField(max_length=24)
    count = models.PositiveBigIntegerField(default=0)
    duration_ms_sum = models.PositiveBigIntegerField(default=0)
    buckets = models.JSONField(default=empty_buckets)
    """[3, 9, 27, …]: attempts that took at most so long, for each of BUCKET_BOUNDS_MS; all are in `count`."""

    class Meta:
        ordering: ClassVar = ["provider", "action", "kind", "outcome"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["provider", "action", "kind", "outcome"], name="psa_attempt_total_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.action} {self.kind} {self.outcome}: {self.count}"


class AttemptCursor(models.Model):
    """How far the attempts are counted; one row. A conditional UPDATE of it claims what is counted next."""

    counted_id = models.PositiveBigIntegerField(default=0)
    """Every attempt up to this id is in the totals."""
    seen_id = models.PositiveBigIntegerField(default=0)
    """Newest attempt when the mark was set: counting stops here until the next mark."""
    seen_writers = models.JSONField(default=list, blank=True)
    """Transactions that were writing attempts then; one of them may still commit an id below the mark."""
    rolled_at = models.DateTimeField(null=True, blank=True)
    """When the mark was set last: the totals are as old as that."""

    def __str__(self) -> str:
        return f"counted to {self.counted_id}, seen to {self.seen_id}"
