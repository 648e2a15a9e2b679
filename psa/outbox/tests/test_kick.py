"""Kicks to the fleet: sent after the commit, never a reason why a post fails, and not needed at all."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

pytest.importorskip("celery")

from celery import Celery

from psa.celery import configure
from psa.models import Connection, Delivery, TicketLink
from psa.outbox import celery as fleet
from psa.outbox import kick
from psa.outbox.tests.conftest import NOTES, sent
from psa.providers.connectwise.sandbox.server import SandboxServer

Post = Callable[..., Delivery]
Stored = Callable[[], list[dict[str, Any]]]
NOBODY = "amqp://guest:guest@127.0.0.1:1//"


def _nothing(link_id: int) -> None:
    """Stand in for a task: it is never run."""


@pytest.fixture
def celery(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.PSA = {**settings.PSA, "ENGINE": "celery"}
    monkeypatch.setattr(kick, "_paused_until", 0.0)


@pytest.fixture
def kicked(celery: None, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    found: list[int] = []
    monkeypatch.setattr(fleet.lane_work, "apply_async", lambda args, **_options: found.append(args[0]))
    return found


@pytest.fixture
def broker_down(celery: None) -> Celery:
    app = Celery("test", set_as_current=False)
    configure(app, broker_url=NOBODY)
    return app


def test_a_post_kicks_its_lane_after_the_commit(
    post: Post, link: TicketLink, kicked: list[int], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        post()
        assert kicked == []
    assert kicked == [link.pk]


def test_an_embedded_worker_needs_no_kick(post: Post, django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks() as callbacks:
        post()
    assert [callback for callback in callbacks if "_kick" in repr(callback)] == []


def test_a_broker_that_is_down_neither_fails_a_post_nor_slows_every_one(
    post: Post,
    broker_down: Celery,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    task = broker_down.task(name="test.lane_work")(_nothing)
    tries: list[int] = []

    def apply_async(args: tuple[int], **options: Any) -> None:
        tries.append(args[0])
        task.apply_async(args, **options)

    monkeypatch.setattr(fleet.lane_work, "apply_async", apply_async)
    started = time.monotonic()
    for _ in range(3):
        with django_capture_on_commit_callbacks(execute=True):
            post()
    assert time.monotonic() - started < 10
    # One try told that the broker is away; the others did not wait for it.
    assert len(tries) == 1
    assert Delivery.objects.count() == 3


def test_a_task_works_its_lane_until_nothing_is_due(
    post: Post, link: TicketLink, kicked: list[int], stored: Stored
) -> None:
    for number in range(3):
        post(f"Note {number}")
    fleet.lane_work(link.pk)
    assert set(Delivery.objects.values_list("state", flat=True)) == {"delivered"}
    assert len(stored()) == 3
    # A second message for the same lane does nothing.
    fleet.lane_work(link.pk)
    assert len(stored()) == 3


def test_the_sweep_kicks_what_is_due_as_far_as_the_connection_has_room(
    tenant: Any, connection: Connection, post: Post, link: TicketLink, kicked: list[int], settings: Any
) -> None:
    post()
    fleet.sweep()
    assert kicked == [link.pk]
    Delivery.objects.update(state="sending")
    kicked.clear()
    fleet.sweep()
    assert kicked == []


def test_a_sick_connection_gets_a_probe_and_no_kick(
    connection: Connection, post: Post, kicked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    post()
    past = connection.created_at
    Connection.objects.update(state="degraded", next_probe_at=past, problem={"code": "moved"})
    probed: list[int] = []
    monkeypatch.setattr(fleet.probe, "delay", probed.append)
    fleet.sweep()
    assert (kicked, probed) == ([], [connection.pk])
    fleet.probe(connection.pk)
    connection.refresh_from_db()
    assert connection.state == "connected"


def test_what_was_lost_is_looked_up_by_the_fleet_too(
    post: Post, link: TicketLink, kicked: list[int], stored: Stored, sandbox: SandboxServer
) -> None:
    sandbox.faults.add(method="POST", path=NOTES, kind="drop_after", count=1)
    post()
    fleet.lane_work(link.pk)
    assert Delivery.objects.get().state == "delivered"
    assert (len(sent(sandbox)), len(stored())) == (1, 1)


def test_results_wait_for_a_database_that_is_away(
    post: Post, link: TicketLink, kicked: list[int], stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import OperationalError

    post()
    real, failures = fleet.finish, [OperationalError("database is locked"), OperationalError("disk is full")]

    def finish(*args: Any) -> None:
        if failures:
            raise failures.pop()
        real(*args)

    monkeypatch.setattr(fleet, "finish", finish)
    monkeypatch.setattr(fleet, "DATABASE_PAUSE_S", 0.01)
    monkeypatch.setattr(fleet.database, "close", lambda: None)
    fleet.lane_work(link.pk)
    assert Delivery.objects.get().state == "delivered"
    assert len(stored()) == 1


def test_the_app_acknowledges_late_takes_one_message_and_speaks_json_only() -> None:
    conf = configure(Celery("test", set_as_current=False), broker_url="redis://127.0.0.1:6379/1").conf
    assert conf.task_acks_late is True
    assert conf.task_reject_on_worker_lost is True
    assert conf.worker_prefetch_multiplier == 1
    assert (conf.accept_content, conf.task_serializer) == (["json"], "json")
    assert conf.broker_transport_options == {"visibility_timeout": 600}
    assert set(conf.beat_schedule) == {"psa-sweep", "psa-jobs", "psa-changes"}


def test_a_transaction_that_fails_kicks_nobody(
    post: Post, kicked: list[int], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        post()
        transaction.set_rollback(True)
    assert (kicked, Delivery.objects.count()) == ([], 0)
