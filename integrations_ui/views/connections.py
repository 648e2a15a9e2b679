"""Owns the Integrations page: connections, what can be connected, the checklist, and what needs a person."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from integrations_ui.access import member_page
from integrations_ui.cards import card_of, connection_cards
from integrations_ui.checklist import checklist
from integrations_ui.frame import connection_of
from integrations_ui.problem_rows import problem_rows
from integrations_ui.providers import provider_infos
from integrations_ui.shell import shell_of
from integrations_ui.views.suggestions import mark_seen, suggestion_context
from psa import services
from psa.exceptions import PsaError, ServiceError
from psa.types import Scope

_TONES = {messages.SUCCESS: "good", messages.WARNING: "wait", messages.ERROR: "bad"}


@require_safe
@member_page
def connection_list(request: HttpRequest, scope: Scope) -> HttpResponse:
    """Show the Integrations page. What it shows of suggestions is not new any more afterwards."""
    suggested = suggestion_context(scope)
    context = _context(request, scope) | suggested
    response = render(request, "integrations_ui/connections/list.html", context)
    mark_seen(scope, suggested)
    return response


@require_safe
@member_page
def connection_list_live(request: HttpRequest, scope: Scope) -> HttpResponse:
    """Return what changes by itself on the Integrations page, and the badge of the frame."""
    return render(request, "integrations_ui/connections/_live.html", _context(request, scope) | {"oob": True})


@require_POST
@member_page
def connection_test(request: HttpRequest, scope: Scope, connection_id: int) -> HttpResponse:
    """Test a connection. Answers what changed, or without JavaScript leads back to the page of the button."""
    connection = connection_of(scope, connection_id)
    try:
        level, text = _result(services.connection_test(scope.tenant, connection.pk, actor=scope.actor))
    except ServiceError as exc:
        level, text = messages.ERROR, exc.message
    except PsaError as exc:
        level, text = messages.ERROR, str(exc)
    if getattr(request, "htmx", False):
        result = (_TONES[level], text)
        context = _context(request, scope) | {"oob": True, "tested": connection.pk, "result": result}
        return render(request, "integrations_ui/connections/_live.html", context)
    messages.add_message(request, level, text)
    back = request.POST.get("back", "")
    if back in ("connection", "permissions"):
        return redirect(f"integrations_ui:{back}", connection.pk)
    return redirect("integrations_ui:connections")


def _context(request: HttpRequest, scope: Scope) -> dict[str, Any]:
    cards = connection_cards(scope)
    providers = provider_infos()
    connect_url = reverse("integrations_ui:connect", args=[providers[0].key]) if providers else ""
    return {
        "scope": scope,
        "cards": cards,
        "providers": providers,
        "problems": problem_rows(shell_of(request).problems, scope),
        "checklist": checklist(scope, cards, connect_url) if scope.can_lead else None,
    }


def _result(connection: Any) -> tuple[int, str]:
    card = card_of(connection)
    if connection.state != "connected":
        return messages.ERROR, f"{connection.name}: {card.problem.get('text') or card.state}"
    if card.limits:
        return messages.WARNING, f"{connection.name} works. Missing permissions: {', '.join(card.limits)}."
    return messages.SUCCESS, f"{connection.name} works."
