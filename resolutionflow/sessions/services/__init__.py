"""Owns writes to sessions: own rows (`work`, `pauses`), the end (`completion`), and what they post.

Posts: `posting` (note, status), `time_entries`, `exports`.
"""

from resolutionflow.sessions.services.completion import (
    AlreadyCompletedError,
    CompletionDraft,
    CompletionPreview,
    completion_check,
    completion_preview,
    session_complete,
)
from resolutionflow.sessions.services.exports import export_post, export_preview
from resolutionflow.sessions.services.pauses import session_pause, session_resume
from resolutionflow.sessions.services.posting import LeftOut, note_post, status_check, status_post
from resolutionflow.sessions.services.time_entries import TimeWish, time_check, time_post, time_preview
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
    "TimeWish",
    "completion_check",
    "completion_preview",
    "export_post",
    "export_preview",
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
    "time_check",
    "time_post",
    "time_preview",
]
