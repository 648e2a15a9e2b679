"""Tests of the probes."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from django.db import OperationalError
from django.test import Client

from resolutionflow import health


@dataclass
class Queue:
    oldest_due_age_s: float | None = None
    worker_seen_age_s: float | None = None


def queue_is(monkeypatch: pytest.MonkeyPatch, queue: Queue) -> None:
    monkeypatch.setattr(health.selectors, "queue_health", lambda: queue)


def test_healthz_needs_no_database(client: Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}


def test_ready_with_a_worker(client: Client, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    queue_is(monkeypatch, Queue(oldest_due_age_s=3.5, worker_seen_age_s=1.0))
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok",
        "database": True,
        "oldest_due_age_s": 3.5,
        "worker_seen_age_s": 1.0,
        "reasons": [],
    }


@pytest.mark.parametrize("age_s", [None, 60.5])
def test_unready_without_a_worker(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch, age_s: float | None
) -> None:
    queue_is(monkeypatch, Queue(worker_seen_age_s=age_s))
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "No worker" in answer.json()["reasons"][0]


def test_unready_without_a_database(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OperationalError("down")

    monkeypatch.setattr(health.connection, "cursor", fail)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["reasons"] == ["The database does not answer."]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_take_no_post(client: Client, path: str) -> None:
    assert client.post(path).status_code == 405


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_are_answered_over_plain_http(client: Client, db: None, settings: object, path: str) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert client.get(path).status_code != 301


def test_other_pages_are_redirected_to_https(client: Client, settings: object) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert client.get("/accounts/login/").status_code == 301
