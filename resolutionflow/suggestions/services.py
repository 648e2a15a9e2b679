"""Owns writes to suggestions: made from what the PSA tells, seen, accepted, dismissed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from psa.exceptions import ConflictError, InvalidInputError
from psa.types import RecordType, Scope, Ticket, TicketDetails
from resolutionflow.accounts.models import Account
from resolutionflow.flows.selectors import flows
from resolutionflow.sessions import services as session_services
from resolutionflow.sessions.models import FlowSession
from resolutionflow.suggestions import selectors
from resolutionflow.suggestions.models import OPEN_STATES, Suggestion, SuggestionState
from resolutionflow.suggestions.ranking import Ranked

REASONS = ("created", "assigned", "board", "type")
"""Changes of a ticket after which flows are suggested, the most telling first."""


def suggest(
    connection: Any,
    ticket: Ticket,
    *,
    what: Collection[str],
    user_ids: Sequence[int],
    details: TicketDetails,
) -> list[Suggestion]:
    """Suggest flows for a ticket to the engineers it is assigned to, to all while it is nobody's.

    What somebody decided already stays decided, unless board or type changed since.
    """
    account: Account = connection.tenant
    why = next((name for name in REASONS if name in what), "")
    if not why or ticket.closed:
        return []
    ranked = selectors.flows_for(account, ticket, details)
    rows = Suggestion.objects.of(account).filter(connection=connection, ticket_id=ticket.id)
    if user_ids or "assigned" in what:
        # Whoever has the ticket no longer, and all, once it is somebody's.
        gone = rows.open().exclude(for_user_id__in=user_ids)
        gone = gone if user_ids else gone.exclude(for_user=None)
        gone.update(state=SuggestionState.GONE, changed_at=timezone.now())
    if not ranked:
        return []
    again = bool({"board", "type"} & set(what))
    made = [
        _suggest_to(account, connection, ticket, why, ranked, user_id, again=again)
        for user_id in user_ids or (None,)
    ]
    return [one for one in made if one is not None]


def _suggest_to(
    account: Account,
    connection: Any,
    ticket: Ticket,
    why: str,
    ranked: Sequence[Ranked],
    user_id: int | None,
    *,
    again: bool,
) -> Suggestion | None:
    values = {
        "account": account,
        "record_type": ticket.record_type.value,
        "summary": ticket.summary[:255],
        "board_name": ticket.board.name[:100] if ticket.board else "",
        "company_name": ticket.company.name[:255] if ticket.company else "",
        "url": ticket.url[:500],
        "why": why,
        "flows": [_flow(one) for one in ranked],
    }
    found, made = Suggestion.objects.get_or_create(
        connection=connection, ticket_id=ticket.id, for_user_id=user_id, defaults=values
    )
    if made:
        return found
    decided = not found.is_open and found.state != SuggestionState.GONE
    if found.state == SuggestionState.ACCEPTED or (decided and not again):
        return None
    same = found.is_open and [row["flow"] for row in found.flows] == [one.flow_id for one in ranked]
    for name, value in values.items():
        setattr(found, name, value)
    if not same:
        found.state, found.decided_at, found.decided_by_name, found.chosen = (
            SuggestionState.NEW,
            None,
            "",
            None,
        )
    found.save()
    return found


def _flow(ranked: Ranked) -> dict[str, Any]:
    row = asdict(ranked)
    return {"flow": row.pop("flow_id"), **row, "reasons": list(ranked.reasons)}


def suggestions_end(connection: Any, ticket_id: str) -> int:
    """Let the open suggestions of a ticket go: it was closed or deleted. Return how many."""
    rows = Suggestion.objects.filter(connection=connection, ticket_id=ticket_id).open()
    return rows.update(state=SuggestionState.GONE, changed_at=timezone.now())


def suggestions_drop(connection: Any, since: datetime) -> int:
    """Let go what nobody has seen yet since a moment: it came of a bulk change. Return how many."""
    rows = Suggestion.objects.filter(connection=connection, state=SuggestionState.NEW, created_at__gte=since)
    return rows.update(state=SuggestionState.GONE, changed_at=timezone.now())


def suggestions_seen(scope: Scope, ids: Collection[int]) -> None:
    """Take the unread mark off suggestions a person has had on their page."""
    rows = selectors.suggestions_shown(scope).filter(pk__in=ids, state=SuggestionState.NEW)
    rows.update(state=SuggestionState.SEEN)


def suggestion_accept(scope: Scope, suggestion_id: int, *, flow_id: int | None = None) -> FlowSession:
    """Begin a session with a flow of a suggestion, linked to its ticket; again returns the same one.

    Shape: without flow_id the best one is taken.
    Raises: MissingError; InvalidInputError; ConflictError `suggestion-decided`; else as `ticket_link`, and
        nothing was begun then.
    """
    suggestion = selectors.suggestion_get(scope, suggestion_id)
    if suggestion.state == SuggestionState.ACCEPTED and suggestion.session is not None:
        return suggestion.session
    _check_open(suggestion)
    offered = {row["flow"]: row for row in suggestion.flows}
    chosen = suggestion.best["flow"] if flow_id is None else flow_id
    if chosen not in offered:
        sentence = "This flow was not suggested for the ticket."
        raise InvalidInputError(sentence, fields={"flow": [sentence]})
    with transaction.atomic():
        # Locked: two clicks begin one session.
        locked = Suggestion.objects.select_for_update().get(pk=suggestion.pk)
        if locked.state == SuggestionState.ACCEPTED and locked.session is not None:
            return locked.session
        _check_open(locked)
        locked.state, locked.decided_at = SuggestionState.ACCEPTED, timezone.now()
        locked.decided_by_name = scope.actor.name[:200]
        locked.save(update_fields=["state", "decided_at", "decided_by_name"])
    try:
        session = session_services.session_create(
            scope.tenant,
            actor=scope.actor,
            title=suggestion.summary[:200] or f"Ticket {suggestion.ticket_id}",
            flow_id=chosen,
        )
        try:
            session = session_services.ticket_link(
                scope.tenant,
                session.pk,
                suggestion.connection_id,
                suggestion.ticket_id,
                actor=scope.actor,
                record_type=RecordType(suggestion.record_type),
            )
        except Exception:
            # Nothing was done in it: a session without its ticket would only be in the way.
            session.delete()
            raise
    except Exception:
        Suggestion.objects.filter(pk=suggestion.pk).update(
            state=SuggestionState.SEEN, decided_at=None, decided_by_name=""
        )
        raise
    Suggestion.objects.filter(pk=suggestion.pk).update(session=session, chosen_id=chosen)
    others = Suggestion.objects.filter(connection=suggestion.connection, ticket_id=suggestion.ticket_id)
    others.filter(for_user=None).open().update(state=SuggestionState.GONE)
    return session


def suggestion_dismiss(scope: Scope, suggestion_id: int) -> Suggestion:
    """Put a suggestion away; its flow counts less for similar tickets from now on.

    Raises: MissingError; ConflictError `suggestion-decided`.
    """
    suggestion = selectors.suggestion_get(scope, suggestion_id)
    if suggestion.state == SuggestionState.DISMISSED:
        return suggestion
    _check_open(suggestion)
    rows = Suggestion.objects.filter(pk=suggestion.pk, state__in=OPEN_STATES)
    known = flows(scope.tenant).filter(pk=suggestion.best["flow"]).first()
    rows.update(
        state=SuggestionState.DISMISSED,
        chosen=known,
        decided_at=timezone.now(),
        decided_by_name=scope.actor.name[:200],
    )
    suggestion.refresh_from_db()
    return suggestion


def suggestion_restore(scope: Scope, suggestion_id: int) -> Suggestion:
    """Take a dismissal back. Raises: MissingError; ConflictError `suggestion-decided`."""
    suggestion = selectors.suggestion_get(scope, suggestion_id)
    if suggestion.is_open:
        return suggestion
    if suggestion.state != SuggestionState.DISMISSED:
        raise _decided(suggestion)
    Suggestion.objects.filter(pk=suggestion.pk, state=SuggestionState.DISMISSED).update(
        state=SuggestionState.SEEN, chosen=None, decided_at=None, decided_by_name=""
    )
    suggestion.refresh_from_db()
    return suggestion


def _check_open(suggestion: Suggestion) -> None:
    if not suggestion.is_open:
        raise _decided(suggestion)


def _decided(suggestion: Suggestion) -> ConflictError:
    words = {
        SuggestionState.ACCEPTED: "was accepted already",
        SuggestionState.DISMISSED: "was dismissed already",
        SuggestionState.GONE: "is over: its ticket was closed, deleted or given to somebody else",
    }
    said = words.get(SuggestionState(suggestion.state), "cannot be changed any more")
    return ConflictError(f"This suggestion {said}.", code="suggestion-decided")
