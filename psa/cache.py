"""Owns the cache keys of a connection and the TTL cache of reference data."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, TypeVar

from django.core.cache import cache

T = TypeVar("T")


class ConnectionCache:
    """The part of the default cache that belongs to one connection in its present `cache_epoch`.

    Raising the epoch forgets everything at once, on every backend and in every process.
    """

    def __init__(self, connection_id: int, epoch: int) -> None:
        self._start = f"psa:{connection_id}:{epoch}:"

    def key(self, name: str) -> str:
        """Return the full key; a long or odd name is replaced by its hash, which every backend takes."""
        if len(name) > 120 or not name.isascii() or any(char <= " " for char in name):
            name = hashlib.sha256(name.encode()).hexdigest()
        return self._start + name

    def get(self, key: str, default: Any = None) -> Any:
        """Return what is cached, else the default."""
        return cache.get(self.key(key), default)

    def set(self, key: str, value: Any, timeout: float | None = None) -> None:
        """Keep a value; timeout is in seconds, None keeps it until the epoch ends."""
        cache.set(self.key(key), value, timeout)

    def delete(self, key: str) -> None:
        """Forget one value."""
        cache.delete(self.key(key))


def cached(store: ConnectionCache, name: str, ttl_s: float, fetch: Callable[[], T]) -> T:
    """Return the cached value of a name, or fetch it and keep it for ttl_s seconds."""
    missing = object()
    found = store.get(name, missing)
    if found is not missing:
        return found  # type: ignore[no-any-return]
    value = fetch()
    store.set(name, value, ttl_s)
    return value
