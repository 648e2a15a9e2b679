"""Owns the page at /api/docs/: Swagger from the sidecar package, under our content security policy."""

from __future__ import annotations

from drf_spectacular.views import SpectacularSwaggerSplitView


class ApiDocsView(SpectacularSwaggerSplitView):
    """Swagger with its start script in a file of its own, and a template without inline style."""

    template_name = "integrations_ui/api_docs.html"
    url_name = "schema"
