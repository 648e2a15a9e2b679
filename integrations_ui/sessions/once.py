"""Owns that a form which posts to a ticket does so once, however often it is sent.

The form carries a key; the rest is the idempotency of the REST API, so two clicks at the same moment count
as one on every database.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, cast

from django.http import HttpRequest
from rest_framework.request import Request

from psa.api import idempotency
from psa.api.problems import Problem
from psa.types import Scope


class ReusedFormError(Exception):
    """The form was sent before, with another text."""


def form_key() -> str:
    """Return the key of a new form."""
    return uuid.uuid4().hex


class _FormCall:
    """A posted form, as far as idempotency reads a call."""

    auth = None

    def __init__(self, request: HttpRequest, key: str, body: Mapping[str, Any]) -> None:
        self.method, self.path, self.user = request.method, request.path, request.user
        self.headers = {idempotency.HEADER: key}
        self.data = dict(body)


def once(
    request: HttpRequest, scope: Scope, key: str, body: Mapping[str, Any], commit: Callable[[], Any]
) -> Any:
    """Return what commit did, or what it did when the same form came before.

    Shape: key is `form_key`'s; body is what makes two forms the same.
    Raises: ReusedFormError; what commit raises.
    """
    call = cast(Request, _FormCall(request, key, body))
    try:
        done, _ = idempotency.once(call, scope, prepare=lambda: None, commit=lambda _: commit())
    except Problem as exc:
        raise ReusedFormError from exc
    return done
