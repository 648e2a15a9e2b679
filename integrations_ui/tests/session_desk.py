"""Owns what tests of the session pages stand on: a connected sandbox, a session, its page as plain text."""

from __future__ import annotations

from typing import Any

from django.test import Client

from integrations_ui.tests.conftest import typed_in
from psa import services as psa_services
from psa.models import Connection, Delivery
from psa.models.member_mapping import MemberMapping
from psa.outbox.worker import Worker
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Actor
from resolutionflow.accounts.models import Account, User
from resolutionflow.sessions import selectors, services
from resolutionflow.sessions.models import FlowSession

TICKET, OTHER_TICKET, OTHER_COMPANYS = 57050, 57002, 57009
"""Two tickets of Northfield Logistics, and one of Willow Creek Veterinary."""
PROJECT_TICKET = 57061
STEP = "Password of the printer is hunter2"
HTMX = {"HTTP_HX_REQUEST": "true", "HTTP_HX_CURRENT_URL": "http://testserver/integrations/"}


def actor_of(user: User) -> Actor:
    return Actor(user.pk, user.display_name)


def connect_sandbox(
    account: Account, user: User, sandbox: SandboxServer, name: str = "Main ConnectWise"
) -> Any:
    """Return a tested connection to a sandbox."""
    keys = typed_in(sandbox)
    keys.pop("name")
    return psa_services.connection_create(
        account,
        actor=actor_of(user),
        provider="connectwise",
        name=name,
        site=keys.pop("site"),
        credentials=keys,
    )


def begin(account: Account, user: User, title: str = "Printer offline", *, steps: int = 1) -> FlowSession:
    """Return an open session with steps."""
    session = services.session_create(account, actor=actor_of(user), title=title)
    for number in range(steps):
        services.step_add(
            account,
            session.pk,
            actor=actor_of(user),
            title=f"Step {number}",
            body=STEP,
            result="Could sign in",
        )
    return selectors.session_get(account, session.pk)


def link(session: FlowSession, connection: Connection, user: User, ticket: int = TICKET) -> FlowSession:
    """Link a session to a ticket of the sandbox."""
    return services.ticket_link(session.account, session.pk, connection.pk, str(ticket), actor=actor_of(user))


def map_member(connection: Connection, user: User, identifier: str, member_id: str = "150") -> MemberMapping:
    """Say which member of the PSA a user is."""
    return MemberMapping.objects.create(
        tenant=connection.tenant,
        connection=connection,
        user=user,
        member_id=member_id,
        member_identifier=identifier,
        member_name=user.display_name,
        how="manual",
    )


def url(session: FlowSession, tail: str = "") -> str:
    return f"/integrations/sessions/{session.pk}/{tail}"


def text_of(answer: Any) -> str:
    """Return a page with single blanks."""
    return " ".join(answer.content.decode().split())


def get(client: Client, user: User, address: str, **headers: str) -> str:
    """Return a page a user opens; it has to be there."""
    client.force_login(user)
    answer = client.get(address, **headers)
    assert answer.status_code in (200, 286), answer.status_code
    return text_of(answer)


def deliver(rounds: int = 1) -> None:
    """Run a worker until nothing is due."""
    for _ in range(rounds):
        Worker(2).run(once=True)


def posts(session: FlowSession) -> list[Delivery]:
    """Return what is queued for a session, in lane order."""
    return list(Delivery.objects.filter(unit__origin=session.origin).order_by("seq"))
