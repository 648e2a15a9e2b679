"""Owns the admin pages of deliveries and their attempts. The queue moves by services, never by hand."""

from __future__ import annotations

from django.contrib import admin

from psa.admin.base import OwnConnectionFilter, ScopedAdmin, ScopedInline, problem_text
from psa.models import Delivery, DeliveryAttempt


class AttemptRows(ScopedInline):
    """The attempts at a delivery, oldest first."""

    model = DeliveryAttempt
    tenant_path = "delivery__tenant"
    fields = ["action", "started_at", "duration_ms", "outcome", "http_status", "request_id", "error"]


@admin.register(Delivery)
class DeliveryAdmin(ScopedAdmin):
    """Deliveries: what is queued, on its way, delivered, or needs a person."""

    list_display = ["id", "kind", "link", "state", "held_by", "attempts", "created_by_name", "created_at"]
    list_filter = ["state", "kind", "held_by", ("connection", OwnConnectionFilter)]
    list_select_related = ["link"]
    search_fields = ["link__ticket_id", "external_id", "created_by_name"]
    fieldsets = [
        (None, {"fields": ["connection", "link", "unit", "kind", "seq", "part", "parts", "text"]}),
        ("State", {"fields": ["state", "held_by", "held_since", "due_at", "problem_text", "discard_reason"]}),
        ("Tries", {"fields": ["attempts", "sends", "looks", "recheck_at"]}),
        ("Result", {"fields": ["external_id", "status_seen", "author_name", "author_kind", "delivered_at"]}),
        ("History", {"fields": ["created_by_name", "created_at", "supersedes"]}),
    ]
    readonly_fields = ["text", "problem_text"]
    inlines = [AttemptRows]

    @admin.display(description="text")
    def text(self, delivery: Delivery) -> str:
        """Return the text of a note, or the wanted status."""
        return str(delivery.payload.get("text") or delivery.payload.get("status") or "—")

    @admin.display(description="problem")
    def problem_text(self, delivery: Delivery) -> str:
        """Return what is wrong, in words."""
        return problem_text(delivery)


@admin.register(DeliveryAttempt)
class DeliveryAttemptAdmin(ScopedAdmin):
    """Attempts over all deliveries, newest first."""

    tenant_path = "delivery__tenant"
    list_display = ["started_at", "delivery", "action", "outcome", "http_status", "duration_ms", "request_id"]
    list_filter = ["action"]
    list_select_related = ["delivery"]
    search_fields = ["request_id", "outcome"]
    ordering = ["-id"]
    fields = [
        "delivery",
        "action",
        "started_at",
        "duration_ms",
        "outcome",
        "http_status",
        "request_id",
        "error",
    ]
