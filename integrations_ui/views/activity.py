"""Owns the tab "Activity" of a connection: what was posted through it, and how it went."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from integrations_ui.access import member_page
from integrations_ui.delivery_rows import (
    ActivityFilter,
    activity_rows,
    fingerprint,
    poll_s,
    visible_deliveries,
)
from integrations_ui.frame import connection_of, connection_page
from integrations_ui.paging import page_of
from integrations_ui.problem_rows import problem_rows
from integrations_ui.sessions.fragments import STOP_POLLING, is_htmx
from integrations_ui.shell import shell_of
from psa.types import Scope

PAGE_SIZE = 25


@require_safe
@member_page
def activity(request: HttpRequest, scope: Scope, connection_id: int) -> HttpResponse:
    """Show what was posted, the newest first: everybody's to leads, to engineers their own."""
    connection = connection_of(scope, connection_id)
    context = _context(request, scope, connection)
    template = "integrations_ui/activity/page.html"
    return connection_page(request, scope, connection, "activity", template, context)


@require_safe
@member_page
def activity_live(request: HttpRequest, scope: Scope, connection_id: int) -> HttpResponse:
    """Answer the list anew: 204 while nothing has changed, and once more when all is settled."""
    connection = connection_of(scope, connection_id)
    if not is_htmx(request):
        return redirect("integrations_ui:activity", connection.pk)
    context = _context(request, scope, connection)
    if context["poll_s"] and request.GET.get("seen") == context["state"]:
        return HttpResponse(status=204)
    context |= {"scope": scope, "connection": connection, "changed": True}
    status = 200 if context["poll_s"] else STOP_POLLING
    return render(request, "integrations_ui/activity/_list.html", context, status=status)


def _context(request: HttpRequest, scope: Scope, connection: Any) -> dict[str, Any]:
    form = ActivityFilter(scope, request.GET)
    found = form.apply(visible_deliveries(scope).filter(connection=connection))
    page = page_of(found, PAGE_SIZE, request.GET.get("page"))
    rows = activity_rows(scope, page)
    shown = [entry.row for entry in rows]
    state = fingerprint(shown, page.paginator.count)
    address = reverse("integrations_ui:activity", args=[connection.pk])
    live = reverse("integrations_ui:activity-live", args=[connection.pk])
    query = f"{form.query}page={page.number}" if page.number > 1 else form.query.removesuffix("&")
    here = f"{address}?{query}" if query else address
    return {
        "form": form,
        "filtered": bool(form.values),
        "page": page,
        "rows": rows,
        "query": form.query,
        "here": here,
        "state": state,
        "poll_s": poll_s(shown),
        "live_url": f"{live}?{form.query}page={page.number}&seen={state}",
        "problems": lambda: problem_rows(
            [row for row in shell_of(request).problems if connection in row.connections], scope
        ),
    }
