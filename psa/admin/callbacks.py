"""Owns the admin pages of callbacks and what they brought.

The address of a callback is a secret: `secret_id`, the registered URL and a receipt's path are not shown.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages

from psa import services
from psa.admin.asked import Asked, AskingAdmin, Told
from psa.admin.base import OwnConnectionFilter, ScopedAdmin, problem_text
from psa.models import CallbackSubscription, WebhookReceipt
from psa.models.callback import ReceiptState
from psa.redact import redact_text
from psa.types import Scope


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


def _replay(scope: Scope, receipt: WebhookReceipt, _filled: dict[str, Any]) -> Told:
    found = services.receipt_replay(scope.tenant, receipt.pk, actor=scope.actor)
    level = messages.SUCCESS if found.state == ReceiptState.PROCESSED else messages.WARNING
    return level, found.outcome or "Judged again."


@admin.register(WebhookReceipt)
class WebhookReceiptAdmin(AskingAdmin):
    """What a PSA told us, as it came."""

    asked = (
        Asked(
            name="replay",
            label="Judge again",
            follows="The signature is judged once more. A message that is true marks its ticket as changed, "
            "as if it had come now; the ticket is then read from the PSA.",
            run=_replay,
        ),
    )

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
