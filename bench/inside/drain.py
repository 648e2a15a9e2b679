"""Owns the drain: queues notes, lets a worker deliver them, and lets bare threads post as many."""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import requests
from django.db import connection as database
from django.db.models import Max, Min

from bench.stage import LABELS, Program
from psa import services
from psa.models import Delivery, DeliveryAttempt, TicketLink
from psa.models.delivery import DeliveryState
from psa.types import Actor, NoteKind, NotePart
from resolutionflow.accounts.models import Account, User

BOUNDS = {"postgresql": 0.8, "sqlite": 0.7}
CONNECTIONS = 4
LANES = 16
TICKETS = 40
NOTES = 20
LATENCY_MS = 50
ROUNDS = 5
TEXT = "Restarted the print spooler and printed a test page. " * 6


@dataclass(frozen=True, slots=True)
class Site:
    """One sandbox, and the lanes of its tickets."""

    keys: dict[str, str]
    links: list[TicketLink]


def measure(_arguments: Sequence[str]) -> bool:
    """Print the median of the ratios and return whether it holds the bound."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-drain-")))
        tenant = Account.objects.create(name="Bench", slug="bench")
        actor = Actor(User.objects.create_user("bench").pk, "Erin Example")
        arguments = ["manage.py", "connectwise_sandbox", "--port", "0", "--latency-ms", str(LATENCY_MS)]
        programs = [
            stack.enter_context(Program(f"sandbox-{number}", arguments, folder))
            for number in range(CONNECTIONS)
        ]
        sites = [_site(tenant, actor, program.json_line()) for program in programs]
        rounds = []
        for number in range(ROUNDS + 1):
            bare = _bare(sites)
            ours = _ours(tenant, actor, sites, folder)
            if number:  # the first round warms both up
                rounds.append((bare, ours))
    ratio = statistics.median(ours / bare for bare, ours in rounds)
    spread = ", ".join(f"{ours / bare:.2f}" for bare, ours in rounds)
    bound = BOUNDS[database.vendor]
    verdict = "PASS" if ratio >= bound else "FAIL"
    print(
        f"drain on {LABELS[database.vendor]}: {statistics.median(ours for _, ours in rounds):.0f} notes/s, "
        f"16 bare threads: {statistics.median(bare for bare, _ in rounds):.0f}/s, "
        f"ratio {ratio:.3f} ({spread}; bound {bound}) {verdict}",
        flush=True,
    )
    return ratio >= bound


def _site(tenant: Account, actor: Actor, keys: dict[str, str]) -> Site:
    url = keys.pop("url")
    connection = services.connection_create(
        tenant, actor=actor, provider="connectwise", name=url, site=url, credentials=keys
    )
    site = Site({**keys, "url": url}, [])
    http = _session(site)
    found = http.get(
        f"{_api(site)}/service/tickets",
        params={"conditions": "closedFlag = false", "pageSize": "100", "orderBy": "id"},
        timeout=30,
    ).json()
    for ticket in found[: TICKETS // CONNECTIONS]:
        site.links.append(services.ticket_link(tenant, connection.pk, str(ticket["id"])))
    assert len(site.links) == TICKETS // CONNECTIONS, "the sandbox has too few open tickets"
    return site


def _ours(tenant: Account, actor: Actor, sites: list[Site], folder: Path) -> float:
    """Return how many notes a second a worker delivers."""
    first = (Delivery.objects.aggregate(last=Max("pk"))["last"] or 0) + 1
    # Note by note over all tickets, as people post.
    for number in range(NOTES):
        for site in sites:
            for link in site.links:
                part = NotePart(NoteKind.ANALYSIS, f"Note {number}. {TEXT}")
                services.unit_enqueue(tenant, link.pk, [part], actor=actor, origin=f"session:{link.pk}")
    arguments = ["manage.py", "psa_worker", "--once", "--concurrency", str(LANES)]
    with Program("worker", arguments, folder) as worker:
        worker.wait(300)
    queued = Delivery.objects.filter(pk__gte=first)
    assert queued.count() == TICKETS * NOTES
    missing = queued.exclude(state=DeliveryState.DELIVERED).count()
    assert not missing, f"{missing} notes were not delivered:\n{worker.tail()}"
    began: datetime = DeliveryAttempt.objects.filter(delivery_id__gte=first).aggregate(t=Min("started_at"))[
        "t"
    ]
    ended: datetime = queued.aggregate(t=Max("delivered_at"))["t"]
    return TICKETS * NOTES / (ended - began).total_seconds()


def _bare(sites: list[Site]) -> float:
    """Return how many notes a second 16 threads post, each on a pooled session of its own."""
    ready = threading.Barrier(LANES + 1)
    broken: list[str] = []

    def post(site: Site, links: list[TicketLink]) -> None:
        http = _session(site)
        ready.wait()
        for number in range(TICKETS * NOTES // LANES):
            link = links[number % len(links)]
            answer = http.post(
                f"{_api(site)}/service/tickets/{link.ticket_id}/notes",
                json={
                    "text": f"Note {number}. {TEXT}",
                    "internalAnalysisFlag": True,
                    "resolutionFlag": False,
                    "detailDescriptionFlag": False,
                    "internalFlag": True,
                    "externalFlag": False,
                    "processNotifications": False,
                },
                timeout=(5, 30),
            )
            if answer.status_code != 201:
                broken.append(answer.text)
            answer.json()

    each = LANES // CONNECTIONS
    threads = [
        threading.Thread(target=post, args=(site, site.links[number::each]))
        for site in sites
        for number in range(each)
    ]
    for thread in threads:
        thread.start()
    ready.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    assert not broken, broken[0]
    return TICKETS * NOTES / seconds


def _api(site: Site) -> str:
    return f"{site.keys['url']}/v4_6_release/apis/3.0"


def _session(site: Site) -> requests.Session:
    keys = site.keys
    http = requests.Session()
    http.trust_env = False
    http.auth = (f"{keys['company_id']}+{keys['public_key']}", keys["private_key"])
    http.headers.update({"clientId": keys["client_id"], "Accept": "application/json"})
    return http
