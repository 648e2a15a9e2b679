"""Owns Django admin of accounts and people. Whoever is switched off here is out everywhere at once."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.defaultfilters import pluralize
from django.urls import path, reverse
from django.utils.html import format_html

from psa.exceptions import ServiceError
from resolutionflow.accounts import services
from resolutionflow.accounts.admin.base import AccountScopedAdmin, ReadOnlyAccountAdmin
from resolutionflow.accounts.admin.hand_over import actor_of, hand_over_page
from resolutionflow.accounts.models import Account, Membership, Role, User


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

    change_form_template = "admin/accounts/user/change_form.html"

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

    def get_urls(self) -> list[Any]:
        """Return the addresses of these pages, that of handing over among them."""
        view = self.admin_site.admin_view(self.hand_over_view)
        return [
            path("<path:object_id>/hand-over/", view, name="accounts_user_hand_over"),
            *super().get_urls(),
        ]

    def hand_over_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what somebody has on its way, and let a colleague answer for it."""
        person = self.get_object(request, unquote(object_id))
        if person is None or not self.has_change_permission(request, person):
            raise Http404("There is no such person.")
        return hand_over_page(request, self, person)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show and store a person; what a service refuses is told, and then nothing of the form is stored."""
        try:
            answer: HttpResponse = super().changeform_view(request, object_id, form_url, extra_context)
        except ServiceError as exc:
            messages.error(request, f"Nothing was saved. {exc.message}")
            return redirect(request.get_full_path())
        return answer

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Store the user, then what else hangs on it, through the services."""
        super().save_model(request, obj, form, change)
        if change and "is_active" in form.changed_data:
            self._switch(request, obj)
        account = form.cleaned_data.get("account") if request.user.is_superuser else self.account_of(request)
        if account is not None:
            services.membership_set(obj, account, Role(form.cleaned_data["role"]))

    def _switch(self, request: HttpRequest, person: User) -> None:
        """End all that ends with a person, or let them in again, and tell what is left to do."""
        account = Account.objects.filter(memberships__user=person).first()
        if person.is_active:
            services.user_reactivate(account, person.pk)
            messages.warning(
                request,
                f"{person.display_name} has no password, API token or member mapping any more: set a "
                "password here or send an invitation, and map them again.",
            )
            return
        gone = services.user_deactivate(account, person.pk, actor=actor_of(request))
        messages.success(
            request,
            f"{person.display_name} was switched off. Sessions and password ended, with them "
            f"{gone.tokens} API token{pluralize(gone.tokens)} and "
            f"{len(gone.mappings)} member mapping{pluralize(len(gone.mappings))}.",
        )
        if left := gone.deliveries.count():
            text = '{} post{} of theirs are on their way or need a person. <a href="{}">Hand them over</a>.'
            address = reverse("admin:accounts_user_hand_over", args=[person.pk])
            messages.warning(request, format_html(text, left, pluralize(left), address))


@admin.register(Membership)
class MembershipAdmin(ReadOnlyAccountAdmin):
    """Who works where, as what. It is changed on the page of the person."""

    list_display = ["user", "account", "role"]
    list_filter = ["role"]
    search_fields = ["user__username", "user__email"]
    fields = ["user", "account", "role"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        """Return those of the account; superusers are out of an account admin's reach.

        `list_select_related` would be ignored here: the manager joins the account already.
        """
        rows = super().get_queryset(request).select_related("user")
        return rows if request.user.is_superuser else rows.filter(user__is_superuser=False)


admin.site.unregister(Group)  # roles stand in the Membership; a second list of rights would only confuse
