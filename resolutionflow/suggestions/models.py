"""Owns the rows of suggestions: one for each ticket and the engineer it is for."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from resolutionflow.accounts.models import Account
from resolutionflow.flows.models import Flow
from resolutionflow.sessions.models import FlowSession


class SuggestionState(models.TextChoices):
    """What became of a suggestion."""

    NEW = "new", "New"
    SEEN = "seen", "Seen"
    ACCEPTED = "accepted", "Accepted"
    """A session was begun with one of its flows."""
    DISMISSED = "dismissed", "Dismissed"
    GONE = "gone", "Gone"
    """The ticket was closed, deleted or given to somebody else before anybody chose."""


OPEN_STATES = (SuggestionState.NEW, SuggestionState.SEEN)


class SuggestionQuerySet(models.QuerySet["Suggestion"]):
    """Suggestions, in the words of the help desk."""

    def of(self, account: Account) -> SuggestionQuerySet:
        """Keep an account's suggestions."""
        return self.filter(account=account)

    def open(self) -> SuggestionQuerySet:
        """Keep those nobody has decided about."""
        return self.filter(state__in=OPEN_STATES)

    def shown_to(self, user_id: int | None) -> SuggestionQuerySet:
        """Keep those of one engineer, and those of tickets that nobody has yet."""
        return self.filter(Q(for_user_id=user_id) | Q(for_user=None))


class Suggestion(models.Model):
    """Flows that fit a ticket, for the engineer it is assigned to; for all while it is nobody's."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="suggestions")
    connection = models.ForeignKey("psa.Connection", on_delete=models.PROTECT, related_name="+")
    ticket_id = models.CharField(max_length=40)
    record_type = models.CharField(max_length=10)
    summary = models.CharField(max_length=255, blank=True)
    board_name = models.CharField(max_length=100, blank=True)
    company_name = models.CharField(max_length=255, blank=True)
    url = models.CharField(max_length=500, blank=True)
    why = models.CharField(max_length=20)
    """What happened to the ticket: `created`, `assigned`, `board` or `type`."""
    flows = models.JSONField(default=list)
    """[{"flow", "title", "score", "reasons"}], the best first."""
    for_user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    """None while the ticket is nobody's."""
    state = models.CharField(max_length=10, choices=SuggestionState, default=SuggestionState.NEW)
    chosen = models.ForeignKey(Flow, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    """The flow that was accepted; of a dismissed one that which stood first."""
    session = models.ForeignKey(
        FlowSession, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    """What was begun with it."""
    decided_by_name = models.CharField(max_length=200, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    objects = SuggestionQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-changed_at", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["connection", "ticket_id", "for_user"],
                condition=Q(for_user__isnull=False),
                name="suggestion_one_per_engineer",
            ),
            models.UniqueConstraint(
                fields=["connection", "ticket_id"],
                condition=Q(for_user=None),
                name="suggestion_one_for_all",
            ),
            models.CheckConstraint(
                condition=Q(state__in=SuggestionState.values), name="suggestion_state_known"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["account", "for_user", "state"], name="suggestion_of_engineer"),
            models.Index(fields=["account", "chosen", "state"], name="suggestion_of_flow"),
        ]

    def __str__(self) -> str:
        return f"#{self.ticket_id} {self.summary}".strip()

    @property
    def is_open(self) -> bool:
        """True while nobody has decided."""
        return self.state in OPEN_STATES

    @property
    def best(self) -> dict[str, Any]:
        """The flow that fits best."""
        found: dict[str, Any] = self.flows[0]
        return found
