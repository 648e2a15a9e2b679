"""Kills real workers at named points and lets others finish; prints one JSON line a point.

Run by `test_crash_points` in a process of its own, on a database of its own. This process never opens the
database itself: it forks one child a step, so that a killed one takes nothing of the next one with it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import django

django.setup()

import requests  # noqa: E402  Django first
from django.conf import settings  # noqa: E402
from django.utils import timezone  # noqa: E402

settings.PSA = {**settings.PSA, "RECONCILE_LOOKS_S": [0.0, 0.0], "WORKER_POLL_S": 0.02}

from psa import services  # noqa: E402
from psa.models import Connection, Delivery, DeliveryAttempt, TicketLink  # noqa: E402
from psa.outbox import claim, dispatch, finish, lane, schedule, worker  # noqa: E402
from psa.provider_pool import provider_for  # noqa: E402
from psa.providers import http  # noqa: E402
from psa.types import Actor, NoteKind, NotePart, RecordType, StatusPart  # noqa: E402
from resolutionflow.accounts.models import Account  # noqa: E402


def die(*_args: Any, **_kwargs: Any) -> None:
    """End this process as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def before(place: Any, name: str) -> Callable[[], None]:
    """Return what makes a worker die instead of calling a function."""
    return lambda: setattr(place, name, die)


def after(place: Any, name: str) -> Callable[[], None]:
    """Return what makes a worker die once a function has returned."""

    def arm() -> None:
        real = getattr(place, name)

        def called(*args: Any, **kwargs: Any) -> None:
            real(*args, **kwargs)
            die()

        setattr(place, name, called)

    return arm


def at_write(number: int, arm_there: Callable[[], None]) -> Callable[[], None]:
    """Return what arms another point once this many writes were begun."""

    def arm() -> None:
        real, seen = http.mark_write_sent, [0]

        def marked() -> None:
            real()
            seen[0] += 1
            if seen[0] == number:
                arm_there()

        http.mark_write_sent = marked

    return arm


POINTS: dict[str, Callable[[], None]] = {
    "before the claim": before(dispatch, "claim_due"),
    "in the claim's transaction": after(claim, "_lease"),
    "after the claim, before a lane starts": after(worker, "claims_take"),
    "in the lane, before anything is sent": before(lane, "_send_note"),
    "right before the first byte": before(http, "mark_write_sent"),
    "after the PSA did it, before its answer is read": at_write(1, before(http, "_read_body")),
    "after the answer, before the result is reported": after(lane, "_send_note"),
    "before the result is written": before(worker, "finish"),
    "in the transaction that writes the result": after(finish, "_write"),
    "after the result is written": after(worker, "finish"),
    "before a look": before(lane, "look"),
    "after a look": after(lane, "look"),
    "before a status is sent": before(lane, "_send_status"),
    "after a status was set, before its answer is read": at_write(1, before(http, "_read_body")),
    "after a status was answered": after(lane, "_send_status"),
    "while an expired lease is taken back": after(DeliveryAttempt.objects, "create"),
}


def in_child(step: Callable[[], Any]) -> Any:
    """Run a step in a forked process and return what it returned, None when it was killed."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(reader)
            found = step()
            os.write(writer, json.dumps(found, default=str).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as answers:
        body = answers.read()
    _pid, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return None
    if os.WEXITSTATUS(status):
        raise SystemExit("a step failed; see above")
    return json.loads(body)


def connect(site: str, keys: dict[str, str]) -> int:
    """Make the tenant and its connection; return the connection's id."""
    tenant = Account.objects.create(name="Acme MSP", slug="acme")
    found = services.connection_create(
        tenant,
        actor=Actor(None, "Erin"),
        provider="connectwise",
        name="Sandbox",
        site=site,
        credentials=keys,
    )
    return found.pk


def another_status(connection: Connection, ticket: str) -> str:
    """Return a status of the ticket's board that it does not have, and that leaves it open."""
    provider = provider_for(connection)
    found = provider.ticket_get(ticket, RecordType.SERVICE)
    return next(
        status.name
        for status in provider.statuses_for(found)
        if status.active and not status.closed and status != found.status
    )


def enqueue(ticket: str, point: str) -> int:
    """Queue a unit on a ticket; return its id."""
    connection = Connection.objects.get()
    link = services.ticket_link(connection.tenant, connection.pk, ticket)
    parts: list[Any] = [StatusPart(another_status(connection, ticket))] if "status" in point else []
    parts += [NotePart(NoteKind.ANALYSIS, "first"), NotePart(NoteKind.ANALYSIS, "second")]
    actor = Actor(None, "Erin")
    return services.unit_enqueue(connection.tenant, link.pk, parts, actor=actor).pk


def work(arm: Callable[[], None] | None = None) -> list[str]:
    """Let a worker run until nothing is due, or until it dies at the armed point."""
    if arm:
        arm()
    worker.Worker(2).run(once=True)
    return list(Delivery.objects.order_by("pk").values_list("state", flat=True))


def time_passes() -> list[str]:
    """Let leases end and everything be due; return the states as a person sees them until then."""
    states = list(Delivery.objects.order_by("pk").values_list("state", flat=True))
    past = timezone.now() - timedelta(seconds=1)
    TicketLink.objects.exclude(lease_token="").update(lease_expires_at=past)
    Delivery.objects.exclude(state="delivered").update(due_at=past)
    return states


def expire(arm: Callable[[], None]) -> list[str]:
    """Take back expired leases, as every worker does each second."""
    arm()
    schedule.leases_expire(timezone.now())
    return []


def outcome(unit_id: int) -> dict[str, Any]:
    """Return how a unit ended."""
    rows = Delivery.objects.filter(unit_id=unit_id).order_by("seq")
    attempts = DeliveryAttempt.objects.filter(delivery__in=rows).order_by("pk")
    return {
        "states": [row.state for row in rows],
        "markers": [row.marker for row in rows if row.marker],
        "kinds": [row.kind for row in rows],
        "unit": rows[0].unit.state,
        "ticket": rows[0].link.ticket_id,
        "leased": TicketLink.objects.exclude(lease_token="").count(),
        "attempts": list(attempts.values_list("action", "outcome")),
        "problems": [row.problem for row in rows if row.problem],
    }


def kill_at(point: str, ticket: str, faults: str) -> dict[str, Any]:
    """Kill a worker at a point, let others finish, and return what is left."""
    unit = in_child(lambda: enqueue(ticket, point))
    if "look" in point:
        fault = {"method": "POST", "path": "/notes$", "kind": "drop_after", "count": 1}
        requests.post(faults, json=fault, timeout=5).raise_for_status()
    arm = POINTS[point]
    if "lease" in point:
        in_child(lambda: work(POINTS["right before the first byte"]))
        in_child(time_passes)
        died = in_child(lambda: expire(arm)) is None
    else:
        died = in_child(lambda: work(arm)) is None
    between = in_child(time_passes)
    for _ in range(4):
        in_child(work)
        in_child(time_passes)
    return {"point": point, "died": died, "between": between[-3:], **in_child(lambda: outcome(unit))}


def main() -> None:
    """Read the sandbox's address and keys as JSON from the first argument, print a line a point."""
    told = json.loads(sys.argv[1])
    in_child(lambda: connect(told["url"], told["keys"]))
    for number, point in enumerate(POINTS):
        print(json.dumps(kill_at(point, str(57041 + number), told["faults"])), flush=True)


if __name__ == "__main__":
    main()
