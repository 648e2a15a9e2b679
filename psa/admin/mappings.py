"""Owns the admin pages of member mappings, of the daily look at the members, and of status rules."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.admin.utils import display_for_value

from psa.admin.base import OwnConnectionFilter, ScopedAdmin
from psa.models import MemberMapping, MemberReview, StatusRule
from psa.models.member_review import MemberChange


@admin.register(MemberMapping)
class MemberMappingAdmin(ScopedAdmin):
    """Which member of the PSA a user is. Own keys are never shown, only whether there are some."""

    list_display = [
        "user_name",
        "member_name",
        "connection",
        "how",
        "active",
        "has_own_keys",
        "member_left_at",
        "checked_at",
    ]
    list_filter = [
        ("connection", OwnConnectionFilter),
        "active",
        "how",
        ("member_left_at", admin.EmptyFieldListFilter),
    ]
    list_select_related = ["connection__member_review"]
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
        "member_left_at",
        "checked_at",
        "created_at",
        "closed_at",
    ]
    readonly_fields = ["has_own_keys", "checked_at"]

    @admin.display(description="own keys", boolean=True)
    def has_own_keys(self, mapping: MemberMapping) -> bool:
        """True when the person gave keys of their own. Nothing is decrypted for this."""
        return mapping.own_credentials is not None

    @admin.display(description="members last read")
    def checked_at(self, mapping: MemberMapping) -> str:
        """Return when the PSA was last asked for its members."""
        review: MemberReview | None = getattr(mapping.connection, "member_review", None)
        return str(display_for_value(review.checked_at if review else None, "—"))


@admin.register(MemberReview)
class MemberReviewAdmin(ScopedAdmin):
    """What the daily look at the members of a PSA found."""

    list_display = ["connection", "checked_at", "due_at", "known_count", "news_count"]
    list_filter = [("connection", OwnConnectionFilter)]
    list_select_related = ["connection"]
    search_fields = ["connection__name"]
    fields = ["connection", "checked_at", "due_at", "known_count", "news_text"]
    readonly_fields = ["known_count", "news_text"]

    @admin.display(description="active members")
    def known_count(self, review: MemberReview) -> int:
        """Return how many members there were."""
        return len(review.known)

    @admin.display(description="news")
    def news_count(self, review: MemberReview) -> int:
        """Return how many changes nobody has looked at."""
        return len(review.news)

    @admin.display(description="news")
    def news_text(self, review: MemberReview) -> str:
        """Return who joined, left or was switched off, the newest first."""
        found = (
            f"{row['name']}: {MemberChange(row['change']).label}, {row['at'][:10]}" for row in review.news
        )
        return "; ".join(found) or "—"


@admin.register(StatusRule)
class StatusRuleAdmin(ScopedAdmin):
    """Which status an outcome sets on a board."""

    list_display = ["board_name", "outcome", "status_name", "mail", "valid", "connection"]
    list_display_links = ["status_name"]
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
        "closes",
        "checked_at",
        "updated_at",
    ]
