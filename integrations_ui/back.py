"""Owns where a page leads back to: the page of ours somebody came from, never another site's."""

from __future__ import annotations

from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

BACK_MAX_CHARS = 2000


def back_url(request: HttpRequest, default: str) -> str:
    """Return the address in the field or parameter `back`, or the default where that is none of our pages."""
    given = request.POST.get("back") or request.GET.get("back") or ""
    home = reverse("integrations_ui:connections")
    safe = (
        len(given) <= BACK_MAX_CHARS
        and given.startswith(home)
        and url_has_allowed_host_and_scheme(given, allowed_hosts=None)
    )
    return given if safe else default
