"""Owns the suggested flows on the Integrations page: the live list, accepting, dismissing and its undo."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_POST, require_safe

from integrations_ui.access import member_page
from integrations_ui.posted import posted_id
from integrations_ui.sessions.fragments import has_fragment, is_htmx
from integrations_ui.sessions.tickets import away_text
from psa.exceptions import ConflictError, InvalidInputError, MissingError, PsaError
from psa.types import Scope
from resolutionflow.suggestions import selectors, services
from resolutionflow.suggestions.models import SuggestionState
from resolutionflow.suggestions.selectors import SHOWN_MAX

WHY = {
    "created": "New ticket",
    "assigned": "Assigned",
    "board": "Moved to this board",
    "type": "Type changed",
}
"""What happened to a ticket → words."""


@require_safe
@has_fragment
@member_page
def suggestion_list(request: HttpRequest, scope: Scope) -> HttpResponse:
    """Answer the live list: 204 while nothing has changed. Without htmx lead to the Integrations page."""
    if not is_htmx(request):
        return redirect(f"{reverse('integrations_ui:connections')}#suggestions")
    context = suggestion_context(scope)
    if request.GET.get("seen") == context["suggestions_state"]:
        return HttpResponse(status=204)
    return render(request, "integrations_ui/suggestions/_list.html", context)


@require_POST
@member_page
def accept(request: HttpRequest, scope: Scope, suggestion_id: int) -> HttpResponse:
    """Begin a session with the chosen flow, linked to the ticket, and go there."""
    flow_id = posted_id(request, "flow") if request.POST.get("flow") else None
    try:
        session = services.suggestion_accept(scope, suggestion_id, flow_id=flow_id)
    except MissingError as exc:
        if exc.code != "ticket-not-found":
            raise
        messages.warning(request, exc.message)
    except (ConflictError, InvalidInputError) as exc:
        messages.warning(request, exc.message)
    except (PsaError, LookupError) as exc:
        messages.warning(request, f"Nothing was begun. {away_text(exc)}")
    else:
        return redirect("integrations_ui:session", session.pk)
    return redirect(f"{reverse('integrations_ui:connections')}#suggestions")


@require_POST
@member_page
def dismiss(request: HttpRequest, scope: Scope, suggestion_id: int) -> HttpResponse:
    """Put a suggestion away; the list offers to take that back."""
    dismissed: Any = None
    try:
        dismissed = services.suggestion_dismiss(scope, suggestion_id)
    except ConflictError as exc:
        messages.info(request, exc.message)
    return _answer(request, scope, dismissed)


@require_POST
@member_page
def restore(request: HttpRequest, scope: Scope, suggestion_id: int) -> HttpResponse:
    """Take a dismissal back."""
    try:
        services.suggestion_restore(scope, suggestion_id)
    except ConflictError as exc:
        messages.info(request, exc.message)
    return _answer(request, scope, None)


def suggestion_context(scope: Scope, dismissed: Any = None) -> dict[str, Any]:
    """Return what the list needs. Shape: dismissed is the one that was put away just now."""
    rows = list(selectors.suggestions_shown(scope)[: SHOWN_MAX + 1])
    shown = [(row, WHY.get(row.why, "")) for row in rows[:SHOWN_MAX]]
    bulk = [
        {**found, "moment": parse_datetime(str(found.get("at") or ""))}
        for found in selectors.bulk_changes(scope.tenant)
    ]
    facts: list[Any] = [(row.pk, row.state, row.changed_at.isoformat()) for row, _ in shown]
    facts += [(one["connection"].pk, one.get("at"), one.get("tickets")) for one in bulk]
    state = sha256(repr(facts).encode()).hexdigest()[:16]
    return {
        "suggestions": shown,
        "more_suggestions": len(rows) > SHOWN_MAX,
        "bulk_changes": bulk,
        "dismissed": dismissed,
        "suggestions_state": state,
        "suggestions_url": f"{reverse('integrations_ui:suggestions')}?seen={state}",
    }


def mark_seen(scope: Scope, context: dict[str, Any]) -> None:
    """Take the unread marks off what a whole page has shown; the page itself still shows them."""
    new = [row.pk for row, _ in context["suggestions"] if row.state == SuggestionState.NEW]
    if new:
        services.suggestions_seen(scope, new)


def _answer(request: HttpRequest, scope: Scope, dismissed: Any) -> HttpResponse:
    if is_htmx(request):
        return render(request, "integrations_ui/suggestions/_list.html", suggestion_context(scope, dismissed))
    if dismissed is not None:
        messages.success(request, f"The suggestion for ticket #{dismissed.ticket_id} was put away.")
    return redirect(f"{reverse('integrations_ui:connections')}#suggestions")
