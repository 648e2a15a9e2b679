"""Every request a test of this provider sends is checked against the reference, whatever it is about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest

from psa.providers.connectwise.provider import ConnectWiseProvider
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.providers.connectwise.tests.checker import check_request
from psa.providers.http import HttpClient
from psa.providers.tests.contract import MemoryCache
from psa.types import ConnectionConfig, Endpoint

CREDENTIALS = {
    "company_id": "acme",
    "public_key": "pub1ic",
    "private_key": "pr1vate:with:colons",
    "client_id": "01234567-89ab-cdef-0123-456789abcdef",
}
BASE = "https://api-na.myconnectwise.net/v2025_1/apis/3.0"


@pytest.fixture(autouse=True)
def check_every_request(monkeypatch: pytest.MonkeyPatch) -> None:
    original = HttpClient._attempt

    def attempt(self: HttpClient, request: Any, *rest: Any, **options: Any) -> Any:
        check_request(request)
        return original(self, request, *rest, **options)

    monkeypatch.setattr(HttpClient, "_attempt", attempt)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psa.providers.retry.FIRST_WAIT_S", 0.001)


def make_provider(**changes: Any) -> ConnectWiseProvider:
    """Return a provider for mocked answers: it has been discovered already."""
    settings: dict[str, Any] = {
        "key": "test",
        "site": "na.myconnectwise.net",
        "credentials": CREDENTIALS,
        "endpoint": Endpoint("na.myconnectwise.net", BASE, "v2025.1", "2025.16"),
        **changes,
    }
    config = ConnectionConfig(**settings)
    return ConnectWiseProvider(config, HttpClient(trusted_hosts=config.trusted_hosts), MemoryCache())


@pytest.fixture
def provider() -> Iterator[ConnectWiseProvider]:
    made = make_provider()
    yield made
    made.close()


@pytest.fixture
def live(sandbox: SandboxServer) -> Iterator[ConnectWiseProvider]:
    """Return a provider that speaks to the sandbox over a socket."""
    made = make_provider(
        site=ConnectWiseProvider.site_clean(sandbox.url),
        credentials=asdict(sandbox.credentials),
        trusted_hosts=("127.0.0.1",),
        endpoint=None,
    )
    yield made
    made.close()
