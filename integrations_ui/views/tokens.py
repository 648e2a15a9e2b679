"""Owns the pages of API tokens: everybody makes and revokes their own, an admin sees and revokes all."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from integrations_ui.access import member_page
from integrations_ui.dates import day_end
from integrations_ui.kept import keeps_typed, typed
from integrations_ui.paging import page_of
from psa.types import Scope
from resolutionflow.accounts import selectors, services
from resolutionflow.accounts.models import ApiToken, User

PAGE_SIZE = 50
LIFE = timedelta(days=90)
"""What the form offers."""
LIFE_MAX = timedelta(days=3650)
"""Longest life with an end: ten years. Without one a token never expires."""


class TokenForm(forms.Form):
    """What a new token is called, and how long it is good."""

    name = forms.CharField(
        label="Name",
        max_length=100,
        help_text="What uses this token, for example: nightly export.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    last_day = forms.DateField(
        label="Last day",
        required=False,
        help_text="It is good until the end of this day. Leave it empty for a token that never expires.",
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
    )

    def clean_last_day(self) -> date | None:
        """Refuse a day that is over, or too far away to be meant."""
        day: date | None = self.cleaned_data["last_day"]
        today = timezone.localdate()
        if day is not None and day < today:
            raise forms.ValidationError("Choose today or a later day.")
        if day is not None and day > today + LIFE_MAX:
            raise forms.ValidationError("Choose a day within ten years, or none.")
        return day


@require_safe
@member_page
def tokens(request: HttpRequest, scope: Scope) -> HttpResponse:
    """List the tokens this person may see."""
    page = page_of(selectors.tokens(scope), PAGE_SIZE, request.GET.get("page"))
    rows = [(token, *_state(token)) for token in page]
    return _page(request, "page", {"scope": scope, "page": page, "rows": rows}, crumb="")


@require_http_methods(["GET", "HEAD", "POST"])
@keeps_typed(lambda: ["name", "last_day"])
@member_page
def token_new(request: HttpRequest, scope: Scope) -> HttpResponse:
    """Make a token of one's own and show its key, in this answer only."""
    if request.method != "POST":
        form = TokenForm(initial={"last_day": timezone.localdate() + LIFE} | typed(request))
        return _page(request, "new", {"form": form}, crumb="New")
    form = TokenForm(request.POST)
    if not form.is_valid():
        return _page(request, "new", {"form": form}, crumb="New")
    day = form.cleaned_data["last_day"]
    made = services.token_create(
        cast("User", request.user),
        name=form.cleaned_data["name"],
        expires_at=day_end(day) - timedelta(seconds=1) if day else None,
    )
    return _page(request, "made", {"token": made.token, "key": made.key}, crumb="New")


@require_http_methods(["GET", "HEAD", "POST"])
@member_page
def token_revoke(request: HttpRequest, scope: Scope, token_id: int) -> HttpResponse:
    """Ask once, then close a token for good."""
    token = selectors.token_get(scope, token_id)
    if request.method == "POST":
        services.token_revoke(token)
        messages.success(request, f"{token.name} is revoked. Whatever uses it is answered 401 from now on.")
        return redirect("integrations_ui:tokens")
    if token.is_revoked:
        return redirect("integrations_ui:tokens")
    return _page(request, "revoke", {"scope": scope, "token": token}, crumb="Revoke")


def _state(token: ApiToken) -> tuple[str, str]:
    """Return words and tone."""
    if token.is_revoked:
        return "Revoked", "off"
    return ("Expired", "off") if token.is_expired else ("Active", "good")


def _page(request: HttpRequest, what: str, context: dict[str, Any], *, crumb: str) -> HttpResponse:
    """Return a page; crumb is what it is called below the list, empty for the list itself."""
    here = [("API tokens", reverse("integrations_ui:tokens")), (crumb, "")] if crumb else [("API tokens", "")]
    crumbs = [("Your account", reverse("account_index")), *here]
    return render(request, f"integrations_ui/tokens/{what}.html", {"crumbs": crumbs, **context})
