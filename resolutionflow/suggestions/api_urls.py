"""Owns the addresses of suggestions."""

from django.urls import path

from resolutionflow.suggestions import api

urlpatterns = [
    path("suggestions/", api.SuggestionList.as_view(), name="suggestion-list"),
    path("suggestions/<int:suggestion_id>/accept/", api.SuggestionAccept.as_view(), name="suggestion-accept"),
    path(
        "suggestions/<int:suggestion_id>/dismiss/", api.SuggestionDismiss.as_view(), name="suggestion-dismiss"
    ),
    path(
        "suggestions/<int:suggestion_id>/restore/", api.SuggestionRestore.as_view(), name="suggestion-restore"
    ),
    path(
        "sessions/<int:session_id>/suggestions/", api.SessionSuggestions.as_view(), name="session-suggestions"
    ),
]
