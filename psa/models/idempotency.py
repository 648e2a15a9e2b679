"""Owns what an idempotency key was used for."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from psa.models.tenant import tenant_key


class IdempotencyRecord(models.Model):
    """One key of one caller, stored in the transaction of the work it names."""

    tenant = tenant_key()
    caller = models.CharField(max_length=60)
    """`token:7` or `user:3`: two callers may use the same key."""
    key = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=64)
    """SHA-256 of method, path and canonical body."""
    unit = models.ForeignKey(
        "psa.WorkUnit", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    delivery = models.ForeignKey(
        "psa.Delivery", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "caller", "key"], name="psa_idempotency_key_once"),
        ]
        indexes: ClassVar = [models.Index(fields=["created_at"], name="psa_idempotency_by_age")]

    def __str__(self) -> str:
        return f"{self.caller} {self.key}"
