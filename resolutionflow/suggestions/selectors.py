"""Owns reads of suggestions, and ranking with what the account knows. The account always comes first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from django.db.models import Exists, OuterRef

from psa.exceptions import ConflictError, MissingError
from psa.selectors import connections, link_context
from psa.types import Scope, Ticket, TicketDetails
from resolutionflow.accounts.models import Account
from resolutionflow.flows.selectors import flows
from resolutionflow.sessions.models import FlowSession, Outcome
from resolutionflow.sessions.selectors import session_get
from resolutionflow.suggestions.models import Suggestion, SuggestionQuerySet, SuggestionState
from resolutionflow.suggestions.ranking import FlowText, Ranked, TicketText, rank

PAST_MAX = 500
"""Newest sessions and choices that are looked at for what flows solved."""
PAST_OF_FLOW = 30
SHOWN_MAX = 20


def suggestions(account: Account) -> SuggestionQuerySet:
    """Return the account's suggestions, the newest first."""
    return Suggestion.objects.of(account).select_related("connection", "session", "for_user")


def suggestions_shown(scope: Scope) -> SuggestionQuerySet:
    """Return the open suggestions a person sees: their own, and those of tickets nobody has yet."""
    alive = connections(scope.tenant).filter(pk=OuterRef("connection_id"))
    found = suggestions(scope.tenant).open().shown_to(scope.actor.user_id)
    return found.filter(Exists(alive))


def suggestion_get(scope: Scope, suggestion_id: int) -> Suggestion:
    """Return one suggestion a person may decide about: leads see everyone's. Raises: MissingError."""
    rows = suggestions(scope.tenant).filter(pk=suggestion_id)
    if not scope.can_lead:
        rows = rows.shown_to(scope.actor.user_id)
    found = rows.first()
    if found is None:
        raise MissingError("There is no such suggestion.")
    return found


def bulk_changes(account: Account) -> list[dict[str, Any]]:
    """Return connections where so many tickets changed at once that nothing was suggested, newest first."""
    rows = connections(account).exclude(bulk_change=None)
    found = [{"connection": row, **(row.bulk_change or {})} for row in rows]
    return sorted(found, key=lambda row: str(row.get("at")), reverse=True)


def flows_for(account: Account, ticket: Ticket, details: TicketDetails) -> list[Ranked]:
    """Return the published flows that fit a ticket, the best first."""
    return rank(ticket_text(ticket, details), flow_texts(account))


def flows_for_session(account: Account, session_id: int) -> list[Ranked]:
    """Return the flows that fit the ticket of a session, ranked with everything known around it.

    Raises: MissingError; ConflictError `no-ticket`; else as `psa.selectors.link_context`.
    """
    session = session_get(account, session_id)
    if session.link_id is None:
        raise ConflictError("This session is not linked to a ticket.", code="no-ticket")
    context = link_context(account, session.link_id)
    return flows_for(account, context.ticket, context.details)


def ticket_text(ticket: Ticket, details: TicketDetails) -> TicketText:
    """Return a ticket as the ranking takes it."""
    return TicketText(
        summary=ticket.summary,
        description=details.description,
        type=ticket.type,
        subtype=ticket.subtype,
        item=ticket.item,
        board=ticket.board.name if ticket.board else "",
        devices=[f"{device.type} {device.name}" for device in details.devices],
    )


def flow_texts(account: Account) -> list[FlowText]:
    """Return the account's published flows as the ranking takes them. Costs four queries."""
    solved, dismissed = _solved(account), _dismissed(account)
    return [
        FlowText(
            id=flow.pk,
            title=flow.title,
            keywords=flow.keywords,
            about=flow.description,
            steps=[f"{step.title} {step.body}" for step in flow.steps.all()],
            boards=flow.boards,
            types=flow.ticket_types,
            solved=solved.get(flow.pk, ()),
            dismissed=dismissed.get(flow.pk, ()),
        )
        for flow in flows(account).filter(published=True)
    ]


def _solved(account: Account) -> dict[int, Sequence[str]]:
    """Return by flow the summaries of tickets it solved, and of those it was accepted for."""
    found: dict[int, list[str]] = defaultdict(list)
    sessions = (
        FlowSession.objects.of(account)
        .completed()
        .filter(outcome=Outcome.RESOLVED, flow__isnull=False)
        .order_by("-completed_at")
        .values_list("flow_id", "title", "link__summary")[:PAST_MAX]
    )
    for flow_id, title, summary in sessions:
        found[flow_id].append(summary or title)
    accepted = Suggestion.objects.of(account).filter(
        state=SuggestionState.ACCEPTED, chosen__isnull=False, session__state="open"
    )
    for flow_id, summary in accepted.values_list("chosen_id", "summary")[:PAST_MAX]:
        found[flow_id].append(summary)
    return {flow_id: texts[:PAST_OF_FLOW] for flow_id, texts in found.items()}


def _dismissed(account: Account) -> dict[int, Sequence[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    rows = Suggestion.objects.of(account).filter(state=SuggestionState.DISMISSED, chosen__isnull=False)
    for flow_id, summary in rows.values_list("chosen_id", "summary")[:PAST_MAX]:
        found[flow_id].append(summary)
    return {flow_id: texts[:PAST_OF_FLOW] for flow_id, texts in found.items()}
