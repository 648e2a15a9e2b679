"""Owns the Django app config of the pages."""

from django.apps import AppConfig


class IntegrationsUiConfig(AppConfig):
    """Templates, views and static files."""

    name = "integrations_ui"
    verbose_name = "Integrations pages"
