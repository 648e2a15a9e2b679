"""Owns the context row: one sandbox at 50 ms, the service in this process, gunicorn for REST."""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests
from django.core.cache import cache

from bench.inside.peers import pyconnectwise_context
from bench.stage import Program, free_port
from psa import selectors, services
from psa.models import Connection, TicketLink
from psa.types import Actor, RecordType
from resolutionflow.accounts.models import Account, Role
from resolutionflow.accounts.services import token_create, user_create

LATENCY_MS = 50
ROUNDS = 30
CALLERS = 50
COLD_BOUND, WARM_BOUND, REST_BOUND, PEER_BOUND = 1.2, 1.2, 1.3, 2.0
TICKET = "57001"


def measure(_arguments: Sequence[str]) -> bool:
    """Print the ratios and return whether they hold their bounds."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-context-")))
        sandbox = stack.enter_context(
            Program(
                "sandbox",
                ["manage.py", "connectwise_sandbox", "--port", "0", "--latency-ms", str(LATENCY_MS)],
                folder,
            )
        )
        keys = sandbox.json_line()
        url = keys.pop("url")
        tenant = Account.objects.create(name="Bench", slug="bench")
        user = user_create(tenant, username="bench", password=uuid.uuid4().hex, role=Role.ENGINEER)
        connection = services.connection_create(
            tenant,
            actor=Actor(user.pk, "Bench"),
            provider="connectwise",
            name="Bench",
            site=url,
            credentials=keys,
        )
        link = services.ticket_link(tenant, connection.pk, TICKET, RecordType.SERVICE)
        api = f"{url}/v4_6_release/apis/3.0"
        trip = _round_trip(api, keys)
        held = [_service(tenant, connection, link, trip)]
        held.append(_rest(stack, folder, user, connection, trip))
        held.append(_callers(stack, folder, user, connection, url, "locmemcache://", processes=1))
        if _redis_answers():
            held.append(
                _callers(stack, folder, user, connection, url, "redis://127.0.0.1:6379/15", processes=2)
            )
        held.append(_peer(tenant, connection, url, keys))
    return all(held)


def _round_trip(api: str, keys: dict[str, str]) -> float:
    """Return the median seconds of one read of the ticket on a bare pooled session."""
    http = requests.Session()
    http.trust_env = False
    http.auth = (f"{keys['company_id']}+{keys['public_key']}", keys["private_key"])
    http.headers.update({"clientId": keys["client_id"], "Accept": "application/json"})
    address = f"{api}/service/tickets/{TICKET}"
    return _median(lambda: http.get(address, timeout=30).json(), 2 * ROUNDS)


def _service(tenant: Account, connection: Connection, link: TicketLink, trip: float) -> bool:
    def read() -> None:
        found = selectors.ticket_context(tenant, connection.pk, TICKET, RecordType.SERVICE)
        assert found.company
        assert found.notes
        assert not found.problems, found.problems

    def grow_old() -> None:
        # As after a note of ours: the ticket is old, its customer is not.
        link.cache_epoch += 1
        TicketLink.objects.filter(pk=link.pk).update(cache_epoch=link.cache_epoch)

    read()
    cold_s, warm_s, hit_s = _median(read, before=cache.clear), _median(read, before=grow_old), _median(read)
    held = cold_s <= COLD_BOUND * 2 * trip and warm_s <= WARM_BOUND * trip
    print(
        f"context by service: cold {cold_s * 1000:.1f} ms = {cold_s / trip / 2:.2f} × two round trips "
        f"(bound {COLD_BOUND}), warm {warm_s * 1000:.1f} ms = {warm_s / trip:.2f} × one "
        f"(bound {WARM_BOUND}), cached {hit_s * 1000:.2f} ms; "
        f"a round trip {trip * 1000:.1f} ms {'PASS' if held else 'FAIL'}",
        flush=True,
    )
    return held


def _gunicorn(
    stack: ExitStack,
    folder: Path,
    name: str,
    *,
    threads: int,
    workers: int = 1,
    cache_url: str = "locmemcache://",
) -> str:
    import os

    port = free_port()
    command = ["-m", "gunicorn", "--no-control-socket", "--bind", f"127.0.0.1:{port}"]
    command += ["--threads", str(threads), "--workers", str(workers), "--keep-alive", "60"]
    command += ["--log-level", "warning", "resolutionflow.wsgi"]
    env = {**os.environ, "CACHE_URL": cache_url}
    server = stack.enter_context(Program(name, command, folder, env))
    server.listens(port)
    return f"http://127.0.0.1:{port}/api/v1"


def _rest(stack: ExitStack, folder: Path, user: Any, connection: Connection, trip: float) -> bool:
    api = _gunicorn(stack, folder, "rest", threads=8)
    http = requests.Session()
    http.trust_env = False
    http.headers["Authorization"] = f"Token {token_create(user, name='bench').key}"
    address = f"{api}/connections/{connection.pk}/tickets/{TICKET}/context/?refresh=true"

    def read() -> None:
        answer = http.get(address, timeout=30)
        assert answer.status_code == 200, answer.text
        assert not answer.json()["problems"], answer.text

    read()
    seconds = _median(read)
    held = seconds <= REST_BOUND * 2 * trip
    print(
        f"context over REST: cold {seconds * 1000:.1f} ms = {seconds / trip / 2:.2f} × two round trips "
        f"(bound {REST_BOUND}) {'PASS' if held else 'FAIL'}",
        flush=True,
    )
    return held


def _callers(
    stack: ExitStack,
    folder: Path,
    user: Any,
    connection: Connection,
    url: str,
    cache_url: str,
    processes: int,
) -> bool:
    """Fifty callers ask for the same cold context; count what reaches the PSA."""
    name = f"callers-{processes}"
    api = _gunicorn(stack, folder, name, threads=CALLERS, workers=processes, cache_url=cache_url)
    token = token_create(user, name=name).key

    def calls(query: str, callers: int) -> int:
        control = f"{url}/_sandbox/requests"
        before = len(requests.get(control, timeout=30).json())
        ready = threading.Barrier(callers)

        def ask() -> None:
            ready.wait()
            answer = requests.get(
                f"{api}/connections/{connection.pk}/tickets/{TICKET}/context/{query}",
                headers={"Authorization": f"Token {token}"},
                timeout=60,
            )
            assert answer.status_code == 200, answer.text

        threads = [threading.Thread(target=ask) for _ in range(callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(requests.get(control, timeout=30).json()) - before

    many = calls("", CALLERS)
    one = calls("?refresh=true", 1)
    held = many == one
    backend = "locmem, one process" if processes == 1 else "Redis, two processes"
    print(
        f"context, {CALLERS} callers at once ({backend}): {many} calls upstream, one caller {one} "
        f"{'PASS' if held else 'FAIL'}",
        flush=True,
    )
    return held


def _peer(tenant: Account, connection: Connection, url: str, keys: dict[str, str]) -> bool:
    def ours() -> None:
        cache.clear()
        selectors.ticket_context(tenant, connection.pk, TICKET, RecordType.SERVICE)

    peer = pyconnectwise_context(url, keys, int(TICKET))
    if peer is None:
        print("context beside pyconnectwise: skipped, it is not installed.", flush=True)
        return True
    peer()
    ours()
    pairs = [(_seconds(ours), _seconds(peer)) for _ in range(ROUNDS // 2)]
    ratio = statistics.median(theirs / mine for mine, theirs in pairs)
    held = ratio >= PEER_BOUND
    print(
        f"context beside pyconnectwise: {statistics.median(pair[0] for pair in pairs) * 1000:.1f} ms, "
        f"pyconnectwise {statistics.median(pair[1] for pair in pairs) * 1000:.1f} ms, "
        f"{ratio:.2f} × as long (bound {PEER_BOUND}) {'PASS' if held else 'FAIL'}",
        flush=True,
    )
    return held


def _redis_answers() -> bool:
    import redis

    try:
        found = redis.Redis.from_url("redis://127.0.0.1:6379/15", socket_connect_timeout=2)
        found.flushdb()
    except redis.RedisError:
        print("Redis: skipped, nothing answers at 127.0.0.1:6379.", flush=True)
        return False
    return True


def _median(
    call: Callable[[], object], rounds: int = ROUNDS, *, before: Callable[[], object] = lambda: None
) -> float:
    """Return the median seconds of a call; before runs ahead of each, unmeasured."""
    found = []
    for _ in range(rounds):
        before()
        found.append(_seconds(call))
    return statistics.median(found)


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
