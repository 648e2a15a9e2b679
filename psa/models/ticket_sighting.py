"""Owns what we heard and last saw of a ticket, linked or not: one row a ticket that ever changed."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from psa.models.connection import Connection
from psa.models.tenant import tenant_key


class TicketSighting(models.Model):
    """A ticket somebody told us about. It is read again while `changed_at` is set."""

    tenant = tenant_key()
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="ticket_sightings")
    ticket_id = models.CharField(max_length=40)
    record_type = models.CharField(max_length=10, blank=True)
    """Value of `types.RecordType`; empty until the ticket was read."""
    changes = models.PositiveIntegerField(default=0)
    """Raised with each change we hear of; part of the cache keys of the ticket's context."""
    changed_at = models.DateTimeField(null=True, blank=True)
    """When we first heard of a change that was not read yet; None when there is nothing to read."""
    read_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(null=True, blank=True)
    """When the ticket was changed last, by the PSA's own clock, as we read it."""
    seen = models.JSONField(default=dict, blank=True)
    """What was read last of what matters: {"board", "type", "assigned", "closed", "summary"}."""
    gone_at = models.DateTimeField(null=True, blank=True)
    """When the PSA told that the ticket was deleted, or it was not found any more."""

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["connection", "ticket_id"], name="psa_ticket_sighting_one_per_ticket"
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["connection", "changed_at"],
                condition=models.Q(changed_at__isnull=False),
                name="psa_ticket_sighting_due",
            ),
            models.Index(fields=["connection", "read_at"], name="psa_ticket_sighting_read"),
        ]

    def __str__(self) -> str:
        return f"#{self.ticket_id}"
