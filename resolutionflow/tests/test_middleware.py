"""Tests of what wraps every request."""

from __future__ import annotations

import logging
import re

import pytest
from django.test import Client


def test_each_answer_carries_a_request_id(client: Client) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", client.get("/healthz")["X-Request-Id"])


def test_request_id_of_the_caller_is_kept(client: Client) -> None:
    assert client.get("/healthz", headers={"X-Request-Id": "abc-12345"})["X-Request-Id"] == "abc-12345"


@pytest.mark.parametrize("given", ["short", "x" * 65, "with space", "new\tline-0000"])
def test_strange_request_id_is_replaced(client: Client, given: str) -> None:
    assert client.get("/healthz", headers={"X-Request-Id": given})["X-Request-Id"] != given


def test_policy_allows_nothing_inline(client: Client, db: None) -> None:
    policy = client.get("/accounts/login/")["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("Referrer-Policy", "same-origin"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
    ],
)
def test_security_headers_are_sent(client: Client, db: None, header: str, value: str) -> None:
    assert client.get("/accounts/login/")[header] == value


def test_log_lines_carry_the_request_id(client: Client, db: None, capsys: pytest.CaptureFixture[str]) -> None:
    handler = logging.getLogger().handlers
    line = next(
        entry.formatter
        for entry in handler
        if entry.formatter is not None and "Processor" in repr(entry.formatter)
    )
    import structlog

    with structlog.contextvars.bound_contextvars(request_id="abc-12345"):
        record = logging.LogRecord("psa", logging.INFO, __file__, 1, "hello %s", ("you",), None)
        text = line.format(record)
    assert '"request_id": "abc-12345"' in text
    assert '"event": "hello you"' in text
