"""Owns the Django app config of `suggestions`."""

from django.apps import AppConfig


class SuggestionsConfig(AppConfig):
    """Suggested flows."""

    name = "resolutionflow.suggestions"
    label = "suggestions"
    verbose_name = "Suggestions"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Listen to what the PSA tells."""
        from resolutionflow.suggestions import receivers  # noqa: F401
