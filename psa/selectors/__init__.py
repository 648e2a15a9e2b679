"""Owns the public door for reads; the tenant always comes first. Writes are in `psa.services`.

Its modules are named in the singular: a module called like one of the functions below would be hidden by it.
"""

from psa.selectors.connection import (
    boards,
    connection_flows,
    connection_get,
    connections,
    provider_classes,
    statuses,
    tickets_search,
)
from psa.selectors.delivery import (
    QueueHealth,
    deliveries,
    delivery_get,
    delivery_held_by,
    note_posted,
    open_deliveries,
    queue_health,
    status_rule,
    unit_get,
    unit_origin_deliveries,
)
from psa.selectors.problem import (
    Problem,
    ProblemScope,
    problem_deliveries,
    problem_get,
    problem_sight,
    problems,
)

__all__ = [
    "Problem",
    "ProblemScope",
    "QueueHealth",
    "boards",
    "connection_flows",
    "connection_get",
    "connections",
    "deliveries",
    "delivery_get",
    "delivery_held_by",
    "note_posted",
    "open_deliveries",
    "problem_deliveries",
    "problem_get",
    "problem_sight",
    "problems",
    "provider_classes",
    "queue_health",
    "status_rule",
    "statuses",
    "tickets_search",
    "unit_get",
    "unit_origin_deliveries",
]
