"""Owns the admin pages of connections and of the audit. No credential is rendered, readable or not."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.views.decorators.http import require_POST

from psa import services
from psa.admin.base import OwnConnectionFilter, ScopedAdmin, admin_scope, problem_text
from psa.exceptions import CredentialsUnreadableError, PsaError, ServiceError
from psa.models import AuditEntry, Connection
from psa.models.connection import ConnectionState


@admin.register(Connection)
class ConnectionAdmin(ScopedAdmin):
    """Connections: how they fare, and the action that tests them."""

    list_display = ["name", "provider", "site", "state", "last_checked_at"]
    list_filter = ["state", "provider"]
    search_fields = ["name", "site", "company_id"]
    actions = ["connections_test"]
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
        try:
            return "Stored; never shown." if connection.credentials else "None."
        except CredentialsUnreadableError:
            return "Cannot be decrypted: enter them again, or configure the key they were encrypted with."

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
        found = (
            f"{entry['feature']}: {entry['status']}" + (f" ({entry['grant']})" if entry.get("grant") else "")
            for entry in connection.features
        )
        return "; ".join(found) or "—"

    @admin.display(description="hidden boards")
    def hidden_boards_text(self, connection: Connection) -> str:
        """Return the boards our API member cannot see."""
        return ", ".join(map(str, connection.hidden_boards)) or "—"

    def get_urls(self) -> list[Any]:
        """Return the addresses of these pages, that of the button "Test connection" among them."""
        view = self.admin_site.admin_view(require_POST(self.test_view))
        return [path("<path:object_id>/test/", view, name="psa_connection_test"), *super().get_urls()]

    def test_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Test one connection and go back to its page."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found: Connection = self.get_object(request, object_id)
        self._test(request, [found.pk])
        return redirect(f"{self.admin_site.name}:psa_connection_change", found.pk)

    @admin.action(description="Test connection", permissions=["view"])
    def connections_test(self, request: HttpRequest, queryset: QuerySet[Connection]) -> None:
        """Test the chosen connections now and say how each fares."""
        self._test(request, list(queryset.values_list("pk", flat=True)))

    def _test(self, request: HttpRequest, connection_ids: list[int]) -> None:
        scope = admin_scope(request)
        if scope is None:
            raise PermissionDenied
        for connection_id in connection_ids:
            try:
                tested = services.connection_test(scope.tenant, connection_id, actor=scope.actor)
            except ServiceError as exc:
                messages.error(request, exc.message)
            except PsaError as exc:
                messages.error(request, str(exc))
            else:
                well = tested.state == ConnectionState.CONNECTED and not tested.problem
                text = f"{tested.name}: {tested.get_state_display()}."
                if tested.problem:
                    text += f" {problem_text(tested)}"
                messages.add_message(request, messages.SUCCESS if well else messages.WARNING, text)


@admin.register(AuditEntry)
class AuditEntryAdmin(ScopedAdmin):
    """What was done through the connections, and by whom."""

    list_display = [
        "created_at",
        "actor_name",
        "verb",
        "connection",
        "ticket_id",
        "shown_as",
        "customer_visible",
        "mailed",
    ]
    list_filter = [("connection", OwnConnectionFilter), "customer_visible", "mailed"]
    list_select_related = ["connection"]
    search_fields = ["actor_name", "verb", "ticket_id"]
    fields = [
        "created_at",
        "actor_name",
        "verb",
        "connection",
        "object_type",
        "object_id",
        "ticket_id",
        "kind",
        "shown_as",
        "customer_visible",
        "mailed",
        "facts",
    ]
