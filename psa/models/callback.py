"""Owns what we asked a PSA to tell us, and what it told."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models

from psa.models.connection import Connection
from psa.models.tenant import tenant_key


class SubscriptionState(models.TextChoices):
    """Whether the PSA calls us."""

    WANTED = "wanted", "Not registered yet"
    ACTIVE = "active", "Active"
    PAUSED = "paused", "Paused"
    FAILED = "failed", "Failed"
    REMOVED = "removed", "Removed"


class CallbackSubscription(models.Model):
    """One registration at the PSA. `secret_id` makes its URL unguessable."""

    tenant = tenant_key()
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="callbacks")
    secret_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    type = models.CharField(max_length=30)
    level = models.CharField(max_length=30)
    object_id = models.CharField(max_length=40)
    url = models.CharField(max_length=500, blank=True)
    """What is registered; differs from what we want once our public URL changed."""
    external_id = models.CharField(max_length=60, blank=True)
    state = models.CharField(max_length=10, choices=SubscriptionState, default=SubscriptionState.WANTED)
    problem = models.JSONField(null=True, blank=True)
    """null or {"code", "text", "remedy"}."""
    last_received_at = models.DateTimeField(null=True, blank=True)
    verified = models.PositiveIntegerField(default=0)
    """Receipts whose signature held."""
    rejected = models.PositiveIntegerField(default=0)
    """Receipts whose signature, company or form did not."""
    poll_cursor = models.DateTimeField(null=True, blank=True)
    """Not used any more: a connection without callbacks is polled, too, see `Connection.poll_cursor`."""
    next_check_at = models.DateTimeField(null=True, blank=True)
    """When what we want is compared with what is registered again; None compares at once."""
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["connection", "type", "level", "object_id"],
                condition=~models.Q(state="removed"),
                name="psa_callback_one_per_object",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=SubscriptionState.values), name="psa_callback_state_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} by {self.level} {self.object_id}"


class ReceiptState(models.TextChoices):
    """What became of a receipt."""

    RECEIVED = "received", "Received"
    """Stored as it came, not looked at yet: untrusted."""
    PROCESSED = "processed", "Processed"
    DUPLICATE = "duplicate", "Duplicate"
    REJECTED = "rejected", "Rejected"


class WebhookReceipt(models.Model):
    """One call of the PSA, raw. Answered at once, verified and processed by the worker."""

    subscription = models.ForeignKey(CallbackSubscription, on_delete=models.PROTECT, related_name="receipts")
    received_at = models.DateTimeField(auto_now_add=True)
    body = models.BinaryField()
    signature = models.CharField(max_length=200, blank=True)
    path = models.CharField(max_length=500, blank=True)
    query = models.CharField(max_length=1000, blank=True)
    dedupe_key = models.CharField(max_length=80, blank=True)
    """The PSA's message id, else a hash of the body."""
    state = models.CharField(max_length=10, choices=ReceiptState, default=ReceiptState.RECEIVED)
    verified = models.BooleanField(null=True, blank=True)
    outcome = models.CharField(max_length=200, blank=True)
    processed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["subscription", "dedupe_key"],
                condition=models.Q(state="processed") & ~models.Q(dedupe_key=""),
                name="psa_receipt_processed_once",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=ReceiptState.values), name="psa_receipt_state_known"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["id"], condition=models.Q(state="received"), name="psa_receipt_waiting"),
        ]

    def __str__(self) -> str:
        return f"Receipt {self.pk}"
