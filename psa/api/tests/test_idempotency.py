"""Tests of the `Idempotency-Key` header, on a view that queues one note."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import AbstractBaseUser
from django.db import connection as database
from django.db import connections as databases
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.views import APIView

from psa.api import idempotency
from psa.api.scope import request_scope
from psa.exceptions import ConflictError, InvalidInputError
from psa.models import Connection, Delivery, IdempotencyRecord, WorkUnit

Make = Callable[..., Any]
KEY = "note-1"


class Desk:
    """A view whose steps a test can swap."""

    def __init__(self, connection: Connection, unit_make: Make, user: AbstractBaseUser) -> None:
        self.user = user
        self.prepare: Callable[[], Any] = lambda: None
        self.commit: Callable[[Any], Delivery | WorkUnit] = lambda _: unit_make(connection).deliveries.get()
        self.replayed: list[bool] = []
        self.asks = True

    def post(
        self,
        body: Any = None,
        *,
        key: str | None = KEY,
        path: str = "/sessions/1/notes/",
        user: AbstractBaseUser | None = None,
        token: Any = None,
    ) -> Response:
        desk = self

        class View(APIView):
            def post(self, request: Request) -> Response:
                done, replayed = idempotency.once(
                    request, request_scope(request), desk.prepare, desk.commit, asks=desk.asks
                )
                desk.replayed.append(replayed)
                return idempotency.response(done)

        headers = {} if key is None else {"idempotency-key": key}
        request = APIRequestFactory().post(
            path, {"kind": "analysis"} if body is None else body, headers=headers
        )
        force_authenticate(request, user or self.user, token)
        response = View.as_view()(request)
        return response


@pytest.fixture(params=[True, False], ids=["asks", "asks nobody"])
def desk(
    request: pytest.FixtureRequest, connection: Connection, unit_make: Make, engineer: AbstractBaseUser
) -> Desk:
    made = Desk(connection, unit_make, engineer)
    made.asks = request.param
    return made


def test_same_key_and_body_work_once(desk: Desk) -> None:
    first, second = desk.post({"a": 1, "b": 2}), desk.post({"b": 2, "a": 1})
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.data["id"] == second.data["id"]
    assert desk.replayed == [False, True]
    assert Delivery.objects.count() == 1


def test_replay_is_201_once_it_is_delivered(desk: Desk) -> None:
    desk.post()
    Delivery.objects.update(state="delivered", external_id="9001", delivered_at=timezone.now())
    again = desk.post()
    assert (again.status_code, again.data["state"], again.data["external_id"]) == (201, "delivered", "9001")


def test_unit_is_replayed_as_a_unit(desk: Desk, connection: Connection, unit_make: Make) -> None:
    desk.commit = lambda _: unit_make(connection, parts=2)
    first, second = desk.post(), desk.post()
    assert first.data == second.data
    assert [entry["part"] for entry in second.data["deliveries"]] == [1, 2]
    WorkUnit.objects.update(state="delivered")
    assert desk.post().status_code == 201


def test_without_a_key_each_call_is_new(desk: Desk) -> None:
    desk.post(key=None)
    desk.post(key=None)
    assert Delivery.objects.count() == 2
    assert IdempotencyRecord.objects.count() == 0


@pytest.mark.parametrize("change", [{"body": {"kind": "resolution"}}, {"path": "/sessions/2/notes/"}])
def test_other_body_or_path_is_a_mismatch(desk: Desk, change: dict[str, Any]) -> None:
    desk.post()
    again = desk.post(**change)
    assert (again.status_code, again.data["type"]) == (422, "/problems/idempotency-mismatch")
    assert Delivery.objects.count() == 1


def test_two_people_may_use_one_key(desk: Desk, colleague: AbstractBaseUser) -> None:
    desk.post()
    desk.post(user=colleague)
    assert desk.replayed == [False, False]


def test_token_and_login_of_one_person_are_two_callers(desk: Desk) -> None:
    desk.post()
    desk.post(token=SimpleNamespace(pk=7))
    assert sorted(IdempotencyRecord.objects.values_list("caller", flat=True)) == [
        "token:7",
        f"user:{desk.user.pk}",
    ]


@pytest.mark.parametrize("key", ["", "x" * 201, "a b", "caf\xe9", "tab\t"])
def test_key_that_is_not_visible_ascii(desk: Desk, key: str) -> None:
    answer = desk.post(key=key)
    assert (answer.status_code, answer.data["type"]) == (400, "/problems/idempotency-key")


def test_key_of_200_characters(desk: Desk) -> None:
    assert desk.post(key="!" + "~" * 199).status_code == 202


def test_error_is_not_remembered(desk: Desk) -> None:
    work = desk.commit

    def refuse(_: Any) -> Delivery:
        raise InvalidInputError("Empty.", code="empty-text")

    desk.commit = refuse
    assert desk.post().status_code == 422
    assert IdempotencyRecord.objects.count() == 0
    desk.commit = work
    assert desk.post().status_code == 202


def test_prepare_runs_outside_the_transaction_and_not_for_a_replay(
    transactional_db: None, connection: Connection, unit_make: Make, engineer: AbstractBaseUser
) -> None:
    desk = Desk(connection, unit_make, engineer)
    inside: list[bool] = []
    desk.prepare = lambda: inside.append(database.in_atomic_block)
    desk.post()
    desk.post()
    assert inside == [False]


def test_twin_that_commits_first_is_answered_with(desk: Desk) -> None:
    """The twin arrives between the look-up and the insert: both looked and found nothing."""

    def meanwhile() -> None:
        desk.prepare = lambda: None
        desk.post()

    desk.prepare = meanwhile
    late = desk.post()
    assert desk.replayed == [False, True]
    assert Delivery.objects.count() == 1
    assert late.data["id"] == Delivery.objects.get().pk


def test_twin_with_another_body_is_a_mismatch(desk: Desk) -> None:
    def meanwhile() -> None:
        desk.prepare = lambda: None
        desk.post({"kind": "resolution"})

    desk.prepare = meanwhile
    assert desk.post().data["type"] == "/problems/idempotency-mismatch"


def test_refusal_that_the_twin_caused_is_a_replay(desk: Desk) -> None:
    """Completing twice: the twin has completed the session, so preparing the second is refused."""

    def completed_meanwhile() -> None:
        desk.prepare = lambda: None
        desk.post()
        raise ConflictError("The session is completed.", code="completed-already")

    desk.prepare = completed_meanwhile
    assert desk.post().status_code == 202
    assert Delivery.objects.count() == 1


def test_refusal_of_its_own_is_passed_on(desk: Desk) -> None:
    def refuse() -> None:
        raise ConflictError("The session is completed.", code="completed-already")

    desk.prepare = refuse
    assert desk.post().data["type"] == "/problems/completed-already"


@pytest.mark.parametrize(
    ("state", "replayed"), [("delivered", False), ("discarded", False), ("ready", True), ("dead", True)]
)
def test_old_key_is_forgotten_unless_its_work_is_open(desk: Desk, state: str, replayed: bool) -> None:
    desk.post()
    Delivery.objects.update(state=state)
    IdempotencyRecord.objects.update(created_at=timezone.now() - timedelta(days=31))
    desk.post()
    assert desk.replayed == [False, replayed]
    assert IdempotencyRecord.objects.count() == 1


def test_old_key_with_another_body_is_new(desk: Desk) -> None:
    desk.post()
    Delivery.objects.update(state="delivered")
    IdempotencyRecord.objects.update(created_at=timezone.now() - timedelta(days=31))
    assert desk.post({"kind": "resolution"}).status_code == 202


@pytest.fixture
def threads_may_write(transactional_db: None) -> None:
    if database.vendor == "sqlite":
        pytest.skip("SQLite in memory has one connection; see test_twin_that_commits_first_is_answered_with")


def test_eight_at_once_queue_one(
    threads_may_write: None, connection: Connection, unit_make: Make, engineer: AbstractBaseUser
) -> None:
    desk = Desk(connection, unit_make, engineer)
    together = threading.Barrier(8)
    desk.prepare = lambda: together.wait(20)
    answers: list[Response] = []

    def call() -> None:
        try:
            answers.append(desk.post())
        finally:
            databases.close_all()

    callers = [threading.Thread(target=call) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(30)
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.data["id"] for answer in answers}) == 1
    assert (Delivery.objects.count(), sorted(desk.replayed)) == (1, [False] + [True] * 7)
