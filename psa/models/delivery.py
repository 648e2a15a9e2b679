"""Owns the outbox: units of work, their deliveries, and every attempt at one."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from psa.json_text import JSONText
from psa.models.connection import Connection
from psa.models.tenant import person_key, tenant_key
from psa.models.ticket_link import TicketLink

API_MEMBER = "API member"
"""Author shown where no member is mapped, and for writes that have no author of their own."""


class UnitState(models.TextChoices):
    """Where a unit of work stands, as its deliveries tell."""

    OPEN = "open", "On its way"
    DELIVERED = "delivered", "Delivered"
    BLOCKED = "blocked", "Needs you"
    DISCARDED = "discarded", "Not posted"


class DeliveryKind(models.TextChoices):
    """What is written. The first three are `types.NoteKind`."""

    ANALYSIS = "analysis", "Internal note"
    RESOLUTION = "resolution", "Resolution note"
    DISCUSSION = "discussion", "Discussion note"
    STATUS = "status", "Status"
    TIME = "time", "Time entry"
    DOCUMENT = "document", "Document"
    ARTICLE = "article", "Knowledge-base article"


NOTE_KINDS = (DeliveryKind.ANALYSIS, DeliveryKind.RESOLUTION, DeliveryKind.DISCUSSION)


class DeliveryState(models.TextChoices):
    """States of DESIGN: `ready → sending → delivered | retrying | unknown | dead | discarded`."""

    READY = "ready", "Queued"
    SENDING = "sending", "Sending"
    RETRYING = "retrying", "Waiting to try again"
    UNKNOWN = "unknown", "Checking"
    """Sent without a clear answer: it is looked up before anything is sent again."""
    DELIVERED = "delivered", "Delivered"
    DEAD = "dead", "Needs you"
    DISCARDED = "discarded", "Not posted"


OPEN_STATES = (
    DeliveryState.READY,
    DeliveryState.SENDING,
    DeliveryState.RETRYING,
    DeliveryState.UNKNOWN,
)
"""States a delivery leaves by itself."""
DUE_STATES = (DeliveryState.READY, DeliveryState.RETRYING, DeliveryState.UNKNOWN)


class HeldBy(models.TextChoices):
    """Why an open delivery does not run although its time has come."""

    NOTHING = "", "Nothing"
    EARLIER = "earlier", "An earlier delivery to this ticket"
    DEAD = "dead", "A part of this unit that needs you"
    CONNECTION = "connection", "The connection"
    """Never stored: selectors derive it from the connection's state."""
    PERMISSION = "permission", "A missing permission"
    MAPPING = "mapping", "No member is mapped to its author"
    PAUSE = "pause", "A person"


class WorkUnit(models.Model):
    """What a person did at once: note, resolution, status … are delivered in order, as one."""

    tenant = tenant_key()
    link = models.ForeignKey(TicketLink, on_delete=models.PROTECT, related_name="units")
    origin = models.CharField(max_length=60, blank=True)
    """The host's own reference, opaque here: `session:12`."""
    state = models.CharField(max_length=10, choices=UnitState, default=UnitState.OPEN)
    created_by = person_key()
    created_by_name = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    posted: list[Delivery]
    """Its deliveries in lane order, on a unit that was queued just now; no field."""

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(state__in=UnitState.values), name="psa_work_unit_state_known"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["tenant", "origin"], name="psa_work_unit_by_origin")]

    def __str__(self) -> str:
        return f"Unit {self.pk}"


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    """Deliveries, in the words of the outbox."""

    def open(self) -> DeliveryQuerySet:
        """Keep those that will still move by themselves, or once what holds them is gone."""
        return self.filter(state__in=OPEN_STATES)

    def dead(self) -> DeliveryQuerySet:
        """Keep those that need a person."""
        return self.filter(state=DeliveryState.DEAD)

    def in_lane_order(self) -> DeliveryQuerySet:
        """Order as they must reach the ticket."""
        return self.order_by("link_id", "seq")


