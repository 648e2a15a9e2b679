"""Owns who may open a page: sign-in first, then membership, then role; another tenant's object is not found.

A view takes the scope as its second argument and is wrapped by the decorator of the role it needs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec
from urllib.parse import urlsplit

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django_htmx.http import HttpResponseClientRedirect

from integrations_ui.shell import shell_of
from psa.exceptions import MissingError, RoleError
from psa.types import Scope

P = ParamSpec("P")
ScopedView = Callable[Concatenate[HttpRequest, Scope, P], HttpResponseBase]
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def member_page(view: ScopedView[P]) -> View[P]:
    """Open a page to everyone who works in an account."""
    return _page(view, lambda scope: scope.can_post)


def lead_page(view: ScopedView[P]) -> View[P]:
    """Open a page to leads and admins; an engineer gets the 403 page."""
    return _page(view, lambda scope: scope.can_lead)


def admin_page(view: ScopedView[P]) -> View[P]:
    """Open a page to admins; everybody else gets the 403 page."""
    return _page(view, lambda scope: scope.can_manage)


def sign_in(request: HttpRequest) -> HttpResponse:
    """Return the way to the sign-in page and back; a partial makes the whole page go there."""
    if not getattr(request, "htmx", False):
        back = request.get_full_path() if request.method in ("GET", "HEAD") else request.path
        return redirect_to_login(back)
    current = urlsplit(getattr(request, "htmx").current_url or "/")  # noqa: B009  set by django-htmx's middleware
    login: HttpResponse = redirect_to_login(current.path)
    return HttpResponseClientRedirect(login["Location"])


def _page(view: ScopedView[P], allowed: Callable[[Scope], bool]) -> View[P]:
    @wraps(view)
    def wrapper(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return sign_in(request)
        scope = shell_of(request).scope
        if scope is None:
            return render(request, "integrations_ui/no_account.html", status=403)
        if not allowed(scope):
            raise PermissionDenied
        try:
            return view(request, scope, *args, **kwargs)
        except MissingError as exc:
            raise Http404(exc.message) from exc
        except RoleError as exc:
            raise PermissionDenied(exc.message) from exc

    # Pages show what belongs to one person: neither a proxy nor the back button after sign-out may keep them.
    return never_cache(wrapper)
