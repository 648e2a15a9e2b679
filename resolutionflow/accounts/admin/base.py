"""Owns what every admin page of the host keeps to: an account's admin works on that account alone."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest

from resolutionflow.accounts.models import Account
from resolutionflow.accounts.scope import scope


class AccountScopedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Base for rows that belong to an account: its admins work on them without further permissions."""

    account_path = "account"
    """Lookup from a row to its account."""

    def account_of(self, request: HttpRequest) -> Account | None:
        """Return the account whose admin is asking, None for everybody else."""
        found = scope(request)
        return found.tenant if found is not None and found.can_manage else None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return what the asking person may see."""
        rows: QuerySet[Any] = super().get_queryset(request)
        if request.user.is_superuser:
            return rows
        account = self.account_of(request)
        return rows.none() if account is None else rows.filter(**{self.account_path: account})

    def _may(self, request: HttpRequest, obj: models.Model | None) -> bool:
        if request.user.is_superuser:
            return True
        if self.account_of(request) is None:
            return False
        return obj is None or self.get_queryset(request).filter(pk=obj.pk).exists()

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Show the section to superusers and account admins."""
        return self._may(request, None)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return True for rows of the own account."""
        return self._may(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return True for superusers and account admins."""
        return self._may(request, None)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return True for rows of the own account."""
        return self._may(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return True for rows of the own account."""
        return self._may(request, obj)


class ReadOnlyAccountAdmin(AccountScopedAdmin):
    """Base for rows of an account that are made and changed elsewhere. A subclass lists its fields."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: rows are made where the work is done."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: rows are changed where the work is done."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: what was done stays on record."""
        return False
