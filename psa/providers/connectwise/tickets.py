"""Owns tickets and their statuses: reading, searching, setting a status and telling what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from psa.exceptions import (
    InvalidStatusError,
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    RejectedError,
    StatusUnchangedError,
    UnavailableError,
)
from psa.providers.connectwise import mapping, sites
from psa.providers.connectwise.conditions import (
    all_of,
    any_of,
    as_id,
    contains,
    equals,
    is_id,
    one_of,
    since,
)
from psa.providers.connectwise.paging import PAGE_MAX_ROWS
from psa.providers.connectwise.parts import ConnectWisePart, at, ticket_path
from psa.providers.connectwise.raw_values import record_id
from psa.types import Page, Raw, RecordType, Sla, Status, Ticket

QUERY_MAX_CHARS = 500
"""Characters of a search text that are used; summaries have at most 100."""
GET_MAX = 100
"""Tickets that are read by one call."""


class TicketOperations(ConnectWisePart):
    """Tickets and statuses."""

    def ticket_get(self, ticket_id: str, record_type: RecordType) -> Ticket:
        return self._ticket_get(ticket_id, record_type, at("ticket_get", record_type))

    def _ticket_get(self, ticket_id: str, record_type: RecordType, operation: str) -> Ticket:
        path = ticket_path(ticket_id, record_type)
        found = self.api.get(path, lambda raw: self._ticket(raw, record_type), operation=operation)
        if found.record_type is not record_type:
            # Old API models list project tickets among the service tickets, too.
            raise NotFoundError(
                f"Ticket {ticket_id} is a {found.record_type.value} ticket.", operation=operation
            )
        return found

    def _ticket(self, raw: Raw, record_type: RecordType) -> Ticket:
        url = sites.ticket_url(self.api.site, self.api.company_id, record_id(raw))
        return mapping.ticket(raw, record_type, url)

    def ticket_search(
        self,
        query: str = "",
        *,
        record_type: RecordType = RecordType.SERVICE,
        board_id: str = "",
        member_identifier: str = "",
        page: int = 1,
        page_size: int = 50,
    ) -> Page[Ticket]:
        operation = at("ticket_search", record_type)
        try:
            board = is_id("board/id", board_id) if board_id else ""
        except ValueError as exc:
            raise RejectedError(
                "There is no such board.", fields={"board": ["There is no such board."]}, operation=operation
            ) from exc
        conditions = all_of(_query_filter(query), board, _member_filter(member_identifier))
        arguments: dict[str, Any] = {
            "operation": operation,
            "conditions": conditions,
            "page": max(page, 1),
            "page_size": min(max(page_size, 1), 1000),
        }
        path = f"/{record_type.value}/tickets"

        def parse(raw: Raw) -> Ticket:
            return self._ticket(raw, record_type)

        try:
            found = self.api.page(path, parse, order_by="closedFlag asc,lastUpdated desc", **arguments)
        except RejectedError:
            # That `lastUpdated` sorts is seen in clients, not documented; ids grow with time as well.
            found = self.api.page(path, parse, order_by="id desc", **arguments)
        if not member_identifier:
            return found
        return replace(found, items=tuple(t for t in found.items if _is_with(t, member_identifier)))

    def tickets_get(self, ids: Sequence[str]) -> list[Ticket]:
        wanted: list[int] = []
        for one in ids[:GET_MAX]:
            with suppress(ValueError):
                wanted.append(as_id(one))
        found: list[Ticket] = []
        for place in RecordType:
            known = {ticket.id for ticket in found}
            missing = [one for one in wanted if str(one) not in known]
            if missing:
                found += self._listed(place, "tickets_get", one_of("id", missing), "id asc", GET_MAX)
        return found

    def tickets_changed_since(self, moment: datetime, *, limit: int = 500) -> list[Ticket]:
        rows = min(limit, PAGE_MAX_ROWS)
        changed = since("lastUpdated", moment)
        found: dict[str, Ticket] = {}
        complete_until: list[datetime] = []
        for place in RecordType:
            page = self._listed(place, "tickets_changed_since", changed, "lastUpdated asc", rows)
            found.update({ticket.id: ticket for ticket in page})
            if len(page) >= rows:
                complete_until.append(page[-1].updated_at or moment)
        # Of the other kind nothing later may be told: the next call begins where this one ended.
        known = [(ticket.updated_at or moment, ticket) for ticket in found.values()]
        known = [(when, ticket) for when, ticket in known if all(when <= end for end in complete_until)]
        return [ticket for _, ticket in sorted(known, key=lambda pair: pair[0])]

    def _listed(
        self, place: RecordType, operation: str, conditions: str, order_by: str, rows: int
    ) -> list[Ticket]:
        """Read one page of tickets of a kind; none of projects where the role has no right to them."""
        try:
            page = self.api.page(
                f"/{place.value}/tickets",
                lambda raw: self._ticket(raw, place),
                operation=at(operation, place),
                conditions=conditions,
                order_by=order_by,
                page_size=rows,
            )
        except PermissionDeniedError:
            if place is RecordType.SERVICE:
                raise
            return []
        return list(page.items)

    def sla_of(self, ticket_id: str, record_type: RecordType) -> Sla | None:
        if record_type is RecordType.PROJECT:
            return None  # ConnectWise computes service levels for service tickets only
        operation = "sla_of"
        try:
            conditions = is_id("id", ticket_id)
        except ValueError as exc:
            raise NotFoundError(f"There is no ticket {str(ticket_id)[:40]!r}.", operation=operation) from exc
        found = self.api.page(
            "/service/tickets/calculateSla",
            mapping.sla,
            operation=operation,
            conditions=conditions,
            page_size=1,
        )
        return found.items[0] if found.items else None

    # Statuses -----------------------------------------------------------------------------------

    def statuses_for(self, ticket: Ticket) -> list[Status]:
        if ticket.board is None:
            raise UnavailableError(
                f"ConnectWise did not tell the board of ticket {ticket.id}.", operation="statuses"
            )
        return self.statuses_of_board(ticket.board.id, ticket.record_type)

    def statuses_of_board(self, board_id: str, record_type: RecordType) -> list[Status]:
        # Boards of projects are service boards with a flag: their statuses live at the same path.
        try:
            board = as_id(board_id)
        except ValueError as exc:
            raise NotFoundError(f"There is no board {board_id!r}.", operation="statuses") from exc
        found = self.api.full_list(
            f"/service/boards/{board}/statuses",
            lambda raw: mapping.status(raw, str(board)),
            operation="statuses",
        )
        return sorted(found, key=_board_order)

    def status_set(
        self, ticket_id: str, record_type: RecordType, status_id: str, *, notify: bool = False
    ) -> Ticket:
        operation = at("status_set", record_type)
        path = ticket_path(ticket_id, record_type)
        with self.http.one_deadline():
            before = self._ticket_get(ticket_id, record_type, operation)
            statuses = self.statuses_for(before)
            names = [status.name for status in statuses if status.active]
            wanted = next((status for status in statuses if status.id == str(status_id)), None)
            if wanted is None or not wanted.active:
                board = before.board.name if before.board else ""
                raise _invalid_status(wanted, board, names, operation)
            steps = [
                {"op": "replace", "path": "status", "value": {"id": int(wanted.id)}},
                {"op": "replace", "path": "processNotifications", "value": notify},
            ]
            try:
                answered = self.api.write(
                    "PATCH", path, lambda raw: self._ticket(raw, record_type), operation=operation, json=steps
                )
            except InvalidStatusError as exc:
                exc.valid_names = tuple(names)
                raise
            kept = answered.status
            if kept and before.status and kept.id == before.status.id != wanted.id:
                raise StatusUnchangedError(
                    f"ConnectWise answered but left the status at {kept.name}.",
                    kept=kept.name,
                    operation=operation,
                )
            try:
                return self._ticket_get(ticket_id, record_type, operation)
            except ProviderError:
                # The change was answered: whatever stops the second read must not look like a refusal of it.
                return answered


def _invalid_status(
    wanted: Status | None, board: str, names: list[str], operation: str
) -> InvalidStatusError:
    sentence = (
        f"The status {wanted.name} is switched off on the board {board}."
        if wanted
        else f"The board {board} of this ticket does not have that status."
    )
    return InvalidStatusError(
        f"{sentence} Choose one of: {', '.join(names)}.",
        valid_names=names,
        fields={"status": [sentence]},
        operation=operation,
    )


def _query_filter(query: str) -> str:
    text = " ".join(query.split())[:QUERY_MAX_CHARS]
    if not text:
        return ""
    summary = contains("summary", text)
    try:
        return any_of(is_id("id", text.removeprefix("#")), summary)
    except ValueError:
        return summary


def _member_filter(identifier: str) -> str:
    if not identifier:
        return ""
    return any_of(equals("owner/identifier", identifier), contains("resources", identifier))


def _is_with(ticket: Ticket, identifier: str) -> bool:
    """True when the member owns the ticket or is one of its resources, not merely part of a name."""
    return identifier.strip().casefold() in {name.casefold() for name in ticket.assigned}


def _board_order(status: Status) -> tuple[float, int]:
    order = status.raw.get("sortOrder")
    return (order if isinstance(order, (int, float)) else float("inf"), int(status.id))
