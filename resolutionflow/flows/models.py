"""Owns the rows of flows: a Flow and its ordered FlowSteps."""

from __future__ import annotations

from django.db import models

from resolutionflow.accounts.models import Account


class Flow(models.Model):
    """A guide through one kind of problem."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="flows")
    title = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    keywords = models.JSONField(default=list, blank=True, help_text="Words of a ticket this flow fits.")
    boards = models.JSONField(
        default=list, blank=True, help_text="Names of the boards it is made for; empty: all."
    )
    ticket_types = models.JSONField(
        default=list,
        blank=True,
        help_text="Types of tickets it is made for (Email, Email/Outlook); empty: all.",
    )
    published = models.BooleanField(default=True, help_text="Only published flows are suggested.")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["title", "id"]
        indexes = [models.Index(fields=["account", "title"], name="flow_by_title")]

    def __str__(self) -> str:
        return self.title


class FlowStep(models.Model):
    """One thing to do or to look at."""

    flow = models.ForeignKey(Flow, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField(help_text="1 is the first step.")
    title = models.CharField(max_length=200)
    body = models.TextField(blank=True)

    class Meta:
        ordering = ["flow_id", "position"]
        constraints = [models.UniqueConstraint(fields=["flow", "position"], name="flow_step_position_once")]

    def __str__(self) -> str:
        return f"{self.position}. {self.title}"
