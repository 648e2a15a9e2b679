"""What needs a person is listed by cause: what makes a group, what it shows, who sees it, what it costs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from psa import selectors
from psa.exceptions import MissingError
from psa.models import Connection, Delivery
from psa.selectors import problem as module
from psa.tests.desk import (
    CLIENT_ID,
    DENIED,
    DOUBLED,
    GAVE_UP,
    KEPT,
    LEAKED,
    REFUSED,
    SILENT,
    UNSETTLED,
    Desk,
)
from psa.types import Actor, Scope


@pytest.fixture
def desk(db: None) -> Desk:
    return Desk()


@pytest.fixture
def psa(desk: Desk) -> Connection:
    return desk.connection()


def test_nothing_wrong_is_no_problem(desk: Desk, psa: Connection) -> None:
    desk.connection("disabled")
    desk.connection("unverified")
    for state in ("ready", "sending", "unknown", "delivered", "discarded"):
        desk.delivery(psa, state)
    desk.delivery(psa, "retrying", problem=SILENT)
    assert selectors.problems(desk.account) == []


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"problem": GAVE_UP}, id="code"),
        pytest.param({"problem": None}, id="no problem stored"),
        pytest.param({"kind": "status", "problem": REFUSED}, id="status"),
    ],
)
def test_dead_deliveries_are_grouped_by_their_cause(
    desk: Desk, psa: Connection, other: dict[str, Any]
) -> None:
    same = [
        desk.delivery(psa, problem=REFUSED, kind=kind).pk for kind in ("analysis", "resolution", "discussion")
    ]
    alone = desk.delivery(psa, **other).pk
    found = selectors.problems(desk.account)
    assert sorted(row.deliveries for row in found) == sorted([tuple(reversed(same)), (alone,)])


def test_connections_have_problems_of_their_own(desk: Desk, psa: Connection) -> None:
    for connection in (psa, desk.connection()):
        desk.delivery(connection, problem=REFUSED)
    assert [row.count for row in selectors.problems(desk.account)] == [1, 1]


def test_a_problem_says_what_is_wrong_and_what_it_touches(desk: Desk, psa: Connection) -> None:
    rows = [desk.delivery(psa, problem=REFUSED) for _ in range(7)]
    hour_ago = timezone.now() - timedelta(hours=1)
    Delivery.objects.filter(pk=rows[3].pk).update(created_at=hour_ago)
    [found] = selectors.problems(desk.account)
    assert (found.code, found.text, found.remedy) == tuple(REFUSED.values())
    assert (found.scope, found.connection, found.count) == ("deliveries", psa, 7)
    assert found.oldest_at == hour_ago
    assert found.deliveries == tuple(row.pk for row in reversed(rows[2:]))
    assert (found.can_retry, found.can_discard) == (True, True)


def test_texts_that_differ_are_not_shown_as_everyones(desk: Desk, psa: Connection) -> None:
    for number in (1, 2):
        text = f"Ticket {number} was closed."
        desk.delivery(psa, problem={"code": "already-closed", "text": text, "remedy": f"Ask {number}."})
    [found] = selectors.problems(desk.account)
    assert found.text == "Ticket 2 was closed. The others differ in detail."
    assert found.remedy == "What to do differs: look at each delivery."


def test_a_group_older_than_the_newest_rows_still_shows_its_newest(
    desk: Desk, psa: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = [desk.delivery(psa, problem=GAVE_UP).pk for _ in range(2)]
    for _ in range(3):
        desk.delivery(psa, problem=REFUSED)
    monkeypatch.setattr(module, "NEWEST", 3)
    found = {row.code: row for row in selectors.problems(desk.account)}
    assert found["gave-up"].deliveries == (old[1],)
    assert (found["gave-up"].count, found["gave-up"].text) == (2, "Sent 8 times.")


def test_what_waits_for_a_permission_is_grouped_by_feature_and_grant(desk: Desk, psa: Connection) -> None:
    desk.held(psa)
    desk.held(psa, kind="resolution")
    desk.held(psa, kind="status")
    desk.delivery(
        psa, "ready", held_by="permission", problem={**DENIED, "remedy": "Grant the API member Close: All."}
    )
    found = selectors.problems(desk.account)
    assert sorted((row.count, row.cause.feature, row.remedy) for row in found) == [
        (1, "notes", "Grant the API member Close: All."),
        (1, "status", DENIED["remedy"]),
        (2, "notes", DENIED["remedy"]),
    ]
    assert {row.code for row in found} == {"psa-permission"}


def test_delivered_notes_that_are_doubled_or_leaked_are_problems_that_cannot_be_retried(
    desk: Desk, psa: Connection
) -> None:
    flaws = [DOUBLED, UNSETTLED, KEPT, LEAKED]
    rows = {flaw["code"]: desk.delivery(psa, "delivered", problem=flaw).pk for flaw in flaws}
    for code in ("moved-on", "moving", "not-moved"):
        desk.delivery(psa, "delivered", problem={"code": code, "text": "For information.", "remedy": ""})
    found = selectors.problems(desk.account)
    # What a customer sees comes first.
    assert [row.code for row in found] == [flaw["code"] for flaw in [LEAKED, *flaws[:-1]]]
    assert {row.code: row.deliveries for row in found} == {code: (pk,) for code, pk in rows.items()}
    assert {(row.text, row.remedy) for row in found} == {(flaw["text"], flaw["remedy"]) for flaw in flaws}
    assert {(row.can_retry, row.can_discard) for row in found} == {(False, True)}


def test_what_waits_for_a_mapping_is_grouped_by_its_author(desk: Desk, psa: Connection) -> None:
    own = [desk.delivery(psa, "ready", held_by="mapping", by=desk.eva).pk for _ in range(2)]
    other = desk.delivery(psa, "ready", held_by="mapping", by=desk.ben, kind="resolution").pk
    found = selectors.problems(desk.account)
    assert [(row.code, row.deliveries) for row in found] == [
        ("not-mapped", tuple(reversed(own))),
        ("not-mapped", (other,)),
    ]
    eva = desk.eva.username
    assert found[0].text == f"What {eva} posted waits, because {eva} is mapped to no member of {psa.name}."
    assert found[0].remedy.startswith(f"A lead or an admin maps {eva} to a member of this connection;")
    assert {(row.can_retry, row.can_discard) for row in found} == {(True, True)}
    sight = selectors.problem_sight(desk.scope(desk.ben))
    assert [row.id for row in selectors.problems(desk.account, created_by=sight)] == [found[1].id]


def test_what_somebody_posted_who_is_no_user_any_more_cannot_be_mapped(desk: Desk, psa: Connection) -> None:
    for name in ("Ann Ames", "Ben Boyd"):
        row = desk.delivery(psa, "ready", held_by="mapping")
        Delivery.objects.filter(pk=row.pk).update(created_by=None, created_by_name=name)
    [found] = selectors.problems(desk.account)
    assert (found.code, found.count) == ("not-mapped", 2)
    assert "what Ben Boyd and others posted: there is no such user" in found.text
    assert "Discard it." in found.remedy
    assert selectors.problem_deliveries(desk.account, found).count() == 2


def test_a_leaked_note_is_shown_after_its_connection_was_deleted(desk: Desk, psa: Connection) -> None:
    desk.delivery(psa, "delivered", problem=LEAKED)
    Connection.objects.update(deleted_at=timezone.now(), state="disabled")
    assert [row.code for row in selectors.problems(desk.account)] == ["shown-to-customer"]


@pytest.mark.parametrize("state", ["degraded", "broken"])
def test_a_sick_connection_is_one_problem_with_all_that_waits(desk: Desk, state: str) -> None:
    sick = desk.connection(state, problem=SILENT, state_since=timezone.now())
    waiting = [desk.delivery(sick, kind).pk for kind in ("ready", "unknown", "retrying")]
    desk.delivery(sick, "delivered")
    [found] = selectors.problems(desk.account)
    assert (found.code, found.text, found.remedy) == tuple(SILENT.values())
    assert (found.scope, found.connection, found.count) == ("connection", sick, 3)
    assert found.deliveries == tuple(reversed(waiting))
    assert (found.can_retry, found.can_discard) == (True, False)


def test_a_sick_connection_with_nothing_queued_is_as_old_as_its_state(desk: Desk) -> None:
    since = timezone.now() - timedelta(hours=2)
    desk.connection("broken", state_since=since)
    [found] = selectors.problems(desk.account)
    assert (found.code, found.count, found.deliveries, found.oldest_at) == ("broken", 0, (), since)


def test_a_deleted_connection_is_no_problem(desk: Desk) -> None:
    desk.connection("broken", deleted_at=timezone.now())
    assert selectors.problems(desk.account) == []


def test_a_refused_client_id_is_one_problem_of_the_operator(desk: Desk) -> None:
    refused = [desk.connection("degraded", problem=CLIENT_ID) for _ in range(2)]
    other = desk.connection("degraded", problem=SILENT)
    for connection in [*refused, other]:
        desk.delivery(connection, "ready")
    first, second = selectors.problems(desk.account)
    assert (first.scope, first.connection, first.count) == ("operator", None, 2)
    assert first.connections == tuple(refused)
    assert "operator" in first.remedy
    assert (second.scope, second.connection) == ("connection", other)


def test_an_engineer_sees_own_deliveries_and_every_connection(desk: Desk, psa: Connection) -> None:
    sick = desk.connection("broken", problem=SILENT)
    for user in (desk.eva, desk.ben, desk.ben):
        desk.delivery(psa, problem=REFUSED, by=user)
        desk.delivery(sick, "ready", by=user)

    def counts(user: Any) -> list[int]:
        sight = selectors.problem_sight(desk.scope(user))
        return [row.count for row in selectors.problems(desk.account, created_by=sight)]

    assert (counts(desk.lead), counts(desk.eva), counts(desk.ben)) == ([3, 3], [1, 1], [2, 2])


def test_who_is_no_user_sees_connections_only(desk: Desk, psa: Connection) -> None:
    row = desk.delivery(psa, problem=REFUSED)
    Delivery.objects.filter(pk=row.pk).update(created_by=None)
    desk.connection("broken")
    sight = selectors.problem_sight(Scope(desk.account, Actor(None, "Script"), can_post=True))
    assert [row.scope for row in selectors.problems(desk.account, created_by=sight)] == ["connection"]


def test_an_id_stays_while_the_cause_stays(desk: Desk, psa: Connection) -> None:
    desk.delivery(psa, problem=REFUSED)
    [before] = selectors.problems(desk.account)
    desk.delivery(psa, problem=REFUSED, by=desk.ben)
    [after] = selectors.problems(desk.account)
    [own] = selectors.problems(desk.account, created_by=desk.ben.pk)
    assert (after.id, own.id) == (before.id, before.id)
    assert 0 < before.id < 2**52


def test_operators_problems_of_two_tenants_have_ids_of_their_own(desk: Desk) -> None:
    desks = [desk, Desk("Fabrikam")]
    for each in desks:
        each.connection("degraded", problem=CLIENT_ID)
    [[ours], [theirs]] = [selectors.problems(each.account) for each in desks]
    assert ours.id != theirs.id


def test_a_problem_that_was_solved_is_missing(desk: Desk, psa: Connection) -> None:
    row = desk.delivery(psa, problem=REFUSED)
    [found] = selectors.problems(desk.account)
    assert selectors.problem_get(desk.account, found.id) == found
    Delivery.objects.filter(pk=row.pk).update(state="discarded")
    with pytest.raises(MissingError):
        selectors.problem_get(desk.account, found.id)


def test_a_list_takes_as_many_queries_for_much_as_for_little(desk: Desk) -> None:
    counts = []
    for rounds in (1, 12):
        for _ in range(rounds):
            psa = desk.connection("broken", problem=SILENT)
            refused = desk.connection("degraded", problem=CLIENT_ID)
            desk.delivery(psa, problem=REFUSED)
            desk.delivery(psa, kind="status", problem=GAVE_UP)
            desk.held(refused)
            desk.delivery(psa, "ready", held_by="mapping")
            desk.delivery(psa, "delivered", problem=DOUBLED)
            desk.delivery(psa, "ready")
        with CaptureQueriesContext(database) as queries:
            found = selectors.problems(desk.account)
        counts.append(len(queries))
    assert len(found) > 60
    assert counts == [11, 11]
