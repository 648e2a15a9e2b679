"""Owns the overview of one connection: how it fares, since when, and what its queue holds."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Min
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from integrations_ui.access import member_page
from integrations_ui.cards import card_of
from integrations_ui.frame import connection_of, connection_page
from integrations_ui.problem_rows import problem_rows
from integrations_ui.shell import shell_of
from psa import selectors
from psa.selectors import ProblemScope
from psa.types import Scope


@require_safe
@member_page
def connection_overview(request: HttpRequest, scope: Scope, connection_id: int) -> HttpResponse:
    """Show how a connection fares."""
    connection = connection_of(scope, connection_id)
    template = "integrations_ui/connections/overview.html"
    return connection_page(
        request, scope, connection, "connection", template, _context(request, scope, connection)
    )


@require_safe
@member_page
def connection_live(request: HttpRequest, scope: Scope, connection_id: int) -> HttpResponse:
    """Return what changes by itself on the overview, and the badge of the frame."""
    connection = connection_of(scope, connection_id)
    context = _context(request, scope, connection) | {
        "scope": scope,
        "connection": connection,
        "card": card_of(connection),
        "oob": True,
    }
    return render(request, "integrations_ui/connections/_health.html", context)


def _context(request: HttpRequest, scope: Scope, connection: Any) -> dict[str, Any]:
    # What is wrong with the connection itself stands at the top of the page already.
    found = [
        row
        for row in shell_of(request).problems
        if connection in row.connections and row.scope is not ProblemScope.CONNECTION
    ]
    endpoint: dict[str, str] = connection.endpoint or {}
    return {
        "queue": _queue(scope, connection),
        "problems": problem_rows(found, scope),
        "version": endpoint.get("version", ""),
        # Empty means that the server did not know the release we ask for first.
        "api_version": endpoint.get("api_version", ""),
        "api_known": bool(endpoint),
        "api_url": endpoint.get("base_url", ""),
        "links": connection.ticket_links.count(),
    }


def _queue(scope: Scope, connection: Any) -> dict[str, Any]:
    """Return how many deliveries are on their way and how many need a person, with the age of the oldest."""
    rows: Any = selectors.deliveries(scope.tenant).filter(connection=connection).order_by()
    waiting = rows.open().aggregate(count=Count("pk"), oldest=Min("created_at"))
    return {
        "waiting": waiting["count"],
        "oldest": waiting["oldest"],
        "dead": rows.dead().count(),
    }
