"""Owns the public door for writes; the tenant always comes first. Reads are in `psa.selectors`."""

from psa.services.connections import (
    connection_create,
    connection_delete,
    connection_disable,
    connection_enable,
    connection_test,
    connection_update,
)
from psa.services.deliveries import (
    delivery_discard,
    delivery_edit,
    delivery_retry,
    open_deliveries_discard,
    status_check,
    unit_enqueue,
    unit_preview,
)
from psa.services.links import ticket_link
from psa.services.problems import problem_discard, problem_retry

__all__ = [
    "connection_create",
    "connection_delete",
    "connection_disable",
    "connection_enable",
    "connection_test",
    "connection_update",
    "delivery_discard",
    "delivery_edit",
    "delivery_retry",
    "open_deliveries_discard",
    "problem_discard",
    "problem_retry",
    "status_check",
    "ticket_link",
    "unit_enqueue",
    "unit_preview",
]
