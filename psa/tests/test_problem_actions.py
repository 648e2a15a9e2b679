"""Retry all and discard all: every delivery of one cause, by the same rules as a single one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection as database
from django.db import transaction

from psa import selectors, services
from psa.exceptions import ConflictError, ConnectFailedError, MissingError
from psa.models import AuditEntry, Connection, Delivery, TicketLink
from psa.outbox.worker import Worker
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.providers.dummy.server import DummyServer
from psa.selectors.problem import Problem
from psa.services import problems
from psa.tests.desk import (
    CLIENT_ID,
    DOUBLED,
    GAVE_UP,
    KEPT,
    LEAKED,
    REFUSED,
    SILENT,
    UNSETTLED,
    Desk,
)
from psa.types import NoteKind, NotePart
from resolutionflow.accounts.models import User


@pytest.fixture
def desk(db: None) -> Desk:
    return Desk()


@pytest.fixture
def psa(desk: Desk) -> Connection:
    return desk.connection()


def only(desk: Desk, user: User | None = None) -> Problem:
    """Return the one problem a person sees."""
    sight = selectors.problem_sight(desk.scope(user or desk.lead))
    [found] = selectors.problems(desk.account, created_by=sight)
    return found


def retry(desk: Desk, user: User | None = None) -> int:
    person = user or desk.lead
    return services.problem_retry(desk.account, only(desk, person).id, scope=desk.scope(person))


def discard(desk: Desk, user: User | None = None, **options: Any) -> int:
    person = user or desk.lead
    return services.problem_discard(desk.account, only(desk, person).id, scope=desk.scope(person), **options)


def states() -> list[tuple[str, str]]:
    return list(Delivery.objects.order_by("pk").values_list("state", "held_by"))


def verbs() -> list[tuple[str, str]]:
    return list(AuditEntry.objects.order_by("object_id").values_list("verb", "object_id"))


def test_retry_all_puts_everything_back_and_says_who_did_it(desk: Desk, psa: Connection) -> None:
    rows = [desk.delivery(psa, problem=GAVE_UP, attempts=8, looks=1, sends=2) for _ in range(3)]
    other = desk.delivery(psa, problem=REFUSED, kind="status")
    found = next(row for row in selectors.problems(desk.account) if row.code == "gave-up")
    assert services.problem_retry(desk.account, found.id, scope=desk.scope(desk.lead)) == 3
    for row in rows:
        row.refresh_from_db()
        assert (row.state, row.held_by, row.problem, row.attempts, row.looks) == ("ready", "", None, 0, 0)
        # Kept, so that it is looked up before it is sent again.
        assert row.sends == 2
        assert row.unit.state == "open"
    other.refresh_from_db()
    assert other.state == "dead"
    entries = AuditEntry.objects.filter(verb="delivery.retried")
    assert set(entries.values_list("object_id", "actor_name")) == {
        (str(row.pk), desk.lead.username) for row in rows
    }


def test_a_lane_keeps_its_order(desk: Desk, psa: Connection) -> None:
    link = desk.link(psa)
    for _ in range(3):
        desk.delivery(psa, link=link, problem=REFUSED)
    assert retry(desk) == 3
    assert states() == [("ready", ""), ("ready", "earlier"), ("ready", "earlier")]


def test_what_a_dead_part_held_runs_on_after_it(desk: Desk, psa: Connection) -> None:
    unit = desk.unit(desk.link(psa))
    desk.delivery(psa, unit=unit, problem=REFUSED)
    desk.delivery(psa, "ready", unit=unit, kind="status", held_by="dead")
    assert retry(desk) == 1
    assert states() == [("ready", ""), ("ready", "earlier")]


def test_a_status_that_asked_is_set_anyway(desk: Desk, psa: Connection) -> None:
    asked = {"code": "already-closed", "text": "Closed by Ben.", "remedy": "Retry to set it anyway."}
    row = desk.delivery(psa, kind="status", payload={"status": "Closed", "notify": True}, problem=asked)
    assert retry(desk) == 1
    row.refresh_from_db()
    assert row.payload == {"status": "Closed", "notify": True, "force": True}


@pytest.mark.parametrize("act", [retry, discard])
@pytest.mark.parametrize("number", [4, 5])
def test_a_group_of_several_batches_is_changed_whole(
    desk: Desk, psa: Connection, act: Callable[[Desk], int], number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(problems, "BATCH", 2)
    for _ in range(number):
        desk.delivery(psa, problem=REFUSED)
    assert act(desk) == number
    assert selectors.problems(desk.account) == []
    assert AuditEntry.objects.count() == number


@pytest.mark.parametrize("act", [retry, discard])
def test_what_is_in_flight_meanwhile_is_skipped(
    desk: Desk, psa: Connection, act: Callable[[Desk], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (desk.delivery(psa, problem=REFUSED) for _ in range(2))
    lock = problems._lanes_lock

    def meanwhile(link_ids: set[int]) -> set[int]:
        Delivery.objects.filter(pk=first.pk).update(state="sending", problem=None)
        return lock(link_ids)

    monkeypatch.setattr(problems, "_lanes_lock", meanwhile)
    assert act(desk) == 1
    first.refresh_from_db()
    assert first.state == "sending"
    assert verbs() == [(f"delivery.{'retried' if act is retry else 'discarded'}", str(second.pk))]


@pytest.mark.parametrize(("act", "step"), [(retry, "put_back"), (discard, "give_up")])
def test_a_worker_that_is_faster_than_the_step_wins(
    desk: Desk, psa: Connection, act: Callable[[Desk], int], step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = desk.unit(desk.link(psa))
    desk.delivery(psa, unit=unit, problem=REFUSED)
    desk.delivery(psa, "ready", unit=unit, kind="status", held_by="dead")
    real = getattr(problems, step)

    def too_late(found: list[Delivery], *given: Any, **options: Any) -> Any:
        Delivery.objects.filter(pk__in=[row.pk for row in found]).update(state="sending")
        return real(found, *given, **options)

    monkeypatch.setattr(problems, step, too_late)
    assert act(desk) == 0
    assert [state for state, _ in states()] == ["sending", "ready"]
    assert not AuditEntry.objects.exists()


def test_discard_all_takes_the_rest_of_each_unit_along(desk: Desk, psa: Connection) -> None:
    unit = desk.unit(desk.link(psa))
    desk.delivery(psa, unit=unit, problem=REFUSED)
    desk.delivery(psa, "ready", unit=unit, kind="status", held_by="dead")
    behind = desk.delivery(psa, "ready", link=unit.link, held_by="earlier")
    assert discard(desk, reason="  Posted by hand ") == 1
    assert [state for state, _ in states()] == ["discarded", "discarded", "ready"]
    assert set(Delivery.objects.exclude(pk=behind.pk).values_list("discard_reason", flat=True)) == {
        "Posted by hand"
    }
    told = {row.object_id: row.facts for row in AuditEntry.objects.all()}
    assert set(told) == {str(row.pk) for row in Delivery.objects.exclude(pk=behind.pk)}
    assert {(facts["reason"], facts["problem"]) for facts in told.values()} == {
        ("Posted by hand", "psa-refused")
    }
    behind.refresh_from_db()
    unit.refresh_from_db()
    assert (behind.held_by, unit.state) == ("", "discarded")


def test_discard_all_without_a_reason_names_the_person(desk: Desk, psa: Connection) -> None:
    row = desk.delivery(psa, problem=REFUSED)
    discard(desk)
    row.refresh_from_db()
    assert row.discard_reason == f"Discarded by {desk.lead.username}."


def test_each_part_of_a_unit_that_has_the_cause_has_its_own_audit_row(desk: Desk, psa: Connection) -> None:
    unit = desk.unit(desk.link(psa))
    rows = [desk.delivery(psa, unit=unit, problem=REFUSED, optional=True) for _ in range(3)]
    assert discard(desk) == 3
    assert verbs() == [("delivery.discarded", str(row.pk)) for row in rows]


@pytest.mark.parametrize("act", [retry, discard])
def test_engineers_act_on_their_own_only(desk: Desk, psa: Connection, act: Callable[..., int]) -> None:
    own = desk.delivery(psa, problem=REFUSED, by=desk.eva)
    other = desk.delivery(psa, problem=REFUSED, by=desk.ben)
    assert act(desk, desk.eva) == 1
    other.refresh_from_db()
    own.refresh_from_db()
    assert (other.state, own.state != "dead") == ("dead", True)


@pytest.mark.parametrize("name", ["problem_retry", "problem_discard"])
def test_a_problem_that_only_others_have_is_missing(desk: Desk, psa: Connection, name: str) -> None:
    desk.delivery(psa, problem=REFUSED, by=desk.ben)
    with pytest.raises(MissingError):
        getattr(services, name)(desk.account, only(desk).id, scope=desk.scope(desk.eva))


@pytest.mark.parametrize("name", ["problem_retry", "problem_discard"])
def test_a_problem_that_vanished_is_missing(desk: Desk, psa: Connection, name: str) -> None:
    desk.delivery(psa, problem=REFUSED)
    found = only(desk)
    retry(desk)
    with pytest.raises(MissingError):
        getattr(services, name)(desk.account, found.id, scope=desk.scope(desk.lead))


def test_retrying_a_permission_asks_the_psa_again(desk: Desk) -> None:
    denied = {"feature": "notes", "status": "denied", "grant": "Notes: Add All", "refused": True}
    psa = desk.connection(features=[denied])
    row = desk.held(psa)
    assert retry(desk) == 1
    psa.refresh_from_db()
    row.refresh_from_db()
    assert "refused" not in psa.features[0]
    assert (row.state, row.held_by, row.problem) == ("ready", "", None)


def test_what_waits_for_a_mapping_can_be_retried(desk: Desk, psa: Connection) -> None:
    rows = [desk.delivery(psa, "ready", held_by="mapping") for _ in range(2)]
    desk.delivery(psa, "ready", link=rows[0].link, held_by="mapping", by=desk.ben)
    found = next(row for row in selectors.problems(desk.account) if row.cause.created_by_id == desk.eva.pk)
    assert services.problem_retry(desk.account, found.id, scope=desk.scope(desk.lead)) == 2
    assert states() == [("ready", ""), ("ready", ""), ("ready", "earlier")]


def test_what_waits_for_a_mapping_can_be_discarded(desk: Desk, psa: Connection) -> None:
    desk.delivery(psa, "ready", held_by="mapping")
    assert discard(desk) == 1
    assert states() == [("discarded", "")]


def test_what_waits_for_a_permission_can_be_discarded(desk: Desk, psa: Connection) -> None:
    desk.held(psa)
    assert discard(desk) == 1
    assert states() == [("discarded", "")]


@pytest.mark.parametrize("problem", [DOUBLED, LEAKED, UNSETTLED, KEPT])
def test_discarding_a_flaw_acknowledges_it(desk: Desk, psa: Connection, problem: dict[str, str]) -> None:
    row = desk.delivery(psa, "delivered", problem=problem)
    assert discard(desk, reason="Hidden in the PSA") == 1
    row.refresh_from_db()
    assert (row.state, row.problem, row.discard_reason) == ("delivered", None, "")
    entry = AuditEntry.objects.get()
    assert (entry.verb, entry.object_id) == ("delivery.acknowledged", str(row.pk))
    assert entry.facts["problem"] == problem["code"]
    assert entry.facts["reason"] == "Hidden in the PSA"


@pytest.mark.parametrize("problem", [DOUBLED, LEAKED, UNSETTLED, KEPT])
def test_a_flaw_cannot_be_retried(desk: Desk, psa: Connection, problem: dict[str, str]) -> None:
    desk.delivery(psa, "delivered", problem=problem)
    with pytest.raises(ConflictError) as caught:
        retry(desk)
    assert caught.value.code == "not-retryable"


@pytest.mark.parametrize("problem", [SILENT, CLIENT_ID])
def test_a_connections_problem_cannot_be_discarded(desk: Desk, problem: dict[str, str]) -> None:
    desk.connection("degraded", problem=problem)
    with pytest.raises(ConflictError) as caught:
        discard(desk)
    assert caught.value.code == "not-discardable"


@pytest.mark.usefixtures("dummy")
def test_retrying_a_connection_tests_it(desk: Desk) -> None:
    sick = desk.connection("degraded", problem=SILENT)
    assert retry(desk, desk.eva) == 1
    sick.refresh_from_db()
    assert (sick.state, sick.problem) == ("connected", None)
    assert verbs() == [("connection.tested", str(sick.pk))]


@pytest.mark.usefixtures("dummy")
def test_a_connection_that_is_still_sick_counts_as_unchanged(desk: Desk) -> None:
    sick = desk.connection("degraded", problem=SILENT)
    DummyServer.of(str(sick.pk)).fail_next("*", ConnectFailedError("silent"), times=20)
    assert retry(desk) == 0
    sick.refresh_from_db()
    assert sick.state == "degraded"


@pytest.mark.usefixtures("dummy")
def test_retrying_the_operators_problem_tests_every_connection_it_touches(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [desk.connection("degraded", problem=CLIENT_ID) for _ in range(3)]
    test = problems.connection_test

    def meanwhile(tenant: Any, connection_id: int, **options: Any) -> Connection:
        Connection.objects.filter(pk=rows[1].pk).update(state="disabled")
        return test(tenant, connection_id, **options)

    monkeypatch.setattr(problems, "connection_test", meanwhile)
    assert retry(desk) == 2
    assert list(Connection.objects.values_list("state", flat=True)) == ["connected", "disabled", "connected"]


def test_notes_refused_by_the_role_arrive_after_one_retry(
    desk: Desk, sandbox: SandboxServer, settings: Any
) -> None:
    settings.PSA = {**settings.PSA, "WORKER_POLL_S": 0.02}
    lead = desk.scope(desk.lead)
    keys = sandbox.credentials
    psa = services.connection_create(
        desk.account,
        actor=lead.actor,
        provider="connectwise",
        name="Sandbox",
        site=sandbox.url,
        credentials={
            "company_id": keys.company_id,
            "public_key": keys.public_key,
            "private_key": keys.private_key,
            "client_id": keys.client_id,
        },
    )
    sandbox.faults.add("status", method="POST", path=r"/notes$", status=403)
    for ticket_id in ("57050", "57001"):
        link = services.ticket_link(desk.account, psa.pk, ticket_id)
        for text in ("one", "two"):
            services.unit_enqueue(
                desk.account, link.pk, [NotePart(NoteKind.ANALYSIS, text)], actor=lead.actor
            )
    Worker(2).run(once=True)
    found = only(desk)
    assert (found.code, found.connection) == ("psa-permission", psa)
    assert "Service Tickets" in found.remedy
    sandbox.faults.clear()
    assert services.problem_retry(desk.account, found.id, scope=lead) == found.count
    Worker(2).run(once=True)
    assert set(Delivery.objects.values_list("state", flat=True)) == {"delivered"}
    assert selectors.problems(desk.account) == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(database.vendor == "sqlite", reason="SQLite has one lock for everything")
def test_a_lane_somebody_holds_has_its_turn_after_the_others() -> None:
    desk = Desk()
    psa = desk.connection()
    busy, free = desk.delivery(psa, problem=REFUSED), desk.delivery(psa, problem=REFUSED)
    held, others_done = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                TicketLink.objects.select_for_update().get(pk=busy.link_id)
                held.set()
                while Delivery.objects.get(pk=free.pk).state == "dead" and not others_done.wait(0.02):
                    pass
        finally:
            database.close()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(10)
    try:
        assert retry(desk) == 2
    finally:
        others_done.set()
        holder.join()
    assert {state for state, _ in states()} == {"ready"}
