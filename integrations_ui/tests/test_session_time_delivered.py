"""Time of a completed session, from REST through the worker to what ConnectWise keeps."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from integrations_ui.tests.session_desk import STEP, begin, connect_sandbox, link, map_member
from psa.models import Connection, Delivery
from psa.outbox.worker import Worker
from psa.providers.connectwise.sandbox.server import SandboxServer
from resolutionflow.accounts.models import Account, User
from resolutionflow.sessions.models import FlowSession

pytestmark = pytest.mark.django_db


@pytest.fixture
def connection(account: Account, owner: User, sandbox: SandboxServer) -> Connection:
    return connect_sandbox(account, owner, sandbox)


@pytest.fixture
def session(account: Account, member: User, connection: Connection) -> FlowSession:
    map_member(connection, member, "eowens", "103")
    return link(begin(account, member), connection, member)


def entries(sandbox: SandboxServer) -> list[dict[str, Any]]:
    rows = sandbox.gateway.state.store.table("time/entries").rows.values()
    return [row.data for row in rows if "Ref RF-" in row.data.get("internalNotes", "")]


def ending(**time: Any) -> dict[str, Any]:
    now = timezone.now().replace(second=0, microsecond=0)
    wanted = {
        "start": (now - timedelta(minutes=45)).isoformat(),
        "end": now.isoformat(),
        "deduct_minutes": 10,
        "notes": "Printer repaired.",
    }
    return {"outcome": "resolved", "resolution": "It prints again.", "time": wanted | time}


def post(client: Client, session: FlowSession, name: str, body: dict[str, Any]) -> Any:
    url = f"/api/v1/sessions/{session.pk}/{name}/"
    return client.post(url, body, content_type="application/json", headers={"Idempotency-Key": "one"})


def test_a_completed_session_enters_its_time_once_and_shows_no_step(
    client: Client, member: User, session: FlowSession, sandbox: SandboxServer
) -> None:
    client.force_login(member)
    first = post(client, session, "complete", body := ending())
    again = post(client, session, "complete", body)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]
    Worker(2).run(once=True)
    assert list(Delivery.objects.order_by("seq").values_list("kind", "state")) == [
        ("analysis", "delivered"),
        ("resolution", "delivered"),
        ("time", "delivered"),
    ]
    [entry] = entries(sandbox)
    assert (entry["actualHours"], entry["hoursBilled"]) == (pytest.approx(0.5833, abs=1e-3), 0.75)
    assert entry["member"]["id"] == 103
    assert entry["notes"] == "Printer repaired."
    assert STEP in entry["internalNotes"]
    state = sandbox.gateway.state
    told = [
        *state.store.table("service/tickets/notes").rows.values(),
        *state.store.table("timeNotes").rows.values(),
    ]
    doors = ("detailDescriptionFlag", "resolutionFlag")
    assert not any(STEP in row.data["text"] for row in told if any(row.data.get(flag) for flag in doors))
    assert state.mails == []


def test_time_that_is_there_already_asks_first(
    client: Client, member: User, session: FlowSession, sandbox: SandboxServer
) -> None:
    client.force_login(member)
    wanted = ending()["time"]
    assert post(client, session, "time", wanted).status_code == 202
    Worker(2).run(once=True)
    refused = client.post(
        f"/api/v1/sessions/{session.pk}/complete/", ending(notes="Again."), content_type="application/json"
    )
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/time-overlap")
    assert len(entries(sandbox)) == 1
    accepted = client.post(
        f"/api/v1/sessions/{session.pk}/complete/",
        ending(notes="Again.", accept=["overlap", "same-day"]),
        content_type="application/json",
    )
    assert accepted.status_code == 202
    Worker(2).run(once=True)
    assert len(entries(sandbox)) == 2


def test_a_closed_period_is_told_and_can_be_held_for_a_lead(
    client: Client, member: User, lead: User, session: FlowSession, sandbox: SandboxServer
) -> None:
    client.force_login(member)
    sandbox.configure(time_closed_before="2099-01-01T00:00:00Z")
    assert post(client, session, "complete", ending(hold=True)).status_code == 202
    Worker(2).run(once=True)
    time = Delivery.objects.get(kind="time")
    assert (time.state, (time.problem or {})["code"]) == ("dead", "held-for-lead")
    assert Delivery.objects.exclude(kind="time").exclude(state="delivered").count() == 0
    retry = f"/api/v1/deliveries/{time.pk}/retry/"
    assert client.post(retry).status_code == 403
    sandbox.configure(time_closed_before=None)
    client.force_login(lead)
    assert client.post(retry).status_code in (200, 202)
    Worker(2).run(once=True)
    assert len(entries(sandbox)) == 1
