"""Owns moving a note to another ticket: finding the ticket, saying yes to it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from integrations_ui.access import member_page
from integrations_ui.delivery_story import offers_of
from integrations_ui.sessions.fragments import is_htmx
from integrations_ui.sessions.rows import delivery_row
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
from integrations_ui.views.deliveries import UNPROCESSABLE, delivery_crumbs, delivery_url, delivery_visible
from integrations_ui.views.take_back import refusal
from psa import selectors, services
from psa.exceptions import MissingError, PsaError
from psa.types import RecordType, Scope, ticket_number

SHOWN = 12
"""Tickets a search shows: whoever moves a note knows where it belongs."""


@require_safe
@member_page
def move_find(request: HttpRequest, scope: Scope, delivery_id: int) -> HttpResponse:
    """Search the right ticket over all connections; a number is looked up, and leads to its card."""
    found = delivery_visible(scope, delivery_id)
    if not offers_of(scope, found).move:
        messages.info(request, "This note cannot be moved.")
        return redirect(delivery_url(delivery_id))
    query = " ".join(request.GET.get("q", "").split())[:QUERY_MAX_CHARS]
    asked = is_htmx(request) or "q" in request.GET
    number = ticket_number(query)
    tickets = Found()
    if asked and number:
        tickets = tickets_numbered(scope.tenant, number)
    elif asked:
        tickets = tickets_find(scope.tenant, scope.actor.user_id, query)
    cards = [card for card in tickets.cards if not _is_there(found, card)]
    context = {
        "row": delivery_row(scope, found),
        "query": query,
        "asked": asked,
        "tickets": tickets,
        "cards": [(card, _card_url(found, card)) for card in cards[:SHOWN]],
        "more": tickets.more or len(cards) > SHOWN,
        "several": len({card.connection.pk for card in cards}) > 1,
        "cancel": delivery_url(delivery_id),
        "crumbs": delivery_crumbs(found, "Move"),
    }
    part = "_tickets.html" if is_htmx(request) else "move.html"
    return render(request, f"integrations_ui/deliveries/{part}", context)


@require_http_methods(["GET", "HEAD", "POST"])
@member_page
def move_confirm(
    request: HttpRequest, scope: Scope, delivery_id: int, connection_id: int, number: int
) -> HttpResponse:
    """Show the ticket and ask whether it is the right one; a POST moves the note there."""
    found = delivery_visible(scope, delivery_id)
    if not 0 < number < NUMBER_MAX:
        raise MissingError("There is no such ticket.")
    connection = selectors.connection_get(scope.tenant, connection_id)
    context: dict[str, Any] = {
        "row": delivery_row(scope, found),
        "connection": connection,
        "number": number,
        "find_url": reverse("integrations_ui:delivery-move", args=[delivery_id]),
        "crumbs": delivery_crumbs(found, "Move"),
    }
    status = 200
    if request.method == "POST":
        refused = _move(request, scope, found, connection_id, number)
        if not refused:
            return redirect(delivery_url(delivery_id))
        context["refused"], status = refused, UNPROCESSABLE
    if is_htmx(request) or "now" in request.GET or request.method == "POST":
        try:
            context["card"] = ticket_card(scope.tenant, connection_id, str(number))
        except MissingError as exc:
            context["missing"] = exc.message
        except (PsaError, LookupError) as exc:
            context["away"] = away_text(exc)
    part = "_move_card.html" if is_htmx(request) else "move_confirm.html"
    return render(request, f"integrations_ui/deliveries/{part}", context, status=status)


def _move(request: HttpRequest, scope: Scope, found: Any, connection_id: int, number: int) -> str:
    """Queue the note for the ticket and return an empty text, or why it was not."""
    given = request.POST.get("record_type", "")
    record_type = RecordType(given) if given in list(RecordType) else None
    try:
        link = services.ticket_link(scope.tenant, connection_id, str(number), record_type)
        moved = services.note_move(scope.tenant, found.pk, link.pk, scope=scope)
    except (PsaError, LookupError) as exc:
        return refusal(exc)
    messages.success(request, moved.notice or "It is queued for the other ticket.")
    return ""


def _is_there(found: Any, card: TicketCard) -> bool:
    there = (found.connection_id, found.link.ticket_id, found.link.record_type)
    return (card.connection.pk, card.number, card.record_type) == there


def _card_url(found: Any, card: TicketCard) -> str:
    place = [found.pk, card.connection.pk, int(card.number)]
    return reverse("integrations_ui:delivery-move-confirm", args=place)
