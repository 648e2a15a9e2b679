"""Owns the default answer to "who is asking": superusers only, and only where there is a single tenant."""

from __future__ import annotations

from django.apps import apps
from django.conf import settings
from django.http import HttpRequest

from psa.types import Actor, Scope


def superuser_scope(request: HttpRequest) -> Scope | None:
    """Return a full scope for a superuser of a project with exactly one tenant, else None.

    A host with several tenants writes its own function and names it in `PSA["SCOPE"]`.
    """
    user = request.user
    if not (user.is_authenticated and user.is_active and user.is_superuser):
        return None
    tenants = list(apps.get_model(settings.PSA_TENANT_MODEL)._default_manager.all()[:2])
    if len(tenants) != 1:
        return None
    actor = Actor(user.pk, user.get_username())
    return Scope(tenants[0], actor, can_manage=True, can_lead=True, can_post=True)
