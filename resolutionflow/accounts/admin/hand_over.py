"""Owns the admin page on which what one person has on its way is handed to a colleague."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.admin import UserAdmin
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.defaultfilters import pluralize
from django.template.response import TemplateResponse

from psa import selectors, services
from psa.exceptions import ServiceError
from psa.types import Actor, Scope
from resolutionflow.accounts.models import Account, User

SHOWN = 50
"""Deliveries the page lists; all of them are handed over."""


class HandOverForm(forms.Form):
    """Who answers for the deliveries from now on."""

    to = forms.ModelChoiceField(User.objects.none(), label="Hand over to")

    def __init__(self, account: Account, person: User, *args: Any) -> None:
        super().__init__(*args)
        colleagues = User.objects.filter(membership__account=account, is_active=True).exclude(pk=person.pk)
        self.fields["to"].queryset = colleagues.order_by("username")  # type: ignore[attr-defined]


def actor_of(request: HttpRequest) -> Actor:
    """Return who is asking, as services name them."""
    user = request.user
    assert isinstance(user, User)  # noqa: S101  the admin lets nobody else in
    return Actor(user.pk, user.display_name)


def hand_over_page(request: HttpRequest, page: UserAdmin[User], person: User) -> HttpResponse:
    """Show what a person has on its way; a POST gives it to the chosen colleague. Raises: Http404."""
    account = Account.objects.filter(memberships__user=person).first()
    if account is None:
        raise Http404("Who works in no account has posted nothing.")
    form = HandOverForm(account, person, request.POST if request.method == "POST" else None)
    if form.is_valid():
        scope = Scope(account, actor_of(request), can_manage=True, can_lead=True, can_post=True)
        to: User = form.cleaned_data["to"]
        try:
            changed = services.deliveries_hand_over(account, person.pk, to.pk, scope=scope)
        except ServiceError as exc:
            form.add_error(None, exc.message)
        else:
            text = (
                f"{to.display_name} answers for {changed} post{pluralize(changed)} of {person.display_name}."
            )
            messages.success(request, text)
            return redirect("admin:accounts_user_change", person.pk)
    rows = selectors.deliveries_to_hand_over(account, person.pk)
    context = {
        **page.admin_site.each_context(request),
        "title": f"Hand over what {person.display_name} has on its way",
        "opts": page.opts,
        "person": person,
        "form": form,
        "rows": rows[:SHOWN],
        "count": rows.count(),
    }
    return TemplateResponse(request, "admin/accounts/user/hand_over.html", context)
