"""Owns Django admin of how people get in: second factors and API tokens. No secret is shown twice."""

from __future__ import annotations

from typing import Any

from allauth.mfa import admin as mfa_admin
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from resolutionflow.accounts import services
from resolutionflow.accounts.admin.base import AccountScopedAdmin
from resolutionflow.accounts.models import ApiToken, User

admin.site.unregister(mfa_admin.Authenticator)  # allauth's own page shows the secrets


@admin.register(mfa_admin.Authenticator)
class SecondFactorAdmin(AccountScopedAdmin):
    """Second factors, without their secrets: removed here when somebody lost phone and recovery codes."""

    account_path = "user__membership__account"
    list_display = ["user", "type", "created_at", "last_used_at"]
    fields = ["user", "type", "created_at", "last_used_at"]
    list_filter = ["type"]
    list_select_related = ["user"]
    search_fields = ["user__username", "user__email"]

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


@admin.register(ApiToken)
class ApiTokenAdmin(AccountScopedAdmin):
    """API tokens: made here, shown once, revoked here. They are never changed and never shown again."""

    account_path = "user__membership__account"
    list_display = ["name", "user", "prefix", "state", "created_at", "expires_at", "last_used_at"]
    list_filter = ["created_at", ("revoked_at", admin.EmptyFieldListFilter)]
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
