"""Owns what stands around every page of one connection: its head, its tabs, the way back.

A tab is a row in `_TABS`. Its page calls `connection_page` and extends `connections/frame.html`, block `tab`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from integrations_ui.cards import card_of
from psa import selectors
from psa.types import Scope


@dataclass(frozen=True, slots=True)
class Tab:
    """One page of a connection."""

    label: str
    url: str
    icon: str
    current: bool
    count: int = 0
    tone: str = ""


_TABS: tuple[tuple[str, str, str, Callable[[Scope], bool]], ...] = (
    ("connection", "Overview", "activity", lambda _scope: True),
    ("permissions", "Permissions", "shield-check", lambda _scope: True),
    ("members", "Members", "users", lambda _scope: True),
    ("rules", "Status rules", "git-branch", lambda _scope: True),
    ("callbacks", "Callbacks", "radio-tower", lambda _scope: True),
    ("activity", "Activity", "list", lambda _scope: True),
    ("manage", "Settings", "settings-2", lambda scope: scope.can_manage),
)
"""Name of the address, label, icon, who sees it."""


def connection_page(
    request: HttpRequest,
    scope: Scope,
    connection: Any,
    tab: str,
    template: str,
    context: Mapping[str, Any] | None = None,
    *,
    crumbs: tuple[tuple[str, str], ...] = (),
    status: int = 200,
) -> HttpResponse:
    """Return a page in the frame of a connection.

    Shape: crumbs are what follows the connection, as (label, address), for pages below a tab.
    """
    home = reverse("integrations_ui:connection", args=[connection.pk])
    trail = [("Integrations", reverse("integrations_ui:connections"))]
    trail += [(connection.name, home), *crumbs] if crumbs else [(connection.name, "")]
    frame = {
        "scope": scope,
        "card": card_of(connection),
        "connection": connection,
        "tabs": _tabs(scope, connection, tab),
        "crumbs": trail,
    }
    return render(request, template, {**frame, **(context or {})}, status=status)


def connection_of(scope: Scope, connection_id: int) -> Any:
    """Return one connection of the tenant. Raises: MissingError."""
    return selectors.connection_get(scope.tenant, connection_id)


def _tabs(scope: Scope, connection: Any, current: str) -> list[Tab]:
    counts = {"permissions": len(card_of(connection).limits)}
    return [
        Tab(
            label,
            reverse(f"integrations_ui:{name}", args=[connection.pk]),
            icon,
            name == current,
            counts.get(name, 0),
            "bad" if counts.get(name) else "",
        )
        for name, label, icon, shown in _TABS
        if shown(scope)
    ]
