"""Owns the admin pages of the audit: to read, like all of its doors."""

from __future__ import annotations

from django.contrib import admin

from psa.admin.base import OwnConnectionFilter, ScopedAdmin
from psa.models import AuditEntry


@admin.register(AuditEntry)
class AuditEntryAdmin(ScopedAdmin):
    """What was done through the connections, and by whom."""

    list_display = [
        "created_at",
        "actor_name",
        "verb",
        "connection",
        "ticket_id",
        "shown_as",
        "customer_visible",
        "mailed",
    ]
    list_filter = [("connection", OwnConnectionFilter), "customer_visible", "mailed"]
    list_select_related = ["connection"]
    search_fields = ["actor_name", "verb", "ticket_id"]
    fields = [
        "created_at",
        "actor_name",
        "verb",
        "connection",
        "object_type",
        "object_id",
        "ticket_id",
        "kind",
        "shown_as",
        "customer_visible",
        "mailed",
        "facts",
    ]
