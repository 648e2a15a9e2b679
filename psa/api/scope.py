"""Owns who is asking: the host's `PSA["SCOPE"]` function, asked once a request."""

from __future__ import annotations

from typing import cast

from django.http import HttpRequest
from django.utils.module_loading import import_string
from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.request import Request

from psa.conf import psa_settings
from psa.exceptions import RoleError
from psa.types import Scope


def request_scope(request: Request) -> Scope:
    """Return tenant, actor and rights of a request.

    Raises: NotAuthenticated (401), without a login; PermissionDenied (403 `role`), for a user of no tenant.
    """
    known: Scope | None = getattr(request, "psa_scope", None)
    if known is not None:
        return known
    if not request.user.is_authenticated:
        raise NotAuthenticated
    find = import_string(psa_settings().SCOPE)
    found: Scope | None = find(cast(HttpRequest, request))
    if found is None:
        raise PermissionDenied("Your user works in no account. Ask an admin to add you.", RoleError.code)
    request.psa_scope = found  # type: ignore[attr-defined]
    return found


def caller_of(request: Request) -> str:
    """Return who is asking as idempotency keys see it: `token:7` or `user:3`."""
    token_id = getattr(request.auth, "pk", None)
    return f"token:{token_id}" if token_id is not None else f"user:{request.user.pk}"
