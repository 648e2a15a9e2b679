"""Owns the addresses of the pages: one module per area, all in the namespace `integrations_ui`."""

from django.urls import include, path

app_name = "integrations_ui"

urlpatterns = [
    path("", include("integrations_ui.urls.connections")),
    path("", include("integrations_ui.urls.problems")),
    path("", include("integrations_ui.urls.members")),
    path("", include("integrations_ui.urls.rules")),
    path("", include("integrations_ui.urls.activity")),
    path("deliveries/", include("integrations_ui.urls.deliveries")),
    path("audit/", include("integrations_ui.urls.audit")),
    path("tokens/", include("integrations_ui.urls.tokens")),
    path("sessions/", include("integrations_ui.urls.sessions")),
    path("suggestions/", include("integrations_ui.urls.suggestions")),
    path("tickets/", include("integrations_ui.urls.tickets")),
]
