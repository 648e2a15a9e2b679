"""Owns the admin pages of connections. No credential is rendered, readable or not.

What is done to them stands in `psa.admin.connection_actions`.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from psa import selectors
from psa.admin.asked import AskingAdmin
from psa.admin.base import problem_text
from psa.admin.connection_actions import CONNECTION_ACTIONS, features_text
from psa.models import Connection


@admin.register(Connection)
class ConnectionAdmin(AskingAdmin):
    """Connections: how they fare, and what can be done to them."""

    list_display = ["name", "provider", "site", "state", "last_checked_at"]
    list_filter = ["state", "provider"]
    search_fields = ["name", "site", "company_id"]
    asked = CONNECTION_ACTIONS
    fieldsets = [
        (None, {"fields": ["name", "provider", "site", "company_id", "stored_secrets"]}),
        ("State", {"fields": ["state", "state_since", "problem_text", "last_checked_at"]}),
        ("Queue", {"fields": ["last_delivered_at", "not_before", "open_until", "failures", "next_probe_at"]}),
        ("Last test", {"fields": ["api_version", "features_text", "hidden_boards_text"]}),
        ("History", {"fields": ["created_by_name", "created_at", "updated_at"]}),
    ]
    readonly_fields = ["stored_secrets", "problem_text", "api_version", "features_text", "hidden_boards_text"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Connection]:
        """Return the tenant's connections, deleted ones left out."""
        return super().get_queryset(request).filter(deleted_at=None)

    @admin.display(description="credentials")
    def stored_secrets(self, connection: Connection) -> str:
        """Return whether credentials are there and can be used."""
        found = selectors.credentials_stored(connection)
        if found is None:
            return "Cannot be decrypted: enter them again, or configure the key they were encrypted with."
        return "Stored; never shown." if found else "None."

    @admin.display(description="problem")
    def problem_text(self, connection: Connection) -> str:
        """Return what is wrong, in words."""
        return problem_text(connection)

    @admin.display(description="version")
    def api_version(self, connection: Connection) -> str:
        """Return the PSA's version as found last."""
        endpoint: dict[str, Any] = connection.endpoint or {}
        return str(endpoint.get("version") or "—")

    @admin.display(description="features")
    def features_text(self, connection: Connection) -> str:
        """Return each feature with what its permission lacks."""
        return features_text(connection.features) or "—"

    @admin.display(description="hidden boards")
    def hidden_boards_text(self, connection: Connection) -> str:
        """Return the boards our API member cannot see."""
        return ", ".join(map(str, connection.hidden_boards)) or "—"
