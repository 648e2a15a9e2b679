"""Owns the admin pages of idempotency keys."""

from __future__ import annotations

from django.contrib import admin

from psa.admin.base import ScopedAdmin
from psa.models import IdempotencyRecord


@admin.register(IdempotencyRecord)
class IdempotencyRecordAdmin(ScopedAdmin):
    """Which call of which caller a key stands for."""

    list_display = ["key", "caller", "unit", "delivery", "created_at"]
    list_filter = ["created_at"]
    list_select_related = ["unit", "delivery"]
    search_fields = ["key", "caller"]
    fields = ["key", "caller", "fingerprint", "unit", "delivery", "created_at"]
