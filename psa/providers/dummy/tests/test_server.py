"""What only the dummy provider has: injected failures, separate servers, a refused key."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from psa.exceptions import (
    AuthenticationFailedError,
    ConnectFailedError,
    OutcomeUnknownError,
    RateLimitedError,
    UnavailableError,
)
from psa.providers.dummy.provider import REFUSED_KEY, DummyProvider
from psa.providers.dummy.server import DummyServer
from psa.providers.http import HttpClient, trace_writes
from psa.providers.registry import provider_class
from psa.providers.tests.contract import MemoryCache
from psa.types import ConnectionConfig, NoteDraft, NoteKind, RecordType

SERVICE = RecordType.SERVICE
DRAFT = NoteDraft(NoteKind.ANALYSIS, "Ref RF-ABCDEFGH")


def make(key: str = "one", api_key: str = "fine") -> DummyProvider:
    config = ConnectionConfig(key=key, site="dummy.example", credentials={"api_key": api_key})
    return DummyProvider(config, HttpClient(), MemoryCache())


@pytest.fixture
def provider() -> Iterator[DummyProvider]:
    yield make()
    DummyServer.reset()


def stored(provider: DummyProvider) -> int:
    return len(provider.note_find("1001", SERVICE, "RF-ABCDEFGH", NoteKind.ANALYSIS))


@pytest.mark.parametrize(
    ("error", "effect", "count", "sent"),
    [
        (ConnectFailedError("x"), "before", 0, False),
        (RateLimitedError("x", retry_after_s=3), "before", 0, True),
        (OutcomeUnknownError("x"), "before", 0, True),
        (OutcomeUnknownError("x"), "after", 1, True),
        (ZeroDivisionError(), "after", 1, True),
    ],
)
def test_a_failure_hits_before_or_after_the_effect(
    provider: DummyProvider, error: Exception, effect: str, count: int, sent: bool
) -> None:
    provider.server.fail_next("note_add", error, effect=effect)  # type: ignore[arg-type]
    with trace_writes() as trace, pytest.raises(type(error)):
        provider.note_add("1001", SERVICE, DRAFT)
    assert trace.sent is sent
    assert stored(provider) == count
    provider.note_add("1001", SERVICE, DRAFT)
    assert stored(provider) == count + 1


def test_a_failure_can_hit_several_times_and_any_operation(provider: DummyProvider) -> None:
    provider.server.fail_next("*", lambda: UnavailableError("down"), times=2)
    for call in (provider.members, provider.boards):
        with pytest.raises(UnavailableError):
            call()
    assert provider.members()


def test_connections_have_servers_of_their_own_that_outlive_the_provider(provider: DummyProvider) -> None:
    provider.note_add("1001", SERVICE, DRAFT)
    assert stored(make()) == 1
    assert stored(make("two")) == 0
    DummyServer.reset("one")
    assert stored(make()) == 0


def test_two_fresh_servers_are_alike(provider: DummyProvider) -> None:
    one, two = make("a"), make("b")
    for each in (one, two):
        each.note_add("1001", SERVICE, DRAFT)
        each.status_set("1001", SERVICE, "14")
    assert one.server.notes == two.server.notes
    assert one.server.tickets == two.server.tickets


def test_mails_are_recorded_only_when_asked_for(provider: DummyProvider) -> None:
    provider.status_set("1001", SERVICE, "14")
    provider.note_add("1001", SERVICE, NoteDraft(NoteKind.RESOLUTION, "fixed"))
    assert provider.server.mails == []
    provider.status_set("1001", SERVICE, "13", notify=True)
    provider.note_add("1001", SERVICE, NoteDraft(NoteKind.RESOLUTION, "fixed", notify=True))
    assert provider.server.mails == [("status", "1001"), ("note", "1001")]


def test_a_refused_key_is_refused_everywhere() -> None:
    provider = make(api_key=REFUSED_KEY)
    for call in (provider.probe, provider.check_access, provider.members):
        with pytest.raises(AuthenticationFailedError):
            call()


def test_both_providers_are_found_by_their_path() -> None:
    paths = {
        "dummy": "psa.providers.dummy.provider.DummyProvider",
        "connectwise": "psa.providers.connectwise.provider.ConnectWiseProvider",
    }
    assert provider_class("dummy", paths) is DummyProvider
    assert provider_class("connectwise", paths).label == "ConnectWise PSA"
