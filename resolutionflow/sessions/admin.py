"""Owns Django admin of sessions: to look at. What was done and posted stays as it was said."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from resolutionflow.accounts.admin.base import ReadOnlyAccountAdmin
from resolutionflow.sessions.models import FlowSession, SessionPause, SessionStep

_STEP_FIELDS = ["position", "title", "body", "result", "author_name", "created_at"]
_PAUSE_FIELDS = ["started_at", "ended_at", "paused_by_name"]
_SESSION_FIELDS = [
    "title",
    "account",
    "flow",
    "state",
    "outcome",
    "resolution",
    "link",
    "linked_by_name",
    "linked_at",
    "unit",
    "created_by_name",
    "started_at",
    "completed_at",
    "completed_by_name",
]


class _ReadOnlyInline(admin.StackedInline):  # type: ignore[type-arg]
    """Rows on the session's page, to look at."""

    extra = 0
    can_delete = False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return True: whoever may open the session may read what belongs to it."""
        return True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: rows are added where the work is done."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: a row says what was done."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: a row says what was done."""
        return False


class SessionStepInline(_ReadOnlyInline):
    """The steps."""

    model = SessionStep
    fields = [*_STEP_FIELDS]
    readonly_fields = [*_STEP_FIELDS]


class SessionPauseInline(_ReadOnlyInline):
    """The pauses."""

    model = SessionPause
    fields = [*_PAUSE_FIELDS]
    readonly_fields = [*_PAUSE_FIELDS]


@admin.register(FlowSession)
class FlowSessionAdmin(ReadOnlyAccountAdmin):
    """Sessions, read-only: a form that was opened before a completion would write the open session back."""

    inlines = [SessionStepInline, SessionPauseInline]
    list_display = ["title", "account", "state", "outcome", "link", "created_by_name", "started_at"]
    list_filter = ["state", "outcome"]
    list_select_related = ["account", "link"]
    search_fields = ["title", "link__ticket_id", "created_by_name"]
    date_hierarchy = "started_at"
    fields = [*_SESSION_FIELDS]


@admin.register(SessionStep)
class SessionStepAdmin(ReadOnlyAccountAdmin):
    """Steps over all sessions, to search in."""

    account_path = "session__account"
    list_display = ["__str__", "session", "author_name", "created_at"]
    list_select_related = ["session"]
    search_fields = ["title", "body", "result", "author_name"]
    fields = ["session", *_STEP_FIELDS]


@admin.register(SessionPause)
class SessionPauseAdmin(ReadOnlyAccountAdmin):
    """Pauses over all sessions."""

    account_path = "session__account"
    list_display = ["__str__", "session", "started_at", "ended_at", "paused_by_name"]
    list_select_related = ["session"]
    search_fields = ["session__title", "paused_by_name"]
    fields = ["session", *_PAUSE_FIELDS]
