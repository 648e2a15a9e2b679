"""Owns what the outbox tests stand on: a tenant, a sandbox on a real socket, a linked ticket."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from psa import services
from psa.models import Connection, Delivery, PeriodicJob, TicketLink
from psa.outbox.worker import Worker
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Actor, NoteKind, NotePart, Scope
from resolutionflow.accounts.models import Account, User

NOTES = r"/service/tickets/\d+/notes$"


@pytest.fixture
def tenant(db: None) -> Account:
    return Account.objects.create(name="Acme MSP", slug="acme")


@pytest.fixture
def user(tenant: Account) -> User:
    return User.objects.create_user("erin", first_name="Erin", last_name="Example")


@pytest.fixture
def actor(user: User) -> Actor:
    return Actor(user.pk, "Erin Example")


@pytest.fixture
def scope(tenant: Account, actor: Actor) -> Scope:
    return Scope(tenant, actor, can_post=True)


@pytest.fixture(autouse=True)
def quick(settings: Any) -> None:
    """Look at once, so that no test sleeps; `run` moves what waits for longer."""
    settings.PSA = {**settings.PSA, "RECONCILE_LOOKS_S": [0.0, 0.0], "WORKER_POLL_S": 0.02}


@pytest.fixture
def connection(tenant: Account, actor: Actor, sandbox: SandboxServer) -> Connection:
    keys = sandbox.credentials
    return services.connection_create(
        tenant,
        actor=actor,
        provider="connectwise",
        name="Sandbox",
        site=sandbox.url,
        credentials={
            "company_id": keys.company_id,
            "public_key": keys.public_key,
            "private_key": keys.private_key,
            "client_id": keys.client_id,
        },
    )


@pytest.fixture
def ticket_id(sandbox: SandboxServer) -> str:
    return "57050"


@pytest.fixture
def link(tenant: Account, connection: Connection, ticket_id: str) -> TicketLink:
    return services.ticket_link(tenant, connection.pk, ticket_id)


@pytest.fixture
def post(tenant: Account, link: TicketLink, actor: Actor) -> Callable[..., Delivery]:
    """Queue one note and return its (first) delivery."""

    def post(
        text: str = "Step one: rebooted the printer.", kind: str = "analysis", **options: Any
    ) -> Delivery:
        part = NotePart(NoteKind(kind), text, **options)
        unit = services.unit_enqueue(tenant, link.pk, [part], actor=actor, origin="session:1")
        return unit.deliveries.order_by("seq").first()

    return post


@pytest.fixture
def run() -> Callable[..., None]:
    """Run a worker until nothing is due; `later` first makes due whatever waits for another time."""

    def run(*, later: bool = False) -> None:
        past = timezone.now() - timedelta(seconds=1)
        PeriodicJob.objects.update(due_at=past)
        if later:
            Delivery.objects.update(due_at=past)
            Connection.objects.update(not_before=None, open_until=None)
            Connection.objects.filter(next_probe_at__isnull=False).update(next_probe_at=past)
        Worker(4).run(once=True)

    return run


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the periodic jobs' thread of a worker away: only the test's own sees the test's transaction."""
    monkeypatch.setattr(Worker, "_run_jobs", lambda _worker: None)


@pytest.fixture
def stored(sandbox: SandboxServer, ticket_id: str) -> Callable[[], list[dict[str, Any]]]:
    """Return the notes the sandbox stored on the ticket through its API, oldest first."""
    return lambda: notes_of(sandbox, ticket_id)


def notes_of(sandbox: SandboxServer, ticket_id: str, codebase: str = "v4_6_release") -> list[dict[str, Any]]:
    """Return our notes on a ticket, read over the wire with the sandbox's own keys."""
    import requests

    keys = sandbox.credentials
    answer = requests.get(
        f"{sandbox.url}/{codebase}/apis/3.0/service/tickets/{ticket_id}/notes",
        params={"pageSize": "1000", "orderBy": "id"},
        auth=(f"{keys.company_id}+{keys.public_key}", keys.private_key),
        headers={"clientId": keys.client_id},
        timeout=5,
    )
    return [note for note in answer.json() if "Ref RF-" in note["text"]]


def sent(sandbox: SandboxServer, method: str = "POST", path: str = "") -> list[dict[str, Any]]:
    """Return the requests of one method the sandbox got, those whose path ends so."""
    return [row for row in sandbox.requests if row["method"] == method and row["path"].endswith(path)]