class Delivery(models.Model):
    """One queued write. It is looked up by its marker, and never sent again blindly."""

    tenant = tenant_key()
    connection = models.ForeignKey(
        Connection, on_delete=models.PROTECT, related_name="deliveries", db_index=False
    )
    link = models.ForeignKey(TicketLink, on_delete=models.PROTECT, related_name="deliveries")
    unit = models.ForeignKey(WorkUnit, on_delete=models.PROTECT, related_name="deliveries")
    kind = models.CharField(max_length=12, choices=DeliveryKind)
    seq = models.PositiveIntegerField()
    """Place in the lane of the ticket."""
    part = models.PositiveSmallIntegerField(default=1)
    parts = models.PositiveSmallIntegerField(default=1)
    optional = models.BooleanField(default=False)
    """True when its death does not hold the rest of its unit."""
    payload = models.JSONField()
    """Notes: {"text", "notify"}; status: {"status" (id or exact name), "notify"}; time: `outbox.time_entry`;
    document: {"file_name", "title", "media_type", "size"}, its content lies in `FileBlock`."""
    marker = models.CharField(max_length=40, blank=True)
    """Last line of the text (`Ref RF-7K2M9QXA`), built from no id; empty for kinds without text."""
    text_hash = models.CharField(max_length=64, blank=True)
    """SHA-256 of what the text was made from, to tell a repeated post."""
    state = models.CharField(max_length=10, choices=DeliveryState, default=DeliveryState.READY)
    held_by = models.CharField(max_length=10, choices=HeldBy, default=HeldBy.NOTHING, blank=True)
    due_at = models.DateTimeField()
    held_since = models.DateTimeField(null=True, blank=True)
    """When something other than the lane began to hold it; None while it may run."""
    held_s = models.PositiveIntegerField(default=0)
    """Seconds it was held before: they do not count towards DELIVERY_MAX_AGE."""
    attempts = models.PositiveSmallIntegerField(default=0)
    """Attempts that count; waiting for a PSA that is down or asks for patience does not."""
    sends = models.PositiveSmallIntegerField(default=0)
    """How often the PSA may have done the write; a refusal that says "nothing was done" does not count."""
    looks = models.PositiveSmallIntegerField(default=0)
    """Counted looks since the last send."""
    recheck_at = models.DateTimeField(null=True, blank=True)
    """When a delivery that was sent twice is looked at once more for a late double."""
    status_seen = models.CharField(max_length=100, blank=True)
    """Status the PSA showed after a status delivery."""
    external_id = models.CharField(max_length=60, blank=True)
    author_name = models.CharField(max_length=200, blank=True)
    author_kind = models.CharField(max_length=12, blank=True)
    """`member` or `api_member`."""
    problem = models.JSONField(null=True, blank=True)
    """null or {"code", "text", "remedy"}."""
    supersedes = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="superseded_by"
    )
    discard_reason = models.CharField(max_length=300, blank=True)
    created_by = person_key()
    created_by_name = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    delivered_at = models.DateTimeField(null=True, blank=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name_plural = "deliveries"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["link", "seq"], name="psa_delivery_one_per_place"),
            models.UniqueConstraint(
                fields=["connection", "marker"],
                condition=~models.Q(marker=""),
                name="psa_delivery_marker_unique",
            ),
            models.UniqueConstraint(
                fields=["link"],
                condition=models.Q(state__in=["sending", "unknown"]),
                name="psa_delivery_one_in_flight_per_lane",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=DeliveryState.values), name="psa_delivery_state_known"
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=DeliveryKind.values), name="psa_delivery_kind_known"
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["connection", "due_at"],
                condition=models.Q(state__in=["ready", "retrying", "unknown"], held_by=""),
                name="psa_delivery_due",
            ),
            models.Index(
                fields=["connection"], condition=models.Q(state="sending"), name="psa_delivery_sending"
            ),
            models.Index(
                fields=["link", "seq"],
                condition=models.Q(state__in=["ready", "sending", "retrying", "unknown"]),
                name="psa_delivery_open_in_lane",
            ),
            # In place of the foreign key's own: it alone tells, and counts, the list of one connection.
            models.Index(fields=["connection", "tenant", "-id"], name="psa_delivery_by_connection"),
            models.Index(fields=["tenant", "-id"], name="psa_delivery_by_tenant"),
            models.Index(fields=["tenant", "state", "-id"], name="psa_delivery_by_state"),
            models.Index(
                fields=["connection", "kind"],
                condition=models.Q(held_by="permission"),
                name="psa_delivery_held_permission",
            ),
            # What needs a person, for the badge on every page. With the state, although the condition implies
            # it: SQLite prefers the index of more columns, which is that of everything ready.
            models.Index(
                fields=["tenant", "state"],
                condition=models.Q(held_by="permission"),
                name="psa_delivery_unpermitted",
            ),
            models.Index(
                fields=["tenant", "state"],
                condition=models.Q(held_by="mapping"),
                name="psa_delivery_unmapped",
            ),
            models.Index(
                models.F("tenant"),
                JSONText("problem", "code"),
                condition=models.Q(state="delivered", problem__isnull=False),
                name="psa_delivery_flawed",
            ),
            models.Index(
                fields=["recheck_at"],
                condition=models.Q(recheck_at__isnull=False),
                name="psa_delivery_recheck",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk}"

    @property
    def is_note(self) -> bool:
        """True for the kinds that write a note."""
        return self.kind in NOTE_KINDS


class DeliveryAttempt(models.Model):
    """One try at a delivery, or one look for it: when, how long, and what came of it."""

    delivery = models.ForeignKey(Delivery, on_delete=models.PROTECT, related_name="attempt_rows")
    action = models.CharField(max_length=4, choices=[("send", "Send"), ("look", "Look")])
    started_at = models.DateTimeField()
    duration_ms = models.PositiveIntegerField()
    outcome = models.CharField(max_length=24)
    """`delivered`, `found`, `not-found`, or the code of what went wrong."""
    http_status = models.PositiveSmallIntegerField(null=True, blank=True)
    request_id = models.CharField(max_length=40, blank=True)
    error = models.TextField(blank=True)
    """Our sentence and the PSA's words, redacted."""

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return f"{self.action} of {self.delivery_id}: {self.outcome}"
