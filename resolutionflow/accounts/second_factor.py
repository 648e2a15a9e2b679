"""Owns who has to have a second factor, and what they can open before they do.

`ADMIN_SECOND_FACTOR_REQUIRED` asks it of admins and superusers. Requests with an API token are not
concerned: a token is no sign-in, and `TokenAuthentication` alone decides about it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django_htmx.http import HttpResponseClientRedirect

from resolutionflow.accounts.models import Membership, Role, User

_OPEN = {"mfa_activate_totp", "account_reauthenticate", "mfa_reauthenticate", "account_logout"}
"""Names of the pages that lead to a second factor, and of the way out."""

_REST = "api/v1/"
"""Answered by `SessionAuthentication` with a problem, not a page."""


def second_factor_on(user: User) -> bool:
    """Return True when the user has to type a code after the password."""
    found: bool = is_mfa_enabled(user, [Authenticator.Type.TOTP])
    return found


def second_factor_required(user: User | AnonymousUser) -> bool:
    """Return True when the site asks this person for a second factor."""
    if not settings.ADMIN_SECOND_FACTOR_REQUIRED or not isinstance(user, User):
        return False
    try:
        return user.is_superuser or user.membership.role == Role.ADMIN
    except Membership.DoesNotExist:
        return False


def second_factor_due(user: User | AnonymousUser) -> bool:
    """Return True while a second factor is asked of this person and they have none."""
    return isinstance(user, User) and second_factor_required(user) and not second_factor_on(user)


class SecondFactorMiddleware:
    """Lead whoever is due to the set-up page, whatever they open. Stands below the authentication."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, _view: Callable[..., HttpResponseBase], _args: Any, _kwargs: Any
    ) -> HttpResponse | None:
        """Return the way to the set-up page, or None to go on."""
        place = request.resolver_match
        if place is None or place.view_name in _OPEN or place.route.startswith(_REST):
            return None
        user = request.user
        # `request.user` is lazy: isinstance looks through it.
        if not second_factor_due(user):
            return None
        if getattr(request, "htmx", False):
            return HttpResponseClientRedirect(reverse("mfa_activate_totp"))
        return redirect("mfa_activate_totp")
