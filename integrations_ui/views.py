"""Owns the pages under /integrations/."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from integrations_ui.wording import STATES
from psa import selectors
from resolutionflow.accounts.scope import scope


@dataclass(frozen=True, slots=True)
class ConnectionRow:
    """One connection as the list shows it."""

    connection: Any
    provider_label: str
    state: str
    tone: str


@require_safe
@login_required
def connection_list(request: HttpRequest) -> HttpResponse:
    """Show the connections of the tenant; a person without a membership is told so."""
    found = scope(request)
    if found is None:
        return render(request, "integrations_ui/no_account.html", status=403)
    labels = {provider.key: provider.label for provider in selectors.provider_classes()}
    rows = [_row(connection, labels) for connection in selectors.connections(found.tenant)]
    return render(request, "integrations_ui/connections.html", {"scope": found, "rows": rows})


def _row(connection: Any, labels: Mapping[str, str]) -> ConnectionRow:
    state, tone = STATES[connection.state]
    # A provider that was taken out of the settings leaves its connections behind: then the key must do.
    return ConnectionRow(connection, labels.get(connection.provider, connection.provider), state, tone)
