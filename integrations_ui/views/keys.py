"""Owns giving a connection another API key, and moving it to another host: tested before anything changes."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from integrations_ui.access import admin_page
from integrations_ui.credential_form import CredentialForm, initial_of
from integrations_ui.failures import Failure, failure_of
from integrations_ui.frame import connection_of, connection_page
from integrations_ui.kept import keeps_typed, typed
from integrations_ui.providers import ProviderInfo, provider_info
from integrations_ui.views.connect import show_cut_site, tell_connected
from psa import selectors, services
from psa.exceptions import PsaError
from psa.types import Scope


@require_http_methods(["GET", "HEAD", "POST"])
@keeps_typed(lambda connection_id: ["public_key"])
@admin_page
def key_replace(request: HttpRequest, scope: Scope, connection_id: int) -> HttpResponse:
    """Take another API key for the same company; id, mappings and history stay."""
    connection = connection_of(scope, connection_id)
    info = provider_info(connection.provider)
    stored = selectors.credentials_stored(connection)
    options: dict[str, Any] = {
        "asks_name": False,
        "asks_site": False,
        "leaves_out": [info.account_field],
        "blank_keeps": stored is not None,
        "stored": stored or (),
    }
    if request.method != "POST":
        form = CredentialForm(info, initial=initial_of(typed(request), info), **options)
        return _page(request, scope, connection, info, form, "key")
    form = CredentialForm(info, request.POST, **options)
    if form.is_valid() and not form.credentials():
        form.add_error(None, "Enter at least the new private key.")
    if not form.is_valid():
        return _page(request, scope, connection, info, form, "key")
    try:
        changed = services.connection_update(
            scope.tenant, connection.pk, actor=scope.actor, credentials=form.credentials()
        )
        if changed.state in ("broken", "degraded"):
            # The very key that is stored was entered, so nothing was tested. It may work again by now.
            changed = services.connection_test(scope.tenant, connection.pk, actor=scope.actor)
    except PsaError as exc:
        failure = failure_of(exc, form)
        return _page(request, scope, connection, info, form, "key", failure=failure)
    tell_connected(request, changed, "The new key is in use for")
    return redirect("integrations_ui:connection", changed.pk)


@require_http_methods(["GET", "HEAD", "POST"])
@keeps_typed(lambda connection_id: ["site", "company_id", "public_key"])
@admin_page
def move(request: HttpRequest, scope: Scope, connection_id: int) -> HttpResponse:
    """Take another address or company for the connection, if the same tickets are there."""
    connection = connection_of(scope, connection_id)
    info = provider_info(connection.provider)
    stored = selectors.credentials_stored(connection) or ()
    if request.method != "POST":
        start = {"site": connection.site, info.account_field: connection.company_id}
        initial = start | initial_of(typed(request), info)
        form = CredentialForm(info, initial=initial, asks_name=False, stored=stored)
        return _page(request, scope, connection, info, form, "move")
    form = CredentialForm(info, request.POST, asks_name=False, stored=stored)
    pasted = request.POST.get("site", "").strip()
    cut = show_cut_site(form, info)
    failure = None
    if form.is_valid():
        try:
            changed = services.connection_update(
                scope.tenant,
                connection.pk,
                actor=scope.actor,
                site=form.cleaned_data["site"],
                credentials=form.credentials(),
            )
        except PsaError as exc:
            failure = failure_of(exc, form)
        else:
            tell_connected(request, changed, "This connection now leads to")
            return redirect("integrations_ui:connection", changed.pk)
    return _page(
        request, scope, connection, info, form, "move", failure=failure, cut=cut if cut != pasted else ""
    )


def _page(
    request: HttpRequest,
    scope: Scope,
    connection: Any,
    info: ProviderInfo,
    form: CredentialForm,
    what: str,
    *,
    failure: Failure | None = None,
    cut: str = "",
) -> HttpResponse:
    titles = {"key": "Replace API key", "move": "Move to another host"}
    context = {
        "provider": info,
        "form": form,
        "failure": failure,
        "cut": cut,
        "links": connection.ticket_links.count(),
        "key_help": info.templates("_key.html"),
    }
    settings = reverse("integrations_ui:manage", args=[connection.pk])
    return connection_page(
        request,
        scope,
        connection,
        "manage",
        f"integrations_ui/manage/{what}.html",
        context,
        crumbs=(("Settings", settings), (titles[what], "")),
    )
