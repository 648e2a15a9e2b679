"""Owns finding a ticket over all connections of a tenant, side by side, and what a page shows of one.

One connection that is away never stops the others: it is named, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from django.db import connections as databases

from psa import selectors, services
from psa.exceptions import (
    ConflictError,
    CredentialsUnreadableError,
    MissingError,
    PsaError,
    UnsupportedOperationError,
)
from psa.types import RecordType, Tenant, Ticket, ticket_number

T = TypeVar("T")

ROWS = 30
"""Tickets a search shows. Whoever wants more types another word."""
AT_ONCE = 8
"""Connections asked at the same time."""
QUERY_MAX_CHARS = 100
"""A summary in ConnectWise has no more."""
NUMBER_MAX = 2**31
"""Ticket numbers lie below this."""
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TicketCard:
    """What a page shows of one ticket. Fields are empty where the PSA did not tell."""

    connection: Any
    number: str
    record_type: str
    """`service` or `project`."""
    summary: str
    board: str = ""
    company: str = ""
    contact: str = ""
    status: str = ""
    owner: str = ""
    url: str = ""
    closed: bool = False
    own: bool = False
    """True when the person who asks owns it, or is one of its resources."""
    opened_at: datetime | None = None
    updated_at: datetime | None = None
    merged_into: str = ""

    @property
    def is_project(self) -> bool:
        """True for a ticket of a project."""
        return self.record_type == RecordType.PROJECT


@dataclass(frozen=True, slots=True)
class Away:
    """A connection that could not be asked, and why, as a sentence."""

    connection: Any
    text: str


@dataclass(frozen=True, slots=True)
class Found:
    """What was found over all connections."""

    cards: tuple[TicketCard, ...] = ()
    away: tuple[Away, ...] = ()
    more: bool = False
    """True when there are more than are shown."""
    unmapped: tuple[Any, ...] = ()
    """Connections where nobody knows which tickets are the person's own."""


def tickets_find(tenant: Tenant, user_id: int | None, query: str, *, insist: bool = False) -> Found:
    """Return tickets of all connections by words or number: that number first, then own and open ones.

    insist also asks what did not answer lately: nobody wants to wait for that at every letter they type.
    """
    query = " ".join(query.split())[:QUERY_MAX_CHARS]
    asked, away = _askable(tenant, insist=insist)

    def ask(connection: Any) -> _Answer:
        return _search(tenant, connection, user_id, query)

    answers, failed = _side_by_side(asked, ask)
    cards = [card for _, answer in answers for card in answer.cards]
    wanted = ticket_number(query)
    cards.sort(key=lambda card: _rank(card, wanted))
    return Found(
        cards=tuple(cards[:ROWS]),
        away=(*away, *failed),
        more=len(cards) > ROWS or any(answer.more for _, answer in answers),
        unmapped=tuple(connection for connection, answer in answers if not answer.mapped),
    )


def tickets_numbered(tenant: Tenant, number: str) -> Found:
    """Return the ticket of that number from each connection that has one, service or project."""
    asked, away = _askable(tenant, insist=True)
    answers, failed = _side_by_side(asked, lambda connection: _numbered(tenant, connection, number))
    return Found(
        cards=tuple(card for _, card in answers if card is not None),
        away=(*away, *failed),
    )


def ticket_card(tenant: Tenant, connection_id: int, number: str) -> TicketCard:
    """Return one ticket as the PSA holds it now.

    Raises: MissingError (also `ticket-not-found`); ConflictError `connection-disabled`; ProviderError.
    """
    connection = selectors.connection_get(tenant, connection_id)
    card = _numbered(tenant, connection, number)
    if card is None:
        raise MissingError(
            f"Ticket {number} does not exist in {connection.name}, or its board is hidden from us.",
            code="ticket-not-found",
        )
    return card


def away_text(exc: PsaError | LookupError) -> str:
    """Return why a PSA could not be asked, as a sentence for a person."""
    if isinstance(exc, CredentialsUnreadableError):
        return "The stored keys cannot be read. An admin has to enter them again."
    if isinstance(exc, UnsupportedOperationError):
        return "This PSA does not offer it."
    if isinstance(exc, LookupError):
        return "This kind of PSA is not installed any more."
    return str(getattr(exc, "message", "")) or "It cannot be asked right now."


