"""Owns the page a link in the PSA leads to: the sessions of one ticket, and a new one for it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from integrations_ui.access import member_page
from integrations_ui.kept import keeps_typed
from integrations_ui.sessions.draft import kept_take
from integrations_ui.sessions.forms import SessionForm, errors_add
from integrations_ui.sessions.fragments import has_fragment, is_htmx
from integrations_ui.sessions.rows import summaries
from integrations_ui.sessions.tickets import NUMBER_MAX, away_text, ticket_card
from integrations_ui.views.sessions import UNPROCESSABLE, SessionRow
from psa import selectors as psa_selectors
from psa.exceptions import MissingError, PsaError, ServiceError
from psa.types import RecordType, Scope
from resolutionflow.sessions import selectors, services
from resolutionflow.sessions.models import TITLE_MAX_CHARS

SHOWN = 50
"""Sessions of one ticket a page shows, the newest ones."""


@require_http_methods(["GET", "HEAD", "POST"])
@keeps_typed(lambda connection_id, number: ("title",))
@has_fragment
@member_page
def ticket_sessions(request: HttpRequest, scope: Scope, connection_id: int, number: int) -> HttpResponse:
    """Show the sessions of a ticket; a POST begins one for it. htmx loads the ticket itself."""
    if not 0 < number < NUMBER_MAX:
        raise MissingError("There is no such ticket.")
    connection = psa_selectors.connection_get(scope.tenant, connection_id)
    context: dict[str, Any] = {"connection": connection, "number": number}
    if is_htmx(request) or "now" in request.GET:
        context |= _ticket(scope, connection_id, number)
    if is_htmx(request):
        return render(request, "integrations_ui/sessions/_ticket_facts.html", context)
    on_ticket = Q(link__connection_id=connection_id) & (
        Q(link__ticket_id=str(number)) | Q(link__merged_into__ticket_id=str(number))
    )
    found = list(selectors.sessions(scope.tenant).filter(on_ticket)[:SHOWN])
    summary = next((one.link.summary for one in found if one.link and one.link.summary), "")
    start = {"title": (summary or f"Ticket #{number}")[:TITLE_MAX_CHARS]}
    if request.method != "POST":
        start |= kept_take(request)
    form = SessionForm(scope.tenant, request.POST if request.method == "POST" else None, initial=start)
    if request.method == "POST" and form.is_valid():
        begun = _begin(request, scope, connection, number, form)
        if begun is not None:
            return begun
    said = summaries(scope.tenant, found)
    context |= {
        "form": form,
        "rows": [SessionRow(one, *said.get(one.pk, ("Nothing posted", "off"))) for one in found],
        "crumbs": [("Sessions", reverse("integrations_ui:sessions")), (f"Ticket #{number}", "")],
    }
    status = UNPROCESSABLE if form.errors else 200
    return render(request, "integrations_ui/sessions/ticket_sessions.html", context, status=status)


def _ticket(scope: Scope, connection_id: int, number: int) -> dict[str, Any]:
    try:
        return {"card": ticket_card(scope.tenant, connection_id, str(number))}
    except MissingError as exc:
        return {"missing": exc.message}
    except (PsaError, LookupError) as exc:
        return {"away": away_text(exc)}


def _begin(
    request: HttpRequest, scope: Scope, connection: Any, number: int, form: SessionForm
) -> HttpResponse | None:
    """Begin a session on the ticket and lead to it; None when nothing was begun, and the form says why."""
    record_type = None
    away = ""
    try:
        # Before anything is stored: a mistyped number must not leave a session behind.
        record_type = RecordType(ticket_card(scope.tenant, connection.pk, str(number)).record_type)
    except MissingError as exc:
        form.add_error(None, exc.message)
        return None
    except (PsaError, LookupError) as exc:
        away = away_text(exc)
    try:
        session = services.session_create(
            scope.tenant,
            actor=scope.actor,
            title=form.cleaned_data["title"],
            flow_id=form.cleaned_data["flow"],
        )
    except ServiceError as exc:
        errors_add(form, exc)
        return None
    if not away:
        try:
            services.ticket_link(
                scope.tenant,
                session.pk,
                connection.pk,
                str(number),
                actor=scope.actor,
                record_type=record_type,
            )
        except (PsaError, LookupError) as exc:
            away = away_text(exc)
    if away:
        messages.warning(
            request,
            f"The session has begun, but is not linked to ticket #{number} yet. {away} Link it later.",
        )
    return redirect("integrations_ui:session", session.pk)
