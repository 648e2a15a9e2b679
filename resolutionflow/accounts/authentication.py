"""Owns how a REST client proves who it is: `Authorization: Token rf_<prefix>_<secret>`, or a login cookie."""

from __future__ import annotations

import hmac

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.utils import timezone
from drf_spectacular.authentication import SessionScheme as SpectacularSessionScheme
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request

from psa.exceptions import RoleError
from resolutionflow.accounts import services
from resolutionflow.accounts.models import ApiToken, User
from resolutionflow.accounts.second_factor import second_factor_due

FAILURE_WINDOW_S = 60
"""Wrong tokens are counted over this long for each client address."""


class TokenAuthentication(BaseAuthentication):
    """Sign a request in by its API token.

    Raises: AuthenticationFailed (401) with a sentence; Throttled (429) after too many wrong tokens.
    """

    keyword = "Token"

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        """Return user and token, or None when the request carries no token at all."""
        parts = get_authorization_header(request).split()
        if not parts or parts[0].lower() != self.keyword.lower().encode():
            return None
        failures = _Failures(request)
        failures.refuse_when_too_many()
        try:
            token = self._token(parts[1:])
        except AuthenticationFailed:
            failures.add()
            raise
        services.token_touch(token)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of a 401."""
        return self.keyword

    def _token(self, parts: list[bytes]) -> ApiToken:
        if len(parts) != 1:
            raise AuthenticationFailed("Write the header as `Authorization: Token <key>`.")
        split = services.token_split(parts[0].decode("latin-1"))
        if split is None:
            raise AuthenticationFailed("This is no API token of ours. A key begins with rf_.")
        prefix, secret = split
        token = (
            ApiToken.objects.select_related("user", "user__membership__account").filter(prefix=prefix).first()
        )
        # One sentence for both: whoever guesses must not learn which prefixes exist.
        if token is None or not hmac.compare_digest(token.digest, services.token_digest(secret)):
            raise AuthenticationFailed("The API token is unknown.")
        if token.is_revoked:
            raise AuthenticationFailed("The API token was revoked. Ask an admin for a new one.")
        if token.expires_at is not None and token.expires_at <= timezone.now():
            raise AuthenticationFailed("The API token has expired. Ask an admin for a new one.")
        if not token.user.is_active:
            raise AuthenticationFailed("The user of this API token is switched off.")
        return token


class SessionAuthentication(authentication.SessionAuthentication):
    """Sign a request in by the login cookie and Django's CSRF token.

    Raises: RoleError `second-factor` (403) for whoever still has to set up a second factor.
    """

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        """Return the user, or None when nobody is signed in."""
        found: tuple[User, None] | None = super().authenticate(request)
        if found is not None and second_factor_due(found[0]):
            raise RoleError("Set up a second factor on the pages of the site first.", code="second-factor")
        return found


class _Failures:
    """Wrong tokens of one client address, counted in the cache."""

    def __init__(self, request: Request) -> None:
        try:
            address = get_adapter().get_client_ip(request)
        except PermissionDenied:  # no address: a Unix socket without a proxy count
            address = "unknown"
        self.key = f"accounts:token-failures:{address}"

    def refuse_when_too_many(self) -> None:
        """Raise Throttled once the address has used up its tries."""
        if cache.get(self.key, 0) >= settings.API_TOKEN_FAILURES_PER_MINUTE:
            raise Throttled(wait=FAILURE_WINDOW_S, detail="Too many wrong API tokens from this address.")

    def add(self) -> None:
        """Count one; the window begins with the first."""
        cache.add(self.key, 0, FAILURE_WINDOW_S)
        try:
            cache.incr(self.key)
        except ValueError:  # expired between the two calls
            cache.set(self.key, 1, FAILURE_WINDOW_S)


class TokenScheme(OpenApiAuthenticationExtension):
    """How the OpenAPI document describes TokenAuthentication."""

    target_class = "resolutionflow.accounts.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        """Return the security scheme."""
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Token rf_<prefix>_<secret>`",
        }


class SessionScheme(SpectacularSessionScheme):
    """How the OpenAPI document describes SessionAuthentication."""

    target_class = "resolutionflow.accounts.authentication.SessionAuthentication"
