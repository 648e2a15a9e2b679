"""Owns what somebody typed when their sign-in had expired: it waits in the session until they are back.

Only the names a view lists are kept, never a secret. The way back is the address of the page itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from allauth.account.adapter import get_adapter
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase

from integrations_ui.access import sign_in

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]

_KEY = "kept_form"
_NAMES = "kept_names"
KEEP_MAX_CHARS = 150_000
"""Longest form that is kept: eight parts of a long note, and what stands beside them."""
KEEP_S = 3600
"""How long somebody has to sign in again."""
KEEPS_AN_HOUR = 30
"""Forms one address may leave behind: they cost a row each, and nobody has signed in for them."""


def keeps_typed(names: Callable[P, Iterable[str]]) -> Callable[[View[P]], View[P]]:
    """Keep what an expired sign-in would lose: the fields called `names(…)`, asked with the view's arguments.

    Stands above the decorator of the role. The page reads them back by `typed`.
    """

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def wrapper(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if request.method == "POST" and not request.user.is_authenticated:
                _keep(request, names(*args, **kwargs))
                return sign_in(request)
            return view(request, *args, **kwargs)

        setattr(wrapper, _NAMES, names)
        return wrapper

    return decorate


def names_kept_by(view: Callable[..., Any], arguments: Mapping[str, Any]) -> Iterable[str]:
    """Return the fields a view keeps, asked with the arguments of its address; none for any other view."""
    names: Callable[..., Iterable[str]] | None = getattr(view, _NAMES, None)
    return names(**arguments) if names is not None else ()


def typed(request: HttpRequest) -> dict[str, str]:
    """Return what was kept for this page, once; empty when there is nothing."""
    found = request.session.get(_KEY)
    if not isinstance(found, dict) or found.get("path") != request.path:
        return {}
    del request.session[_KEY]
    values = found.get("values")
    return values if isinstance(values, dict) else {}


def _keep(request: HttpRequest, names: Iterable[str]) -> None:
    values = {name: request.POST[name] for name in names if request.POST.get(name)}
    size = sum(len(value) for value in values.values())
    if not values or size > KEEP_MAX_CHARS or not _within_rate(request):
        return
    request.session[_KEY] = {"path": request.path, "values": values}
    request.session.set_expiry(KEEP_S)


def _within_rate(request: HttpRequest) -> bool:
    try:
        address = get_adapter().get_client_ip(request)
    except PermissionDenied:  # no address: a Unix socket without a proxy count
        address = "unknown"
    key = f"integrations_ui:kept:{address}"
    cache.add(key, 0, KEEP_S)
    try:
        return bool(cache.incr(key) <= KEEPS_AN_HOUR)
    except ValueError:  # expired between the two calls
        return True
