"""Owns which PSA member a user of ours is."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from psa.fields import EncryptedJSONField
from psa.models.connection import Connection
from psa.models.tenant import person_key, tenant_key


class MappedHow(models.TextChoices):
    """How a mapping came about."""

    EMAIL = "email", "By e-mail"
    MANUAL = "manual", "By hand"
    INVITED = "invited", "Invited"


class MemberMapping(models.Model):
    """User ↔ member. Active rows are unique both ways per connection; closed ones stay as history."""

    tenant = tenant_key()
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="member_mappings")
    user = person_key()
    user_name = models.CharField(max_length=200)
    member_id = models.CharField(max_length=40)
    member_identifier = models.CharField(max_length=60, blank=True)
    member_name = models.CharField(max_length=200)
    member_emails = models.JSONField(default=list, blank=True)
    how = models.CharField(max_length=10, choices=MappedHow, default=MappedHow.MANUAL)
    active = models.BooleanField(default=True)
    own_credentials = EncryptedJSONField(null=True, blank=True)
    """The engineer's own keys, if given: {"public_key", "private_key"}."""
    own_suspended_at = models.DateTimeField(null=True, blank=True)
    """Set when the own keys were refused; the connection's keys are used again."""
    member_left_at = models.DateTimeField(null=True, blank=True)
    """Since when the PSA no longer lists the member as active; None while it does."""
    created_at = models.DateTimeField(auto_now_add=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["user_name"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["connection", "user"],
                condition=models.Q(active=True),
                name="psa_member_mapping_one_per_user",
            ),
            models.UniqueConstraint(
                fields=["connection", "member_id"],
                condition=models.Q(active=True),
                name="psa_member_mapping_one_per_member",
            ),
            models.CheckConstraint(
                condition=models.Q(how__in=MappedHow.values), name="psa_member_mapping_how_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_name} ↔ {self.member_name}"
