"""Owns what every admin page of `psa` keeps to: the own tenant's rows, read-only, no secret, few queries.

What can be done to a row is an action that asks first: see `psa.admin.asked`.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest
from django.utils.module_loading import import_string

from psa.conf import psa_settings
from psa.types import Scope

_MARK = "_psa_admin_scope"


def admin_scope(request: HttpRequest) -> Scope | None:
    """Return the scope of somebody who manages a tenant, else None. Asked once a request.

    A superuser without a tenant gets None as well: whose rows they would see is not for us to guess.
    """
    if not hasattr(request, _MARK):
        found: Scope | None = import_string(psa_settings().SCOPE)(request)
        setattr(request, _MARK, found if found is not None and found.can_manage else None)
    known: Scope | None = getattr(request, _MARK)
    return known


class _ScopedRows:
    """Rows of the own tenant, to look at only. Mixed into pages and inlines."""

    tenant_path = "tenant"
    """Lookup from a row to its tenant."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows of the asking person's tenant."""
        rows: QuerySet[Any] = super().get_queryset(request)  # type: ignore[misc]
        scope = admin_scope(request)
        return rows.none() if scope is None else rows.filter(**{self.tenant_path: scope.tenant})

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Show the section to people who manage a tenant."""
        return admin_scope(request) is not None

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return True for people who manage a tenant; `get_queryset` decides over the rows."""
        return admin_scope(request) is not None

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: rows come from the services."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: rows are changed by the services."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: history stays."""
        return False


class ScopedAdmin(_ScopedRows, admin.ModelAdmin):  # type: ignore[type-arg]
    """Read-only pages of one model. A subclass lists its fields: no new column is ever shown by chance."""

    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Return a row of the own tenant. Raises: Http404, where Django would redirect with a message."""
        found = super().get_object(request, object_id, from_field)
        if found is None:
            raise Http404(f"There is no such {self.opts.verbose_name}.")
        return found


class ScopedInline(_ScopedRows, admin.TabularInline):  # type: ignore[type-arg]
    """Rows shown on the page of the row they belong to."""

    extra = 0
    max_num = 0
    can_delete = False
    show_change_link = True


class OperatorAdmin(ScopedAdmin):
    """Read-only pages of a table that belongs to no tenant: for superusers."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return every row."""
        return admin.ModelAdmin.get_queryset(self, request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Show the section to superusers."""
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return True for superusers."""
        return bool(request.user.is_active and request.user.is_superuser)


class OwnConnectionFilter(admin.RelatedFieldListFilter):
    """Filter by connection that offers the own tenant's ones only."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the connections to choose from."""
        scope = admin_scope(request)
        if scope is None:
            return []
        own = field.get_choices(include_blank=False, limit_choices_to={"tenant": scope.tenant})
        return [(str(pk), name) for pk, name in own]


def problem_text(row: Model) -> str:
    """Return what is wrong with a row and what helps, in words."""
    problem: dict[str, Any] = getattr(row, "problem", None) or {}
    return " ".join(part for part in (problem.get("text"), problem.get("remedy")) if part) or "—"
