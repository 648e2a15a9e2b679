"""One running sandbox per module, and a client that is logged in."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from psa.providers.connectwise.sandbox.server import SandboxServer


class Api:
    """A thin client: paths below apis/3.0, JSON in and out."""

    def __init__(self, sandbox: SandboxServer) -> None:
        self.sandbox = sandbox
        self.http = requests.Session()
        self.http.trust_env = False
        keys = sandbox.credentials
        self.login(keys.public_key, keys.private_key)
        self.http.headers["clientId"] = keys.client_id

    def login(self, public_key: str, private_key: str) -> None:
        user = f"{self.sandbox.credentials.company_id}+{public_key}:{private_key}"
        self.http.headers["Authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.http.request(method, self.sandbox.api_url + path, timeout=10, **options)

    def get(self, path: str, **params: Any) -> requests.Response:
        return self.call("GET", path, params=params)

    def post(self, path: str, body: Any) -> requests.Response:
        return self.call("POST", path, json=body)

    def patch(self, path: str, *steps: Any) -> requests.Response:
        return self.call("PATCH", path, json=list(steps))

    def control(self, method: str, name: str, body: Any = None) -> requests.Response:
        url = f"{self.sandbox.url}/_sandbox/{name}"
        return self.http.request(method, url, json=body, timeout=10)


def replace(path: str, value: Any) -> dict[str, Any]:
    return {"op": "replace", "path": path, "value": value}


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxServer]:
    with SandboxServer() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: SandboxServer) -> SandboxServer:
    """A sandbox with its data afresh."""
    running.reset()
    return running


@pytest.fixture
def api(sandbox: SandboxServer) -> Iterator[Api]:
    client = Api(sandbox)
    yield client
    client.http.close()


@pytest.fixture
def ticket(sandbox: SandboxServer) -> dict[str, Any]:
    """An open ticket on the Help Desk board."""
    return next(t for t in sandbox.tickets() if t["board"]["id"] == 1 and not t["closedFlag"])
