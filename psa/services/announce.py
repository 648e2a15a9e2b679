"""Owns telling hosts what services changed: after the commit, one signal for each, read in batches."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction
from django.db.models import QuerySet

from psa.models import Connection, Delivery
from psa.signals import connection_changed, delivery_changed

TOLD_AT_ONCE = 200
"""Deliveries that are in memory at once while their signals are sent, however many there are."""


def listened_to(rows: QuerySet[Delivery]) -> list[int]:
    """Return the ids of rows, none when nobody listens: then nothing is read for the sake of a signal."""
    return list(rows.values_list("pk", flat=True)) if delivery_changed.has_listeners(Delivery) else []


def deliveries_tell(ids: Sequence[int]) -> None:
    """Send `delivery_changed` for each delivery once the transaction is through, as it stands then."""
    if ids and delivery_changed.has_listeners(Delivery):
        transaction.on_commit(lambda: _send(ids), robust=True)


def _send(ids: Sequence[int]) -> None:
    for start in range(0, len(ids), TOLD_AT_ONCE):
        rows = Delivery.objects.select_related("connection", "link")
        for delivery in rows.filter(pk__in=ids[start : start + TOLD_AT_ONCE]).order_by("pk"):
            delivery_changed.send_robust(Delivery, delivery=delivery)


def connection_tell(connection_id: int) -> None:
    """Send `connection_changed` once the transaction is through."""
    transaction.on_commit(
        lambda: connection_changed.send_robust(Connection, connection_id=connection_id), robust=True
    )
