"""Owns what the daily look at a PSA's members found: who is new, who left, who was switched off."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from psa.models.connection import Connection
from psa.models.tenant import tenant_key


class MemberChange(models.TextChoices):
    """What became of a member since the look before."""

    NEW = "new", "New"
    """Was not there, or was switched off, and can be mapped now."""
    INACTIVE = "inactive", "Switched off"
    LEFT = "left", "Left"
    """The PSA no longer lists the member."""


class MemberReview(models.Model):
    """One row a connection. One conditional UPDATE of `due_at` claims a look, so N workers look once."""

    tenant = tenant_key()
    connection = models.OneToOneField(Connection, on_delete=models.PROTECT, related_name="member_review")
    due_at = models.DateTimeField()
    checked_at = models.DateTimeField(null=True, blank=True)
    """When the members were last read; None until the first look."""
    known = models.JSONField(default=dict, blank=True)
    """{"105": "Erin Owens"}: names of the active members by id, API members left out."""
    news = models.JSONField(default=list, blank=True)
    """[{"id": "105", "name": "Erin Owens", "change": "left", "at": "2026-03-02T09:14:05+00:00"}], the newest
    first, until a person says that they looked."""

    class Meta:
        ordering: ClassVar = ["connection_id"]

    def __str__(self) -> str:
        return f"Members of connection {self.connection_id}"
