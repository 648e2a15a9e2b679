"""Files of a session, from the page and REST through the worker to what ConnectWise keeps, and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from integrations_ui.tests.session_desk import STEP, begin, connect_sandbox, link, text_of, url
from psa.models import Connection, Delivery, FileBlock
from psa.outbox.worker import Worker
from psa.providers.connectwise.sandbox.server import SandboxServer
from resolutionflow.accounts.models import Account, User
from resolutionflow.sessions.models import FlowSession

# Lanes read files in their own threads, so the rows must be committed.
pytestmark = pytest.mark.django_db(transaction=True)

ENDING = {"outcome": "resolved", "resolution": "It prints again.", "attach_export": True}


@pytest.fixture
def connection(account: Account, owner: User, sandbox: SandboxServer) -> Connection:
    return connect_sandbox(account, owner, sandbox)


@pytest.fixture
def session(account: Account, member: User, connection: Connection) -> FlowSession:
    return link(begin(account, member), connection, member)


@pytest.fixture
def as_member(client: Client, member: User) -> Client:
    client.force_login(member)
    return client


def files(sandbox: SandboxServer, session: FlowSession) -> list[tuple[dict[str, Any], bytes]]:
    assert session.link is not None
    found = sandbox.files(int(session.link.ticket_id))
    return [file for file in found if "Ref RF-" in file[0]["title"]]


def ask(client: Client, session: FlowSession, name: str, body: dict[str, Any]) -> Any:
    return client.post(f"/api/v1/sessions/{session.pk}/{name}/", body, content_type="application/json")


def test_a_completed_session_lies_on_its_ticket_as_files_for_staff_alone(
    as_member: Client, session: FlowSession, sandbox: SandboxServer
) -> None:
    previewed = ask(as_member, session, "complete", ENDING | {"dry_run": True}).json()
    shown = [part for part in previewed["deliveries"] if part["kind"] == "document"]
    assert [(part["text"], part["visible_to"]) for part in shown] == [
        (f"session-{session.pk}.html", "staff"),
        (f"session-{session.pk}.json", "staff"),
    ]
    assert not FileBlock.objects.exists()
    assert ask(as_member, session, "complete", ENDING).status_code == 202
    Worker(2).run(once=True)
    assert set(Delivery.objects.values_list("state", flat=True)) == {"delivered"}
    (page, html), (record, text) = files(sandbox, session)
    assert (page["publicFlag"], record["publicFlag"]) == (False, False)
    assert [part["size"] for part in shown] == [len(html), len(text)]
    assert STEP in html.decode()
    assert json.loads(text)["session"]["outcome"] == "resolved"

    listed = as_member.get(f"/api/v1/sessions/{session.pk}/documents/").json()["results"]
    assert [row["file_name"] for row in listed][:2] == [record["fileName"], page["fileName"]]
    saved: Any = as_member.get(f"/api/v1/sessions/{session.pk}/documents/{page['id']}/")
    assert b"".join(saved.streaming_content) == html
    assert saved["Content-Disposition"].startswith("attachment;")
    assert saved["Content-Security-Policy"] == "default-src 'none'; sandbox"
    listing = text_of(as_member.get(url(session, "files/")))
    assert page["fileName"] in listing
    page_text = text_of(as_member.get(url(session)))
    assert f"session-{session.pk}.html" in page_text


def test_the_same_documentation_is_attached_once_and_a_changed_one_again(
    as_member: Client, session: FlowSession, sandbox: SandboxServer
) -> None:
    assert "Attach to the ticket" in text_of(as_member.get(url(session)))
    for _ in range(2):
        answer = as_member.post(url(session, "attach/"), follow=True)
        assert "The documentation is on the ticket as a file, or on its way there." in text_of(answer)
    Worker(2).run(once=True)
    assert ask(as_member, session, "export", {}).status_code in (201, 202)
    Worker(2).run(once=True)
    assert len(files(sandbox, session)) == 2
    ask(as_member, session, "steps", {"body": "Printed a test page."})
    as_member.post(url(session, "attach/"))
    Worker(2).run(once=True)
    assert len(files(sandbox, session)) == 4


def test_a_file_of_another_ticket_cannot_be_fetched_through_a_session(
    as_member: Client, session: FlowSession, sandbox: SandboxServer
) -> None:
    as_member.post(url(session, "attach/"))
    Worker(2).run(once=True)
    number = files(sandbox, session)[0][0]["id"]
    kind, _ticket, content = sandbox.gateway.state.files[number]
    sandbox.gateway.state.files[number] = (kind, 57001, content)
    assert as_member.get(f"/api/v1/sessions/{session.pk}/documents/{number}/").status_code == 404


def test_a_session_without_a_ticket_says_so(as_member: Client, account: Account, member: User) -> None:
    alone = begin(account, member)
    answer = text_of(as_member.post(url(alone, "attach/"), follow=True))
    assert "ticket" in answer
    assert "Attach to the ticket" not in answer
    assert ask(as_member, alone, "export", {}).status_code == 409


@pytest.mark.parametrize(("name", "body"), [("export", {}), ("complete", ENDING)])
def test_the_same_key_is_answered_with_the_same_unit(
    as_member: Client, session: FlowSession, sandbox: SandboxServer, name: str, body: dict[str, Any]
) -> None:
    address = f"/api/v1/sessions/{session.pk}/{name}/"
    key = {"Idempotency-Key": "one"}
    first = as_member.post(address, body, content_type="application/json", headers=key)
    again = as_member.post(address, body, content_type="application/json", headers=key)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]
    Worker(2).run(once=True)
    later = as_member.post(address, body, content_type="application/json", headers=key)
    assert (later.status_code, later.json()["id"]) == (201, first.json()["id"])
    assert len(files(sandbox, session)) == 2
