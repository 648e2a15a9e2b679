"""Owns Django admin of suggestions: read-only, an account's admins see their own."""

from __future__ import annotations

from django.contrib import admin

from resolutionflow.accounts.admin.base import ReadOnlyAccountAdmin
from resolutionflow.suggestions.models import Suggestion


@admin.register(Suggestion)
class SuggestionAdmin(ReadOnlyAccountAdmin):
    """What was suggested, to whom, and what became of it."""

    list_display = ["ticket_id", "summary", "for_user", "why", "state", "chosen", "changed_at"]
    list_filter = ["state", "why"]
    list_select_related = ["for_user", "chosen"]
    search_fields = ["ticket_id", "summary", "company_name"]
    fields = [
        "connection",
        "ticket_id",
        "record_type",
        "summary",
        "board_name",
        "company_name",
        "why",
        "flows",
        "for_user",
        "state",
        "chosen",
        "session",
        "decided_by_name",
        "decided_at",
        "created_at",
        "changed_at",
    ]
