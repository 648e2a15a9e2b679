"""Owns the addresses of the site. A new part of the REST API adds its `api_urls` here."""

from __future__ import annotations

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path, re_path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView

from psa.api.problems import unknown_call
from resolutionflow.docs import ApiDocsView
from resolutionflow.health import healthz, readyz
from resolutionflow.metrics import metrics

admin.site.site_header = "ResolutionFlow PSA"
admin.site.site_title = "ResolutionFlow PSA"
admin.site.index_title = "Administration"
# One door for everybody: rate limits and the second factor hold for the admin, too.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]


class FaviconView(RedirectView):
    """Browsers ask for this address on pages that name no icon, such as the admin's."""

    def get_redirect_url(self, *_args: object, **_kwargs: object) -> str:
        # Looked up per request: the manifest of static files need not exist when addresses are loaded.
        return static("integrations_ui/mark.svg")


urlpatterns = [
    path("", RedirectView.as_view(url="/integrations/"), name="home"),
    path("favicon.ico", FaviconView.as_view()),
    path("integrations/", include("integrations_ui.urls")),
    path("admin/", admin.site.urls),
    path("accounts/", include("resolutionflow.accounts.urls")),
    path("accounts/", include("resolutionflow.accounts.invitation_urls")),
    path("api/v1/", include("psa.api.urls")),
    path("api/v1/", include("resolutionflow.flows.api_urls")),
    path("api/v1/", include("resolutionflow.sessions.api_urls")),
    path("api/v1/", include("resolutionflow.flowpilot.api_urls")),
    path("api/v1/", include("resolutionflow.suggestions.api_urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", ApiDocsView.as_view(), name="api-docs"),
    path("psa/webhooks/", include("psa.webhooks.urls")),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    re_path(r"^api/", unknown_call),
]
