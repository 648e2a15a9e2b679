"""Owns how lists are cut: `{count, next, previous, results}`, 50 a page, at a cost that does not grow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django.utils.functional import cached_property
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param
from rest_framework.views import APIView

PAGE_SIZE = 50

COUNT_CAP = 10_000
"""Rows counted at most: counting a million rows takes longer than everything else in the answer."""

PAGE_MAX = 2**31
"""Pages past this one are not asked of the database: an OFFSET must fit its integers."""


def _rows(queryset: QuerySet[Any] | Sequence[Any], start: int) -> list[Any]:
    """Return the rows of a page and one more.

    Which ones is asked first, by id alone: an index answers that, where whole rows with all that is joined
    may lead a database to walk past everything newer instead.
    """
    if not isinstance(queryset, QuerySet):
        return list(queryset[start : start + PAGE_SIZE + 1])
    ids = list(queryset.values_list("pk", flat=True)[start : start + PAGE_SIZE + 1])
    return list(queryset.filter(pk__in=ids)) if ids else []


class Pagination(PageNumberPagination):
    """Three queries a page, whatever there is: which rows and one more, the rows, a count up to 10,001."""

    page_size = PAGE_SIZE
    template = None

    def paginate_queryset(
        self, queryset: QuerySet[Any] | Sequence[Any], request: Request, view: APIView | None = None
    ) -> list[Any]:
        """Return the rows of the page that was asked for.

        Raises: ValidationError, for a page that is no number from 1; NotFound, past the end.
        """
        self.request = request
        self.number = page_number(request)
        start = (self.number - 1) * PAGE_SIZE
        rows = _rows(queryset, start) if self.number < PAGE_MAX else []
        if not rows and self.number > 1:
            raise NotFound("There is no such page.")
        self._counted = queryset
        self.more = len(rows) > PAGE_SIZE
        return rows[:PAGE_SIZE]

    @cached_property
    def count(self) -> int:
        """Number of rows, 10,001 standing for all that is more."""
        rows = self._counted
        if isinstance(rows, QuerySet):
            return rows.order_by()[: COUNT_CAP + 1].count()
        return len(rows)

    def get_paginated_response(self, data: Any) -> Response:
        """Return the list as it is answered; `count_capped` is there only when it is true."""
        capped = self.count > COUNT_CAP
        answer = {
            "count": COUNT_CAP if capped else self.count,
            "next": self.get_next_link(),
            "previous": self.get_previous_link(),
            "results": data,
        }
        return Response({"count_capped": True, **answer} if capped else answer)

    def get_next_link(self) -> str | None:
        """Return the address of the next page, or None on the last."""
        return page_link(self.request, self.number + 1) if self.more else None

    def get_previous_link(self) -> str | None:
        """Return the address of the page before, or None on the first."""
        return page_link(self.request, self.number - 1) if self.number > 1 else None

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Describe a page for OpenAPI."""
        link = {"type": "string", "format": "uri", "nullable": True, "example": None}
        return {
            "type": "object",
            "required": ["count", "next", "previous", "results"],
            "properties": {
                "count": {
                    "type": "integer",
                    "nullable": True,
                    "example": 1,
                    "description": "Exact to 10,000. null where the PSA does not count.",
                },
                "count_capped": {
                    "type": "boolean",
                    "example": False,
                    "description": "true when there are more than 10,000; absent otherwise.",
                },
                "next": link,
                "previous": link,
                "results": schema,
            },
        }


def page_number(request: Request) -> int:
    """Return the page a request asks for, 1 where it asks for none.

    Raises: ValidationError, for a page that is no number from 1.
    """
    text = request.query_params.get("page") or "1"
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0
    if number < 1:
        raise ValidationError({"page": ["A page is a number from 1."]})
    return number


def page_link(request: Request | None, number: int) -> str | None:
    """Return the address of a page of the list a request asks for."""
    if request is None:
        return None
    url: str = request.build_absolute_uri()
    return remove_query_param(url, "page") if number == 1 else replace_query_param(url, "page", number)
