"""Tests of role × page × tenant: every address of the URL configuration, for everybody who could ask."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, get_resolver

from integrations_ui.tests.matrix import BODIES, CALLS, DELIVERED, PAGES, PREFIXES, PUBLIC
from psa import selectors, services
from psa.models import CallbackSubscription, Delivery, StatusRule
from psa.providers.dummy.server import DummyServer
from psa.types import Actor, Document, NoteKind, NotePart, RecordType
from resolutionflow.accounts.models import Account, Role, User
from resolutionflow.accounts.services import token_create, user_create
from resolutionflow.flows.models import Flow
from resolutionflow.sessions import services as session_services
from resolutionflow.suggestions.models import Suggestion

ROLES = {"engineer": Role.ENGINEER, "lead": Role.LEAD, "admin": Role.ADMIN}
RANK = list(ROLES)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
TELLTALE = "Zebra"
"""Stands in everything the account has, and nowhere else."""
REFUSED = {"code": "psa-refused", "text": f"{TELLTALE} was refused.", "remedy": "Discard it."}


def routes(patterns: list[Any] | None = None, prefix: str = "") -> Iterator[str]:
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        route = f"{prefix}{pattern.pattern}"
        if isinstance(pattern, URLPattern):
            yield route
        else:
            yield from routes(pattern.url_patterns, route)


ROUTES = list(routes())
ROWS = [
    pytest.param(route, *entry.split(), id=f"{entry.split()[0]} {route}")
    for route, entries in (PAGES | CALLS).items()
    for entry in entries.split(", ")
]


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody got."""

    status: int
    headers: Mapping[str, str]
    text: str


class World:
    """One account with everything an address can name, and one that has nothing."""

    def __init__(self) -> None:
        self.account = Account.objects.create(name=f"{TELLTALE} IT", slug="zebra")
        other = Account.objects.create(name="Outside", slug="outside")
        self.people: dict[str, User | None] = {"anonymous": None}
        self.people["outsider"] = user_create(other, username="otto", password="x", role=Role.ADMIN)
        for name, role in ROLES.items():
            self.people[name] = user_create(self.account, username=name, password="x", role=role)
        engineer = self.people["engineer"]
        actor = Actor(engineer.pk, f"{TELLTALE} Engineer")
        self.connection = services.connection_create(
            self.account,
            actor=actor,
            provider="dummy",
            name=f"{TELLTALE} PSA",
            site="zebra.example",
            credentials={"api_key": "good"},
        )
        server = DummyServer.of(str(self.connection.pk))
        self.number = next(number for kind, number in server.tickets if kind is RecordType.SERVICE)
        server.files[(RecordType.SERVICE, self.number)] = [
            (Document("1", self.number, f"{TELLTALE} file", "a.txt", 1), b"x")
        ]
        self.session = session_services.session_create(self.account, actor=actor, title=f"{TELLTALE} session")
        linked = session_services.ticket_link(
            self.account, self.session.pk, self.connection.pk, self.number, actor=actor
        )
        part = NotePart(NoteKind.ANALYSIS, f"{TELLTALE} text")
        states = {"dead": {"problem": REFUSED}, "delivered": {"external_id": "1"}}
        self.deliveries: dict[str, Delivery] = {}
        for state, values in states.items():
            unit = services.unit_enqueue(
                self.account, linked.link_id, [part], actor=actor, origin=self.session.origin
            )
            Delivery.objects.filter(unit=unit).update(state=state, **values)
            self.deliveries[state] = unit.deliveries.get()
        board_id = next(iter(server.boards))
        StatusRule.objects.create(
            tenant=self.account,
            connection=self.connection,
            board_id=board_id,
            outcome="resolved",
            status_id=server.statuses[board_id][0].id,
            status_name=server.statuses[board_id][0].name,
        )
        self.board_id = board_id
        flow = Flow.objects.create(account=self.account, title=f"{TELLTALE} flow")
        self.suggestion = Suggestion.objects.create(
            account=self.account,
            connection=self.connection,
            ticket_id=self.number,
            record_type="service",
            summary=f"{TELLTALE} ticket",
            flows=[{"flow": flow.pk, "title": flow.title, "score": 1.0, "reasons": ["x"]}],
        )
        self.callback = CallbackSubscription.objects.create(
            tenant=self.account, connection=self.connection, type="ticket", level="owner", object_id="1"
        )
        self.tokens = {
            name: token_create(self.people[name], name=f"{TELLTALE} token").token for name in ROLES
        }
        (self.problem,) = selectors.problems(self.account, created_by=engineer.pk)
        self.engineer = engineer

    def url(self, route: str, who: str) -> str:
        """Return an address with ids of ours in it; a token is one's own where one has any."""
        delivery = self.deliveries["delivered" if route in DELIVERED else "dead"]
        examples = {
            "board_id": self.board_id,
            "callback_id": self.callback.pk,
            "connection_id": self.connection.pk,
            "delivery_id": delivery.pk,
            "document_id": "1",
            "id": self.engineer.pk,
            "number": self.number,
            "object_id": self.connection.pk,
            "problem_id": self.problem.id,
            "provider": "connectwise",
            "session_id": self.session.pk,
            "suggestion_id": self.suggestion.pk,
            "ticket_id": self.number,
            "token_id": self.tokens.get(who, self.tokens["engineer"]).pk,
            "unit_id": delivery.unit_id,
            "user_id": self.engineer.pk,
        }
        return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(examples[found[1]]), route)

    def body(self, route: str) -> str:
        """Return what is sent to a call."""
        sent = BODIES.get(route, {})
        if isinstance(sent, dict) and "connection" in sent:
            sent = sent | {"connection": self.connection.pk, "ticket_id": self.number}
        return json.dumps(sent)

    def ask(self, who: str, method: str, route: str) -> Answer:
        """Return what somebody gets. Nothing of it stays."""
        client = Client(raise_request_exception=False)
        kind = {"content_type": "application/json", "data": self.body(route)} if route in CALLS else {}
        with transaction.atomic():
            if person := self.people[who]:
                client.force_login(person)
            found = client.generic(method, self.url(route, who), **kind)
            # A stream is read while the rows it is made of are there.
            content = b"".join(found.streaming_content) if found.streaming else found.content
            transaction.set_rollback(True)
        return Answer(found.status_code, found.headers, content.decode())


