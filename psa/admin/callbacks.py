"""Owns the admin pages of callbacks and what they brought.

The address of a callback is a secret: `secret_id`, the registered URL and a receipt's path are not shown.
"""

from __future__ import annotations

from django.contrib import admin

from psa.admin.base import OwnConnectionFilter, ScopedAdmin, problem_text
from psa.models import CallbackSubscription, WebhookReceipt
from psa.redact import redact_text


@admin.register(CallbackSubscription)
class CallbackSubscriptionAdmin(ScopedAdmin):
    """What we asked a PSA to tell us, and whether it does."""

    list_display = ["type", "level", "object_id", "connection", "state", "last_received_at"]
    list_filter = [("connection", OwnConnectionFilter), "state"]
    list_select_related = ["connection"]
    search_fields = ["type", "object_id", "external_id"]
    fields = [
        "connection",
        "type",
        "level",
        "object_id",
        "external_id",
        "state",
        "problem_text",
        "last_received_at",
        "verified",
        "rejected",
        "poll_cursor",
        "created_at",
    ]
    readonly_fields = ["problem_text"]

    @admin.display(description="problem")
    def problem_text(self, subscription: CallbackSubscription) -> str:
        """Return what is wrong, in words."""
        return problem_text(subscription)


@admin.register(WebhookReceipt)
class WebhookReceiptAdmin(ScopedAdmin):
    """What a PSA told us, as it came."""

    tenant_path = "subscription__tenant"
    list_display = ["received_at", "subscription", "state", "verified", "outcome"]
    list_filter = ["state", "verified"]
    list_select_related = ["subscription"]
    search_fields = ["dedupe_key", "outcome"]
    fields = [
        "subscription",
        "received_at",
        "state",
        "verified",
        "outcome",
        "processed_at",
        "dedupe_key",
        "body_text",
    ]
    readonly_fields = ["body_text"]

    @admin.display(description="body (redacted)")
    def body_text(self, receipt: WebhookReceipt) -> str:
        """Return the beginning of the body, secrets blacked out."""
        return redact_text(bytes(receipt.body).decode(errors="replace")) or "—"
