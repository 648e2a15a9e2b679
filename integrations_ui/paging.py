"""Owns how long lists are cut into pages: rows are counted up to a limit, filters find the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.utils.functional import cached_property

COUNT_MAX = 10_000
"""Rows that are counted at most, as in the REST API: counting a million takes longer than showing a page."""


if TYPE_CHECKING:
    _Paginator = Paginator[Any]
else:
    _Paginator = Paginator  # takes no parameters when it runs


class CappedPaginator(_Paginator):
    """A paginator that counts to COUNT_MAX. `capped` tells that there is more."""

    @cached_property
    def _counted(self) -> int:
        rows: Any = self.object_list
        found: int = rows.order_by()[: COUNT_MAX + 1].count()
        return found

    @cached_property
    def count(self) -> int:
        """How many rows there are, at most COUNT_MAX."""
        return min(self._counted, COUNT_MAX)

    @property
    def capped(self) -> bool:
        """True when there are more rows than are counted."""
        return self._counted > COUNT_MAX


def page_of(rows: QuerySet[Any], per_page: int, number: str | None) -> Page[Any]:
    """Return one page, the first for what is no number, the last for one too high. Costs two queries."""
    return CappedPaginator(rows, per_page).get_page(number)
