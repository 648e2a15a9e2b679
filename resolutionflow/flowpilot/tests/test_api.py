"""The call by which an AI gets a session's context, against the sandbox: forms, audit, refusals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest
from django.core.cache import cache
from jsonschema import Draft202012Validator
from rest_framework.test import APIClient

from psa import services as psa_services
from psa.models import AuditEntry, Connection
from psa.provider_pool import providers_close
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Actor
from resolutionflow.accounts.models import Account, User
from resolutionflow.accounts.services import user_create
from resolutionflow.flowpilot.forms import json_schema
from resolutionflow.sessions import services
from resolutionflow.sessions.models import FlowSession, Outcome

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


@pytest.fixture
def sandbox(sandbox: SandboxServer) -> Iterator[SandboxServer]:
    cache.clear()
    yield sandbox
    providers_close()


@pytest.fixture
def engineer(db: None) -> User:
    account = Account.objects.create(name="Acme", slug="acme")
    return user_create(account, username="eva", password="x", first_name="Eva", last_name="Owens")


@pytest.fixture
def actor(engineer: User) -> Actor:
    return Actor(engineer.pk, "Eva Owens")


@pytest.fixture
def connection(engineer: User, sandbox: SandboxServer, actor: Actor) -> Connection:
    return psa_services.connection_create(
        engineer.membership.account,
        actor=actor,
        provider="connectwise",
        name="Sandbox",
        site=sandbox.url,
        credentials=asdict(sandbox.credentials),
    )


@pytest.fixture
def session(connection: Connection, actor: Actor) -> FlowSession:
    account = connection.tenant
    made = services.session_create(account, actor=actor, title="Outlook asks again")
    services.step_add(account, made.pk, actor=actor, body="Reset done, password: Winter2024!")
    services.ticket_link(account, made.pk, actor=actor, connection_id=connection.pk, ticket_id="57001")
    made.refresh_from_db()
    return made


@pytest.fixture
def api(engineer: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(engineer)
    return client


def test_json_fits_the_published_schema_and_is_written_down(api: APIClient, session: FlowSession) -> None:
    answer = api.get(f"/api/v1/sessions/{session.pk}/context/?to=FlowPilot 2")
    assert answer.status_code == 200
    form = answer.json()
    published = api.get("/api/v1/flowpilot/schema/").json()
    assert published == json_schema()
    Draft202012Validator(published).validate(form)
    assert form["ticket"] == "57001"
    assert "Winter2024" not in answer.content.decode()
    entry = AuditEntry.objects.get(verb="context.handed_out")
    assert (entry.actor_name, entry.ticket_id) == ("Eva Owens", "57001")
    assert entry.facts["to"] == "FlowPilot 2"
    assert entry.facts["session"] == session.pk
    assert entry.facts["blacked_out"] == {"password": 1}
    assert entry.facts["parts"]["notes"] >= 1
    assert "Outlook" not in str(entry.facts), "never the texts"


@pytest.mark.parametrize("asked", [{"HTTP_ACCEPT": "text/markdown"}, {"query": "?format=markdown"}])
def test_markdown_by_header_and_by_address(
    api: APIClient, session: FlowSession, asked: dict[str, str]
) -> None:
    query = asked.pop("query", "")
    answer = api.get(f"/api/v1/sessions/{session.pk}/context/{query}", **asked)
    assert answer["Content-Type"] == "text/markdown; charset=utf-8"
    assert answer.content.decode().startswith("# Ticket 57001\n")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("max_chars=10", "max_chars"),
        ("max_chars=x", "max_chars"),
        ("max_chars=99999999999", "max_chars"),
        ("to=", "to"),
    ],
)
def test_wrong_values_are_refused_by_field(
    api: APIClient, session: FlowSession, query: str, field: str
) -> None:
    answer = api.get(f"/api/v1/sessions/{session.pk}/context/?{query}")
    assert (answer.status_code, list(answer.json()["errors"])) == (422, [field])
    assert not AuditEntry.objects.filter(verb="context.handed_out").exists()


def test_without_a_ticket_there_is_no_context(api: APIClient, connection: Connection, actor: Actor) -> None:
    bare = services.session_create(connection.tenant, actor=actor, title="No ticket")
    answer = api.get(f"/api/v1/sessions/{bare.pk}/context/")
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (409, "no-ticket")


def test_another_accounts_session_does_not_exist(session: FlowSession) -> None:
    other = Account.objects.create(name="Other", slug="other")
    client = APIClient()
    client.force_authenticate(user_create(other, username="otto", password="x"))
    assert client.get(f"/api/v1/sessions/{session.pk}/context/").status_code == 404


def test_while_the_psa_is_down_the_last_known_context_is_given(
    api: APIClient, session: FlowSession, sandbox: SandboxServer, settings: Any
) -> None:
    settings.PSA = {**settings.PSA, "CONTEXT_TTL_S": 0.001}
    url = f"/api/v1/connections/{session.link.connection_id}/tickets/57001/context/"  # type: ignore[union-attr]
    first = api.get(url).json()
    assert (first["stale"], first["ticket"]["id"]) == (False, "57001")
    sandbox.faults.add("status", path=".", status=503)
    second = api.get(url).json()
    assert second["stale"]
    assert second["away"]
    assert second["fetched_at"] == first["fetched_at"]
    form = api.get(f"/api/v1/sessions/{session.pk}/context/").json()
    assert any("upgraded" in notice for notice in form["notices"])
    never = api.get(url.replace("57001", "57005"))
    assert (never.status_code, "Retry-After" in never) == (503, True)


def test_earlier_sessions_of_the_customer_are_there(
    api: APIClient, session: FlowSession, connection: Connection, actor: Actor
) -> None:
    account = connection.tenant
    old = services.session_create(account, actor=actor, title="Last month")
    services.ticket_link(account, old.pk, actor=actor, connection_id=connection.pk, ticket_id="57013")
    services.step_add(account, old.pk, actor=actor, body="x")
    draft = services.CompletionDraft(Outcome.RESOLVED, resolution="Rebuilt the profile.")
    services.session_complete(account, old.pk, draft, actor=actor)
    found = api.get(f"/api/v1/connections/{connection.pk}/tickets/57001/context/").json()["sessions"]
    assert [(row["title"], row["summary"]) for row in found] == [("Last month", "Rebuilt the profile.")]
