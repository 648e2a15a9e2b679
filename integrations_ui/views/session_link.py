"""Owns the pages that link a session to a ticket: finding one, saying yes to it, and taking the session off.

Only what somebody asks for waits for the PSA: a part that htmx loads, a search, a card opened by its link.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from integrations_ui.access import member_page
from integrations_ui.sessions.forms import LinkForm
from integrations_ui.sessions.fragments import has_fragment, is_htmx
from integrations_ui.sessions.tickets import (
    NUMBER_MAX,
    QUERY_MAX_CHARS,
    Found,
    TicketCard,
    away_text,
    ticket_card,
    tickets_find,
    tickets_numbered,
)
from integrations_ui.views.sessions import UNPROCESSABLE, session_crumbs
from psa import selectors as psa_selectors
from psa.exceptions import ConflictError, MissingError, PsaError, ServiceError
from psa.types import RecordType, Scope, ticket_number
from resolutionflow.sessions import selectors, services
from resolutionflow.sessions.models import FlowSession


@require_safe
@has_fragment
@member_page
def ticket_find(request: HttpRequest, scope: Scope, session_id: int) -> HttpResponse:
    """Search tickets over all connections. `q` searches, `find` looks a number up and leads to its card."""
    session = selectors.session_get(scope.tenant, session_id)
    query = request.GET.get("q", "").strip()[:QUERY_MAX_CHARS]
    asked = is_htmx(request) or "q" in request.GET
    number = ticket_number(query) if "find" in request.GET else ""
    found = Found()
    if number:
        found = tickets_numbered(scope.tenant, number)
        if len(found.cards) == 1 and not found.away:
            address = _card_url(session, found.cards[0])
            return redirect(f"{address}?now=1")
    elif asked:
        found = tickets_find(scope.tenant, scope.actor.user_id, query, insist=not is_htmx(request))
    context = {
        "session": session,
        "query": query,
        "asked": asked,
        "number": number,
        "typed_number": ticket_number(query),
        "found": found,
        "rows": [(card, _card_url(session, card)) for card in found.cards],
        "several": len({card.connection.pk for card in found.cards}) > 1,
        "has_connections": psa_selectors.connections(scope.tenant).exists(),
        "crumbs": session_crumbs(session, "Link a ticket"),
    }
    part = "_ticket_results.html" if is_htmx(request) else "ticket_find.html"
    return render(request, f"integrations_ui/sessions/{part}", context)


@require_http_methods(["GET", "HEAD", "POST"])
@has_fragment
@member_page
def ticket_confirm(
    request: HttpRequest, scope: Scope, session_id: int, connection_id: int, number: int
) -> HttpResponse:
    """Show the card of a ticket and ask whether it is the right one; a POST links it."""
    if not 0 < number < NUMBER_MAX:
        raise MissingError("There is no such ticket.")
    session = selectors.session_get(scope.tenant, session_id)
    connection = psa_selectors.connection_get(scope.tenant, connection_id)
    context: dict[str, Any] = {
        "session": session,
        "connection": connection,
        "number": number,
        "crumbs": session_crumbs(session, "Link a ticket"),
    }
    status = 200
    if request.method == "POST" or is_htmx(request) or "now" in request.GET:
        try:
            card = ticket_card(scope.tenant, connection_id, str(number))
        except MissingError as exc:
            context["missing"] = exc.message
            status = 404 if request.method == "POST" else 200
        except (PsaError, LookupError) as exc:
            context["away"] = away_text(exc)
            status = 503 if request.method == "POST" else 200
        else:
            context |= _card_context(scope, session, card)
            if request.method == "POST":
                refused = _link(request, scope, session, card, context)
                if not refused:
                    messages.success(request, f"Linked to ticket #{card.number} {card.summary}".strip())
                    return redirect("integrations_ui:session", session.pk)
                context["refused"], status = refused, UNPROCESSABLE
    part = "_ticket_card.html" if is_htmx(request) else "ticket_confirm.html"
    return render(request, f"integrations_ui/sessions/{part}", context, status=status)


@require_safe
@has_fragment
@member_page
def ticket_now(request: HttpRequest, scope: Scope, session_id: int) -> HttpResponse:
    """Show the linked ticket as the PSA holds it now."""
    session = selectors.session_get(scope.tenant, session_id)
    if session.link is None:
        return redirect("integrations_ui:session-ticket", session_id)
    context: dict[str, Any] = {
        "session": session,
        "link": session.link,
        "crumbs": session_crumbs(session, f"Ticket #{session.link.ticket_id}"),
    }
    try:
        context["card"] = ticket_card(scope.tenant, session.link.connection_id, session.link.ticket_id)
    except MissingError as exc:
        context["missing"] = exc.message
    except (PsaError, LookupError) as exc:
        context["away"] = away_text(exc)
    part = "_ticket_now.html" if is_htmx(request) else "ticket_now.html"
    return render(request, f"integrations_ui/sessions/{part}", context)


@require_http_methods(["GET", "HEAD", "POST"])
@member_page
def ticket_unlink(request: HttpRequest, scope: Scope, session_id: int) -> HttpResponse:
    """Ask once, then take the session off its ticket; what is on its way there is waited for or given up."""
    session = selectors.session_get(scope.tenant, session_id)
    if session.link is None:
        return redirect("integrations_ui:session", session_id)
    refused = ""
    if request.method == "POST":
        discards = request.POST.get("open") == "discard"
        try:
            services.ticket_unlink(scope.tenant, session_id, actor=scope.actor, discard_open=discards)
        except ConflictError as exc:
            refused = _conflict(exc)
        else:
            messages.success(request, f"The session is off ticket #{session.link.ticket_id}.")
            return redirect("integrations_ui:session", session_id)
    context = {
        "session": session,
        "refused": refused,
        "open_count": _open_count(scope, session),
        "crumbs": session_crumbs(session, "Unlink"),
    }
    status = 409 if refused else 200
    return render(request, "integrations_ui/sessions/unlink.html", context, status=status)


def _link(
    request: HttpRequest, scope: Scope, session: FlowSession, card: TicketCard, context: dict[str, Any]
) -> str:
    """Link the session and return an empty text, or why it was not linked."""
    form = LinkForm(request.POST)
    values = form.cleaned_data if form.is_valid() else {}
    if context["other_companies"] and not values.get("other_company"):
        return "Say first that the ticket may belong to another company."
    try:
        services.ticket_link(
            scope.tenant,
            session.pk,
            card.connection.pk,
            card.number,
            actor=scope.actor,
            record_type=RecordType(card.record_type),
            discard_open=bool(values.get("discard_open")),
        )
    except ConflictError as exc:
        return _conflict(exc)
    except ServiceError as exc:
        return exc.message
    except (PsaError, LookupError) as exc:
        return away_text(exc)
    return ""


def _card_context(scope: Scope, session: FlowSession, card: TicketCard) -> dict[str, Any]:
    link = session.link
    same = (
        link is not None
        and link.connection_id == card.connection.pk
        and link.ticket_id == card.number
        and link.record_type == card.record_type
    )
    return {
        "card": card,
        "same": same,
        "other_companies": _other_companies(scope, session, card),
        "open_count": 0 if same else _open_count(scope, session),
    }


def _other_companies(scope: Scope, session: FlowSession, card: TicketCard) -> list[str]:
    """Return the companies this session worked for so far, unless the ticket is of one of them."""
    posted = psa_selectors.unit_origin_deliveries(scope.tenant, session.origin).exclude(state="discarded")
    names = set(posted.order_by().values_list("link__company_name", flat=True).distinct())
    if session.link is not None:
        names.add(session.link.company_name)
    names.discard("")
    return sorted(names) if card.company and names and card.company not in names else []


def _open_count(scope: Scope, session: FlowSession) -> int:
    if session.link_id is None:
        return 0
    return psa_selectors.open_deliveries(scope.tenant, session.link_id, session.origin).count()


def _conflict(exc: ConflictError) -> str:
    if exc.code == "open-deliveries":
        # The service speaks to callers of the REST API; people choose below.
        return "Posts of this session are still on their way to its ticket. Choose what becomes of them."
    return exc.message


def _card_url(session: FlowSession, card: TicketCard) -> str:
    return reverse(
        "integrations_ui:session-ticket-confirm", args=[session.pk, card.connection.pk, int(card.number)]
    )
