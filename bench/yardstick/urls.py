"""Owns the addresses of the benchmarks: the yardstick's, then the host's."""

from __future__ import annotations

from django.urls import include, path

from bench.yardstick.views import PlainNotes

urlpatterns = [path("api/v1/plain-notes/", PlainNotes.as_view()), path("", include("resolutionflow.urls"))]
