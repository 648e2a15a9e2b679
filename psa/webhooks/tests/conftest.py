"""Owns a connection to the sandbox with a callback, and messages signed as ConnectWise signs them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from psa import services
from psa.models import CallbackSubscription, Connection, WebhookReceipt
from psa.provider_pool import providers_close
from psa.providers.connectwise.sandbox.callbacks import signature
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Actor
from psa.webhooks import receipts
from psa.webhooks.changes import Changes
from resolutionflow.accounts.models import Account

BASE_URL = "http://127.0.0.1:9"
"""Nothing listens there: messages of these tests come from the test client."""


@pytest.fixture
def sandbox(sandbox: SandboxServer) -> Iterator[SandboxServer]:
    sandbox.configure(callback_retry_s=[])
    cache.clear()
    receipts._paused.clear()
    yield sandbox
    providers_close()


@pytest.fixture
def base_url(settings: Any) -> str:
    settings.PSA = {**settings.PSA, "BASE_URL": BASE_URL}
    return BASE_URL


@pytest.fixture
def connection(db: None, sandbox: SandboxServer, base_url: str) -> Connection:
    account = Account.objects.create(name="Acme", slug="acme")
    return services.connection_create(
        account,
        actor=Actor(None, "Setup"),
        provider="connectwise",
        name="Sandbox",
        site=sandbox.url,
        credentials=asdict(sandbox.credentials),
    )


@pytest.fixture
def callback(connection: Connection) -> CallbackSubscription:
    return services.callback_add(connection.tenant, connection.pk, actor=Actor(None, "Admin"))


@pytest.fixture
def changes() -> Iterator[Changes]:
    made = Changes()
    yield made
    made.close()


Send = Callable[..., Any]


@pytest.fixture
def message(sandbox: SandboxServer) -> Callable[..., bytes]:
    """Return a function that makes the bytes of a message as ConnectWise would."""

    def make(number: int = 57001, action: str = "updated", **changed: Any) -> bytes:
        state = sandbox.gateway.state
        codebase = state.settings.codebase
        company = state.credentials.company_id
        body: dict[str, Any] = {
            "Action": action,
            "CompanyId": company,
            "Entity": None if action == "deleted" else json.dumps({"id": number}),
            "ID": number,
            "MemberId": "bkeller",
            "MessageId": str(uuid.uuid4()),
            "Metadata": {
                "key_url": f"{sandbox.url}/{codebase}system/callbackkey/index.rails"
                f"?companyName={company}&id={state.signing_key_id}"
            },
            "Type": "ticket",
        }
        return json.dumps({**body, **changed}).encode()

    return make


@pytest.fixture
def send(callback: CallbackSubscription, sandbox: SandboxServer) -> Send:
    """Return a function that posts a message to the callback's address and returns the answer."""

    def post(
        body: bytes, signed: str | None = None, rest: str = "?recordId=57001&action=updated", **more: Any
    ) -> Any:
        given = signature(sandbox.gateway.state.signing_key, body) if signed is None else signed
        return Client().post(
            f"/psa/webhooks/{callback.secret_id}/{rest}",
            data=body,
            content_type="application/json",
            headers={"x-content-signature": given} if given else {},
            **more,
        )

    return post


def states() -> list[tuple[str, str]]:
    """State and outcome of all receipts, the oldest first."""
    return list(WebhookReceipt.objects.order_by("id").values_list("state", "outcome"))
