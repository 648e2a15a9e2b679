"""Owns what Prometheus is told: a collector that reads the database when it is asked, and its text form.

Every process of an installation answers the same figures, so one of them is scraped. Labels hold provider
keys, kinds, states and outcomes: words of the code, never of a tenant, a ticket or a credential. A new figure
is one more function below whose query reads no history. Needs the extra `metrics`, but only when asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from math import inf
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Count, Min, Q, QuerySet

from psa import selectors
from psa.conf import psa_settings
from psa.database import database_now
from psa.models import AttemptCursor, AttemptTotal, Connection, Delivery, WebhookReceipt
from psa.models.attempt_total import BUCKET_BOUNDS_MS, empty_buckets
from psa.models.callback import ReceiptState
from psa.models.connection import FLOWING_STATES, ConnectionState
from psa.models.delivery import OPEN_STATES, DeliveryState, HeldBy

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

WATCHED_STATES = (*OPEN_STATES, DeliveryState.DEAD)
"""States that end. Delivered and discarded ones grow without end; `psa_attempts_total` tells of them."""

HELD_BY_NOTHING = "none"
"""`held_by` of what nothing holds: an empty label would be no label."""


class PrometheusMissingError(ImproperlyConfigured):
    """The package prometheus-client is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "prometheus-client is not installed. Install it, or this package with its extra `metrics`."
        )


def exposition(accept: str = "") -> tuple[bytes, str]:
    """Return every figure as text with its content type, in the format a scraper's Accept header asks for.

    Raises: PrometheusMissingError; django.db.Error, when the database does not answer.
    """
    try:
        from prometheus_client import CollectorRegistry
        from prometheus_client.exposition import choose_encoder
    except ImportError as exc:
        raise PrometheusMissingError from exc
    registry = CollectorRegistry()
    # A Collector by its shape; its base class cannot be named where the package may be missing.
    collector: Any = PsaCollector()
    registry.register(collector)
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class PsaCollector:
    """A collector for a host's own `prometheus_client` registry. A scrape is a constant number of queries."""

    def collect(self) -> Iterator[Metric]:
        """Yield every figure as it stands in the database now.

        Raises: PrometheusMissingError; django.db.Error, when the database does not answer.
        """
        try:
            import prometheus_client.metrics_core  # noqa: F401  every method below needs it
        except ImportError as exc:
            raise PrometheusMissingError from exc
        now = database_now()
        yield from _deliveries(now)
        yield from _attempts(now)
        yield from _connections(now)
        yield from _queue()
        yield from _receipts()


def _deliveries(now: datetime) -> Iterator[Metric]:
    from prometheus_client.metrics_core import GaugeMetricFamily

    # By tenant, although all of them count: the index of the states begins with it. Without it SQLite reads
    # the whole history. Apart, because PostgreSQL has another index of what is open.
    known = Delivery.objects.filter(tenant__in=Connection.objects.values("tenant"))
    rows = [*_grouped(known.filter(state__in=OPEN_STATES)), *_grouped(known.filter(state=DeliveryState.DEAD))]
    numbers: Counter[tuple[str, str]] = Counter({(state, HELD_BY_NOTHING): 0 for state in WATCHED_STATES})
    oldest: dict[str, datetime] = {}
    for row in rows:
        state = str(row["state"])
        numbers[state, _held_by(row)] += row["number"]
        oldest[state] = min(oldest.get(state, row["oldest"]), row["oldest"])
    depth = GaugeMetricFamily(
        "psa_deliveries",
        "Deliveries that are neither delivered nor discarded.",
        labels=["state", "held_by"],
    )
    for (state, held_by), number in sorted(numbers.items()):
        depth.add_metric([state, held_by], number)
    yield depth
    age = GaugeMetricFamily(
        "psa_delivery_oldest_seconds",
        "Time since the oldest delivery of a state was posted; 0 where there is none.",
        labels=["state"],
    )
    for state in WATCHED_STATES:
        age.add_metric([state.value], _seconds(now, oldest.get(state, now)))
    yield age


def _grouped(rows: QuerySet[Delivery]) -> Iterable[Any]:
    return (
        rows.order_by()
        .values("state", "held_by", "connection__state", "connection__deleted_at")
        .annotate(number=Count("pk"), oldest=Min("created_at"))
    )


