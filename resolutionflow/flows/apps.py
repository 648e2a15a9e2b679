"""Owns the Django app config of `flows`."""

from django.apps import AppConfig


class FlowsConfig(AppConfig):
    """Flows and their steps."""

    name = "resolutionflow.flows"
    label = "flows"
    verbose_name = "Flows"
