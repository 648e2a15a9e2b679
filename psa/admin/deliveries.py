"""Owns the admin pages of deliveries and their attempts. The queue moves by services, never by hand."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.db.models.functions import Length
from django.http import HttpRequest
from django.utils.text import Truncator

from psa import services
from psa.admin.asked import Asked, AskingAdmin, Told
from psa.admin.base import OwnConnectionFilter, ScopedAdmin, ScopedInline, problem_text
from psa.models import Delivery, DeliveryAttempt, FileBlock
from psa.models.delivery import DeliveryState
from psa.services.changes import DEFINITE, waits_for_person
from psa.types import Scope


class DiscardForm(forms.Form):
    """Why a delivery is not posted, and what becomes of what follows it."""

    reason = forms.CharField(
        max_length=300,
        required=False,
        help_text="It stays with the post, for whoever asks later.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "class": "vTextField"}),
    )
    rest = forms.ChoiceField(
        label="What follows in its unit",
        choices=[("discard", "Discard that as well"), ("continue", "Post the rest")],
        initial="discard",
    )


def _retry(scope: Scope, delivery: Delivery, _filled: dict[str, Any]) -> Told:
    services.delivery_retry(scope.tenant, delivery.pk, scope=scope)
    return messages.SUCCESS, "Put back into the queue."


def _discard(scope: Scope, delivery: Delivery, filled: dict[str, Any]) -> Told:
    services.delivery_discard(
        scope.tenant, delivery.pk, scope=scope, reason=filled["reason"], rest=filled["rest"]
    )
    if delivery.state == DeliveryState.DISCARDED:
        return messages.INFO, "It was discarded already. Nothing was changed."
    return messages.SUCCESS, "Discarded. It will not be posted."


DELIVERY_ACTIONS = (
    Asked(
        name="retry",
        label="Retry",
        follows="What failed, or waits for its next try, goes back into its lane with fresh attempts. What "
        "may stand on the ticket already is looked up before anything is sent.",
        run=_retry,
        fits=lambda row: row.state in (DeliveryState.DEAD, DeliveryState.RETRYING) or waits_for_person(row),
    ),
    Asked(
        name="discard",
        label="Discard",
        follows="It will not be posted. The text stays here.",
        run=_discard,
        form=lambda row: DiscardForm,
        fits=lambda row: row.state in DEFINITE,
    ),
)


class AttemptRows(ScopedInline):
    """The attempts at a delivery, oldest first."""

    model = DeliveryAttempt
    tenant_path = "delivery__tenant"
    fields = ["action", "started_at", "duration_ms", "outcome", "http_status", "request_id", "error"]


@admin.register(Delivery)
class DeliveryAdmin(AskingAdmin):
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
    asked = DELIVERY_ACTIONS

    def row_text(self, row: Delivery) -> str:
        """Return what is posted where, and how it begins."""
        return f"{row}, for ticket {row.link}: {Truncator(self.text(row)).chars(80)}"

    @admin.display(description="text")
    def text(self, delivery: Delivery) -> str:
        """Return the text of a note, the wanted status, the sentence of a time entry, the name of a file."""
        payload = delivery.payload
        names = ("text", "status", "notes", "file_name")
        return str(next((payload[name] for name in names if payload.get(name)), "—"))

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


@admin.register(FileBlock)
class FileBlockAdmin(ScopedAdmin):
    """What is kept of files, without their content."""

    tenant_path = "delivery__tenant"
    list_display = ["delivery", "number", "size", "created_at"]
    list_select_related = ["delivery"]
    search_fields = ["delivery__link__ticket_id", "delivery__payload"]
    ordering = ["-id"]
    fields = ["delivery", "number", "size", "created_at"]
    readonly_fields = ["size"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows without reading any file."""
        rows: QuerySet[Any] = super().get_queryset(request)
        rows = rows.defer("content").annotate(size_bytes=Length("content"))
        return rows

    @admin.display(description="bytes", ordering="size_bytes")
    def size(self, block: FileBlock) -> str:
        """Return how long the block is."""
        return f"{getattr(block, 'size_bytes', 0):,}"
