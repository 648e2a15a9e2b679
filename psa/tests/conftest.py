"""Owns two tenants with a full set of rows each: an owner of both is never one person."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.utils import timezone

from psa.models import (
    AuditEntry,
    CallbackSubscription,
    Connection,
    Delivery,
    DeliveryAttempt,
    FileBlock,
    MemberMapping,
    StatusRule,
    TicketLink,
    TicketSighting,
    WebhookReceipt,
    WorkUnit,
)
from psa.provider_pool import providers_close
from psa.providers.dummy.server import DummyServer
from psa.types import Actor, Scope
from resolutionflow.accounts.models import Account, Role, User
from resolutionflow.accounts.services import user_create

SECRET = "s3cret-private-key"
OWN_SECRET = "s3cret-of-the-engineer"


@dataclass
class World:
    """One tenant, its people, and one row of every kind."""

    account: Account
    owner: User
    engineer: User
    connection: Connection
    link: TicketLink
    unit: WorkUnit
    delivery: Delivery
    attempt: DeliveryAttempt
    block: FileBlock
    audit: AuditEntry
    mapping: MemberMapping
    rule: StatusRule
    subscription: CallbackSubscription
    receipt: WebhookReceipt
    sighting: TicketSighting

    @property
    def actor(self) -> Actor:
        return Actor(self.owner.pk, self.owner.username)

    @property
    def scope(self) -> Scope:
        return Scope(self.account, self.actor, can_manage=True, can_lead=True, can_post=True)

    def rows(self) -> list[Any]:
        """Return one row of every kind."""
        return [
            self.connection,
            self.link,
            self.unit,
            self.delivery,
            self.attempt,
            self.block,
            self.audit,
            self.mapping,
            self.rule,
            self.subscription,
            self.receipt,
            self.sighting,
        ]


def world_make(name: str) -> World:
    """Store a tenant called `name`, all of whose texts hold that name."""
    account = Account.objects.create(name=name, slug=name.lower())
    owner = user_create(account, username=f"{name}-owner", password="x", role=Role.ADMIN)
    engineer = user_create(account, username=f"{name}-engineer", password="x")
    connection = Connection.objects.create(
        tenant=account,
        provider="dummy",
        name=f"{name} PSA",
        site="dummy.example",
        company_id=name,
        credentials={"api_key": SECRET},
        endpoint={"site": "dummy.example", "base_url": "", "version": "1.0", "api_version": ""},
        features=[{"feature": "notes", "status": "denied", "grant": "Service Desk: Notes"}],
        hidden_boards=["Secret board"],
        problem={"code": "x", "text": "The PSA is down.", "remedy": "Wait."},
        state="degraded",
    )
    link = TicketLink.objects.create(
        tenant=account,
        connection=connection,
        record_type="service",
        ticket_id="1001",
        summary=f"{name} printer",
        board_id="1",
        board_name="Help Desk",
        next_seq=2,
    )
    person = {"created_by": engineer, "created_by_name": engineer.username}
    unit = WorkUnit.objects.create(tenant=account, link=link, origin=f"{name}:1", **person)
    delivery = Delivery.objects.create(
        tenant=account,
        connection=connection,
        link=link,
        unit=unit,
        kind="analysis",
        seq=1,
        payload={"text": f"{name} spooler restarted."},
        marker=f"RF-{name}",
        state="dead",
        due_at=timezone.now(),
        **person,
    )
    block = FileBlock.objects.create(delivery=delivery, number=0, content=name.encode())
    attempt = DeliveryAttempt.objects.create(
        delivery=delivery, action="send", started_at=timezone.now(), duration_ms=12, outcome=f"{name}-refused"
    )
    audit = AuditEntry.objects.create(
        tenant=account,
        connection=connection,
        actor=owner,
        actor_name=owner.username,
        verb="connection.created",
        object_type="connection",
        object_id=str(connection.pk),
        facts={"name": name},
    )
    mapping = MemberMapping.objects.create(
        tenant=account,
        connection=connection,
        user=engineer,
        user_name=engineer.username,
        member_id="7",
        member_identifier="ann",
        member_name="Ann Ames",
        own_credentials={"private_key": OWN_SECRET},
    )
    rule = StatusRule.objects.create(
        tenant=account,
        connection=connection,
        board_id="1",
        board_name=f"{name} desk",
        outcome="resolved",
        status_id="14",
        status_name="Completed",
    )
    subscription = CallbackSubscription.objects.create(
        tenant=account, connection=connection, type="ticket", level="owner", object_id="1", url="https://x/y/"
    )
    receipt = WebhookReceipt.objects.create(
        subscription=subscription,
        body=b'{"Action": "updated", "ID": 1001}',
        signature="sIgNaTuRe",
        path=f"/psa/webhooks/{subscription.secret_id}/",
        outcome=f"{name} seen",
    )
    sighting = TicketSighting.objects.create(
        tenant=account, connection=connection, ticket_id="1001", seen={"summary": f"{name} printer"}
    )
    return World(
        account,
        owner,
        engineer,
        connection,
        link,
        unit,
        delivery,
        attempt,
        block,
        audit,
        mapping,
        rule,
        subscription,
        receipt,
        sighting,
    )


@pytest.fixture
def ours(db: None) -> World:
    return world_make("Northwind")


@pytest.fixture
def theirs(db: None) -> World:
    return world_make("Fabrikam")


@pytest.fixture
def dummy(settings: Any) -> Iterator[None]:
    """Make the provider in memory the only one."""
    settings.PSA = {**settings.PSA, "PROVIDERS": {"dummy": "psa.providers.dummy.provider.DummyProvider"}}
    DummyServer.reset()
    yield
    providers_close()
    DummyServer.reset()


@pytest.fixture
def keys(settings: Any) -> Callable[..., None]:
    """Return a function that sets the encryption keys, newest first."""

    def use(*found: str) -> None:
        settings.PSA = {**settings.PSA, "ENCRYPTION_KEYS": list(found)}

    return use
