"""Owns Django admin of flows. An account's admins see their own."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from resolutionflow.accounts.admin.base import AccountScopedAdmin, ReadOnlyAccountAdmin
from resolutionflow.accounts.models import Account
from resolutionflow.flows.models import Flow, FlowStep
from resolutionflow.flows.services import keywords_clean, names_clean


class FlowForm(forms.ModelForm):  # type: ignore[type-arg]
    """A flow; keywords are typed with commas between them."""

    keywords = forms.CharField(
        required=False, max_length=2000, help_text="Words of a ticket this flow fits, with commas."
    )

    boards = forms.CharField(
        required=False,
        max_length=2000,
        help_text="Names of the boards it is made for, with commas. Empty: all.",
    )
    ticket_types = forms.CharField(
        required=False,
        max_length=2000,
        help_text="Types of tickets it is made for, Email or Email/Outlook, with commas. Empty: all.",
    )

    class Meta:
        model = Flow
        fields = ["account", "title", "description", "keywords", "boards", "ticket_types", "published"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("keywords", "boards", "ticket_types"):
            self.initial[name] = ", ".join(self.initial.get(name) or [])

    def clean_boards(self) -> list[str]:
        """Return the names as a list."""
        return names_clean(self.cleaned_data["boards"].split(","))

    def clean_ticket_types(self) -> list[str]:
        """Return the names as a list."""
        return names_clean(self.cleaned_data["ticket_types"].split(","))

    def clean_keywords(self) -> list[str]:
        """Return the words as a list."""
        return keywords_clean(self.cleaned_data["keywords"].split(","))


class FlowStepInline(admin.StackedInline):  # type: ignore[type-arg]
    """The steps, on the flow's page."""

    model = FlowStep
    extra = 0

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return True: whoever may open the flow may see its steps."""
        return True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return True: whoever may open the flow may add steps."""
        return True

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return True: whoever may open the flow may change its steps."""
        return True

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return True: whoever may open the flow may remove steps."""
        return True


@admin.register(Flow)
class FlowAdmin(AccountScopedAdmin):
    """Flows and their steps."""

    form = FlowForm
    inlines = [FlowStepInline]
    list_display = ["title", "account", "published", "updated_at"]
    list_filter = ["published"]
    list_select_related = ["account"]
    search_fields = ["title", "description"]

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer only the own account."""
        account = self.account_of(request)
        if db_field.name == "account" and not request.user.is_superuser and account is not None:
            kwargs["queryset"] = Account.objects.filter(pk=account.pk)
            kwargs["initial"] = account.pk
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


@admin.register(FlowStep)
class FlowStepAdmin(ReadOnlyAccountAdmin):
    """Steps over all flows, to search in. They are changed on the page of their flow."""

    account_path = "flow__account"
    list_display = ["title", "flow", "position"]
    list_select_related = ["flow"]
    search_fields = ["title", "body", "flow__title"]
    fields = ["flow", "position", "title", "body"]
