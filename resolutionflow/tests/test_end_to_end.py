"""The first promise of the product, over REST and a real socket: documentation lands on its ticket."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from rest_framework.test import APIClient

from psa.outbox.worker import Worker
from psa.providers.connectwise.sandbox.server import SandboxServer
from resolutionflow.accounts.models import Account, Membership, Role, User
from resolutionflow.accounts.services import token_create

TICKET = "57050"
STEP = "Cleared the stuck job with 'net stop spooler' on PRN-02"


@pytest.fixture
def api(db: None) -> APIClient:
    account = Account.objects.create(name="Acme MSP", slug="acme")
    user = User.objects.create_user(
        "alice", first_name="Alice", last_name="Monroe", time_zone="Europe/Berlin"
    )
    Membership.objects.create(user=user, account=account, role=Role.ADMIN)
    key = token_create(user, name="test").key
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {key}")
    return client


def call(api: APIClient, method: str, path: str, body: Any = None, **headers: str) -> Any:
    answer = getattr(api, method)(f"/api/v1{path}", body, format="json", headers=headers)
    assert answer.status_code < 300, answer.content
    return answer.json()


def connect(api: APIClient, sandbox: SandboxServer) -> int:
    keys = sandbox.credentials
    body = {
        "provider": "connectwise",
        "name": "Sandbox",
        "site": sandbox.url,
        "credentials": {
            "company_id": keys.company_id,
            "public_key": keys.public_key,
            "private_key": keys.private_key,
            "client_id": keys.client_id,
        },
    }
    connection = call(api, "post", "/connections/", body)
    assert keys.private_key not in json.dumps(connection)
    assert connection["state"] == "connected"
    return int(connection["id"])


def session_with_step(api: APIClient, connection: int) -> str:
    session = call(api, "post", "/sessions/", {"title": "Printer offline"})
    path = f"/sessions/{session['id']}"
    call(api, "post", f"{path}/steps/", {"title": "Spooler", "body": STEP, "result": "Queue is empty"})
    call(api, "put", f"{path}/ticket/", {"connection": connection, "ticket_id": int(TICKET)})
    return path


def read(sandbox: SandboxServer, path: str) -> Any:
    keys = sandbox.credentials
    return requests.get(
        f"{sandbox.url}/v4_6_release/apis/3.0{path}",
        auth=(f"{keys.company_id}+{keys.public_key}", keys.private_key),
        headers={"clientId": keys.client_id},
        timeout=5,
    ).json()


def test_note_resolution_and_status_reach_the_ticket_once_and_in_order(
    api: APIClient, sandbox: SandboxServer
) -> None:
    path = session_with_step(api, connect(api, sandbox))
    before = {note["id"] for note in read(sandbox, f"/service/tickets/{TICKET}/notes")}
    call(api, "post", f"{path}/notes/", {"kind": "analysis"}, **{"Idempotency-Key": "one"})
    call(api, "post", f"{path}/notes/", {"kind": "analysis"}, **{"Idempotency-Key": "one"})
    done = {"outcome": "resolved", "resolution": "The printer prints again.", "status": "Closed"}
    unit = call(api, "post", f"{path}/complete/", done)
    Worker(4).run(once=True)

    notes = [note for note in read(sandbox, f"/service/tickets/{TICKET}/notes") if note["id"] not in before]
    assert [
        (note["internalAnalysisFlag"], note["detailDescriptionFlag"], note["resolutionFlag"])
        for note in notes
    ] == [(True, False, False), (False, False, True)]
    assert STEP in notes[0]["text"]
    assert "spooler" not in notes[1]["text"]
    assert read(sandbox, f"/service/tickets/{TICKET}")["status"]["name"] == "Closed"
    assert call(api, "get", f"/units/{unit['id']}/")["state"] == "delivered"
    writes = [row for row in sandbox.requests if row["method"] in ("POST", "PATCH")]
    assert [row["method"] for row in writes] == ["POST", "POST", "PATCH"]
    assert all(json.loads(row["body"])["processNotifications"] is False for row in writes[:2])
    assert requests.get(f"{sandbox.url}/_sandbox/mails", timeout=5).json() == []


def test_nothing_the_customer_can_read_holds_a_step(api: APIClient, sandbox: SandboxServer) -> None:
    path = session_with_step(api, connect(api, sandbox))
    done = {"outcome": "resolved", "resolution": "All well.", "status": "Closed", "notify": True}
    call(api, "post", f"{path}/complete/", done)
    Worker(4).run(once=True)
    visible = [
        note["text"]
        for note in read(sandbox, f"/service/tickets/{TICKET}/notes?pageSize=1000")
        if note.get("resolutionFlag") or note.get("detailDescriptionFlag")
    ]
    assert any("All well." in text for text in visible)
    assert not any(word in text for text in visible for word in ("Spooler", "PRN-02", "Queue is empty"))
    assert "PRN-02" not in json.dumps(requests.get(f"{sandbox.url}/_sandbox/mails", timeout=5).json())


def test_a_psa_that_is_down_stops_nobody_from_posting(api: APIClient, sandbox: SandboxServer) -> None:
    connection = connect(api, sandbox)
    path = session_with_step(api, connection)
    sandbox.faults.add(kind="drop_before")
    unit = call(api, "post", f"{path}/complete/", {"outcome": "escalated", "status": "Escalated"})
    assert [row["state"] for row in unit["deliveries"]] == ["ready", "ready"]
    answer = api.get(f"/api/v1/connections/{connection}/boards/")
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/psa-unavailable")
    assert "Retry-After" in answer.headers
