"""Owns the open providers of this process: one per connection, so that its sockets stay warm."""

from __future__ import annotations

import threading

from psa.cache import ConnectionCache
from psa.conf import psa_settings
from psa.models import Connection
from psa.providers.base import Provider
from psa.providers.http import HttpClient
from psa.providers.registry import provider_class
from psa.types import ConnectionConfig, Endpoint

_open: dict[int, tuple[object, Provider]] = {}
_lock = threading.Lock()


def provider_build(config: ConnectionConfig, provider: str, *, epoch: int = 0) -> Provider:
    """Return a provider that the caller closes. For addresses and keys that are not stored yet.

    Raises: UnknownProviderError.
    """
    cls = provider_class(provider, psa_settings().PROVIDERS)
    http = HttpClient(
        connect_timeout_s=config.connect_timeout_s,
        call_deadline_s=config.call_deadline_s,
        trusted_hosts=config.trusted_hosts,
        ca_bundle=config.ca_bundle,
        pool_size=config.pool_size,
    )
    store = ConnectionCache(int(config.key), epoch) if config.key.isdigit() else ConnectionCache(0, 0)
    return cls(config, http, store)


def config_of(connection: Connection, *, deadline_s: float | None = None) -> ConnectionConfig:
    """Return a stored connection's config, blank credentials filled from the settings.

    Raises: CredentialsUnreadableError.
    """
    return config_for(
        key=str(connection.pk),
        provider=connection.provider,
        site=connection.site,
        credentials=dict(connection.credentials),
        endpoint=_endpoint_of(connection),
        deadline_s=deadline_s,
    )


def _endpoint_of(connection: Connection) -> Endpoint | None:
    """Return what was found for the present site; keys are never sent to where another site led."""
    if not connection.endpoint or connection.endpoint.get("site") != connection.site:
        return None
    return Endpoint(**connection.endpoint)


def config_for(
    *,
    key: str,
    provider: str,
    site: str,
    credentials: dict[str, str],
    endpoint: Endpoint | None = None,
    deadline_s: float | None = None,
) -> ConnectionConfig:
    """Return a config from loose values, with the limits and trusted hosts of the settings."""
    current = psa_settings()
    defaults = dict(current.DEFAULT_CREDENTIALS.get(provider, {}))
    given = {name: value for name, value in credentials.items() if value}
    return ConnectionConfig(
        key=key,
        site=site,
        credentials={**{name: value for name, value in defaults.items() if value}, **given},
        endpoint=endpoint,
        trusted_hosts=current.TRUSTED_HOSTS,
        ca_bundle=current.CA_BUNDLE,
        connect_timeout_s=current.CONNECT_TIMEOUT_S,
        call_deadline_s=deadline_s or current.CALL_DEADLINE_S,
    )


def provider_for(connection: Connection) -> Provider:
    """Return the process's open provider of a connection, a new one after each change of its config.

    Raises: CredentialsUnreadableError; UnknownProviderError.
    """
    current = psa_settings()
    version = (connection.config_version, connection.provider, current)
    with _lock:
        held = _open.get(connection.pk)
        if held is not None and held[0] == version:
            return held[1]
    fresh = provider_build(config_of(connection), connection.provider, epoch=connection.config_version)
    with _lock:
        raced = _open.get(connection.pk)
        if raced is not None and raced[0] == version:
            stale: Provider = fresh
            result = raced[1]
        else:
            stale, result = (raced[1] if raced is not None else None), fresh  # type: ignore[assignment]
            _open[connection.pk] = (version, fresh)
    if stale is not None:
        stale.close()
    return result


def providers_close() -> None:
    """Close every open provider, at the end of a process or a test."""
    with _lock:
        held = list(_open.values())
        _open.clear()
    for _version, provider in held:
        provider.close()
