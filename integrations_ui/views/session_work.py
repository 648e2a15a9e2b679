"""Owns what a session page does on the side: pause, resume, the files of the ticket, one of its own."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from integrations_ui.access import member_page
from integrations_ui.sessions.fragments import has_fragment, is_htmx
from integrations_ui.sessions.tickets import away_text
from integrations_ui.views.sessions import session_crumbs
from psa.exceptions import (
    ConflictError,
    MissingError,
    PsaError,
    ServiceError,
    UnsupportedOperationError,
)
from psa.types import Scope
from resolutionflow.sessions import selectors, services, ticket_time
from resolutionflow.sessions.downloads import download_response
from resolutionflow.sessions.models import FlowSession


@require_POST
@member_page
def pause(request: HttpRequest, scope: Scope, session_id: int) -> HttpResponse:
    """Let work rest, and go back to the session."""
    try:
        services.session_pause(scope.tenant, session_id, actor=scope.actor)
    except ConflictError as exc:
        messages.info(request, exc.message)
    return redirect("integrations_ui:session", session_id)


@require_POST
@member_page
def resume(request: HttpRequest, scope: Scope, session_id: int) -> HttpResponse:
    """Let work go on, and go back to the session."""
    try:
        services.session_resume(scope.tenant, session_id)
    except ConflictError as exc:
        messages.info(request, exc.message)
    return redirect("integrations_ui:session", session_id)


@require_POST
@member_page
def attach(request: HttpRequest, scope: Scope, session_id: int) -> HttpResponse:
    """Attach the documentation to the ticket as it reads now, and go back to the session."""
    try:
        services.export_post(scope.tenant, session_id, actor=scope.actor)
    except MissingError:
        raise
    except (ServiceError, UnsupportedOperationError) as exc:
        messages.warning(request, str(exc))
    else:
        messages.success(request, "The documentation is on the ticket as a file, or on its way there.")
    return redirect("integrations_ui:session", session_id)


@require_safe
@has_fragment
@member_page
def files(request: HttpRequest, scope: Scope, session_id: int) -> HttpResponse:
    """Answer the files of the ticket, or with a sentence while the PSA is away; a page without htmx."""
    session = selectors.session_get(scope.tenant, session_id)
    if session.link is None:
        return (
            HttpResponse(status=204) if is_htmx(request) else redirect("integrations_ui:session", session_id)
        )
    context = {**_files(scope, session), "session": session, "crumbs": session_crumbs(session, "Files")}
    if is_htmx(request):
        return render(request, "integrations_ui/sessions/_files.html", context)
    return render(request, "integrations_ui/sessions/files.html", context)


@require_safe
@member_page
def file_download(request: HttpRequest, scope: Scope, session_id: int, document_id: str) -> HttpResponseBase:
    """Stream one file of the ticket, to be saved; back to the session with a sentence when that fails."""
    selectors.session_get(scope.tenant, session_id)
    try:
        return download_response(ticket_time.session_document_open(scope.tenant, session_id, document_id))
    except MissingError as exc:
        messages.warning(request, exc.message)
    except (PsaError, LookupError) as exc:
        messages.warning(request, f"The file cannot be read: {away_text(exc)}")
    return redirect("integrations_ui:session", session_id)


def _files(scope: Scope, session: FlowSession) -> dict[str, Any]:
    try:
        return {"files": ticket_time.session_documents(scope.tenant, session.pk)}
    except (PsaError, LookupError) as exc:
        return {"files": [], "away": away_text(exc)}
