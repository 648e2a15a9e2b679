"""Owns what a session page shows around its ticket: the context, read anew on demand, and flows that fit."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from integrations_ui.access import member_page
from integrations_ui.posted import posted_id
from integrations_ui.sessions.fragments import has_fragment, is_htmx
from integrations_ui.sessions.tickets import away_text
from integrations_ui.views.sessions import session_crumbs
from psa.exceptions import ConflictError, InvalidInputError, MissingError, PsaError
from psa.selectors import link_context
from psa.types import Scope, TicketContext
from resolutionflow.sessions import selectors, services
from resolutionflow.sessions.models import FlowSession
from resolutionflow.suggestions.selectors import flows_for

NOTES_SHOWN = 20
"""Newest notes on the page; the PSA has the rest."""
NOTE_KINDS = {"analysis": "Staff only", "resolution": "Resolution", "discussion": "Discussion"}


@require_http_methods(["GET", "HEAD", "POST"])
@has_fragment
@member_page
def context(request: HttpRequest, scope: Scope, session_id: int) -> HttpResponse:
    """Show everything around the ticket; a POST asks the PSA anew. A part for htmx, else a page."""
    session = selectors.session_get(scope.tenant, session_id)
    if session.link_id is None:
        return (
            HttpResponse(status=204) if is_htmx(request) else redirect("integrations_ui:session", session_id)
        )
    refresh = request.method == "POST"
    shown = {**_context(scope, session, refresh=refresh), "session": session}
    if is_htmx(request):
        return render(request, "integrations_ui/sessions/_context.html", shown)
    if refresh:
        return redirect("integrations_ui:session-context", session_id)
    shown["crumbs"] = session_crumbs(session, "Context")
    return render(request, "integrations_ui/sessions/context.html", shown)


@require_POST
@member_page
def use_flow(request: HttpRequest, scope: Scope, session_id: int) -> HttpResponse:
    """Give an open session the flow that fits its ticket."""
    try:
        services.session_update(scope.tenant, session_id, flow_id=posted_id(request, "flow"))
    except MissingError:
        raise
    except (ConflictError, InvalidInputError) as exc:
        messages.warning(request, exc.message)
    else:
        messages.success(request, "The session follows this flow now.")
    return redirect("integrations_ui:session", session_id)


def _context(scope: Scope, session: FlowSession, *, refresh: bool) -> dict[str, Any]:
    try:
        assert session.link_id is not None  # noqa: S101 - the caller looked
        found = link_context(scope.tenant, session.link_id, refresh=refresh)
    except MissingError as exc:
        return {"away": exc.message}
    except (PsaError, LookupError) as exc:
        return {"away": away_text(exc)}
    return {
        "context": found,
        "notes": [(note, NOTE_KINDS[note.kind]) for note in found.notes[:NOTES_SHOWN]],
        "more_notes": max(len(found.notes) - NOTES_SHOWN, 0),
        "flows": _flows(scope, session, found),
    }


def _flows(scope: Scope, session: FlowSession, found: TicketContext) -> list[Any]:
    """Return flows that fit, for an open session that follows none."""
    if not session.is_open or session.flow_id is not None:
        return []
    return flows_for(scope.tenant, found.ticket, found.details)
