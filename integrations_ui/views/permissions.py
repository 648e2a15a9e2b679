"""Owns the table of permissions, and the recipe for whoever sets up the security role in the PSA."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from integrations_ui.access import member_page
from integrations_ui.frame import connection_of, connection_page
from integrations_ui.providers import ProviderInfo, provider_info, provider_infos
from integrations_ui.wording import FEATURE_HELP, FEATURE_STATES, FEATURES, LEVELS, FeatureWords
from psa.types import Scope


@dataclass(frozen=True, slots=True)
class PermissionRow:
    """One feature of the product."""

    words: FeatureWords
    state: str
    tone: str
    help: str
    needs: tuple[tuple[str, tuple[str, ...]], ...]
    """Rows of the security role: ("Service Desk > Service Tickets", ("Add All", "Edit All"))."""
    refused: bool
    """True when the PSA has refused a write since the last test."""


@dataclass(frozen=True, slots=True)
class RecipeRow:
    """One row of the security role, as it is ticked."""

    module: str
    row: str
    levels: tuple[tuple[str, bool], ...]
    """Each level with whether it is set to All."""
    features: str


@require_safe
@member_page
def permissions(request: HttpRequest, scope: Scope, connection_id: int) -> HttpResponse:
    """Show what the API member's security role allows, feature by feature."""
    connection = connection_of(scope, connection_id)
    info = next((entry for entry in provider_infos() if entry.key == connection.provider), None)
    rows = _rows(connection, info)
    context = {
        "rows": rows,
        "provider": info,
        "has_recipe": info is not None and bool(info.role_recipe),
        "short": [row for row in rows if row.tone in ("bad", "wait")],
    }
    template = "integrations_ui/permissions/page.html"
    return connection_page(request, scope, connection, "permissions", template, context)


@require_safe
@member_page
def role_recipe(request: HttpRequest, scope: Scope, provider: str) -> HttpResponse:
    """Show the security role row by row, to be printed for the admin of the PSA."""
    info = provider_info(provider)
    context = {
        "scope": scope,
        "provider": info,
        "rows": _recipe(info),
        "levels": list(LEVELS.values()),
        "steps": info.templates("_role.html"),
        "crumbs": [
            ("Integrations", reverse("integrations_ui:connections")),
            (f"Role for {info.label}", ""),
        ],
    }
    return render(request, "integrations_ui/permissions/recipe.html", context)


def _rows(connection: Any, info: ProviderInfo | None) -> list[PermissionRow]:
    """Return the features in the order of `FEATURES`; what was never probed is unknown."""
    found = {row["feature"]: row for row in connection.features}
    names = [name for name in FEATURES if name in found] if found else list(FEATURES)
    return [_row(name, found.get(name, {}), info) for name in names]


def _row(name: str, result: dict[str, Any], info: ProviderInfo | None) -> PermissionRow:
    status = str(result.get("status", "unknown"))
    state, tone = FEATURE_STATES.get(status, FEATURE_STATES["unknown"])
    needs = [need for need in info.role_needs if need.feature == name] if info else []
    return PermissionRow(
        words=FEATURES[name],
        state=state,
        tone=tone,
        help=FEATURE_HELP.get(status, ""),
        needs=tuple((f"{need.module} > {need.row}", _levels(need.levels)) for need in needs),
        refused=bool(result.get("refused")),
    )


def _levels(levels: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{LEVELS[level]} All" for level in LEVELS if level in levels)


def _recipe(info: ProviderInfo) -> list[RecipeRow]:
    return [
        RecipeRow(
            module=row.module,
            row=row.row,
            levels=tuple((label, level in row.levels) for level, label in LEVELS.items()),
            features=", ".join(FEATURES[feature].label for feature in row.features),
        )
        for row in info.role_recipe
    ]
