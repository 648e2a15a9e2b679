"""Tests of how lists are cut."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from psa.api import pagination
from psa.api.pagination import Pagination
from resolutionflow.accounts.models import Account


def page_of(rows: Any, query: str = "") -> dict[str, Any]:
    cut = Pagination()
    found = cut.paginate_queryset(rows, Request(APIRequestFactory().get(f"/list/?{query}")))
    data: dict[str, Any] = cut.get_paginated_response(found).data
    return data


def test_first_middle_and_last_page() -> None:
    rows = list(range(120))
    first, second, third = page_of(rows, "q=a"), page_of(rows, "q=a&page=2"), page_of(rows, "page=3")
    assert (first["count"], len(first["results"]), first["previous"]) == (120, 50, None)
    assert first["next"] == "http://testserver/list/?page=2&q=a"
    assert second["previous"] == "http://testserver/list/?q=a"
    assert second["next"] == "http://testserver/list/?page=3&q=a"
    assert (third["results"], third["next"]) == (list(range(100, 120)), None)


def test_empty_list_has_a_first_page() -> None:
    assert page_of([]) == {"count": 0, "next": None, "previous": None, "results": []}


@pytest.mark.parametrize("page", ["0", "-1", "x", "1.5", "٣", "9" * 30])
def test_page_that_is_no_number(page: str) -> None:
    with pytest.raises(ValidationError):
        page_of([1], f"page={page}")


@pytest.mark.parametrize("page", ["2", "99999999999999"])
def test_page_past_the_end(page: str) -> None:
    with pytest.raises(NotFound):
        page_of([1], f"page={page}")


def test_count_stops_at_the_cap(
    db: None, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    monkeypatch.setattr(pagination, "COUNT_CAP", 3)
    Account.objects.bulk_create(Account(name=str(n), slug=f"a{n}") for n in range(5))
    with django_assert_num_queries(3) as queries:
        found = page_of(Account.objects.order_by("id"))
    assert (found["count"], found["count_capped"]) == (3, True)
    assert "LIMIT 4" in queries.captured_queries[2]["sql"]


def test_count_at_the_cap_is_exact(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pagination, "COUNT_CAP", 5)
    Account.objects.bulk_create(Account(name=str(n), slug=f"a{n}") for n in range(5))
    found = page_of(Account.objects.order_by("id"))
    assert found["count"] == 5
    assert "count_capped" not in found
