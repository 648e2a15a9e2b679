"""Owns Django admin of people, second factors and tokens. Superusers see all, an admin their account."""

from __future__ import annotations

from typing import Any

from allauth.mfa import admin as mfa_admin
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from resolutionflow.accounts import services
from resolutionflow.accounts.models import Account, ApiToken, Role, User
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


@admin.register(Account)
class AccountAdmin(AccountScopedAdmin):
    """Accounts. Only a superuser makes or removes one."""

    account_path = "pk"
    list_display = ["name", "slug", "created_at"]
    search_fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        """Return the asking person's account."""
        rows = admin.ModelAdmin.get_queryset(self, request)
        if request.user.is_superuser:
            return rows
        account = self.account_of(request)
        return rows.filter(pk=account.pk) if account is not None else rows.none()

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return True for superusers."""
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return True for superusers."""
        return bool(request.user.is_superuser)


class _RoleFields(forms.ModelForm):  # type: ignore[type-arg]
    """Account and role beside the fields of a user; `save_model` writes them."""

    account = forms.ModelChoiceField(Account.objects.all(), required=False)
    role = forms.ChoiceField(choices=Role.choices, initial=Role.ENGINEER)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        membership = getattr(self.instance, "membership", None) if self.instance.pk else None
        if membership is not None:
            self.initial.update(account=membership.account_id, role=membership.role)


class PersonChangeForm(_RoleFields, UserChangeForm):  # type: ignore[type-arg]
    """Form of a user that exists."""


class PersonAddForm(_RoleFields, AdminUserCreationForm):  # type: ignore[type-arg]
    """Form of a new user."""


@admin.register(User)
class PersonAdmin(AccountScopedAdmin, UserAdmin):  # type: ignore[type-arg]
    """People. An account's admin adds and changes people of that account, and never makes a superuser."""

    account_path = "membership__account"
    form = PersonChangeForm
    add_form = PersonAddForm
    list_display = ["username", "display_name", "email", "role", "is_active", "last_login"]
    list_filter = ["is_active", "membership__role"]
    list_select_related = ["membership"]

    @admin.display(description="role", ordering="membership__role")
    def role(self, user: User) -> str:
        """Return the role in words."""
        membership = getattr(user, "membership", None)
        return membership.get_role_display() if membership else "—"

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Return the people of the account; superusers are out of an account admin's reach."""
        rows = super().get_queryset(request)
        return rows if request.user.is_superuser else rows.filter(is_superuser=False)

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Return the fields this person may set. What is not listed here cannot be posted either."""
        is_root = request.user.is_superuser
        about = ["first_name", "last_name", "email", "time_zone"]
        access = ["account", "role", "is_active", "is_superuser"] if is_root else ["role", "is_active"]
        if obj is None:
            login = ["username", "usable_password", "password1", "password2"]
            access = access[:2] if is_root else access[:1]
        else:
            login = ["username", "password"]
        return [(None, {"fields": login}), ("About", {"fields": about}), ("Access", {"fields": access})]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return True for people of the own account, but nobody removes themselves."""
        return obj != request.user and super().has_delete_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Store the user, then account and role through the service."""
        super().save_model(request, obj, form, change)
        account = form.cleaned_data.get("account") if request.user.is_superuser else self.account_of(request)
        if account is not None:
            services.membership_set(obj, account, Role(form.cleaned_data["role"]))


admin.site.unregister(mfa_admin.Authenticator)  # allauth's own page shows the secrets


@admin.register(mfa_admin.Authenticator)
class SecondFactorAdmin(AccountScopedAdmin):
    """Second factors, without their secrets: removed here when somebody lost phone and recovery codes."""

    account_path = "user__membership__account"
    list_display = ["user", "type", "created_at", "last_used_at"]
    fields = ["user", "type", "created_at", "last_used_at"]
    list_select_related = ["user"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return those of the account; superusers are out of an account admin's reach."""
        rows = super().get_queryset(request)
        return rows if request.user.is_superuser else rows.filter(user__is_superuser=False)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: everybody sets up their own, on the pages."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: a second factor is removed, not changed."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return True but for one's own: the pages ask for the password before they switch that off."""
        return (obj is None or obj.user_id != request.user.pk) and super().has_delete_permission(request, obj)


admin.site.unregister(Group)  # roles stand in the Membership; a second list of rights would only confuse


@admin.register(ApiToken)
class ApiTokenAdmin(AccountScopedAdmin):
    """API tokens: made here, shown once, revoked here. They are never changed and never shown again."""

    account_path = "user__membership__account"
    list_display = ["name", "user", "prefix", "state", "created_at", "expires_at", "last_used_at"]
    list_select_related = ["user"]
    search_fields = ["name", "prefix", "user__username"]
    actions = ["revoke"]
    _facts = ("prefix", "state", "created_at", "last_used_at")

    @admin.display(description="state")
    def state(self, token: ApiToken) -> str:
        """Return the state in a word."""
        if token.is_revoked:
            return "Revoked"
        return "Expired" if token.is_expired else "Active"

    @admin.action(description="Revoke the selected tokens", permissions=["delete"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        """Close the chosen tokens for good."""
        for token in queryset:
            services.token_revoke(token)
        messages.success(
            request, "The tokens were revoked. Programs that use them are answered 401 from now on."
        )

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Return the actions without "delete": a revoked token stays, so that its use can be told later."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def get_readonly_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:
        """Show the facts of a token that exists."""
        return [] if obj is None else ["name", "user", "expires_at", *self._facts]

    def get_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:
        """Return what the page shows."""
        return ["name", "user", "expires_at", *([] if obj is None else self._facts)]

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer only people the asking person may see."""
        if db_field.name == "user":
            people = User.objects.filter(is_active=True)
            if not request.user.is_superuser:
                people = people.filter(membership__account=self.account_of(request), is_superuser=False)
            kwargs["queryset"] = people.order_by("username")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: a token is revoked, not changed."""
        return False

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        """Make the token through the service and keep its key for the one page that shows it."""
        made = services.token_create(obj.user, name=obj.name, expires_at=obj.expires_at)
        obj.pk, obj.prefix, obj.created_at = made.token.pk, made.token.prefix, made.token.created_at
        obj.shown_key = made.key  # type: ignore[attr-defined]

    def response_add(
        self, request: HttpRequest, obj: ApiToken, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the key in this answer only. A message would put it into a cookie, a redirect into a log."""
        context = self.admin_site.each_context(request) | {
            "title": "API token created",
            "opts": self.opts,
            "token": obj,
            "key": obj.shown_key,  # type: ignore[attr-defined]
        }
        return TemplateResponse(request, "admin/accounts/apitoken/created.html", context)
