"""Owns the rows of sessions: a FlowSession, its numbered SessionSteps and its SessionPauses.

A session points at `psa.TicketLink`, never the other way: `psa` knows a session only as an opaque origin.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Max, Q
from django.utils import timezone

from resolutionflow.accounts.models import Account
from resolutionflow.flows.models import Flow

TITLE_MAX_CHARS = 200


def _person_key(**options: Any) -> models.ForeignKey[Any, Any]:
    """Return a key to a user that becomes NULL with the user; a stored name stands beside it."""
    return models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        **options,
    )


class SessionState(models.TextChoices):
    """Whether work goes on."""

    OPEN = "open", "Open"
    """Steps can be added."""
    COMPLETED = "completed", "Completed"
    """Closed for good; what was done stays as it is."""


class Outcome(models.TextChoices):
    """How a session ended."""

    RESOLVED = "resolved", "Resolved"
    """The problem is solved: the customer gets the closing summary."""
    UNRESOLVED = "unresolved", "Not resolved"
    ESCALATED = "escalated", "Escalated"
    """Somebody else goes on."""
    CANCELLED = "cancelled", "Cancelled"
    """Nobody needs to go on."""


class FlowSessionQuerySet(models.QuerySet["FlowSession"]):
    """Sessions, in the words of the help desk."""

    def of(self, account: Account) -> FlowSessionQuerySet:
        """Keep an account's sessions."""
        return self.filter(account=account)

    def open(self) -> FlowSessionQuerySet:
        """Keep those where work goes on."""
        return self.filter(state=SessionState.OPEN)

    def completed(self) -> FlowSessionQuerySet:
        """Keep those that are closed."""
        return self.filter(state=SessionState.COMPLETED)

    def with_details(self) -> FlowSessionQuerySet:
        """Read flow, ticket, steps and pauses along: three queries, however many sessions there are."""
        return self.select_related("flow", "link").prefetch_related("steps", "pauses")


class FlowSession(models.Model):
    """One piece of troubleshooting. It completes once, and everybody in its account may work on it."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="flow_sessions")
    title = models.CharField(max_length=TITLE_MAX_CHARS)
    flow = models.ForeignKey(
        Flow, on_delete=models.SET_NULL, null=True, blank=True, related_name="flow_sessions"
    )
    state = models.CharField(max_length=10, choices=SessionState, default=SessionState.OPEN)
    outcome = models.CharField(max_length=10, choices=Outcome, blank=True, default="")
    """Empty while the session is open."""
    resolution = models.TextField(blank=True, default="")
    """The closing summary: the only text of a session a customer ever reads."""
    link = models.ForeignKey(
        "psa.TicketLink", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    linked_by = _person_key()
    linked_by_name = models.CharField(max_length=200, blank=True, default="")
    linked_at = models.DateTimeField(null=True, blank=True)
    unit = models.ForeignKey(
        "psa.WorkUnit", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    """What the completion queued."""
    created_by = _person_key()
    created_by_name = models.CharField(max_length=200, blank=True, default="")
    started_at = models.DateTimeField(default=timezone.now)
    completed_at = models.DateTimeField(null=True, blank=True)
    completed_by = _person_key()
    completed_by_name = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = FlowSessionQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-started_at", "-id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=(
                    Q(state=SessionState.OPEN, outcome="", completed_at=None, unit=None)
                    | Q(state=SessionState.COMPLETED, outcome__in=Outcome.values, completed_at__isnull=False)
                ),
                name="flow_session_outcome_once_completed",
            ),
            models.CheckConstraint(
                condition=(Q(link=None, linked_at=None) | Q(link__isnull=False, linked_at__isnull=False)),
                name="flow_session_linked_at_with_link",
            ),
            models.CheckConstraint(
                condition=Q(completed_at=None) | Q(completed_at__gte=F("started_at")),
                name="flow_session_ends_after_start",
            ),
            models.CheckConstraint(condition=~Q(title=""), name="flow_session_has_title"),
            models.UniqueConstraint(fields=["unit"], name="flow_session_unit_once"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["account", "-started_at", "-id"], name="flow_session_newest"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_open(self) -> bool:
        """True while steps can be added."""
        return self.state == SessionState.OPEN

    @property
    def paused_at(self) -> datetime | None:
        """Since when work rests; None while it goes on. Free of queries after `with_details`."""
        return next((pause.started_at for pause in self.pauses.all() if pause.ended_at is None), None)

    @property
    def origin(self) -> str:
        """How `psa` names what this session queued."""
        return f"session:{self.pk}"


class SessionStepQuerySet(models.QuerySet["SessionStep"]):
    """Steps, in the words of the help desk."""

    def next_position(self, session: FlowSession) -> int:
        """Return the number of the session's next step, from 1. True only while the session is locked."""
        last = self.filter(session=session).aggregate(last=Max("position"))["last"]
        return (last or 0) + 1


class SessionStep(models.Model):
    """One thing that was done, and what it showed. Internal: no customer ever reads it."""

    session = models.ForeignKey(FlowSession, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveIntegerField()
    """1 is the first step."""
    title = models.CharField(max_length=TITLE_MAX_CHARS, blank=True, default="")
    body = models.TextField()
    result = models.TextField(blank=True, default="")
    author = _person_key()
    author_name = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)

    objects = SessionStepQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["session_id", "position"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["session", "position"], name="session_step_position_once"),
            models.CheckConstraint(condition=Q(position__gte=1), name="session_step_position_from_one"),
            models.CheckConstraint(condition=~Q(body=""), name="session_step_has_body"),
        ]

    def __str__(self) -> str:
        return f"{self.position}. {self.title or self.body[:60]}"


class SessionPause(models.Model):
    """A stretch in which nobody worked on a session; it comes off everybody's working time."""

    session = models.ForeignKey(FlowSession, on_delete=models.CASCADE, related_name="pauses")
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    """None while it lasts."""
    paused_by = _person_key()
    paused_by_name = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        ordering: ClassVar = ["session_id", "started_at", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["session"], condition=Q(ended_at=None), name="session_pause_one_runs"
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None) | Q(ended_at__gte=F("started_at")),
                name="session_pause_ends_after_start",
            ),
        ]

    def __str__(self) -> str:
        return f"Pause {self.pk} of session {self.session_id}"
