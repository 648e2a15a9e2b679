"""Owns the Django app config of `psa`."""

from django.apps import AppConfig


class PsaConfig(AppConfig):
    """The reusable app; its label and primary key type stay the same in every host."""

    name = "psa"
    label = "psa"
    verbose_name = "PSA integration"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from psa import checks  # noqa: F401  checks register themselves when imported
