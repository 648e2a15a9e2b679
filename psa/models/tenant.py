"""Owns the foreign key to the host's tenant model, named by the `PSA_TENANT_MODEL` setting."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models


def tenant_key(**options: Any) -> models.ForeignKey[Any, Any]:
    """Return a protected foreign key to the tenant model.

    Raises: ImproperlyConfigured, when `PSA_TENANT_MODEL` is not set.
    """
    target = getattr(settings, "PSA_TENANT_MODEL", None)
    if not target:
        raise ImproperlyConfigured(
            'psa needs PSA_TENANT_MODEL = "app.Model": the model that stands for a tenant in this project.'
        )
    return models.ForeignKey(target, on_delete=models.PROTECT, related_name="+", **options)


def person_key(**options: Any) -> models.ForeignKey[Any, Any]:
    """Return a key to a user that becomes NULL with the user; a stored name stands beside it."""
    return models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        **options,
    )
