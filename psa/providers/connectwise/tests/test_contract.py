"""The ConnectWise provider keeps the contract of all providers, over a socket, against the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import pytest

from psa.providers.connectwise.provider import ConnectWiseProvider
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.providers.http import HttpClient
from psa.providers.tests.contract import MemoryCache, ProviderContract, World
from psa.providers.tests.contract_callbacks import CallbackContract
from psa.providers.tests.contract_context import ContextContract
from psa.providers.tests.contract_documents import DocumentContract
from psa.types import ConnectionConfig, RecordType


@pytest.fixture
def world(sandbox: SandboxServer) -> Iterator[World]:
    config = ConnectionConfig(
        key="contract",
        site=ConnectWiseProvider.site_clean(sandbox.url),
        credentials=asdict(sandbox.credentials),
        trusted_hosts=("127.0.0.1",),
    )
    http = HttpClient(trusted_hosts=config.trusted_hosts)
    provider = ConnectWiseProvider(config, http, MemoryCache())
    tickets = {}
    for place in RecordType:
        found = provider.ticket_search(record_type=place, page_size=50).items
        tickets[place] = next(t.id for t in found if not t.closed and t.company)
    author = next(m for m in provider.members() if m.active and not m.is_api)
    summary = provider.ticket_get(tickets[RecordType.SERVICE], RecordType.SERVICE).summary
    yield World(provider, config, tickets, author.id, summary.split()[0])
    http.close()


class TestConnectWiseContract(ProviderContract):
    """See `ProviderContract`."""


class TestConnectWiseDocuments(DocumentContract):
    """See `DocumentContract`."""


class TestConnectWiseContext(ContextContract):
    """See `ContextContract`."""


class TestConnectWiseCallbacks(CallbackContract):
    """See `CallbackContract`."""
