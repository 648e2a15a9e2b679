"""Owns the operations whose time must not grow with the queue; `bench.growth` asks for them line by line."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.test import Client

from bench.inside.growth_fill import Filled, fill
from psa.database import database_now
from psa.outbox.claim import claim_due
from psa.outbox.dispatch import side_jobs
from psa.outbox.lanes import lanes_mend
from psa.outbox.schedule import leases_expire, mapping_held_release
from psa.outbox.totals import attempt_totals_roll
from psa.selectors import queue_health

LANES = 16


def measure(arguments: Sequence[str]) -> bool:
    """Fill the database, then answer each `OPERATION TIMES` on standard input with the seconds it took."""
    started = time.perf_counter()
    found = operations(fill(int(arguments[0])))
    for operation in found.values():
        operation()
    print(" ".join(found), flush=True)
    print(f"{time.perf_counter() - started:.1f}", flush=True)
    for line in sys.stdin:
        name, times = line.split()
        if name == "explain":
            print(explain(found[times]), "\n.", sep="", flush=True)
            continue
        began = time.perf_counter()
        for _ in range(int(times)):
            found[name]()
        print(time.perf_counter() - began, flush=True)
    return True


def operations(filled: Filled) -> dict[str, Callable[[], object]]:
    """Return what is measured, by name. The bound holds for the groups before the colon, not for `part`."""
    # What is due became due after this: for an idle cycle, only the broken connection's queue is.
    before = database_now() - timedelta(hours=1)
    parts: dict[str, Callable[[], object]] = {
        "part:nothing-due": lambda: claim_due(before, LANES),
        "part:sweep": _sweep,
        "part:lanes-mend": lambda: lanes_mend(database_now()),
        "part:mapping-held-release": lambda: mapping_held_release(database_now()),
        "part:attempt-totals": lambda: attempt_totals_roll(database_now()),
        "part:readiness": queue_health,
    }
    return {
        "claim:due": _claim,
        "claim:idle": lambda: [part() for part in parts.values()],
        **parts,
        "list:all": _get(filled.lead, ""),
        "list:delivered": _get(filled.lead, "?state=delivered"),
        "list:ready": _get(filled.lead, "?state=ready"),
        "list:dead": _get(filled.lead, "?state=dead"),
        "list:page-3": _get(filled.lead, "?page=3"),
        "list:broken-connection": _get(filled.lead, f"?connection={filled.broken}"),
        "list:quiet-connection": _get(filled.lead, f"?connection={filled.quiet}"),
        "list:session": _get(filled.lead, "?session=1001"),
        "list:newcomer": _get(filled.newcomer, ""),
        "accept:note": _accept(filled),
    }


def _claim() -> None:
    """Claim a full house and take it back."""
    with transaction.atomic():
        claimed = claim_due(database_now(), LANES)
        transaction.set_rollback(True)
    assert len(claimed) == LANES


def _sweep() -> None:
    now = database_now()
    leases_expire(now)
    assert side_jobs(now, 4) == []


def _get(key: str, query: str) -> Callable[[], object]:
    client = _client(key)

    def ask() -> None:
        answer = client.get(f"/api/v1/deliveries/{query}")
        assert answer.status_code == 200, answer.content

    return ask


def _accept(filled: Filled) -> Callable[[], object]:
    client = _client(filled.newcomer)
    sessions = itertools.cycle(filled.sessions)

    def post() -> None:
        answer = client.post(
            f"/api/v1/sessions/{next(sessions)}/notes/",
            {"kind": "analysis", "text": "Restarted the print spooler."},
            content_type="application/json",
        )
        assert answer.status_code == 202, answer.content

    return post


def _client(key: str) -> Client:
    return Client(headers={"Authorization": f"Token {key}"})


def explain(operation: Callable[[], object]) -> str:
    """Return the number of queries of an operation, and the plan of its slowest SELECT, with its parameters.

    SQLite plans a query with parameters differently from one with the values written into it.
    """
    asked: list[tuple[float, str, Any]] = []

    def clocked(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        started = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            asked.append((time.perf_counter() - started, sql, params))

    with database.execute_wrapper(clocked):
        operation()
    slowest = max(asked, key=lambda row: row[0])
    text = f"{len(asked)} queries, the slowest took {slowest[0] * 1000:.1f} ms"
    selects = [row for row in asked if row[1].lstrip().startswith("SELECT")]
    if not selects:
        return text
    _seconds, sql, params = max(selects, key=lambda row: row[0])
    command = "EXPLAIN QUERY PLAN" if database.vendor == "sqlite" else "EXPLAIN (ANALYZE, BUFFERS)"
    with transaction.atomic(), database.cursor() as cursor:
        cursor.execute(f"{command} {sql}", params)
        plan = [str(row[-1]) for row in cursor.fetchall()]
        transaction.set_rollback(True)
    return "\n".join([text, sql, *plan])
