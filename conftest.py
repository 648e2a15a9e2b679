"""Owns what holds for every test: the environment, no network, the marker of database tests."""

from __future__ import annotations

import ipaddress
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# A developer's .env and exported settings must not change what the tests see.
os.environ.update(
    ENV_FILE=os.devnull,
    DJANGO_SETTINGS_MODULE="resolutionflow.settings",
    DEBUG="0",
    SECRET_KEY="only-for-tests-" + "x" * 50,
    ALLOWED_HOSTS="testserver,127.0.0.1,localhost",
    PSA_ENCRYPTION_KEYS="dGVzdHMtb25seS10ZXN0cy1vbmx5LXRlc3RzLW9ubHk=",
    PSA_TRUSTED_HOSTS="127.0.0.1,localhost",
    PSA_BASE_URL="http://testserver",
    PSA_CA_BUNDLE="",
    CONNECTWISE_CLIENT_ID="00000000-0000-4000-8000-000000000000",
    SECURE_SSL_REDIRECT="0",
    STATIC_MANIFEST="0",
    CELERY_BROKER_URL="",
    TRUSTED_PROXY_COUNT="0",
)
os.environ.setdefault("DATABASE_URL", "sqlite://:memory:")
os.environ.setdefault("CACHE_URL", "locmemcache://")

import django

django.setup()

from django.conf import settings  # noqa: E402  settings read the environment that was set above
from django.db import connection  # noqa: E402

from psa.providers.connectwise.sandbox.server import SandboxServer  # noqa: E402

settings.PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.MD5PasswordHasher"
]  # a real one takes 0.2 s a password

_DATABASE_FIXTURES = {
    "db",
    "transactional_db",
    "django_db_reset_sequences",
    "django_db_serialized_rollback",
    "live_server",
}


def pytest_configure(config: pytest.Config) -> None:
    """Put SQLite's test database into a file: in memory, threads get "table is locked" without a wait."""
    if connection.vendor == "sqlite":
        folder = tempfile.TemporaryDirectory(prefix="resolutionflow-tests-", ignore_cleanup_errors=True)
        config.add_cleanup(folder.cleanup)
        connection.settings_dict["TEST"]["NAME"] = str(Path(folder.name) / "test.sqlite3")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that touches the database, so that the PostgreSQL run can pick them.

    Those of a page's look (a ``scheme``, light or dark) are left out: no database changes how a page looks.
    """
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if "scheme" in fixtures:
            continue
        if fixtures & _DATABASE_FIXTURES or item.get_closest_marker("django_db"):
            item.add_marker("database")


class NetworkBlockedError(RuntimeError):
    """A test tried to reach a host that is not this machine."""


def _check_host(host: object) -> None:
    name = host.decode() if isinstance(host, bytes) else str(host)
    if name in {"", "localhost", "None"}:
        return
    try:
        if ipaddress.ip_address(name.split("%")[0]).is_loopback:
            return
    except ValueError:
        pass
    raise NetworkBlockedError(f"Tests may only talk to this machine, this one tried {name}.")


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail any test that looks up or connects to a host other than this machine."""
    lookup, connect, connect_ex = socket.getaddrinfo, socket.socket.connect, socket.socket.connect_ex

    def guarded_lookup(host: object, *args: Any, **kwargs: Any) -> Any:
        _check_host(host)
        return lookup(host, *args, **kwargs)  # type: ignore[arg-type]

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            _check_host(address[0])
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            _check_host(address[0])
        return connect_ex(self, address)

    # socket.create_connection and every HTTP library end in one of these three.
    monkeypatch.setattr(socket, "getaddrinfo", guarded_lookup)
    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_connect_ex)


@pytest.fixture(autouse=True)
def fresh_providers() -> Iterator[None]:
    """Close what a test opened: the next one's connections have the same ids, and other servers."""
    yield
    from psa.provider_pool import providers_close

    providers_close()


@pytest.fixture(autouse=True)
def fresh_cache() -> None:
    """Start each test with an empty cache, so that rate limits and cached answers do not leak."""
    from django.core.cache import cache

    cache.clear()


@pytest.fixture(scope="session")
def sandbox_server() -> Iterator[SandboxServer]:
    """One ConnectWise server on a real socket for all tests of a process."""
    with SandboxServer(port=0) as server:
        yield server


@pytest.fixture
def sandbox(sandbox_server: SandboxServer) -> SandboxServer:
    """The same with fresh data and settings."""
    sandbox_server.reset()
    return sandbox_server
