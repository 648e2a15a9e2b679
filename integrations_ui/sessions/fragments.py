"""Owns what an htmx request gets that is no page: its parts, and a notice where the sign-in has expired."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]

STOP_POLLING = 286
"""htmx takes the answer and asks no more."""


def is_htmx(request: HttpRequest) -> bool:
    """True when htmx asks for a part of a page."""
    return request.headers.get("HX-Request") == "true"


def has_fragment(view: View[P]) -> View[P]:
    """Let a view answer parts: somebody signed out gets a notice there, not the sign-in page inside the page.

    Stands outside the decorator that asks for a sign-in.
    """

    @wraps(view)
    def wrapper(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if is_htmx(request) and not request.user.is_authenticated:
            return render(request, "integrations_ui/sessions/_signed_out.html", status=STOP_POLLING)
        return view(request, *args, **kwargs)

    return wrapper
