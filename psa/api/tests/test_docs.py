"""Tests of what is said about the API: the page for people and the OpenAPI document."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator

from psa.api.problems import CONTENT_TYPE, SERVER_ERROR, TABLE
from psa.api.urls import urlpatterns

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "api.md"
SERVICES = [
    "psa/services/*.py",
    "psa/selectors/*.py",
    "psa/outbox/enqueue.py",
    "psa/outbox/text.py",
    "resolutionflow/sessions/services/*.py",
]
"""Where the slugs that are no row of TABLE are made."""
CALLS = ("/api/v1/connections", "/api/v1/deliver", "/api/v1/problems")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return found


def test_page_explains_every_slug() -> None:
    page = PAGE.read_text()
    slugs = {kind.slug for kind in [*TABLE.values(), SERVER_ERROR]}
    slugs |= {"idempotency-mismatch", "idempotency-key", "idempotency-busy", "connection-refused"}
    for path in [path for pattern in SERVICES for path in ROOT.glob(pattern)]:
        slugs |= set(re.findall(r'\bcode="([a-z-]+)"', path.read_text()))
    assert [slug for slug in sorted(slugs) if f"`{slug}`" not in page] == []


def test_every_call_describes_how_it_refuses(document: dict[str, Any]) -> None:
    ours = [path for path in document["paths"] if path.startswith(CALLS)]
    assert ours
    for path in ours:
        for method, call in document["paths"][path].items():
            for status in ("401", "403"):
                assert CONTENT_TYPE in call["responses"][status]["content"], (path, method)


def test_every_address_is_in_the_document(document: dict[str, Any]) -> None:
    names = {
        str(entry.pattern).replace("<int:", "{").replace("<str:", "{").replace(">", "}")
        for entry in urlpatterns
    }
    assert {f"/api/v1/{name}" for name in names} <= set(document["paths"])


def test_no_answer_describes_credentials(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert "credentials" not in schemas["Connection"]["properties"]
    assert "credentials" in schemas["ConnectionCreateRequest"]["properties"]