@dataclass(frozen=True, slots=True)
class _Answer:
    cards: Sequence[TicketCard]
    more: bool
    mapped: bool


def _askable(tenant: Tenant, *, insist: bool) -> tuple[list[Any], list[Away]]:
    """Return the connections worth asking, and the others with the reason."""
    asked: list[Any] = []
    away: list[Away] = []
    for connection in selectors.connections(tenant):
        if connection.state == "disabled":
            away.append(Away(connection, "An admin has switched it off."))
        elif connection.state == "broken" or (connection.state == "degraded" and not insist):
            text = (connection.problem or {}).get("text") or "It does not answer right now."
            away.append(Away(connection, str(text)))
        else:
            asked.append(connection)
    return asked, away


def _side_by_side(
    asked: Sequence[Any], ask: Callable[[Any], T]
) -> tuple[list[tuple[Any, T]], tuple[Away, ...]]:
    """Return what each connection answered, in their order, and those that could not be asked."""

    def one(connection: Any) -> T | Away:
        try:
            return ask(connection)
        except (PsaError, LookupError) as exc:
            return Away(connection, away_text(exc))

    def in_thread(connection: Any) -> T | Away:
        try:
            return one(connection)
        finally:
            databases.close_all()  # the thread ends, and would leave its database connection behind

    if len(asked) < 2:
        results = [one(connection) for connection in asked]
    else:
        with ThreadPoolExecutor(min(AT_ONCE, len(asked))) as pool:
            results = list(pool.map(in_thread, asked))
    answers: list[tuple[Any, T]] = []
    failed: list[Away] = []
    for connection, result in zip(asked, results, strict=True):
        if isinstance(result, Away):
            failed.append(result)
        else:
            answers.append((connection, result))
    return answers, tuple(failed)


def _search(tenant: Tenant, connection: Any, user_id: int | None, query: str) -> _Answer:
    mapped = user_id is not None
    own: Sequence[Ticket] = ()
    try:
        if mapped:
            own = selectors.tickets_search(tenant, connection.pk, query=query, mine_user_id=user_id).items
    except ConflictError as exc:
        if exc.code != "no-member-mapping":
            raise
        mapped = False
    page = selectors.tickets_search(tenant, connection.pk, query=query)
    known = {ticket.id for ticket in own}
    cards = [_card(connection, ticket, own=True) for ticket in own]
    cards += [_card(connection, ticket) for ticket in page.items if ticket.id not in known]
    return _Answer(cards, page.next_page is not None, mapped)


def _numbered(tenant: Tenant, connection: Any, number: str) -> TicketCard | None:
    page = selectors.tickets_search(tenant, connection.pk, query=number)
    for ticket in page.items:
        if ticket.id == number:
            return _card(connection, ticket)
    # Many summaries may hold the number, so that its ticket is not among the first.
    try:
        link = services.ticket_link(tenant, connection.pk, number)
    except MissingError as exc:
        if exc.code != "ticket-not-found":
            raise
        return None
    return TicketCard(
        connection=connection,
        number=link.ticket_id,
        record_type=link.record_type,
        summary=link.summary,
        board=link.board_name,
        company=link.company_name,
        url=link.url,
        opened_at=link.ticket_created_at,
    )


def _card(connection: Any, ticket: Ticket, *, own: bool = False) -> TicketCard:
    return TicketCard(
        connection=connection,
        number=ticket.id,
        record_type=ticket.record_type.value,
        summary=ticket.summary,
        board=ticket.board.name if ticket.board else "",
        company=ticket.company.name if ticket.company else "",
        contact=ticket.contact.name if ticket.contact else "",
        status=ticket.status.name if ticket.status else "",
        owner=ticket.owner,
        url=ticket.url,
        closed=ticket.closed,
        own=own,
        opened_at=ticket.created_at,
        updated_at=ticket.updated_at,
        merged_into=ticket.merged_into,
    )


def _rank(card: TicketCard, wanted: str) -> tuple[bool, bool, bool, float]:
    newest = -(card.updated_at or _LONG_AGO).timestamp()
    return (not wanted or card.number != wanted, card.closed, not card.own, newest)
