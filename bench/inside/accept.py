"""Owns accepting notes: one gunicorn, one client, note and plain row in turn."""

from __future__ import annotations

import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import requests
from django.db import connection as database
from django.utils import timezone

from bench.stage import LABELS, Program, free_port
from bench.yardstick.models import PlainNote
from psa.models import Connection, Delivery, TicketLink
from psa.models.connection import ConnectionState
from resolutionflow.accounts.models import Account, Role
from resolutionflow.accounts.services import token_create, user_create
from resolutionflow.sessions.models import FlowSession

BOUND = 0.35
SESSIONS = 50
"""Notes go to many tickets in turn, so that no lane grows longer than it does in life."""
ROUNDS = 40
CALLS = 25
TEXT = "Restarted the print spooler and printed a test page. " * 6


def measure(_arguments: Sequence[str]) -> bool:
    """Print the ratios of the medians and return whether they hold the bound."""
    key, sessions = _seed()
    port = free_port()
    command = ["-m", "gunicorn", "--no-control-socket", "--bind", f"127.0.0.1:{port}", "--threads", "8"]
    command += ["--keep-alive", "60", "--log-level", "warning", "resolutionflow.wsgi"]
    with (
        tempfile.TemporaryDirectory(prefix="bench-accept-") as folder,
        Program("gunicorn", command, Path(folder)) as server,
    ):
        server.listens(port)
        return _compare(f"http://127.0.0.1:{port}/api/v1", key, sessions)


def _compare(api: str, key: str, sessions: list[int]) -> bool:
    http = requests.Session()
    http.trust_env = False
    http.headers["Authorization"] = f"Token {key}"

    def post(path: str, body: dict[str, str], status: int, headers: dict[str, str] | None = None) -> None:
        answer = http.post(f"{api}{path}", json=body, headers=headers, timeout=30)
        assert answer.status_code == status, answer.text

    def plain(_number: int) -> None:
        post("/plain-notes/", {"text": TEXT}, 201)

    def note(number: int) -> None:
        path = f"/sessions/{sessions[number % len(sessions)]}/notes/"
        post(path, {"kind": "analysis", "text": TEXT}, 202)

    def keyed(number: int) -> None:
        path = f"/sessions/{sessions[number % len(sessions)]}/notes/"
        post(path, {"kind": "analysis", "text": TEXT}, 202, {"Idempotency-Key": uuid.uuid4().hex})

    calls = (plain, note, keyed)
    for call in calls:
        _seconds(call, 0)
    rounds = [[_seconds(call, number) for call in calls] for number in range(ROUNDS)]
    assert PlainNote.objects.count() == (ROUNDS + 1) * CALLS
    assert Delivery.objects.count() == 2 * (ROUNDS + 1) * CALLS
    plain_ms, note_ms, keyed_ms = (
        statistics.median(column) / CALLS * 1000 for column in zip(*rounds, strict=True)
    )
    ratio = statistics.median(row[0] / row[1] for row in rounds)
    with_key = statistics.median(row[0] / row[2] for row in rounds)
    held = min(ratio, with_key) >= BOUND
    print(
        f"accept on {LABELS[database.vendor]}: {note_ms:.2f} ms a note, {keyed_ms:.2f} ms with "
        f"Idempotency-Key, plain row: {plain_ms:.2f} ms, ratio {ratio:.3f}, with key {with_key:.3f} "
        f"(bound {BOUND}) {'PASS' if held else 'FAIL'}",
        flush=True,
    )
    return held


def _seconds(call: Callable[[int], None], number: int) -> float:
    started = time.perf_counter()
    for turn in range(CALLS):
        call(number * CALLS + turn)
    return time.perf_counter() - started


def _seed() -> tuple[str, list[int]]:
    """Return an API token and sessions, each linked to a ticket. Accepting asks no PSA, so there is none."""
    tenant = Account.objects.create(name="Bench", slug="bench")
    user = user_create(tenant, username="bench", password=uuid.uuid4().hex, role=Role.ENGINEER)
    connection = Connection.objects.create(
        tenant=tenant,
        provider="connectwise",
        name="Bench",
        site="127.0.0.1:1",
        company_id="bench",
        credentials={"company_id": "bench", "public_key": "x", "private_key": "x"},
        state=ConnectionState.CONNECTED,
    )
    sessions = []
    for number in range(SESSIONS):
        link = TicketLink.objects.create(
            tenant=tenant, connection=connection, record_type="service", ticket_id=str(number + 1)
        )
        session = FlowSession.objects.create(
            account=tenant, title=f"Session {number}", link=link, linked_at=timezone.now()
        )
        sessions.append(session.pk)
    return token_create(user, name="bench").key, sessions
