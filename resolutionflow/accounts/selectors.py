"""Owns reads of API tokens: which of them a person may see."""

from __future__ import annotations

from django.db.models import F, QuerySet

from psa.exceptions import MissingError
from psa.types import Scope
from resolutionflow.accounts.models import ApiToken


def tokens(scope: Scope) -> QuerySet[ApiToken]:
    """Return the tokens a person may see, with their users: an admin those of the account, others their own.

    Shape: those that were not revoked come first, then the newest.
    """
    found = ApiToken.objects.filter(user__membership__account=scope.tenant).select_related("user")
    if not scope.can_manage:
        found = found.filter(user=scope.actor.user_id)
    return found.order_by(F("revoked_at").asc(nulls_first=True), "-created_at", "-pk")


def token_get(scope: Scope, token_id: int) -> ApiToken:
    """Return a token the person may see. Raises: MissingError."""
    found = tokens(scope).filter(pk=token_id).first()
    if found is None:
        raise MissingError("There is no such API token.")
    return found
