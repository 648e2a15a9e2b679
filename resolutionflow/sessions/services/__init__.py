"""Owns writes to sessions: own rows (`work`, `pauses`), posts (`posting`), the end (`completion`)."""

from resolutionflow.sessions.services.completion import (
    AlreadyCompletedError,
    CompletionDraft,
    CompletionPreview,
    LeftOut,
    completion_check,
    completion_preview,
    session_complete,
)
from resolutionflow.sessions.services.pauses import session_pause, session_resume
from resolutionflow.sessions.services.posting import note_post, status_check, status_post
from resolutionflow.sessions.services.work import (
    session_create,
    session_update,
    step_add,
    ticket_link,
    ticket_unlink,
)

__all__ = [
    "AlreadyCompletedError",
    "CompletionDraft",
    "CompletionPreview",
    "LeftOut",
    "completion_check",
    "completion_preview",
    "note_post",
    "session_complete",
    "session_create",
    "session_pause",
    "session_resume",
    "session_update",
    "status_check",
    "status_post",
    "step_add",
    "ticket_link",
    "ticket_unlink",
]
