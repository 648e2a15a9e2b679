"""The TTL cache: one fetch for many callers, old answers while the PSA is away, each connection alone."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.core.cache import cache
from django.utils import timezone

from psa import cache as module
from psa.cache import ConnectionCache, cached, remembered
from psa.exceptions import NotFoundError, PermissionDeniedError, ProviderError, UnavailableError

REDIS = os.environ.get("CACHE_TEST_URL", "redis://127.0.0.1:6379/9")


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def store() -> ConnectionCache:
    return ConnectionCache(7, 0)


class Fetch:
    """Counts how often the PSA was asked; fails while `error` is set."""

    def __init__(self) -> None:
        self.times = 0
        self.error: ProviderError | None = None
        self.gate: threading.Event | None = None

    def __call__(self) -> list[int] | None:
        self.times += 1
        if self.gate:
            self.gate.wait(10)
        if self.error:
            raise self.error
        return [self.times]


@pytest.fixture
def fetch() -> Fetch:
    return Fetch()


def test_value_is_fetched_once_and_again_after_its_time(store: ConnectionCache, fetch: Fetch) -> None:
    assert [cached(store, "boards", 60, fetch) for _ in range(3)] == [[1]] * 3
    assert cached(store, "others", 0.001, fetch) == [2]
    threading.Event().wait(0.05)
    assert cached(store, "others", 60, fetch) == [3]


def test_nothing_is_cached_too(store: ConnectionCache) -> None:
    asked: list[int] = []
    for _ in range(2):
        assert cached(store, "limit", 60, lambda: asked.append(1)) is None  # type: ignore[func-returns-value]
    assert asked == [1]


def test_other_connections_and_epochs_know_nothing_of_it(store: ConnectionCache, fetch: Fetch) -> None:
    cached(store, "boards", 60, fetch)
    assert cached(ConnectionCache(8, 0), "boards", 60, fetch) == [2]
    assert cached(ConnectionCache(7, 1), "boards", 60, fetch) == [3]
    fetch.error = UnavailableError("ConnectWise is away.")
    for other in (ConnectionCache(9, 0), ConnectionCache(7, 2)):
        with pytest.raises(UnavailableError):
            remembered(other, "boards", 60, fetch)


def test_fifty_callers_cause_one_fetch(store: ConnectionCache, fetch: Fetch) -> None:
    fetch.gate = threading.Event()
    ready = threading.Barrier(51)

    def call(_: int) -> Any:
        ready.wait(10)
        return remembered(store, "ticket", 60, fetch).value

    with ThreadPoolExecutor(50) as pool:
        calls = [pool.submit(call, number) for number in range(50)]
        ready.wait(10)
        fetch.gate.set()
        assert [one.result(10) for one in calls] == [[1]] * 50
    assert fetch.times == 1
    assert module._flights == {}


def test_error_reaches_all_who_wait_and_the_next_call_asks_again(
    store: ConnectionCache, fetch: Fetch
) -> None:
    fetch.gate, fetch.error = threading.Event(), UnavailableError("ConnectWise is away.")
    with ThreadPoolExecutor(5) as pool:
        calls = [pool.submit(cached, store, "ticket", 60, fetch) for _ in range(5)]
        threading.Event().wait(0.1)
        fetch.gate.set()
        assert {str(one.exception(10)) for one in calls} == {"ConnectWise is away."}
    assert fetch.times == 1
    fetch.error = None
    assert cached(store, "ticket", 60, fetch) == [2]


def test_last_answer_is_served_with_its_age_while_the_psa_is_away(
    store: ConnectionCache, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = remembered(store, "ticket", 60, fetch, version="1")
    assert (first.value, first.away) == ([1], "")
    fetch.error = UnavailableError("ConnectWise is away.")
    later = timezone.now() + timedelta(minutes=3)
    monkeypatch.setattr(module.timezone, "now", lambda: later)
    old = remembered(store, "ticket", 60, fetch, version="2")
    assert (old.value, old.away) == ([1], "ConnectWise is away.")
    assert 179 < old.age_s < 182
    fetch.error = None
    assert remembered(store, "ticket", 60, fetch, version="2").away == ""


@pytest.mark.parametrize("error", [NotFoundError("Gone."), PermissionDeniedError("Not allowed.")])
def test_what_is_true_no_more_is_not_served(
    store: ConnectionCache, fetch: Fetch, error: ProviderError
) -> None:
    remembered(store, "ticket", 60, fetch, version="1")
    fetch.error = error
    with pytest.raises(type(error)):
        remembered(store, "ticket", 60, fetch, version="2")


def test_process_that_died_over_a_fetch_keeps_nobody_waiting_for_ever(
    store: ConnectionCache, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FETCH_MAX_S", 0.2)
    cache.add(f"{store.key('ticket')}:fetching", 1, 60)
    assert cached(store, "ticket", 60, fetch) == [1]


PROCESS = """
import django, sys, time
from django.conf import settings
settings.configure(CACHES={"default": {
    "BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": sys.argv[1]}}, USE_TZ=True)
django.setup()
from psa.cache import ConnectionCache, cached
def fetch():
    print("asked", flush=True)
    time.sleep(0.5)
    return 1
sys.stdin.readline()
assert cached(ConnectionCache(7, 0), "ticket", 60, fetch) == 1
"""


@pytest.fixture
def redis_url() -> Iterator[str]:
    client = redis.Redis.from_url(REDIS)
    try:
        client.flushdb()
    except redis.exceptions.ConnectionError:
        pytest.skip("Redis does not answer.")
    yield REDIS
    client.flushdb()
    client.close()


def test_one_of_several_processes_fetches(redis_url: str) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, redis_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    said: list[str] = []
    for process in started:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in started:
        said += process.communicate(timeout=30)[0].splitlines()
        assert process.returncode == 0
    assert said == ["asked"]


def test_each_part_of_the_answer_survives_the_cache(store: ConnectionCache) -> None:
    made: Callable[[], dict[str, Any]] = lambda: {"at": timezone.now(), "text": "日報 🖨️"}  # noqa: E731
    first = cached(store, "odd name", 60, made)
    assert cached(store, "odd name", 60, made) == first
