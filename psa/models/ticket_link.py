"""Owns the lane of a ticket: one row per ticket we ever write to, whatever the session."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from psa.models.connection import Connection
from psa.models.tenant import tenant_key
from psa.types import RecordType


class TicketLinkQuerySet(models.QuerySet["TicketLink"]):
    """Lanes, in the words of the domain."""

    def lane(self, link_id: int) -> TicketLink:
        """Return the lane that deliveries to a ticket take: its own, or its parent's once it was merged."""
        link = self.select_related("merged_into").get(pk=link_id)
        seen = {link.pk}
        while link.merged_into is not None and link.merged_into.pk not in seen:
            link = link.merged_into
            seen.add(link.pk)
        return link

    def lanes(self, link_id: int) -> list[int]:
        """Return the ids of the lanes a ticket's deliveries may stand in: its own, and its parent's."""
        if not self.filter(pk=link_id).exists():
            return [link_id]
        return sorted({link_id, self.lane(link_id).pk})


class TicketLink(models.Model):
    """One ticket of one connection. Deliveries to it run in the order of their `seq`, one at a time."""

    tenant = tenant_key()
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="ticket_links")
    record_type = models.CharField(max_length=10)
    """Value of `types.RecordType`."""
    ticket_id = models.CharField(max_length=40)
    summary = models.CharField(max_length=255, blank=True)
    """Snapshot, for lists; the ticket itself is read from the PSA."""
    board_id = models.CharField(max_length=40, blank=True)
    board_name = models.CharField(max_length=100, blank=True)
    company_id = models.CharField(max_length=40, blank=True)
    company_name = models.CharField(max_length=255, blank=True)
    devices = models.JSONField(default=list, blank=True)
    """[{"id", "name"}] as a context last told them."""
    url = models.CharField(max_length=500, blank=True)
    ticket_created_at = models.DateTimeField(null=True, blank=True)
    next_seq = models.PositiveIntegerField(default=1)
    """Place the next delivery of this lane gets."""
    lease_token = models.CharField(max_length=32, blank=True)
    """Who works the lane now; empty when nobody does."""
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    merged_into = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="merged_here"
    )
    """Lane of the ticket this one was merged into: what is posted here goes there."""
    cache_epoch = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = TicketLinkQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["connection", "record_type", "ticket_id"], name="psa_ticket_link_one_lane_per_ticket"
            ),
            models.CheckConstraint(
                condition=models.Q(record_type__in=[kind.value for kind in RecordType]),
                name="psa_ticket_link_record_type_known",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["lease_expires_at"],
                condition=models.Q(lease_expires_at__isnull=False),
                name="psa_ticket_link_by_lease",
            ),
            models.Index(
                fields=["connection", "company_id"],
                condition=~models.Q(company_id=""),
                name="psa_ticket_link_by_company",
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.ticket_id} {self.summary}".strip()
