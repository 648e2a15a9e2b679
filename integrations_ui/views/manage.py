"""Owns the settings of a connection: its name, switching it off and on, deleting it. Keys are in `keys`."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from integrations_ui.access import admin_page
from integrations_ui.frame import connection_of, connection_page
from integrations_ui.kept import keeps_typed, typed
from psa import selectors, services
from psa.exceptions import ConflictError, InvalidInputError, PsaError
from psa.types import Scope


class NameForm(forms.Form):
    """The name of a connection. How long it may be is the service's business."""

    name = forms.CharField(
        label="Name",
        help_text="How your people find it in lists.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


@require_safe
@admin_page
def manage(request: HttpRequest, scope: Scope, connection_id: int) -> HttpResponse:
    """Show what an admin can change."""
    connection = connection_of(scope, connection_id)
    return _page(request, scope, connection, NameForm(initial={"name": connection.name}))


@require_http_methods(["GET", "HEAD", "POST"])
@keeps_typed(lambda connection_id: ["name"])
@admin_page
def rename(request: HttpRequest, scope: Scope, connection_id: int) -> HttpResponse:
    """Change the name."""
    connection = connection_of(scope, connection_id)
    if request.method != "POST":
        return _page(request, scope, connection, NameForm(initial={"name": connection.name} | typed(request)))
    form = NameForm(request.POST)
    if form.is_valid():
        try:
            services.connection_update(
                scope.tenant, connection.pk, actor=scope.actor, name=form.cleaned_data["name"]
            )
        except InvalidInputError as exc:
            for sentence in exc.fields.get("name", [exc.message]):
                form.add_error("name", sentence)
        except PsaError as exc:
            form.add_error(None, str(exc))
        else:
            messages.success(request, "Renamed.")
            return redirect("integrations_ui:manage", connection.pk)
    return _page(request, scope, connection, form)


@require_http_methods(["GET", "HEAD", "POST"])
@admin_page
def disable(request: HttpRequest, scope: Scope, connection_id: int) -> HttpResponse:
    """Ask once, then switch the connection off."""
    connection = connection_of(scope, connection_id)
    if request.method == "POST":
        services.connection_disable(scope.tenant, connection.pk, actor=scope.actor)
        messages.success(request, "Switched off. What is queued waits.")
        return redirect("integrations_ui:manage", connection.pk)
    return _sure(request, scope, connection, "disable", "Switch off")


@require_POST
@admin_page
def enable(request: HttpRequest, scope: Scope, connection_id: int) -> HttpResponse:
    """Switch the connection on, and test it at once so that its state is true."""
    connection = connection_of(scope, connection_id)
    services.connection_enable(scope.tenant, connection.pk, actor=scope.actor)
    try:
        tested = services.connection_test(scope.tenant, connection.pk, actor=scope.actor)
    except PsaError as exc:
        messages.warning(request, f"Switched on. {exc}")
    else:
        if tested.state == "connected":
            messages.success(request, "Switched on and tested.")
        else:
            text = (tested.problem or {}).get("text", "")
            messages.warning(request, f"Switched on, but the test failed. {text}")
    return redirect("integrations_ui:connection", connection.pk)


@require_http_methods(["GET", "HEAD", "POST"])
@admin_page
def delete(request: HttpRequest, scope: Scope, connection_id: int) -> HttpResponse:
    """Say what goes with the connection, ask once, then delete it."""
    connection = connection_of(scope, connection_id)
    flying = False
    if request.method == "POST":
        try:
            services.connection_delete(
                scope.tenant, connection.pk, actor=scope.actor, force=request.POST.get("force") == "yes"
            )
        except ConflictError as exc:
            if exc.code != "deliveries-in-flight":
                raise
            flying = True
        else:
            messages.success(request, f"{connection.name} was deleted. Its history stays in the audit.")
            return redirect("integrations_ui:connections")
    return _sure(
        request, scope, connection, "delete", "Delete", flying=flying, **_affected(scope, connection)
    )


def _affected(scope: Scope, connection: Any) -> dict[str, int]:
    rows: Any = selectors.deliveries(scope.tenant).filter(connection=connection).order_by()
    return {
        "waiting": rows.open().count(),
        "dead": rows.dead().count(),
        "links": connection.ticket_links.count(),
        "members": connection.member_mappings.filter(active=True).count(),
        "rules": connection.status_rules.count(),
    }


def _sure(
    request: HttpRequest, scope: Scope, connection: Any, what: str, title: str, **facts: Any
) -> HttpResponse:
    template = f"integrations_ui/manage/{what}.html"
    return connection_page(
        request, scope, connection, "manage", template, facts, crumbs=_crumbs(connection, title)
    )


def _page(request: HttpRequest, scope: Scope, connection: Any, form: NameForm) -> HttpResponse:
    return connection_page(
        request, scope, connection, "manage", "integrations_ui/manage/page.html", {"form": form}
    )


def _crumbs(connection: Any, title: str) -> tuple[tuple[str, str], ...]:
    return (("Settings", reverse("integrations_ui:manage", args=[connection.pk])), (title, ""))
