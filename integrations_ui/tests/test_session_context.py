"""The context on the session page: what is known, what is missing, the last known while the PSA is away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from integrations_ui.tests.session_desk import HTMX, begin, connect_sandbox, get, link, url
from psa.models import Connection
from psa.provider_pool import providers_close
from psa.providers.connectwise.sandbox.server import SandboxServer
from resolutionflow.accounts.models import Account, User
from resolutionflow.flows.services import flow_create
from resolutionflow.sessions.models import FlowSession

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def connection(
    transactional_db: None, account: Account, owner: User, sandbox: SandboxServer
) -> Iterator[Connection]:
    cache.clear()
    yield connect_sandbox(account, owner, sandbox)
    providers_close()


@pytest.fixture
def session(account: Account, member: User, connection: Connection) -> FlowSession:
    return link(begin(account, member, "VPN down"), connection, member, 57003)


def test_everything_known_is_on_the_page(client: Client, member: User, session: FlowSession) -> None:
    page = get(client, member, url(session, "context/"))
    for words in (
        "Bluestone Law Group",
        "Priya Raman, Director",
        "Standard SLA",
        "BLUESTON-DC01",
        "PowerEdge R450",
        "Vendor case opened.",
        "Site-to-site VPN drops at regular intervals",
        "As of",
    ):
        assert words in page
    part = get(client, member, url(session, "context/"), **HTMX)
    assert "<html" not in part
    assert "Bluestone Law Group" in part


def test_what_people_wrote_stays_text(
    client: Client, member: User, session: FlowSession, sandbox: SandboxServer
) -> None:
    notes = sandbox.store.table("service/tickets/notes")
    note = notes.of((57003,))[0]
    notes.put(note, {**note.data, "text": "<script>alert(1)</script> **md**"})
    page = get(client, member, url(session, "context/"), **HTMX)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; **md**" in page


def test_while_the_psa_is_down_the_last_known_context_is_shown_with_its_age(
    client: Client, member: User, session: FlowSession, sandbox: SandboxServer, settings: Any
) -> None:
    settings.PSA = {**settings.PSA, "CONTEXT_TTL_S": 0.001}
    get(client, member, url(session, "context/"))
    sandbox.faults.add("status", path=".", status=503)
    page = get(client, member, url(session, "context/"))
    assert "This is what was known" in page
    assert "Bluestone Law Group" in page
    assert "The notes may be old" in page


def test_what_was_never_read_says_why(
    client: Client, member: User, session: FlowSession, sandbox: SandboxServer
) -> None:
    sandbox.faults.add("status", path=".", status=503)
    page = get(client, member, url(session, "context/"))
    assert "The context cannot be read:" in page
    assert "Ask again" in page


def test_a_missing_permission_is_named(
    client: Client, member: User, session: FlowSession, sandbox: SandboxServer
) -> None:
    sandbox.faults.add("status", path="calculateSla", status=403, body={"code": "Security", "message": "no"})
    page = get(client, member, url(session, "context/"))
    assert "The service level may not be read by our API member." in page
    assert "Grant Service Desk &gt; SLA Dashboard: Inquire All." in page


def test_refresh_reads_anew(
    client: Client, member: User, session: FlowSession, sandbox: SandboxServer
) -> None:
    get(client, member, url(session, "context/"))
    table = sandbox.store.table("service/tickets")
    table.put(
        table.rows[57003], {**table.rows[57003].data, "priority": {"id": 1, "name": "Everything burns"}}
    )
    assert "Everything burns" not in get(client, member, url(session, "context/"))
    client.force_login(member)
    answer = client.post(url(session, "context/"))
    assert (answer.status_code, answer["Location"]) == (302, url(session, "context/"))
    assert "Everything burns" in get(client, member, url(session, "context/"))


def test_an_open_session_is_offered_flows_and_takes_one(
    client: Client, account: Account, member: User, session: FlowSession
) -> None:
    flow = flow_create(account, title="VPN drops", keywords=["vpn"])
    assert "Flows that fit" in get(client, member, url(session, "context/"))
    client.post(url(session, "flow/"), {"flow": flow.pk})
    session.refresh_from_db()
    assert session.flow == flow
    assert "Flows that fit" not in get(client, member, url(session, "context/"))
    answer = client.post(url(session, "flow/"), {"flow": "nonsense"}, follow=True)
    assert "There is no such flow" in answer.content.decode()


def test_a_session_without_a_ticket_has_none(client: Client, account: Account, member: User) -> None:
    bare = begin(account, member)
    client.force_login(member)
    assert client.get(url(bare, "context/"), **HTMX).status_code == 204
    assert client.get(url(bare, "context/")).status_code == 302


@pytest.mark.parametrize("given", ["", "9" * 5_000, "²", "999999"])
def test_a_flow_there_is_not_changes_nothing(
    client: Client, member: User, session: FlowSession, given: str
) -> None:
    client.force_login(member)
    answer = client.post(url(session, "flow/"), {"flow": given}, follow=True)
    assert answer.status_code == 200
    session.refresh_from_db()
    assert session.flow_id is None
