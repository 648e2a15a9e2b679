"""Owns the addresses of sessions in the REST API."""

from __future__ import annotations

from django.urls import path

from resolutionflow.sessions import api, api_documents, api_posting, api_time

urlpatterns = [
    path("sessions/", api.SessionList.as_view(), name="session-list"),
    path("sessions/<int:session_id>/", api.SessionDetail.as_view(), name="session-detail"),
    path("sessions/<int:session_id>/steps/", api.SessionSteps.as_view(), name="session-steps"),
    path("sessions/<int:session_id>/pause/", api.SessionPause.as_view(), name="session-pause"),
    path("sessions/<int:session_id>/resume/", api.SessionResume.as_view(), name="session-resume"),
    path("sessions/<int:session_id>/ticket/", api.SessionTicket.as_view(), name="session-ticket"),
    path(
        "sessions/<int:session_id>/documentation/",
        api.SessionDocumentation.as_view(),
        name="session-documentation",
    ),
    path("sessions/<int:session_id>/notes/", api_posting.SessionNotes.as_view(), name="session-notes"),
    path("sessions/<int:session_id>/status/", api_posting.SessionStatus.as_view(), name="session-status"),
    path("sessions/<int:session_id>/time/", api_time.SessionTime.as_view(), name="session-time"),
    path("sessions/<int:session_id>/export/", api_documents.SessionExport.as_view(), name="session-export"),
    path(
        "sessions/<int:session_id>/documents/",
        api_documents.SessionDocuments.as_view(),
        name="session-documents",
    ),
    path(
        "sessions/<int:session_id>/documents/<str:document_id>/",
        api_documents.SessionDocument.as_view(),
        name="session-document",
    ),
    path(
        "sessions/<int:session_id>/complete/", api_posting.SessionComplete.as_view(), name="session-complete"
    ),
]
