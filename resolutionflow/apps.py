"""Owns what the host does once when a process starts."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig
from django.conf import settings


class HostConfig(AppConfig):
    """The host project itself; it has no models."""

    name = "resolutionflow"
    verbose_name = "ResolutionFlow"

    def ready(self) -> None:
        """Load the Celery app where a broker is set, so that web processes can tell the fleet of work."""
        if settings.CELERY_BROKER_URL:
            import_module("resolutionflow.celery")
