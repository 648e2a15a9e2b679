"""Owns the site's addresses with one for invitations, so that links can be made before there is a page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from resolutionflow.urls import urlpatterns as site


def page(_request: HttpRequest, uidb64: str, token: str) -> HttpResponse:
    return HttpResponse(f"{uidb64} {token}")


urlpatterns = [
    path(
        "accounts/",
        include(([path("invitation/<uidb64>/<token>/", page, name="invitation")], "accounts")),
    ),
    *site,
]
