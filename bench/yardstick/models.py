"""Owns the plain table. It has no migrations: `migrate --run-syncdb` makes it."""

from __future__ import annotations

from django.db import models


class PlainNote(models.Model):
    """One text, and nothing that happens to it."""

    text = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"Plain note {self.pk}"
