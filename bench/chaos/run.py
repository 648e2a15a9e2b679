"""Owns one set-up from its first process to its count. Imported once its environment is in place."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import DatabaseError, connection
from django.db.models import Count, Max

from bench.chaos.databases import Keep
from bench.chaos.evidence import evidence_write
from bench.chaos.fleet import Fleet
from bench.chaos.load import Feeders, plan
from bench.chaos.options import Options
from bench.chaos.sandboxes import Sandbox, sandboxes_start
from bench.chaos.storm import Outage, faults_begin
from bench.chaos.verdict import INTERNAL, Counts, Lane, Result, count, marker_of
from psa import services
from psa.models import Connection, Delivery, DeliveryAttempt, TicketLink
from psa.models.connection import ConnectionState
from psa.models.delivery import OPEN_STATES, DeliveryState
from psa.provider_pool import providers_close
from psa.types import Actor
from resolutionflow.accounts.models import Account, User

PROGRESS_EVERY_S = 5.0
TICK_S = 0.1


@dataclass(slots=True)
class Stage:
    """What stands before the storm: a tenant, its connections, empty tickets linked to them."""

    tenant: Any
    actor: Actor
    sandboxes: list[Sandbox]
    lanes: dict[int, Lane]
    """Id of the link → its lane."""


def run(options: Options, name: str, folder: Path, kept: Keep) -> Result:
    """Return the result of one set-up; evidence of what is wrong is written to the folder, and kept."""
    print(f"== {name}: {options.deliveries} deliveries, {options.tickets} tickets", flush=True)
    sandboxes = sandboxes_start(options.connections, folder, options.latency_ms)
    try:
        stage = _stage(options, sandboxes)
        faults_begin(sandboxes, options.severity)
        started = time.monotonic()
        fleet = Fleet(
            options.engine or "embedded",
            options.workers,
            folder,
            run_name=folder.name,
            kill_every_s=options.kill_every_s,
            seed=options.seed,
        )
        try:
            feeders = _storm(options, stage, fleet, started)
            wall_s = time.monotonic() - started
            slow_stops = fleet.stop()
        finally:
            fleet.kill()
        for sandbox in sandboxes:
            sandbox.faults_set([])
        result = _verdict(name, stage, wall_s, options.times)
        result.kills, result.fallen, result.slow_stops = fleet.kills, fleet.fallen, slow_stops
        result.refused = feeders.refused
        if feeders.queued != result.queued:
            result.counts.lost.append(f"{feeders.queued} accepted, {result.queued} in the database")
        _tell(result, folder)
        if not result.ok:
            kept.keep = True
            print(f"Evidence: {evidence_write(folder, _suspects(result), sandboxes)}", flush=True)
        return result
    finally:
        for sandbox in sandboxes:
            sandbox.close()
        providers_close()
        connection.close()


def _stage(options: Options, sandboxes: list[Sandbox]) -> Stage:
    tenant = Account.objects.create(name="Fire test", slug="chaos")
    user = User.objects.create_user("erin", first_name="Erin", last_name="Example")
    actor = Actor(user.pk, user.display_name)
    stage = Stage(tenant, actor, sandboxes, {})
    tickets_each = [
        options.tickets // len(sandboxes) + (number < options.tickets % len(sandboxes))
        for number in range(len(sandboxes))
    ]
    for number, sandbox in enumerate(sandboxes):
        made = services.connection_create(
            tenant,
            actor=actor,
            provider="connectwise",
            name=f"Sandbox {number + 1}",
            site=sandbox.url,
            credentials=sandbox.keys,
        )
        for ticket_id in sandbox.tickets_create(tickets_each[number]):
            link = services.ticket_link(tenant, made.pk, ticket_id)
            stage.lanes[link.pk] = (number, ticket_id)
    return stage


def _storm(options: Options, stage: Stage, fleet: Fleet, started: float) -> Feeders:
    """Queue, break and kill until nothing is open any more or the time is up."""
    states: Counter[str] = Counter()
    outage = Outage(stage.sandboxes, options.outage_s, options.severity)
    links = list(stage.lanes)
    # One ticket of each connection after the other, so that all have work from the start.
    links.sort(key=lambda pk: (stage.lanes[pk][1], stage.lanes[pk][0]))
    feeders = Feeders(
        plan(options.deliveries, options.seed),
        links,
        tenant=stage.tenant,
        actor=stage.actor,
        backlog=lambda: feeders.queued - states[DeliveryState.DELIVERED],
    )
    feeders.start()
    told = started
    attempts = 0
    try:
        while time.monotonic() - started < options.minutes * 60:
            try:
                states.update(_states(states))
                attempts = DeliveryAttempt.objects.aggregate(last=Max("pk"))["last"] or 0
            except DatabaseError:
                connection.close()
            if feeders.failure is not None:
                raise RuntimeError("Queueing failed.") from feeders.failure
            if states[DeliveryState.DELIVERED] >= options.deliveries / 3:
                outage.begin()
            outage.step()
            fleet.step(attempts)
            if time.monotonic() - told >= PROGRESS_EVERY_S:
                told = time.monotonic()
                _progress(told - started, feeders, states, fleet, outage)
            is_open = any(states[state] for state in OPEN_STATES)
            if feeders.is_done and not is_open and not outage.is_running:
                break
            time.sleep(TICK_S)
    finally:
        while outage.is_running:
            outage.step()
            time.sleep(TICK_S)
        feeders.stop()
    return feeders


def _states(before: Counter[str]) -> dict[str, int]:
    """Return how many deliveries are in each state, zero for states that emptied."""
    rows = Delivery.objects.order_by().values_list("state").annotate(number=Count("pk"))
    now = dict(rows)
    # `Counter.update` adds: hand it the differences.
    return {state: now.get(state, 0) - before[state] for state in {*before, *now}}


def _progress(passed_s: float, feeders: Feeders, states: Counter[str], fleet: Fleet, outage: Outage) -> None:
    shown = ", ".join(
        f"{states[state]} {state}"
        for state in ("delivered", "ready", "sending", "unknown", "retrying", "dead")
    )
    sick = Connection.objects.exclude(state=ConnectionState.CONNECTED).count()
    ending = (f", {sick} connections sick" if sick else "") + (", outage" if outage.is_running else "")
    print(f"{passed_s:6.1f} s: {feeders.queued} queued, {shown}, {fleet.kills} kills{ending}", flush=True)


def _verdict(name: str, stage: Stage, wall_s: float, times: dict[str, object]) -> Result:
    """Count what stands on the tickets against the database."""
    rows = list(Delivery.objects.select_related("link").order_by("link_id", "seq").defer("payload"))
    expected: dict[Lane, list[str]] = {lane: [] for lane in stage.lanes.values()}
    for row in rows:
        expected[stage.lanes[row.link_id]].append(row.marker)
    notes = {
        (number, ticket_id): stage.sandboxes[number].notes(ticket_id)
        for number, ticket_id in stage.lanes.values()
    }
    counts: Counts = count(expected, notes, marker_of)
    # What is still open at the end is counted as that: nobody has given it up.
    open_ones = {row.marker for row in rows if row.state in OPEN_STATES}
    counts.lost = [marker for marker in counts.lost if marker not in open_ones]
    first_ids: dict[tuple[Lane, str], str] = {}
    for lane, stored in notes.items():
        for note in stored:
            first_ids.setdefault((lane, marker_of(note.text)), str(note.id))
    for number, ticket_id in stage.lanes.values():
        if INTERNAL in stage.sandboxes[number].ticket_text(ticket_id):
            counts.leaked.append(f"{ticket_id}/itself")
    delivered = [row for row in rows if row.state == DeliveryState.DELIVERED]
    outcomes = DeliveryAttempt.objects.order_by().values_list("action", "outcome").annotate(Count("pk"))
    return Result(
        name=name,
        queued=len(rows),
        counts=counts,
        wall_s=wall_s,
        delivered=len(delivered),
        open=len(open_ones),
        dead=[
            {"id": row.pk, "marker": row.marker, "seq": row.seq, "problem": row.problem}
            for row in rows
            if row.state == DeliveryState.DEAD
        ],
        wrong_ids=[
            row.marker
            for row in delivered
            if first_ids.get((stage.lanes[row.link_id], row.marker), row.external_id) != row.external_id
        ],
        attempts={f"{action} {outcome}": number for action, outcome, number in outcomes},
        times=times,
    )


def _deadlocks() -> int:
    """Return how many deadlocks the database has broken; SQLite knows none."""
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def _unusable(folder: Path) -> int:
    logs = (path.read_text(errors="replace") for path in folder.glob("worker-*.log"))
    return sum(text.count("the database cannot be used") for text in logs)


def _tell(result: Result, folder: Path) -> None:
    for outcome, number in sorted(result.attempts.items(), key=lambda item: -item[1]):
        print(f"  {number:6d}  {outcome}")
    print(
        f"  {result.delivered} of {result.queued} delivered in {result.wall_s:.1f} s, {result.kills} kills, "
        f"{result.refused} units queued again because the database refused them"
    )
    for title, found in (
        ("lost", result.counts.lost),
        ("doubled", result.counts.doubled),
        ("out of order", result.counts.out_of_order),
        ("leaked", result.counts.leaked),
        ("not expected", result.counts.strange),
        ("wrong id stored", result.wrong_ids),
        ("dead", result.dead),
    ):
        for entry in found[:20]:
            print(f"  {title}: {entry}")
    print(f"  {_deadlocks()} deadlocks, {_unusable(folder)} times a worker could not use the database")
    stuck = TicketLink.objects.exclude(lease_token="").count()
    print(f"  {stuck} lanes leased at the end", flush=True)


def _suspects(result: Result) -> set[str]:
    counts = result.counts
    open_ones = Delivery.objects.filter(state__in=OPEN_STATES).values_list("marker", flat=True)
    dead = [row["marker"] for row in result.dead]
    return {
        *counts.lost,
        *counts.doubled,
        *counts.out_of_order,
        *counts.strange,
        *result.wrong_ids,
        *dead,
        *open_ones,
    }
