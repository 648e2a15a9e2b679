"""Open providers: one a connection, a new one after each change, none left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cryptography.fernet import Fernet

from psa import provider_pool
from psa.exceptions import CredentialsUnreadableError
from psa.models import Connection
from psa.provider_pool import config_for, config_of, provider_build, provider_for, providers_close
from psa.providers.dummy.provider import DummyProvider
from psa.providers.registry import UnknownProviderError
from psa.tests.conftest import SECRET, World
from psa.types import Endpoint

pytestmark = pytest.mark.usefixtures("dummy")


@pytest.fixture(autouse=True)
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[DummyProvider]]:
    """Record which providers were closed."""
    found: list[DummyProvider] = []
    close = DummyProvider.close

    def record(self: DummyProvider) -> None:
        found.append(self)
        close(self)

    monkeypatch.setattr(DummyProvider, "close", record)
    yield found
    providers_close()


def test_config_holds_what_the_settings_say(ours: World, settings: Any) -> None:
    settings.PSA = {
        **settings.PSA,
        "TRUSTED_HOSTS": ["psa.lan"],
        "CA_BUNDLE": "/ca.pem",
        "CONNECT_TIMEOUT_S": 1.5,
        "CALL_DEADLINE_S": 9.0,
    }
    config = config_of(ours.connection)
    assert (config.key, config.site) == (str(ours.connection.pk), "dummy.example")
    assert config.credentials == {"api_key": SECRET}
    assert config.endpoint == Endpoint(site="dummy.example", base_url="", version="1.0", api_version="")
    assert (config.trusted_hosts, config.ca_bundle) == (("psa.lan",), "/ca.pem")
    assert (config.connect_timeout_s, config.call_deadline_s) == (1.5, 9.0)
    assert config_of(ours.connection, deadline_s=3.0).call_deadline_s == 3.0
    assert SECRET not in repr(config)


def test_blank_credential_falls_back_to_the_setting(settings: Any) -> None:
    settings.PSA = {**settings.PSA, "DEFAULT_CREDENTIALS": {"dummy": {"client_id": "ours", "other": ""}}}

    def credentials(**given: str) -> Any:
        return config_for(key="new", provider="dummy", site="x", credentials=given).credentials

    assert credentials(api_key="a") == {"client_id": "ours", "api_key": "a"}
    assert credentials(client_id="") == {"client_id": "ours"}
    assert credentials(client_id="theirs") == {"client_id": "theirs"}


def test_provider_is_opened_once(ours: World) -> None:
    first = provider_for(ours.connection)
    assert provider_for(Connection.objects.get(pk=ours.connection.pk)) is first


def test_change_of_the_connection_opens_a_new_one_and_closes_the_old(
    ours: World, closed: list[DummyProvider]
) -> None:
    first = provider_for(ours.connection)
    ours.connection.config_version += 1
    second = provider_for(ours.connection)
    assert second is not first
    assert closed == [first]


def test_change_of_the_settings_opens_a_new_one(ours: World, settings: Any) -> None:
    first = provider_for(ours.connection)
    settings.PSA = {**settings.PSA, "CALL_DEADLINE_S": 4.0}
    assert provider_for(ours.connection) is not first


def test_connections_never_share_one(ours: World, theirs: World) -> None:
    assert provider_for(ours.connection) is not provider_for(theirs.connection)


def test_threads_get_the_same_one_and_the_rest_is_closed(ours: World, closed: list[DummyProvider]) -> None:
    start = threading.Barrier(4)

    def ask() -> Any:
        start.wait()
        return provider_for(ours.connection)

    with ThreadPoolExecutor(4) as pool:
        found = {id(task.result()) for task in [pool.submit(ask) for _ in range(4)]}
    kept = provider_for(ours.connection)
    assert found == {id(kept)}
    assert kept not in closed


def test_close_closes_all(ours: World, theirs: World, closed: list[DummyProvider]) -> None:
    opened = [provider_for(ours.connection), provider_for(theirs.connection)]
    providers_close()
    assert closed == opened
    assert provider_for(ours.connection) not in opened


def test_unreadable_credentials_open_nothing(ours: World, keys: Callable[..., None]) -> None:
    keys(Fernet.generate_key().decode())
    with pytest.raises(CredentialsUnreadableError):
        provider_for(Connection.objects.get(pk=ours.connection.pk))
    assert not provider_pool._open


def test_provider_that_is_not_configured_opens_nothing(ours: World) -> None:
    ours.connection.provider = "gone"
    with pytest.raises(UnknownProviderError, match=r"'gone'.*dummy"):
        provider_for(ours.connection)


def test_built_provider_belongs_to_its_caller(closed: list[DummyProvider]) -> None:
    config = config_for(key="new", provider="dummy", site="x", credentials={"api_key": "a"})
    built = provider_build(config, "dummy")
    assert isinstance(built, DummyProvider)
    assert not provider_pool._open
    assert closed == []
