"""Owns which status a session's outcome sets on a board."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from psa.models.connection import Connection
from psa.models.tenant import tenant_key


class MailChoice(models.TextChoices):
    """What a status change sends."""

    AS_PSA = "as_psa", "As the PSA does"
    """The PSA's own rules decide."""
    SILENT = "silent", "Silent"
    """We ask the PSA to send nothing; its workflow rules may still."""


class StatusRule(models.Model):
    """Outcome → status, for one board. A board without a rule gets no status."""

    tenant = tenant_key()
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="status_rules")
    board_id = models.CharField(max_length=40)
    board_name = models.CharField(max_length=100, blank=True)
    outcome = models.CharField(max_length=20)
    """The host's own word: `resolved`, `escalated`, …"""
    status_id = models.CharField(max_length=40)
    status_name = models.CharField(max_length=100)
    mail = models.CharField(max_length=10, choices=MailChoice, default=MailChoice.SILENT)
    valid = models.BooleanField(default=True)
    """False once the status left the board or became inactive."""
    no_time_entries = models.BooleanField(default=False)
    """True when the status takes no time entries."""
    mails_customer = models.BooleanField(default=False)
    """True when the status has a mail template."""
    closes = models.BooleanField(null=True, blank=True)
    """True when the status closes the ticket; None until the status was read."""
    checked_at = models.DateTimeField(null=True, blank=True)
    """When the statuses of the board were last read for this rule."""
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["board_name", "outcome"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["connection", "board_id", "outcome"], name="psa_status_rule_one_per_outcome"
            ),
            models.CheckConstraint(
                condition=models.Q(mail__in=MailChoice.values), name="psa_status_rule_mail_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.board_name}: {self.outcome} → {self.status_name}"
