"""Suggestions on the Integrations page without a browser: what is shown to whom, and what a click answers."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from integrations_ui.tests.conftest import queries_of
from integrations_ui.tests.session_desk import HTMX, text_of
from psa.exceptions import UnavailableError
from psa.models import Connection
from psa.providers.dummy.server import DummyServer
from resolutionflow.accounts.models import Account, User
from resolutionflow.flows.models import Flow
from resolutionflow.sessions.models import FlowSession
from resolutionflow.suggestions.models import Suggestion

PAGE = "/integrations/"
LIST = "/integrations/suggestions/"


@pytest.fixture
def connection(account: Account, settings: Any) -> Connection:
    settings.PSA = {**settings.PSA, "PROVIDERS": {"dummy": "psa.providers.dummy.provider.DummyProvider"}}
    return Connection.objects.create(
        tenant=account,
        provider="dummy",
        name="Main PSA",
        site="dummy.example",
        credentials={"api_key": "k"},
        state="connected",
    )


def suggest(
    connection: Connection, number: int = 1001, user: User | None = None, **values: Any
) -> Suggestion:
    flow = {"flow": 1, "title": "Printer does not print", "score": 3.0, "reasons": ["Printer in its title."]}
    given = {"summary": f"Printer {number} is silent", "why": "created", "flows": [flow]}
    return Suggestion.objects.create(
        account=connection.tenant,
        connection=connection,
        ticket_id=str(number),
        record_type="service",
        for_user=user,
        **{**given, **values},
    )


def page(client: Client, user: User, address: str = PAGE, **headers: str) -> str:
    client.force_login(user)
    answer = client.get(address, **headers)
    assert answer.status_code == 200
    return text_of(answer)


def test_one_sees_ones_own_and_those_of_nobody(
    client: Client, connection: Connection, member: User, lead: User
) -> None:
    suggest(connection, 1001, member)
    suggest(connection, 1002, None)
    mine, theirs = page(client, member), page(client, lead)
    assert "Printer 1001 is silent" in mine
    assert "Printer 1001 is silent" not in theirs
    assert "Printer 1002 is silent" in mine
    assert "Printer 1002 is silent" in theirs
    assert "Printer in its title." in mine


def test_without_any_there_is_no_section(client: Client, connection: Connection, member: User) -> None:
    assert "For tickets that are new" not in page(client, member)


def test_the_live_list_answers_only_what_changed(
    client: Client, connection: Connection, member: User
) -> None:
    first = page(client, member, LIST, **HTMX)
    address = re.search(r'hx-get="([^"]+)"', first)
    assert address
    assert client.get(address[1], **HTMX).status_code == 204
    suggest(connection, user=member)
    again = client.get(address[1], **HTMX)
    assert again.status_code == 200
    assert ">New<" in text_of(again)
    assert Suggestion.objects.get().state == "new", "only a page a person opened takes the mark off"
    assert client.get(LIST).status_code == 302


@pytest.mark.parametrize(
    ("number", "error", "said"),
    [
        (999_999, None, "does not exist, or its board is hidden"),
        (1001, UnavailableError("The PSA does not answer."), "Nothing was begun. The PSA does not answer."),
    ],
)
def test_what_cannot_be_begun_says_why(
    client: Client, connection: Connection, member: User, number: int, error: Exception | None, said: str
) -> None:
    flow = Flow.objects.create(account=connection.tenant, title="Printer")
    row = {"flow": flow.pk, "title": flow.title, "score": 1.0, "reasons": []}
    one = suggest(connection, number, member, flows=[row])
    if error:
        DummyServer.of(str(connection.pk)).fail_next("ticket_get", error)
    client.force_login(member)
    answer = client.post(f"{LIST}{one.pk}/accept/", follow=True)
    assert said in text_of(answer)
    assert not FlowSession.objects.exists()
    assert Suggestion.objects.get().state == "seen"


def test_dismiss_without_javascript_leads_back(client: Client, connection: Connection, member: User) -> None:
    one = suggest(connection, user=member)
    client.force_login(member)
    answer = client.post(f"{LIST}{one.pk}/dismiss/", follow=True)
    assert "was put away" in text_of(answer)
    again = client.post(f"{LIST}{one.pk}/restore/", **HTMX)
    assert "Printer 1001 is silent" in text_of(again)


def test_what_a_ticket_says_stays_text(client: Client, connection: Connection, member: User) -> None:
    suggest(connection, user=member, summary="<img src=x onerror=alert(1)>")
    assert "<img src=x" not in page(client, member)


def test_a_deleted_connection_takes_its_suggestions_along(
    client: Client, connection: Connection, member: User
) -> None:
    suggest(connection, user=member)
    Connection.objects.update(deleted_at="2026-01-01T00:00:00Z")
    assert "Printer 1001" not in page(client, member)


def test_the_page_costs_the_same_however_many_there_are(
    client: Client, connection: Connection, member: User
) -> None:
    suggest(connection, 1, member, state="seen")
    client.force_login(member)
    before = queries_of(client, PAGE)
    for number in range(2, 40):
        suggest(connection, number, member, state="seen")
    assert queries_of(client, PAGE) == before
    assert "There are more; these are the newest." in page(client, member)


@pytest.mark.parametrize("given", ["9" * 5_000, "²", "-1", "x", "9" * 18])
def test_a_flow_nobody_offered_is_refused_in_a_sentence(
    client: Client, connection: Connection, member: User, given: str
) -> None:
    one = suggest(connection, 1001, member)
    client.force_login(member)
    answer = client.post(f"{LIST}{one.pk}/accept/", {"flow": given}, follow=True)
    assert answer.status_code == 200
    assert "This flow was not suggested for the ticket." in text_of(answer)
    assert not FlowSession.objects.exists()
