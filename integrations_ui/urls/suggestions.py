"""Owns the addresses of suggested flows."""

from django.urls import path

from integrations_ui.views import suggestions

urlpatterns = [
    path("", suggestions.suggestion_list, name="suggestions"),
    path("<int:suggestion_id>/accept/", suggestions.accept, name="suggestion-accept"),
    path("<int:suggestion_id>/dismiss/", suggestions.dismiss, name="suggestion-dismiss"),
    path("<int:suggestion_id>/restore/", suggestions.restore, name="suggestion-restore"),
]
