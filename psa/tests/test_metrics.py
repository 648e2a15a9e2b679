"""Each figure Prometheus gets is checked against the rows it was made from."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from math import inf
from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as families

from psa import metrics as module
from psa.metrics import PrometheusMissingError, PsaCollector, exposition
from psa.models import (
    AttemptTotal,
    Connection,
    Delivery,
    DeliveryAttempt,
    PeriodicJob,
    TicketLink,
    WebhookReceipt,
)
from psa.outbox.schedule import heartbeat
from psa.outbox.totals import attempt_totals_roll
from psa.tests.conftest import OWN_SECRET, SECRET, World

pytestmark = pytest.mark.usefixtures("dummy")

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """Return the time at which everything below is scraped."""
    at = timezone.now()
    monkeypatch.setattr(module, "database_now", lambda: at)
    monkeypatch.setattr("psa.selectors.delivery.database_now", lambda: at)
    return at


def scraped() -> Samples:
    text, _content_type = exposition()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families(text.decode())
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, tuple(sorted(labels.items()))))


def named(samples: Samples, name: str) -> Samples:
    return {key: number for key, number in samples.items() if key[0] == name}


def delivery_add(world: World, state: str, held_by: str = "", **changes: Any) -> Delivery:
    """Store one more delivery, on a ticket of its own."""
    link = TicketLink.objects.create(
        tenant=world.account,
        connection=world.connection,
        record_type="service",
        ticket_id=str(TicketLink.objects.count() + 5_000),
    )
    delivery = Delivery.objects.create(
        tenant=world.account,
        connection=world.connection,
        link=link,
        unit=world.unit,
        kind="analysis",
        seq=1,
        payload={"text": "Confidential text"},
        marker=f"RF-{link.pk}",
        state=state,
        held_by=held_by,
        due_at=timezone.now(),
        created_by_name="Ann",
    )
    Delivery.objects.filter(pk=delivery.pk).update(**changes)
    return delivery


# Depth and age


def test_depth_of_each_open_state_and_of_the_dead(ours: World, theirs: World) -> None:
    Connection.objects.update(state="connected")
    for state in ("ready", "ready", "sending", "retrying", "unknown", "delivered", "discarded"):
        delivery_add(ours, state)
    delivery_add(ours, "ready", "earlier")
    delivery_add(theirs, "ready", "permission")
    depth = named(scraped(), "psa_deliveries")
    assert {tuple(text for _name, text in labels): number for (_, labels), number in depth.items()} == {
        ("none", "ready"): 2,
        ("earlier", "ready"): 1,
        ("permission", "ready"): 1,
        ("none", "sending"): 1,
        ("none", "retrying"): 1,
        ("none", "unknown"): 1,
        ("none", "dead"): 2,
    }


@pytest.mark.parametrize(
    "change",
    [{"state": "broken"}, {"state": "disabled"}, {"state": "connected", "deleted_at": timezone.now()}],
)
def test_what_waits_for_its_connection_is_told_apart(ours: World, change: dict[str, Any]) -> None:
    delivery_add(ours, "ready")
    delivery_add(ours, "ready", "earlier")
    delivery_add(ours, "ready", "mapping")
    Connection.objects.filter(pk=ours.connection.pk).update(**change)
    found = scraped()
    assert value(found, "psa_deliveries", state="ready", held_by="connection") == 2
    assert value(found, "psa_deliveries", state="ready", held_by="mapping") == 1
    assert value(found, "psa_deliveries", state="ready", held_by="none") == 0
    assert value(found, "psa_deliveries", state="dead", held_by="none") == 1


def test_every_watched_state_is_there_before_anything_happened(db: None) -> None:
    found = scraped()
    for state in ("ready", "sending", "retrying", "unknown", "dead"):
        assert value(found, "psa_deliveries", state=state, held_by="none") == 0
        assert value(found, "psa_delivery_oldest_seconds", state=state) == 0
    assert len(named(found, "psa_deliveries")) == 5


def test_age_of_the_oldest_of_each_state(ours: World, theirs: World, now: datetime) -> None:
    Delivery.objects.update(created_at=now - timedelta(seconds=30))
    delivery_add(ours, "ready", created_at=now - timedelta(seconds=10))
    delivery_add(theirs, "ready", "earlier", created_at=now - timedelta(seconds=70))
    delivery_add(ours, "delivered", created_at=now - timedelta(days=70))
    found = scraped()
    ages = {
        state: value(found, "psa_delivery_oldest_seconds", state=state)
        for state in ("ready", "dead", "sending", "delivered")
    }
    assert ages == {"ready": 70, "dead": 30, "sending": 0, "delivered": None}


def test_age_of_what_could_run_leaves_out_what_is_held(ours: World, theirs: World, now: datetime) -> None:
    Connection.objects.filter(pk=ours.connection.pk).update(state="connected")
    assert value(scraped(), "psa_due_oldest_seconds") == 0
    delivery_add(ours, "ready", due_at=now - timedelta(seconds=5))
    delivery_add(ours, "ready", "permission", due_at=now - timedelta(seconds=50))
    delivery_add(theirs, "ready", due_at=now - timedelta(seconds=500))
    delivery_add(ours, "retrying", due_at=now + timedelta(seconds=60))
    assert value(scraped(), "psa_due_oldest_seconds") == 5


# Attempts


def attempts_add(world: World, action: str, outcome: str, *durations_ms: int) -> None:
    for duration_ms in durations_ms:
        DeliveryAttempt.objects.create(
            delivery=world.delivery,
            action=action,
            outcome=outcome,
            duration_ms=duration_ms,
            started_at=timezone.now(),
        )


@pytest.fixture
def attempts(ours: World) -> None:
    DeliveryAttempt.objects.all().delete()
    attempts_add(ours, "send", "delivered", 40, 60, 700)
    attempts_add(ours, "send", "outcome-unknown", 31_000)
    attempts_add(ours, "look", "found", 90)
    attempt_totals_roll(timezone.now())


@pytest.mark.usefixtures("attempts")
def test_attempts_by_what_came_of_them() -> None:
    found = named(scraped(), "psa_attempts_total")
    labels = {"provider": "dummy", "kind": "analysis"}
    assert found == {
        (
            "psa_attempts_total",
            tuple(sorted({**labels, "action": action, "outcome": outcome}.items())),
        ): number
        for action, outcome, number in (
            ("send", "delivered", 3),
            ("send", "outcome-unknown", 1),
            ("look", "found", 1),
        )
    }


@pytest.mark.usefixtures("attempts")
def test_durations_of_a_provider_and_action_over_all_outcomes() -> None:
    found = scraped()
    send = {"provider": "dummy", "action": "send"}
    steps = ["0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "30.0", "+Inf"]
    assert [value(found, "psa_attempt_seconds_bucket", le=step, **send) for step in steps] == [
        1, 2, 2, 2, 3, 3, 3, 3, 3, 4,
    ]  # fmt: skip
    assert value(found, "psa_attempt_seconds_count", **send) == 4
    assert value(found, "psa_attempt_seconds_sum", **send) == pytest.approx(31.8)
    assert value(found, "psa_attempt_seconds_count", provider="dummy", action="look") == 1


@pytest.mark.usefixtures("attempts")
def test_counters_never_fall_when_attempts_are_removed() -> None:
    before = named(scraped(), "psa_attempts_total")
    DeliveryAttempt.objects.all().delete()
    attempt_totals_roll(timezone.now())
    assert named(scraped(), "psa_attempts_total") == before


def test_age_of_the_totals_tells_when_nobody_counts(db: None, now: datetime) -> None:
    assert value(scraped(), "psa_attempt_totals_age_seconds") == inf
    attempt_totals_roll(now - timedelta(seconds=45))
    assert value(scraped(), "psa_attempt_totals_age_seconds") == 45


# Connections, workers, receipts


def test_connections_by_state_and_open_breakers(ours: World, theirs: World, now: datetime) -> None:
    Connection.objects.filter(pk=ours.connection.pk).update(open_until=now + timedelta(seconds=9))
    Connection.objects.filter(pk=theirs.connection.pk).update(state="broken", open_until=now)
    for state, site, open_for_s, deleted_at in (
        ("degraded", "two.example", 60, None),
        ("degraded", "gone.example", 60, now),
    ):
        Connection.objects.create(
            tenant=ours.account,
            provider="dummy",
            name="x",
            site=site,
            credentials={},
            state=state,
            open_until=now + timedelta(seconds=open_for_s),
            deleted_at=deleted_at,
        )
    found = scraped()
    states = ("unverified", "connected", "degraded", "broken", "disabled")
    assert [value(found, "psa_connections", provider="dummy", state=state) for state in states] == [
        0,
        0,
        2,
        1,
        0,
    ]
    assert value(found, "psa_breakers_open", provider="dummy") == 2


def test_configured_provider_is_there_before_it_has_connections(db: None) -> None:
    found = scraped()
    assert value(found, "psa_connections", provider="dummy", state="connected") == 0
    assert value(found, "psa_breakers_open", provider="dummy") == 0


def test_worker_was_seen(db: None, now: datetime) -> None:
    assert value(scraped(), "psa_worker_seen_seconds") == inf
    heartbeat(now - timedelta(seconds=7))
    assert value(scraped(), "psa_worker_seen_seconds") == 7


def test_a_worker_whose_clock_is_ahead_was_seen_just_now(db: None, now: datetime) -> None:
    heartbeat(now + timedelta(seconds=60))
    assert value(scraped(), "psa_worker_seen_seconds") == 0


def test_receipts_that_wait(ours: World, theirs: World) -> None:
    assert value(scraped(), "psa_webhook_receipts", state="received") == 2
    WebhookReceipt.objects.filter(pk=theirs.receipt.pk).update(state="processed")
    assert named(scraped(), "psa_webhook_receipts") == {
        ("psa_webhook_receipts", (("state", "received"),)): 1,
    }


# Form


@pytest.mark.usefixtures("attempts")
def test_no_word_of_a_tenant_is_in_it(ours: World) -> None:
    delivery_add(ours, "ready", "earlier")
    text = exposition()[0].decode()
    for word in ("Northwind", "Confidential", "spooler", "dummy.example", "Ann", SECRET, OWN_SECRET, "1001"):
        assert word not in text


@pytest.mark.usefixtures("attempts")
def test_number_of_queries_does_not_depend_on_rows(ours: World, theirs: World) -> None:
    heartbeat(timezone.now())
    with CaptureQueriesContext(database) as before:
        exposition()
    for number in range(20):
        delivery_add(ours if number % 2 else theirs, ("ready", "dead", "unknown")[number % 3])
        WebhookReceipt.objects.create(subscription=ours.subscription, body=b"{}")
        AttemptTotal.objects.create(provider="dummy", action="send", kind="time", outcome=f"code-{number}")
        Connection.objects.create(
            tenant=ours.account, provider="dummy", name="x", site=f"{number}.example", credentials={}
        )
    PeriodicJob.objects.create(name="another", due_at=timezone.now())
    with CaptureQueriesContext(database) as after:
        exposition()
    assert len(after) == len(before) <= 10


@pytest.mark.usefixtures("attempts")
def test_openmetrics_is_spoken_to_who_asks_for_it() -> None:
    text, content_type = exposition("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    names = {family.name for family in open_metrics(text.decode())}
    assert {"psa_deliveries", "psa_attempts", "psa_attempt_seconds", "psa_worker_seen_seconds"} <= names


def test_plain_text_is_spoken_to_everybody_else(db: None) -> None:
    assert exposition("*/*")[1].startswith("text/plain")


def test_collector_joins_a_registry_of_the_host(db: None) -> None:
    registry = CollectorRegistry()
    registry.register(PsaCollector())
    assert registry.get_sample_value("psa_deliveries", {"state": "dead", "held_by": "none"}) == 0


def test_registering_asks_no_database() -> None:
    CollectorRegistry().register(PsaCollector())


def test_missing_package_is_told_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(PrometheusMissingError, match="prometheus-client is not installed"):
        exposition()
    with pytest.raises(PrometheusMissingError, match="prometheus-client is not installed"):
        next(PsaCollector().collect())
