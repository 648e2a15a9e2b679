"""Owns the admin pages of what belongs to no tenant: periodic jobs and totals, for superusers."""

from __future__ import annotations

from django.contrib import admin

from psa.admin.base import OperatorAdmin
from psa.models import AttemptCursor, AttemptTotal, PeriodicJob


@admin.register(PeriodicJob)
class PeriodicJobAdmin(OperatorAdmin):
    """When each job of the workers ran, and when it runs next."""

    list_display = ["name", "last_run_at", "due_at", "last_error"]
    search_fields = ["name", "last_error"]
    fields = ["name", "last_run_at", "due_at", "last_error"]


@admin.register(AttemptTotal)
class AttemptTotalAdmin(OperatorAdmin):
    """How many attempts there ever were, over all tenants."""

    list_display = ["provider", "action", "kind", "outcome", "count", "duration_ms_sum"]
    list_filter = ["provider", "action", "kind"]
    search_fields = ["outcome"]
    fields = ["provider", "action", "kind", "outcome", "count", "duration_ms_sum", "buckets"]


@admin.register(AttemptCursor)
class AttemptCursorAdmin(OperatorAdmin):
    """How far the attempts are counted."""

    list_display = ["counted_id", "seen_id", "rolled_at"]
    fields = ["counted_id", "seen_id", "seen_writers", "rolled_at"]
