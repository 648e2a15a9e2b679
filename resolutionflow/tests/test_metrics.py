"""Tests of the page Prometheus scrapes: who gets it, and what it answers when it cannot."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from resolutionflow import metrics as module

TOKEN = "metrics-token-of-the-tests"


@pytest.fixture(autouse=True)
def token(settings: Any) -> str:
    settings.METRICS_TOKEN = TOKEN
    return TOKEN


def scrape(client: Client, authorization: str | None = f"Bearer {TOKEN}", **options: Any) -> Any:
    headers = {} if authorization is None else {"authorization": authorization}
    return client.get("/metrics", headers=headers | options.pop("headers", {}), **options)


def test_token_opens_the_page(client: Client, db: None) -> None:
    answer = scrape(client)
    assert (answer.status_code, answer["Cache-Control"]) == (
        200,
        "max-age=0, no-cache, no-store, must-revalidate, private",
    )
    names = {family.name for family in text_string_to_metric_families(answer.content.decode())}
    assert {"psa_deliveries", "psa_connections", "psa_worker_seen_seconds"} <= names


def test_scheme_is_read_in_any_case(client: Client, db: None) -> None:
    assert scrape(client, f"bearer  {TOKEN}").status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Token {TOKEN}",
        TOKEN,
        "Bearer \u00e9\u00e9",
    ],
)
def test_anything_else_is_refused_without_a_look_at_the_database(
    client: Client, authorization: str | None
) -> None:
    answer = scrape(client, authorization)
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, 'Bearer realm="metrics"')
    assert b"psa_" not in answer.content


def test_token_in_the_address_opens_nothing(client: Client) -> None:
    assert client.get(f"/metrics?token={TOKEN}").status_code == 401


@pytest.mark.parametrize("authorization", [None, "Bearer ", f"Bearer {TOKEN}"])
def test_without_a_token_in_the_settings_there_is_no_page(
    client: Client, settings: Any, authorization: str | None
) -> None:
    settings.METRICS_TOKEN = ""
    assert scrape(client, authorization).status_code == 404


def test_missing_package_is_told_in_a_sentence(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    answer = scrape(client)
    assert answer.status_code == 503
    assert answer.content.decode().startswith("prometheus-client is not installed.")


def test_database_that_does_not_answer_is_told(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_accept: str) -> None:
        raise OperationalError("down")

    monkeypatch.setattr(module, "exposition", fail)
    answer = scrape(client)
    assert (answer.status_code, answer.content) == (503, b"The database does not answer.\n")


def test_scraper_chooses_the_format(client: Client, db: None) -> None:
    answer = scrape(client, headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert answer["Content-Type"].startswith("application/openmetrics-text")
    assert answer.content.endswith(b"# EOF\n")


def test_page_takes_no_post(client: Client) -> None:
    assert client.post("/metrics", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 405


def test_plain_http_is_redirected_before_anything_is_answered(client: Client, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    answer = scrape(client)
    assert (answer.status_code, answer["Location"]) == (301, "https://testserver/metrics")
