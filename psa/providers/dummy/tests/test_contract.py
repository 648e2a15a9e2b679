"""The dummy provider keeps the contract of all providers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from psa.providers.dummy.provider import DummyProvider
from psa.providers.dummy.server import DummyServer
from psa.providers.http import HttpClient
from psa.providers.tests.contract import MemoryCache, ProviderContract, World
from psa.providers.tests.contract_callbacks import CallbackContract
from psa.providers.tests.contract_context import ContextContract
from psa.providers.tests.contract_documents import DocumentContract
from psa.types import ConnectionConfig, RecordType


@pytest.fixture
def world() -> Iterator[World]:
    config = ConnectionConfig(key="contract", site="dummy.example", credentials={"api_key": "open-sesame"})
    http = HttpClient()
    yield World(
        provider=DummyProvider(config, http, MemoryCache()),
        config=config,
        tickets={RecordType.SERVICE: "1001", RecordType.PROJECT: "2001"},
        author_id="7",
        searchable="printer",
    )
    http.close()
    DummyServer.reset()


class TestDummyContract(ProviderContract):
    """See `ProviderContract`."""


class TestDummyDocuments(DocumentContract):
    """See `DocumentContract`."""


class TestDummyContext(ContextContract):
    """See `ContextContract`."""


class TestDummyCallbacks(CallbackContract):
    """See `CallbackContract`."""
