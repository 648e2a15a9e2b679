"""Owns the admin pages of member mappings and status rules."""

from __future__ import annotations

from django.contrib import admin

from psa.admin.base import OwnConnectionFilter, ScopedAdmin
from psa.models import MemberMapping, StatusRule


@admin.register(MemberMapping)
class MemberMappingAdmin(ScopedAdmin):
    """Which member of the PSA a user is. Own keys are never shown, only whether there are some."""

    list_display = ["user_name", "member_name", "connection", "how", "active", "has_own_keys"]
    list_filter = [("connection", OwnConnectionFilter), "active", "how"]
    list_select_related = ["connection"]
    search_fields = ["user_name", "member_name", "member_identifier"]
    fields = [
        "connection",
        "user_name",
        "member_name",
        "member_identifier",
        "member_id",
        "member_emails",
        "how",
        "active",
        "has_own_keys",
        "own_suspended_at",
        "created_at",
        "closed_at",
    ]
    readonly_fields = ["has_own_keys"]

    @admin.display(description="own keys", boolean=True)
    def has_own_keys(self, mapping: MemberMapping) -> bool:
        """True when the person gave keys of their own. Nothing is decrypted for this."""
        return mapping.own_credentials is not None


@admin.register(StatusRule)
class StatusRuleAdmin(ScopedAdmin):
    """Which status an outcome sets on a board."""

    list_display = ["board_name", "outcome", "status_name", "mail", "valid", "connection"]
    list_filter = [("connection", OwnConnectionFilter), "valid", "mail"]
    list_select_related = ["connection"]
    search_fields = ["board_name", "outcome", "status_name"]
    fields = [
        "connection",
        "board_name",
        "outcome",
        "status_name",
        "mail",
        "valid",
        "no_time_entries",
        "mails_customer",
        "updated_at",
    ]
