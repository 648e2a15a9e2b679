"""Owns the page for a form whose sign-in changed since it was loaded: it shows what was typed."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import Resolver404, resolve
from django.views.decorators.cache import never_cache

from integrations_ui.kept import names_kept_by


@never_cache
def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403 and show what was typed, secrets left out.

    It is only shown, never put back into the form: who forges a request must not choose what stands there.
    """
    try:
        found = resolve(request.path_info)
    except Resolver404:
        names: list[str] = []
    else:
        names = list(names_kept_by(found.func, found.kwargs))
    typed = [(name.replace("_", " ").capitalize(), request.POST.get(name, "")) for name in names]
    context = {"typed": [(name, text) for name, text in typed if text], "again": request.path}
    return render(request, "403_csrf.html", context, status=403)
