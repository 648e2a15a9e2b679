"""Owns how a form starts from what was typed when the sign-in had expired, and that the person is told."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest

from integrations_ui.kept import typed


def kept_take(request: HttpRequest) -> dict[str, str]:
    """Return what was typed for this page before the sign-in, once; empty when nothing was, or for a POST."""
    kept = typed(request) if request.method in ("GET", "HEAD") else {}
    if kept:
        messages.info(
            request, "Your sign-in had expired, so nothing was sent. What you typed is here: send it again."
        )
    return {name: value.replace("\r\n", "\n") for name, value in kept.items()}
