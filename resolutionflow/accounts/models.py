"""Owns the rows of people: User, Account (the tenant), Membership (who works where, as what) and ApiToken."""

from __future__ import annotations

import zoneinfo
from datetime import datetime

from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone


def validate_time_zone(value: str) -> None:
    """Raise ValidationError unless the value is an IANA time zone such as Europe/Berlin."""
    if value not in zoneinfo.available_timezones():
        raise ValidationError(
            "%(value)s is no time zone. Write it like Europe/Berlin.", params={"value": value}
        )


class User(AbstractUser):
    """A person who signs in. What they may do stands in their Membership."""

    time_zone = models.CharField(
        max_length=64,
        default="UTC",
        validators=[validate_time_zone],
        help_text="Times on pages and in documentation are shown in this zone, for example Europe/Berlin.",
    )

    @property
    def display_name(self) -> str:
        """Full name, or the user name where no name is known."""
        return self.get_full_name() or self.get_username()


class Account(models.Model):
    """One MSP: the tenant that everything else belongs to."""

    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=80, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    """What a member may do. Each role may do all that the next one may."""

    ADMIN = "admin", "Admin"
    """Manages connections, callbacks, people and tokens."""
    LEAD = "lead", "Lead"
    """Manages mappings and status rules; sees the audit and everybody's deliveries."""
    ENGINEER = "engineer", "Engineer"
    """Works on sessions and posts to tickets."""


class MembershipManager(models.Manager["Membership"]):
    """Reads the account along: who asks for a membership wants the tenant next."""

    def get_queryset(self) -> models.QuerySet[Membership]:
        """Return memberships with their accounts."""
        return super().get_queryset().select_related("account")


class Membership(models.Model):
    """The one account a user works in, and the role there."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="membership")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role, default=Role.ENGINEER)

    objects = MembershipManager()

    class Meta:
        base_manager_name = "objects"  # so that `user.membership` costs one query, not two
        constraints = [
            models.CheckConstraint(
                condition=Q(role__in=["admin", "lead", "engineer"]), name="membership_role_known"
            )
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.get_role_display()} · {self.account}"


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    """Speaks of tokens the way people do."""

    def usable(self, now: datetime) -> ApiTokenQuerySet:
        """Keep the tokens that still open the door."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None, user__is_active=True)


class ApiToken(models.Model):
    """A key to the REST API. It acts as its user; only a hash of its secret is stored."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100, help_text="What uses this token, for example: nightly export.")
    prefix = models.CharField(max_length=12, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    """SHA-256 of the secret, in hex. The secret has 256 random bits, so it needs no salt and no slow hash."""
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: it never expires.")
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        verbose_name = "API token"
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.name} (rf_{self.prefix}_…)"

    @property
    def is_expired(self) -> bool:
        """True once the expiry lies in the past."""
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def is_revoked(self) -> bool:
        """True once somebody has revoked it."""
        return self.revoked_at is not None
