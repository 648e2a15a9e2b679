"""Owns the addresses of the session pages."""

from django.urls import path

from integrations_ui.views import (
    session_complete,
    session_context,
    session_link,
    session_post,
    session_work,
    sessions,
)

urlpatterns = [
    path("", sessions.session_list, name="sessions"),
    path("new/", sessions.session_new, name="session-new"),
    path("<int:session_id>/", sessions.session_detail, name="session"),
    path("<int:session_id>/edit/", sessions.session_edit, name="session-edit"),
    path("<int:session_id>/ticket/", session_link.ticket_find, name="session-ticket"),
    path("<int:session_id>/ticket/now/", session_link.ticket_now, name="session-ticket-now"),
    path("<int:session_id>/ticket/unlink/", session_link.ticket_unlink, name="session-ticket-unlink"),
    path(
        "<int:session_id>/ticket/<int:connection_id>/<int:number>/",
        session_link.ticket_confirm,
        name="session-ticket-confirm",
    ),
    path("<int:session_id>/pause/", session_work.pause, name="session-pause"),
    path("<int:session_id>/resume/", session_work.resume, name="session-resume"),
    path("<int:session_id>/attach/", session_work.attach, name="session-attach"),
    path("<int:session_id>/files/", session_work.files, name="session-files"),
    path("<int:session_id>/files/<str:document_id>/", session_work.file_download, name="session-file"),
    path("<int:session_id>/context/", session_context.context, name="session-context"),
    path("<int:session_id>/flow/", session_context.use_flow, name="session-flow"),
    path("<int:session_id>/note/", session_post.note, name="session-note"),
    path("<int:session_id>/complete/", session_complete.complete, name="session-complete"),
    path("<int:session_id>/complete/statuses/", session_complete.status_field, name="session-statuses"),
    path("<int:session_id>/complete/time/", session_complete.time_now, name="session-time-now"),
    path("<int:session_id>/deliveries/", sessions.session_deliveries, name="session-deliveries"),
]
