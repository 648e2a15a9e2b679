"""Owns connecting a PSA: the form, its test before anything is saved, and every refusal in words."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from integrations_ui.access import admin_page
from integrations_ui.cards import card_of
from integrations_ui.credential_form import CredentialForm, initial_of, typed_names
from integrations_ui.failures import Failure, failure_of
from integrations_ui.kept import keeps_typed, typed
from integrations_ui.providers import ProviderInfo, provider_info
from psa import selectors, services
from psa.exceptions import ConflictError, MissingError, PsaError
from psa.types import Scope

TWICE_WITHIN = timedelta(minutes=2)
"""A connection this young that the same person made is what a second click on the button asks for."""


def _names(provider: str) -> list[str]:
    try:
        return typed_names(provider_info(provider))
    except MissingError:
        return []


@require_http_methods(["GET", "HEAD", "POST"])
@keeps_typed(_names)
@admin_page
def connect(request: HttpRequest, scope: Scope, provider: str) -> HttpResponse:
    """Show the form of a provider; a POST tests what was typed and saves it only if it works."""
    info = provider_info(provider)
    if request.method != "POST":
        kept = initial_of(typed(request), info)
        first = not selectors.connections(scope.tenant).exists()
        name = info.label if first else ""
        return _page(
            request, scope, info, CredentialForm(info, initial={"name": name} | kept), kept=bool(kept)
        )
    form = CredentialForm(info, request.POST)
    pasted = request.POST.get("site", "").strip()
    cut = show_cut_site(form, info)
    if not form.is_valid():
        return _page(request, scope, info, form, cut=cut if cut != pasted else "")
    made: Any
    try:
        made = services.connection_create(
            scope.tenant,
            actor=scope.actor,
            provider=info.key,
            name=form.cleaned_data["name"],
            site=form.cleaned_data["site"],
            credentials=form.credentials(),
        )
    except ConflictError as exc:
        made = _made_just_now(scope, info, form)
        if made is None:
            return _page(request, scope, info, form, failure=failure_of(exc, form))
    except PsaError as exc:
        return _page(
            request, scope, info, form, failure=failure_of(exc, form), cut=cut if cut != pasted else ""
        )
    tell_connected(request, made, "Connected to")
    return redirect("integrations_ui:connection", made.pk)


@require_safe
@admin_page
def connect_address(request: HttpRequest, scope: Scope, provider: str) -> HttpResponse:
    """Return what a pasted address is cut to, for the line below the field."""
    info = provider_info(provider)
    pasted = request.GET.get("site", "")[:2000].strip()
    site, error = "", ""
    try:
        site = info.site_of(pasted) if pasted else ""
    except ValueError as exc:
        error = str(exc)
    context = {"site": site if site != pasted else "", "error": error}
    return render(request, "integrations_ui/connect/_address.html", context)


def show_cut_site(form: CredentialForm, info: ProviderInfo) -> str:
    """Put the address as it is cut into the form and return it; what cannot be one stays as it was typed."""
    pasted = str(form.data.get("site", "")).strip()
    try:
        site = info.site_of(pasted)
    except ValueError:
        return pasted
    form.show_site(site)
    return site


def tell_connected(request: HttpRequest, connection: Any, verb: str) -> None:
    """Say what a connection leads to now, and whether permissions are missing."""
    card = card_of(connection)
    text = f"{verb} {connection.site}."
    if not card.is_on:
        messages.warning(request, f"{text} The connection is still switched off.")
    elif connection.state != "connected":
        messages.error(request, f"{card.problem.get('text') or card.state} Nothing has changed.")
    elif card.limits:
        messages.warning(request, f"{text} Some permissions are missing: {', '.join(card.limits)}.")
    else:
        messages.success(request, f"{text} Everything was tested and works.")


def _made_just_now(scope: Scope, info: ProviderInfo, form: CredentialForm) -> Any | None:
    """Return the connection that the first of two clicks has made."""
    account = form.cleaned_data.get(info.account_field, "")
    return (
        selectors.connections(scope.tenant)
        .filter(
            provider=info.key,
            site=form.cleaned_data["site"],
            company_id__iexact=account,
            created_by_id=scope.actor.user_id,
            created_at__gte=timezone.now() - TWICE_WITHIN,
        )
        .first()
    )


def _page(
    request: HttpRequest,
    scope: Scope,
    info: ProviderInfo,
    form: CredentialForm,
    *,
    failure: Failure | None = None,
    cut: str = "",
    kept: bool = False,
) -> HttpResponse:
    context = {
        "scope": scope,
        "provider": info,
        "form": form,
        "failure": failure,
        "cut": cut,
        "kept": kept,
        "key_help": info.templates("_key.html"),
        "crumbs": [
            ("Integrations", reverse("integrations_ui:connections")),
            (f"Connect {info.label}", ""),
        ],
    }
    return render(request, "integrations_ui/connect/form.html", context)
