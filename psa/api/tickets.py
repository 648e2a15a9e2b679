"""Owns the calls that read tickets and reference data: they ask the PSA, or the cache before it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter
from rest_framework import generics, serializers
from rest_framework.exceptions import NotFound
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from psa import selectors
from psa.api.connections import is_true
from psa.api.pagination import page_link, page_number
from psa.api.permissions import CanPost
from psa.api.schema import call
from psa.api.scope import request_scope
from psa.api.serializers import BoardSerializer, StatusSerializer, TicketSerializer
from psa.models import Connection

QUERY_MAX_CHARS = 200
"""Longest search text that is passed on."""
ID_MAX_CHARS = 40
"""Longest id of a PSA record, as the database stores it."""
TICKET_PAGE_MAX = 1_000_000
"""Pages past this one are empty everywhere; some PSAs answer an error to larger numbers."""

_TICKET = OpenApiExample(
    "ticket",
    value={
        "id": "4711",
        "record_type": "service",
        "summary": "Printer offline",
        "board": {"id": "1", "name": "Service Desk"},
        "status": {"id": "12", "name": "In Progress", "closed": False},
        "company": {"id": "250", "name": "Contoso"},
        "owner": "Eva Engineer",
        "url": "https://na.myconnectwise.net/…",
        "updated_at": "2026-03-02T09:14:05Z",
    },
    response_only=True,
    status_codes=[200],
)


class Reading(generics.GenericAPIView[Connection]):
    """A call that asks the PSA, or its cache, and changes nothing."""

    permission_classes = [IsAuthenticated, CanPost]
    queryset = Connection.objects.none()
    filter_backends: list[Any] = []


class TicketSearch(Reading):
    """Tickets of a connection."""

    serializer_class = TicketSerializer

    @call(
        "connections_tickets_list",
        answers={200: TicketSerializer(many=True)},
        refusals=(404, 409, 422, 503),
        parameters=[
            OpenApiParameter("q", OpenApiTypes.STR, description="Words of the summary, or a ticket number."),
            OpenApiParameter("board", OpenApiTypes.STR, description="Id of a board."),
            OpenApiParameter(
                "mine", OpenApiTypes.BOOL, description="Only tickets of the member you are mapped to."
            ),
        ],
        examples=[_TICKET],
        tag="tickets",
    )
    def get(self, request: Request, connection_id: int) -> Response:
        """Search tickets: open ones first, the newest change first. `count` is null: PSAs do not count."""
        scope = request_scope(request)
        query, board = (
            request.query_params.get("q", "").strip(),
            request.query_params.get("board", "").strip(),
        )
        _check_text("q", query, QUERY_MAX_CHARS)
        _check_text("board", board, ID_MAX_CHARS)
        number = page_number(request)
        if number > TICKET_PAGE_MAX:
            raise NotFound("There is no such page.")
        page = selectors.tickets_search(
            scope.tenant,
            connection_id,
            query=query,
            board_id=board,
            mine_user_id=scope.actor.user_id if is_true(request, "mine") else None,
            page=number,
        )
        return Response(
            {
                "count": None,
                "next": page_link(request, page.next_page) if page.next_page else None,
                "previous": page_link(request, number - 1) if number > 1 else None,
                "results": TicketSerializer(page.items, many=True).data,
            }
        )


class BoardList(Reading):
    """Boards of a connection."""

    serializer_class = BoardSerializer

    @call(
        "connections_boards_list",
        answers={200: BoardSerializer(many=True)},
        refusals=(404, 409, 422, 503),
        tag="tickets",
    )
    def get(self, request: Request, connection_id: int) -> Response:
        """List the boards the API member can see."""
        found = selectors.boards(request_scope(request).tenant, connection_id)
        page = self.paginate_queryset(found)
        return self.get_paginated_response(BoardSerializer(page, many=True).data)


class StatusList(Reading):
    """Statuses of one board."""

    serializer_class = StatusSerializer

    @call(
        "connections_boards_statuses_list",
        answers={200: StatusSerializer(many=True)},
        refusals=(404, 409, 422, 503),
        tag="tickets",
    )
    def get(self, request: Request, connection_id: int, board_id: str) -> Response:
        """List the statuses of a board in its own order."""
        if len(board_id) > ID_MAX_CHARS or not board_id.isprintable():
            raise NotFound("There is no such board.")
        found = selectors.statuses(request_scope(request).tenant, connection_id, board_id)
        page = self.paginate_queryset(found)
        return self.get_paginated_response(StatusSerializer(page, many=True).data)


def _check_text(name: str, value: str, max_chars: int) -> None:
    if len(value) > max_chars:
        raise serializers.ValidationError({name: [f"At most {max_chars} characters."]})
    if not value.isprintable():
        raise serializers.ValidationError({name: ["Control characters are not allowed."]})
