"""Owns the people, the ticket and the session of these tests, and how two callers come at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.apps import apps
from django.db import connection as database
from rest_framework.test import APIClient

from psa import services as psa_services
from psa.types import Actor, RecordType
from resolutionflow.accounts.models import Account, Role, User
from resolutionflow.accounts.services import user_create
from resolutionflow.sessions import selectors, services
from resolutionflow.sessions.models import FlowSession

STEP_BODY = "Password of the printer is hunter2"
SUMMARY = "The printer works again."

Connection: Any = apps.get_model("psa.Connection")
TicketLink: Any = apps.get_model("psa.TicketLink")
Delivery: Any = apps.get_model("psa.Delivery")


@pytest.fixture
def account(db: None) -> Account:
    return Account.objects.create(name="Northwind IT", slug="northwind")


@pytest.fixture
def owner(account: Account) -> User:
    return user_create(account, username="olga", password="x", role=Role.ADMIN)


@pytest.fixture
def engineer(account: Account) -> User:
    return user_create(
        account,
        username="eva",
        password="x",
        first_name="Eva",
        last_name="Engineer",
        time_zone="Europe/Berlin",
    )


@pytest.fixture
def outsider(db: None) -> User:
    return user_create(
        Account.objects.create(name="Fabrikam", slug="fabrikam"), username="otto", password="x"
    )


def client_of(user: User | None) -> APIClient:
    """Return a client signed in as a user, or as nobody."""
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.fixture
def api(engineer: User) -> APIClient:
    return client_of(engineer)


@pytest.fixture
def owner_api(owner: User) -> APIClient:
    return client_of(owner)


@pytest.fixture
def outsider_api(outsider: User) -> APIClient:
    return client_of(outsider)


@pytest.fixture
def actor(engineer: User) -> Actor:
    return Actor(engineer.pk, engineer.display_name)


@pytest.fixture
def connection(account: Account) -> Any:
    return Connection.objects.create(
        tenant=account,
        provider="connectwise",
        name="ConnectWise",
        site="127.0.0.1:9",
        company_id="acme",
        credentials={"company_id": "acme", "public_key": "a", "private_key": "b", "client_id": "c"},
        state="connected",
    )


def make_link(connection: Any, ticket_id: str = "4711") -> Any:
    """Return the lane of a ticket, made if needed."""
    link, _ = TicketLink.objects.get_or_create(
        tenant=connection.tenant,
        connection=connection,
        record_type="service",
        ticket_id=ticket_id,
        defaults={"summary": "Printer offline", "board_id": "1", "board_name": "Service Desk"},
    )
    return link


@pytest.fixture
def psa_tickets(connection: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, RecordType | None]]:
    """Let the PSA know every ticket and every status without being asked; return the tickets looked up."""
    asked: list[tuple[str, RecordType | None]] = []

    def ticket_link(tenant: Any, connection_id: int, ticket_id: str, record_type: Any = None) -> Any:
        asked.append((ticket_id, record_type))
        return make_link(Connection.objects.get(tenant=tenant, pk=connection_id), ticket_id)

    monkeypatch.setattr(psa_services, "ticket_link", ticket_link)
    monkeypatch.setattr(psa_services, "status_check", lambda *args: None)
    return asked


@pytest.fixture
def session(account: Account, actor: Actor) -> FlowSession:
    """An open session with one step and no ticket."""
    made = services.session_create(account, actor=actor, title="Printer offline")
    services.step_add(account, made.pk, actor=actor, title="Login", body=STEP_BODY, result="Could sign in")
    return selectors.session_get(account, made.pk)


@pytest.fixture
def linked(
    account: Account,
    actor: Actor,
    session: FlowSession,
    connection: Any,
    psa_tickets: list[Any],
) -> FlowSession:
    """An open session with one step, linked to ticket 4711."""
    return services.ticket_link(account, session.pk, connection.pk, "4711", actor=actor)


def texts(session: FlowSession) -> dict[str, str]:
    """Return what is queued for a session: kind → text (the last one of a kind)."""
    rows = Delivery.objects.filter(unit__origin=session.origin).order_by("seq")
    return {row.kind: row.payload.get("text", "") for row in rows}


def kinds(session: FlowSession) -> list[str]:
    """Return the kinds queued for a session, in the order they reach the ticket."""
    return list(
        Delivery.objects.filter(unit__origin=session.origin).order_by("seq").values_list("kind", flat=True)
    )


AtOnce = Callable[[Sequence[Callable[[], Any]]], list[Any]]


@pytest.fixture
def at_once(transactional_db: None, tmp_path: Path) -> AtOnce:
    """Return a function that runs calls at the same moment, each on a connection of its own.

    In-memory SQLite does not let two connections wait for each other, so the calls get a copy of it in a
    file. Look at what they did from within a call, too.
    """
    name = database.settings_dict["NAME"]
    if database.vendor == "sqlite" and database.is_in_memory_db():
        name = str(tmp_path / "copy.sqlite3")

    def run(calls: Sequence[Callable[[], Any]]) -> list[Any]:
        if database.vendor == "sqlite" and not Path(name).exists():
            with database.cursor() as cursor:
                cursor.execute("VACUUM INTO %s", [name])
        barrier = threading.Barrier(len(calls))
        answers: list[Any] = [None] * len(calls)

        def one(place: int) -> None:
            barrier.wait(10)
            try:
                answers[place] = calls[place]()
            finally:
                database.close()

        threads = [threading.Thread(target=one, args=(place,)) for place in range(len(calls))]
        with mock.patch.dict(database.settings_dict, {"NAME": name}):
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
        return answers

    return run
