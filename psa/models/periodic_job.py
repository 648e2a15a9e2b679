"""Owns when each periodic job of the workers runs next, and when a worker was last seen."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class PeriodicJob(models.Model):
    """One row a job. One conditional UPDATE of `due_at` claims a run, so N workers run it once."""

    name = models.CharField(max_length=60, unique=True)
    due_at = models.DateTimeField()
    last_run_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name
