"""Owns a tenant's link to one PSA, and the audit of what was done through it."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from django.db import models
from django.db.models.functions import Lower

from psa.exceptions import MissingError
from psa.fields import EncryptedJSONField
from psa.models.tenant import person_key, tenant_key
from psa.types import Tenant


class ConnectionState(models.TextChoices):
    """How a connection fares."""

    UNVERIFIED = "unverified", "Unverified"
    """Stored without a test; the first good answer makes it connected."""
    CONNECTED = "connected", "Connected"
    DEGRADED = "degraded", "Degraded"
    """The PSA is down, being upgraded or has moved; heals by itself."""
    BROKEN = "broken", "Broken"
    """The keys were refused twice; a person has to act. The queue is held."""
    DISABLED = "disabled", "Disabled"
    """Switched off by an admin. The queue is held."""


FLOWING_STATES = (ConnectionState.CONNECTED, ConnectionState.UNVERIFIED)
"""Connections whose queue runs. The others are probed until they flow again."""


class ConnectionQuerySet(models.QuerySet["Connection"]):
    """Connections, in the words of the domain."""

    def live(self) -> ConnectionQuerySet:
        """Keep those that were not deleted."""
        return self.filter(deleted_at=None)

    def of(self, tenant: Tenant) -> ConnectionQuerySet:
        """Keep a tenant's live connections."""
        return self.live().filter(tenant=tenant)

    def one_of(self, tenant: Tenant, connection_id: int) -> Connection:
        """Return one of a tenant's live connections. Raises: MissingError, also for another tenant's."""
        found = self.of(tenant).filter(pk=connection_id).first()
        if found is None:
            raise MissingError("There is no such connection.")
        return found


class Connection(models.Model):
    """A tenant's link to a PSA. `site` is canonical: cloud twins of one host are stored alike."""

    tenant = tenant_key()
    provider = models.CharField(max_length=40)
    """Key in `PSA["PROVIDERS"]`, checked in code: a new provider needs no migration."""
    name = models.CharField(max_length=100)
    site = models.CharField(max_length=255)
    company_id = models.CharField(max_length=200, blank=True)
    """The account at the PSA these credentials belong to."""
    credentials = EncryptedJSONField()
    endpoint = models.JSONField(null=True, blank=True)
    """Where the API was last found, as `types.Endpoint.as_dict`."""
    settings = models.JSONField(default=dict, blank=True)
    features = models.JSONField(default=list, blank=True)
    """Last probe: [{"feature": "notes", "status": "ok", "grant": ""}]; `refused` where a write was since."""
    hidden_boards = models.JSONField(default=list, blank=True)
    state = models.CharField(max_length=12, choices=ConnectionState, default=ConnectionState.UNVERIFIED)
    state_since = models.DateTimeField(null=True, blank=True)
    problem = models.JSONField(null=True, blank=True)
    """null or {"code", "text", "remedy"}."""
    last_checked_at = models.DateTimeField(null=True, blank=True)
    last_delivered_at = models.DateTimeField(null=True, blank=True)
    not_before = models.DateTimeField(null=True, blank=True)
    """The PSA asked us to wait until then (429)."""
    open_until = models.DateTimeField(null=True, blank=True)
    """The breaker is open until then."""
    failures = models.PositiveIntegerField(default=0)
    """Connect failures in a row, over all workers."""
    auth_failed_at = models.DateTimeField(null=True, blank=True)
    """First refusal of the keys in a row; a second one a minute later breaks the connection."""
    next_probe_at = models.DateTimeField(null=True, blank=True)
    """When a degraded or broken connection is tried again."""
    cache_epoch = models.PositiveIntegerField(default=0)
    """Part of every cache key: raising it forgets what was cached."""
    config_version = models.PositiveIntegerField(default=0)
    """Raised with each change of site, credentials or endpoint, so that workers open new clients."""
    member_identifier = models.CharField(max_length=100, blank=True)
    """Who the keys belong to at the PSA, as the last probe told: so that our own changes are known."""
    reads_not_before = models.DateTimeField(null=True, blank=True)
    """Reads in the background wait until then; a 429 on a read never holds up a note."""
    poll_cursor = models.DateTimeField(null=True, blank=True)
    """Newest change of a ticket a poll has seen, by the PSA's clock."""
    next_poll_at = models.DateTimeField(null=True, blank=True)
    """When changed tickets are asked for again; None asks at once."""
    bulk_change = models.JSONField(null=True, blank=True)
    """{"at", "tickets"}: when so many tickets changed at once that nothing was made of each."""
    created_by = person_key()
    created_by_name = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = ConnectionQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                "tenant",
                "provider",
                "site",
                Lower("company_id"),
                condition=models.Q(deleted_at=None),
                name="psa_connection_one_live_per_company",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=ConnectionState.values), name="psa_connection_state_known"
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["next_probe_at"],
                condition=models.Q(next_probe_at__isnull=False),
                name="psa_connection_probe_due",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class AuditQuerySet(models.QuerySet["AuditEntry"]):
    """Audit entries: they can be read and added, nothing else."""

    def delete(self) -> NoReturn:
        """Raise: nothing leaves the audit. Raises: RuntimeError."""
        raise RuntimeError("Audit entries are never deleted.")


class AuditEntry(models.Model):
    """One row for each write to a PSA and each change of a connection. Never changed, never a secret."""

    tenant = tenant_key()
    connection = models.ForeignKey(
        Connection, on_delete=models.PROTECT, null=True, blank=True, related_name="audit_entries"
    )
    actor = person_key()
    actor_name = models.CharField(max_length=200)
    verb = models.CharField(max_length=60)
    """`connection.created`, `note.delivered`, … : object and what happened."""
    object_type = models.CharField(max_length=40)
    object_id = models.CharField(max_length=60, blank=True)
    ticket_id = models.CharField(max_length=40, blank=True)
    kind = models.CharField(max_length=20, blank=True)
    shown_as = models.CharField(max_length=200, blank=True)
    """Author the PSA shows."""
    customer_visible = models.BooleanField(null=True, blank=True)
    mailed = models.BooleanField(null=True, blank=True)
    facts = models.JSONField(default=dict, blank=True)
    """Redacted before and after."""
    created_at = models.DateTimeField(auto_now_add=True)

    objects = AuditQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name_plural = "audit entries"
        indexes: ClassVar = [
            models.Index(fields=["tenant", "-id"], name="psa_audit_by_tenant"),
            models.Index(fields=["tenant", "object_type", "object_id"], name="psa_audit_by_object"),
        ]

    def __str__(self) -> str:
        return f"{self.verb} by {self.actor_name}"

    def save(self, *args: Any, **options: Any) -> None:
        """Store a new entry. Raises: RuntimeError, for one that is stored already."""
        if not self._state.adding:
            raise RuntimeError("Audit entries are never changed.")
        super().save(*args, **options)

    def delete(self, *_args: Any, **_options: Any) -> NoReturn:
        """Raise: nothing leaves the audit. Raises: RuntimeError."""
        raise RuntimeError("Audit entries are never deleted.")
