"""Owns a row of every model the admin shows, of one tenant, and more of them on demand.

A model that is new needs a line here: `test_admin_pages` looks for one of each.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from allauth.mfa.models import Authenticator
from django.utils import timezone

from psa.models import IdempotencyRecord, MemberReview
from psa.tests.conftest import World, world_make
from resolutionflow.accounts.models import User
from resolutionflow.accounts.services import token_create, user_create
from resolutionflow.flows.models import Flow, FlowStep
from resolutionflow.sessions.models import FlowSession, SessionPause, SessionStep
from resolutionflow.suggestions.models import Suggestion

TOTP_SECRET = "sealed-secret-of-the-phone"


@dataclass
class Tenant:
    """A tenant with its first row of every model. All texts hold the name of the tenant."""

    world: World
    rows: dict[str, Any] = field(default_factory=dict)
    """Row by label of its model: {"psa.Connection": …}."""
    secrets: list[str] = field(default_factory=list)
    """What no page may show."""

    @property
    def owner(self) -> User:
        """The admin of the account."""
        return self.world.owner


def tenant_make(name: str) -> Tenant:
    """Store a tenant with one row of every model."""
    world = world_make(name)
    made = Tenant(world)
    world.connection.refresh_from_db()
    world.mapping.refresh_from_db()
    own = [*world.rows(), *_host_rows(made, world.engineer, world.connection, world.link, world.unit, 1)]
    made.rows = {row._meta.label: row for row in [*own, world.account, world.engineer]}
    made.secrets += [
        world.connection.credentials.sealed(),
        world.connection.credentials["api_key"],
        world.mapping.own_credentials.sealed(),
        world.mapping.own_credentials["private_key"],
        str(world.subscription.secret_id),
        world.receipt.signature,
        world.engineer.password,
    ]
    return made


def tenant_grow(made: Tenant, number: int) -> None:
    """Store one more row of every model, and another child on the pages that show children."""
    world = made.world
    person = user_create(world.account, username=f"{world.account.name}-{number}", password="x")
    connection = _copy(world.connection, company_id=str(number), credentials={"api_key": "k"})
    at = {"connection_id": connection.pk}
    link = _copy(world.link, ticket_id=str(number), **at)
    unit = _copy(world.unit, link_id=link.pk)
    delivery = _copy(world.delivery, link_id=link.pk, unit_id=unit.pk, marker=f"RF-x{number}", **at)
    _copy(world.delivery, seq=number, marker=f"RF-{number}")
    _copy(world.attempt)
    _copy(world.attempt, delivery_id=delivery.pk)
    _copy(world.block, number=number)
    _copy(world.audit, **at)
    _copy(world.mapping, user_id=person.pk, own_credentials={"private_key": "k"}, **at)
    _copy(world.rule, **at)
    subscription = _copy(world.subscription, secret_id=uuid.uuid4(), **at)
    _copy(world.receipt, subscription_id=subscription.pk)
    _copy(world.sighting, ticket_id=str(number), **at)
    _host_rows(made, person, connection, link, unit, number)
    FlowStep.objects.create(flow=made.rows["flows.Flow"], position=number, title="Another step")
    SessionStep.objects.create(session=made.rows["flow_sessions.FlowSession"], position=number, body="x")
    SessionPause.objects.create(
        session=made.rows["flow_sessions.FlowSession"], started_at=timezone.now(), ended_at=timezone.now()
    )


def _host_rows(made: Tenant, person: User, connection: Any, link: Any, unit: Any, number: int) -> list[Any]:
    account, name = made.world.account, made.world.account.name
    token = token_create(person, name=f"{name} export")
    made.secrets += [token.key, token.key.split("_", 2)[2], token.token.digest]
    factor = Authenticator.objects.create(
        user=person, type=Authenticator.Type.TOTP, data={"secret": TOTP_SECRET}
    )
    made.secrets.append(TOTP_SECRET)
    now = timezone.now()
    review = MemberReview.objects.create(tenant=account, connection=connection, due_at=now, checked_at=now)
    key = IdempotencyRecord.objects.create(
        tenant=account,
        caller=f"user:{person.pk}",
        key=f"{name}-{number}",
        fingerprint="x",
        unit=unit,
        delivery=unit.deliveries.first(),
    )
    flow = Flow.objects.create(account=account, title=f"{name} flow {number}")
    step = FlowStep.objects.create(flow=flow, position=1, title=f"{name} step")
    session = FlowSession.objects.create(
        account=account,
        title=f"{name} session",
        flow=flow,
        link=link,
        linked_at=now,
        created_by=person,
        created_by_name=person.username,
    )
    done = SessionStep.objects.create(session=session, position=1, title=f"{name} did it", body="x")
    rest = SessionPause.objects.create(session=session, started_at=now, paused_by_name=person.username)
    suggestion = Suggestion.objects.create(
        account=account,
        connection=connection,
        ticket_id=str(number),
        record_type="service",
        summary=f"{name} printer",
        flows=[{"flow": flow.pk, "title": flow.title, "score": 1.0, "reasons": [f"{name} fits."]}],
        for_user=person,
    )
    return [suggestion, token.token, factor, person.membership, review, key, flow, step, session, done, rest]


def _copy(row: Any, **changes: Any) -> Any:
    values = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields[1:]}
    return type(row)._base_manager.create(**{**values, **changes})
