"""Owns the answer to "who is asking, and for which tenant": `PSA["SCOPE"]` names `scope`."""

from __future__ import annotations

from django.http import HttpRequest

from psa.types import Actor, Scope
from resolutionflow.accounts.models import Membership, Role


def scope(request: HttpRequest) -> Scope | None:
    """Return what the signed-in user may do in their account, or None without a login or a membership."""
    user = request.user
    if not (user.is_authenticated and user.is_active):
        return None
    try:
        membership: Membership = user.membership
    except Membership.DoesNotExist:
        return None
    return Scope(
        tenant=membership.account,
        actor=Actor(user.pk, user.display_name),
        can_manage=membership.role == Role.ADMIN,
        can_lead=membership.role in {Role.ADMIN, Role.LEAD},
        can_post=True,
    )