@pytest.fixture
def world(db: None, settings: Any) -> Iterator[World]:
    paths = {**settings.PSA["PROVIDERS"], "dummy": "psa.providers.dummy.provider.DummyProvider"}
    settings.PSA = {**settings.PSA, "PROVIDERS": paths}
    DummyServer.reset()
    yield World()
    DummyServer.reset()


def test_every_address_has_a_row() -> None:
    known = PAGES.keys() | CALLS.keys() | PUBLIC.keys()
    missing = [route for route in ROUTES if route not in known and not route.startswith(tuple(PREFIXES))]
    assert missing == [], "Add these to integrations_ui/tests/matrix.py"


def test_every_row_has_an_address() -> None:
    assert [route for route in (PAGES | CALLS | PUBLIC) if route not in ROUTES] == []


@pytest.mark.parametrize(("route", "method", "least"), ROWS)
def test_only_the_right_people_get_in(world: World, route: str, method: str, least: str) -> None:
    nobody = world.ask("anonymous", method, route)
    if route in CALLS:
        assert (nobody.status, nobody.headers["Content-Type"]) == (401, "application/problem+json")
    else:
        assert nobody.status == 302
        assert nobody.headers["Location"].startswith("/accounts/login/?next=/integrations/")
    assert TELLTALE not in nobody.text

    outsider = world.ask("outsider", method, route)
    if "_id>" in route:
        assert outsider.status == 404
    else:
        assert outsider.status not in (401, 403, 405)
        assert outsider.status < 500
    assert TELLTALE not in outsider.text

    for role in RANK:
        answer = world.ask(role, method, route)
        if RANK.index(role) < RANK.index(least):
            assert (role, answer.status) == (role, 403)
        else:
            assert (role, answer.status) not in [(role, wrong) for wrong in (401, 403, 404, 405)]
            assert answer.status < 500


@pytest.mark.parametrize("table", [PAGES, CALLS], ids=["pages", "calls"])
def test_no_other_method_is_offered(world: World, table: dict[str, str]) -> None:
    for route, entries in table.items():
        offered = {entry.split()[0] for entry in entries.split(", ")}
        for method in METHODS:
            if method not in offered:
                answer = world.ask("admin", method, route)
                assert (route, method, answer.status) == (route, method, 405)


@pytest.mark.parametrize("route", PUBLIC)
def test_public_addresses_tell_nothing_of_a_tenant(world: World, route: str) -> None:
    method, status = PUBLIC[route].split()
    answer = world.ask("anonymous", method, route.removeprefix("^"))
    assert answer.status == int(status)
    assert TELLTALE not in answer.text


ADMIN = [route for route in ROUTES if re.fullmatch(r"admin/[^(]*", route) and "content_type_id" not in route]
SIGNING = ("admin/login/", "admin/logout/", "admin/jsi18n/")


@pytest.mark.parametrize("who", ["anonymous", "engineer", "lead"])
def test_django_admin_is_for_staff_only(world: World, who: str) -> None:
    for route in ADMIN:
        answer = world.ask(who, "GET", route)
        allowed = (200, 302, 403, 405) if route in SIGNING else (302, 403, 404)
        assert (route, answer.status) in [(route, status) for status in allowed]
        assert TELLTALE not in answer.text, route


def test_django_admin_shows_an_outsider_nothing(world: World) -> None:
    for route in ADMIN:
        answer = world.ask("outsider", "GET", route)
        assert answer.status < 500, route
        assert TELLTALE not in answer.text, route


@pytest.mark.parametrize("who", ["anonymous", "outsider"])
def test_account_pages_tell_nothing_of_a_tenant(world: World, who: str) -> None:
    for route in ROUTES:
        if route.startswith("accounts/") and "<" not in route:
            answer = world.ask(who, "GET", route)
            assert answer.status < 500, route
            assert TELLTALE not in answer.text, route
