"""Owns the people and rows of the API tests: an owner, two engineers, and an outsider of another account."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from psa.models import Connection, Delivery, TicketLink, WorkUnit
from resolutionflow.accounts.models import Account, Role, User
from resolutionflow.accounts.services import user_create

SECRET = "s3cret-private-key"

Make = Callable[..., Any]


def client_of(user: User) -> APIClient:
    """Return a client that is signed in as a user."""
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.fixture
def account(db: None) -> Account:
    return Account.objects.create(name="Northwind IT", slug="northwind")


@pytest.fixture
def owner(account: Account) -> User:
    return user_create(account, username="olga", password="x", role=Role.ADMIN)


@pytest.fixture
def engineer(account: Account) -> User:
    return user_create(account, username="eva", password="x", first_name="Eva", last_name="Engineer")


@pytest.fixture
def colleague(account: Account) -> User:
    return user_create(account, username="ben", password="x")


@pytest.fixture
def outsider(db: None) -> User:
    other = Account.objects.create(name="Fabrikam", slug="fabrikam")
    return user_create(other, username="otto", password="x", role=Role.ADMIN)


@pytest.fixture
def owner_api(owner: User) -> APIClient:
    return client_of(owner)


@pytest.fixture
def engineer_api(engineer: User) -> APIClient:
    return client_of(engineer)


@pytest.fixture
def outsider_api(outsider: User) -> APIClient:
    return client_of(outsider)


@pytest.fixture
def connection_make(account: Account) -> Make:
    def make(**values: Any) -> Connection:
        number = Connection.objects.count() + 1
        given = {
            "tenant": account,
            "provider": "connectwise",
            "name": f"PSA {number}",
            "site": f"psa{number}.example.com",
            "company_id": "acme",
            "credentials": {"company_id": "acme", "public_key": "pub", "private_key": SECRET},
            "endpoint": {"version": "v2025.16"},
            "features": [{"feature": "notes", "status": "ok", "grant": ""}],
            "state": "connected",
        }
        return Connection.objects.create(**{**given, **values})

    return make


@pytest.fixture
def connection(connection_make: Make) -> Connection:
    return connection_make()


@pytest.fixture
def unit_make(engineer: User) -> Make:
    """Return a function that stores a unit with deliveries, each on a ticket of its own connection."""

    def make(
        connection: Connection, *, parts: int = 1, by: User = engineer, origin: str = "", **values: Any
    ) -> WorkUnit:
        link = TicketLink.objects.create(
            tenant=connection.tenant,
            connection=connection,
            record_type="service",
            ticket_id=str(1000 + TicketLink.objects.count()),
            summary="Printer offline",
        )
        person = {"created_by": by, "created_by_name": by.display_name}
        unit = WorkUnit.objects.create(tenant=connection.tenant, link=link, origin=origin, **person)
        for part in range(1, parts + 1):
            given = {
                "kind": "analysis",
                "payload": {"text": "Restarted the spooler."},
                "due_at": timezone.now(),
            }
            Delivery.objects.create(
                tenant=connection.tenant,
                connection=connection,
                link=link,
                unit=unit,
                seq=part,
                part=part,
                parts=parts,
                **{**given, **person, **values},
            )
        return unit

    return make


@pytest.fixture
def delivery(connection: Connection, unit_make: Make) -> Delivery:
    return unit_make(connection).deliveries.get()