def _held_by(row: Any) -> str:
    """Return why deliveries wait, as `selectors.delivery_held_by` tells it."""
    if row["state"] == DeliveryState.DEAD:
        return HELD_BY_NOTHING
    flows = row["connection__state"] in FLOWING_STATES and row["connection__deleted_at"] is None
    if row["held_by"] in (HeldBy.NOTHING, HeldBy.EARLIER) and not flows:
        return HeldBy.CONNECTION.value
    return str(row["held_by"]) or HELD_BY_NOTHING


def _attempts(now: datetime) -> Iterator[Metric]:
    from prometheus_client.metrics_core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )

    number = CounterMetricFamily(
        "psa_attempts",
        "Attempts to send a delivery or to look for it, by what came of them.",
        labels=["provider", "action", "kind", "outcome"],
    )
    durations: dict[tuple[str, str], tuple[int, int, list[int]]] = {}
    for total in AttemptTotal.objects.all():
        number.add_metric([total.provider, total.action, total.kind, total.outcome], total.count)
        count, ms, buckets = durations.get((total.provider, total.action), (0, 0, empty_buckets()))
        durations[total.provider, total.action] = (
            count + total.count,
            ms + total.duration_ms_sum,
            [one + more for one, more in zip(buckets, total.buckets, strict=True)],
        )
    yield number
    seconds = HistogramMetricFamily(
        "psa_attempt_seconds",
        "How long attempts took, the PSA's answer included.",
        labels=["provider", "action"],
    )
    for (provider, action), (count, ms, buckets) in sorted(durations.items()):
        bounds = [str(bound / 1000) for bound in BUCKET_BOUNDS_MS]
        steps = [*zip(bounds, buckets, strict=True), ("+Inf", count)]
        seconds.add_metric([provider, action], steps, ms / 1000)
    yield seconds
    rolled_at = AttemptCursor.objects.values_list("rolled_at", flat=True).first()
    yield GaugeMetricFamily(
        "psa_attempt_totals_age_seconds",
        "Time since attempts were last counted; +Inf when they never were.",
        value=_seconds(now, rolled_at),
    )


def _connections(now: datetime) -> Iterator[Metric]:
    from prometheus_client.metrics_core import GaugeMetricFamily

    rows = (
        Connection.objects.live()
        .order_by()
        .values("provider", "state")
        .annotate(number=Count("pk"), open=Count("pk", filter=Q(open_until__gt=now)))
    )
    numbers: Counter[tuple[str, str]] = Counter(
        {(key, state): 0 for key in psa_settings().PROVIDERS for state in ConnectionState.values}
    )
    breakers: Counter[str] = Counter(dict.fromkeys(psa_settings().PROVIDERS, 0))
    for row in rows:
        numbers[row["provider"], row["state"]] += row["number"]
        breakers[row["provider"]] += row["open"]
    states = GaugeMetricFamily(
        "psa_connections", "Connections by how they fare.", labels=["provider", "state"]
    )
    for (provider, state), number in sorted(numbers.items()):
        states.add_metric([provider, state], number)
    yield states
    broken = GaugeMetricFamily(
        "psa_breakers_open",
        "Connections nothing is sent to before a probe finds them well.",
        labels=["provider"],
    )
    for provider, number in sorted(breakers.items()):
        broken.add_metric([provider], number)
    yield broken


def _queue() -> Iterator[Metric]:
    from prometheus_client.metrics_core import GaugeMetricFamily

    health = selectors.queue_health()
    yield GaugeMetricFamily(
        "psa_due_oldest_seconds",
        "Time since the oldest delivery that nothing holds became due; 0 where there is none.",
        value=health.oldest_due_age_s or 0.0,
    )
    seen_s = health.worker_seen_age_s
    yield GaugeMetricFamily(
        "psa_worker_seen_seconds",
        "Time since a worker was last seen; +Inf when none ever was.",
        value=inf if seen_s is None else max(seen_s, 0.0),
    )


def _receipts() -> Iterator[Metric]:
    from prometheus_client.metrics_core import GaugeMetricFamily

    waiting = GaugeMetricFamily(
        "psa_webhook_receipts", "Calls of a PSA that were stored and not looked at yet.", labels=["state"]
    )
    state = ReceiptState.RECEIVED
    waiting.add_metric([state.value], WebhookReceipt.objects.filter(state=state).count())
    yield waiting


def _seconds(now: datetime, before: datetime | None) -> float:
    """Return the time since, never negative: hosts that stamp rows have clocks of their own."""
    return inf if before is None else max((now - before).total_seconds(), 0.0)
