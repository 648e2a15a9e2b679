"""Owns the Django app config of `sessions`."""

from django.apps import AppConfig


class SessionsConfig(AppConfig):
    """Sessions and their steps. Labelled `flow_sessions`, because Django owns `sessions`."""

    name = "resolutionflow.sessions"
    label = "flow_sessions"
    verbose_name = "Sessions"
    default_auto_field = "django.db.models.BigAutoField"
