"""Owns the cache keys of a connection and the TTL cache of what a PSA told.

One caller fetches, the others wait for what it gets: across threads always, across processes where they share
the cache (Redis). What is old is still served, marked, while the PSA is away.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.core.cache import cache
from django.utils import timezone

from psa.exceptions import (
    BusyError,
    ConnectFailedError,
    MovedError,
    PsaError,
    RateLimitedError,
    UnavailableError,
)

T = TypeVar("T")

KEPT_S = 7 * 24 * 3600.0
"""Seconds for which what was fetched last is kept for a PSA that is away."""
FETCH_MAX_S = 60.0
"""Longest a fetch may take. A process that dies over one keeps the others waiting for so long at most."""
POLL_S = 0.02
"""How often a process looks whether another one has fetched."""

AWAY = (BusyError, ConnectFailedError, MovedError, RateLimitedError, UnavailableError)
"""Errors that say nothing about what was asked for: the last known answer still stands."""


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


AWAY_TEXT = "The PSA cannot be reached at the moment."
"""Why something is old when nobody asked again."""


@dataclass(frozen=True, slots=True)
class Remembered(Generic[T]):
    """What a PSA told, and when."""

    value: T
    fetched_at: datetime
    away: str = ""
    """Why it is not newer: a sentence, empty when the PSA told it just now or within its TTL."""

    @property
    def age_s(self) -> float:
        """Seconds since the PSA told it."""
        return max((timezone.now() - self.fetched_at).total_seconds(), 0.0)


def cached(store: ConnectionCache, name: str, ttl_s: float, fetch: Callable[[], T]) -> T:
    """Return the cached value of a name, or fetch it and keep it for ttl_s seconds; one caller fetches.

    Raises: what fetch raises.
    """
    return _fresh_or_fetched(store, name, ttl_s, fetch).value


def peeked(store: ConnectionCache, name: str) -> Any:
    """Return what `cached` has of a name, None for nothing; nothing is fetched."""
    entry = store.get(name)
    return None if entry is None else entry[0]


def remembered(
    store: ConnectionCache, name: str, ttl_s: float, fetch: Callable[[], T], *, version: str = ""
) -> Remembered[T]:
    """Return as `cached`, and while the PSA is away what it told last, up to a week old.

    Shape: another version makes what is cached old, but still good for a PSA that is away: the epoch of a
        ticket, say.
    Raises: what fetch raises, when nothing is known, or when the error says that it is true no more.
    """
    last = f"last:{name}"
    try:
        return _fresh_or_fetched(store, f"{name}@{version}", ttl_s, fetch, keep_as=last)
    except AWAY as exc:
        kept = store.get(last)
        if kept is None:
            raise
        return Remembered(kept[0], kept[1], exc.message)


@dataclass(frozen=True, slots=True)
class Want(Generic[T]):
    """Something to be fetched, or taken from the cache. Shape: as `remembered`."""

    name: str
    ttl_s: float
    fetch: Callable[[], T]
    version: str = ""


def remembered_together(
    store: ConnectionCache, wants: Mapping[str, Want[Any]], *, afresh: bool = False, ask: bool = True
) -> dict[str, Remembered[Any] | PsaError]:
    """Return many things at once: what is cached at once, the rest fetched side by side.

    An error stands in the place of what could not be had. Fetches run on threads: no database.
    Shape: afresh fetches what is cached, too. ask is False for a PSA known to be away: what it told last is
        taken as it is, and only what is not known at all is asked for.
    """
    found: dict[str, Remembered[Any] | PsaError] = {}
    missing: list[str] = []
    for part, want in wants.items():
        entry = None if afresh else store.get(f"{want.name}@{want.version}")
        if entry is None and not ask and (kept := store.get(f"last:{want.name}")) is not None:
            found[part] = Remembered(kept[0], kept[1], AWAY_TEXT)
        elif entry is not None:
            found[part] = Remembered(*entry)
        else:
            if afresh:
                store.delete(f"{want.name}@{want.version}")
            missing.append(part)

    def fetch(part: str) -> Remembered[Any] | PsaError:
        want = wants[part]
        try:
            return remembered(store, want.name, want.ttl_s, want.fetch, version=want.version)
        except PsaError as exc:
            return exc

    if len(missing) > 1:
        with ThreadPoolExecutor(len(missing) - 1, thread_name_prefix="psa-context") as pool:
            # Each with the caller's context, so that log lines keep the request's id.
            others = {part: pool.submit(copy_context().run, fetch, part) for part in missing[1:]}
            found[missing[0]] = fetch(missing[0])
            found.update({part: future.result() for part, future in others.items()})
    elif missing:
        found[missing[0]] = fetch(missing[0])
    return found


def _fresh_or_fetched(
    store: ConnectionCache, name: str, ttl_s: float, fetch: Callable[[], T], keep_as: str = ""
) -> Remembered[T]:
    entry = store.get(name)
    if entry is not None:
        return Remembered(*entry)
    key = store.key(name)
    with _flights_lock:
        flight = _flights.get(key)
        ours = flight is None
        if flight is None:
            flight = _flights[key] = Future()
    if not ours:
        return flight.result(FETCH_MAX_S)  # type: ignore[no-any-return]
    try:
        found: Remembered[T] = _fetched_by_one_process(store, name, ttl_s, fetch, keep_as)
    except BaseException as exc:
        flight.set_exception(exc)
        raise
    else:
        flight.set_result(found)
        return found
    finally:
        with _flights_lock:
            del _flights[key]


_flights: dict[str, Future[Any]] = {}
"""Key → the fetch of it that a thread of this process is at."""
_flights_lock = threading.Lock()


def _fetched_by_one_process(
    store: ConnectionCache, name: str, ttl_s: float, fetch: Callable[[], T], keep_as: str
) -> Remembered[T]:
    """Fetch, unless another process is at it: then wait for its answer, and fetch if it brings none."""
    lock = f"{store.key(name)}:fetching"
    patience = time.monotonic() + FETCH_MAX_S
    while not cache.add(lock, 1, FETCH_MAX_S) and time.monotonic() < patience:
        time.sleep(POLL_S)
        if (entry := store.get(name)) is not None:
            return Remembered(*entry)
    try:
        # Whoever had the lock before may have been done between our look and our lock.
        if (entry := store.get(name)) is not None:
            return Remembered(*entry)
        found = (fetch(), timezone.now())
        store.set(name, found, ttl_s)
        if keep_as:
            store.set(keep_as, found, KEPT_S)
        return Remembered(*found)
    finally:
        cache.delete(lock)
