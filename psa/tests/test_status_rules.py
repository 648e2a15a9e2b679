"""Status rules: what is accepted, what is warned about, and what becomes of a status that goes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from psa import selectors, services
from psa.exceptions import ConflictError, InvalidInputError, UnavailableError
from psa.models import AuditEntry, Connection, StatusRule
from psa.providers.dummy.server import DummyServer
from psa.selectors import RuleWarning
from psa.services import StatusRuleDraft
from psa.tests.conftest import World

pytestmark = pytest.mark.usefixtures("dummy")

DONE = StatusRuleDraft("1", "resolved", "14")


@pytest.fixture
def psa(ours: World) -> DummyServer:
    return DummyServer.of(str(ours.connection.pk))


def put(world: World, *drafts: StatusRuleDraft, board_id: str | None = None) -> list[tuple[str, str, str]]:
    rules = services.status_rules_set(
        world.account, world.connection.pk, drafts, actor=world.actor, board_id=board_id
    )
    return [(rule.board_id, rule.outcome, rule.status_name) for rule in rules]


def refused(world: World, *drafts: StatusRuleDraft, board_id: str | None = None) -> InvalidInputError:
    with pytest.raises(InvalidInputError) as caught:
        put(world, *drafts, board_id=board_id)
    return caught.value


# what is accepted -------------------------------------------------------------------------------


def test_a_status_is_given_by_id_or_by_its_exact_name(ours: World) -> None:
    found = put(ours, DONE, StatusRuleDraft("2", "resolved", "Completed"))
    assert found == [("2", "resolved", "Completed"), ("1", "resolved", "Completed")]
    assert set(StatusRule.objects.values_list("board_id", "status_id")) == {("1", "14"), ("2", "22")}


def test_rules_that_are_not_given_any_more_end(ours: World) -> None:
    put(ours, DONE, StatusRuleDraft("2", "resolved", "22"))
    assert put(ours, StatusRuleDraft("2", "escalated", "21")) == [("2", "escalated", "New")]


def test_a_board_changes_alone(ours: World) -> None:
    put(ours, DONE, StatusRuleDraft("2", "resolved", "22"))
    found = put(ours, StatusRuleDraft("1", "escalated", "12"), board_id="1")
    assert found == [("2", "resolved", "Completed"), ("1", "escalated", "In Progress")]


def test_no_rules_at_all_ask_nobody(ours: World, psa: DummyServer) -> None:
    assert put(ours) == []
    assert psa.calls == []


def test_a_rule_that_stays_keeps_its_row(ours: World) -> None:
    put(ours, DONE)
    assert list(StatusRule.objects.values_list("pk", flat=True)) == [ours.rule.pk]


@pytest.mark.parametrize(
    ("draft", "field"),
    [
        (StatusRuleDraft("1", "resolved", "22"), "0.status"),  # of another board
        (StatusRuleDraft("1", "resolved", "15"), "0.status"),  # switched off
        (StatusRuleDraft("1", "resolved", "completed"), "0.status"),  # not exact
        (StatusRuleDraft("1", "resolved", ""), "0.status"),
        (StatusRuleDraft("9", "resolved", "14"), "0.board"),
        (StatusRuleDraft("4", "resolved", "41"), "0.board"),  # an inactive board
        (StatusRuleDraft("1", "solved", "14"), "0.outcome"),
        (StatusRuleDraft("1", "resolved", "14", mail="loud"), "0.mail"),
    ],
)
def test_what_does_not_fit_is_refused_by_field(ours: World, draft: StatusRuleDraft, field: str) -> None:
    assert list(refused(ours, draft).fields) == [field]
    assert StatusRule.objects.get() == ours.rule


def test_a_wrong_status_is_told_the_valid_ones(ours: World) -> None:
    error = refused(ours, DONE, StatusRuleDraft("1", "escalated", "Nowhere"))
    assert error.code == "unknown-status"
    assert error.fields == {"1.status": ["New", "In Progress", "Waiting on Customer", "Completed"]}


def test_one_rule_for_each_outcome_of_a_board(ours: World) -> None:
    assert list(refused(ours, DONE, replace(DONE, status="12")).fields) == ["1.outcome"]


def test_a_draft_of_another_board_is_refused_where_one_board_changes(ours: World) -> None:
    assert list(refused(ours, StatusRuleDraft("2", "resolved", "22"), board_id="1").fields) == ["0.board"]


def test_a_status_made_since_the_board_was_read_is_found(ours: World, psa: DummyServer) -> None:
    selectors.statuses(ours.account, ours.connection.pk, "1")
    psa.statuses["1"].append(replace(psa.statuses["1"][0], id="19", name="Triaged"))
    assert put(ours, StatusRuleDraft("1", "escalated", "Triaged"))[0][2] == "Triaged"


def test_a_change_is_in_the_audit_once_and_none_is_not(ours: World) -> None:
    put(ours, DONE)
    put(ours, DONE)
    entry = AuditEntry.objects.get(verb="status_rules.changed")
    assert [row["board"] for row in entry.facts["before"]] == ["Northwind desk"]
    assert entry.facts["after"] == [
        {"board": "Help Desk", "outcome": "resolved", "status": "Completed", "mail": "silent"}
    ]


def test_a_psa_that_is_down_changes_nothing(ours: World, psa: DummyServer) -> None:
    psa.fail_next("*", UnavailableError("Down."))
    with pytest.raises(UnavailableError):
        put(ours, StatusRuleDraft("2", "resolved", "22"))
    assert StatusRule.objects.get() == ours.rule


# warnings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("draft", "warnings"),
    [
        (StatusRuleDraft("2", "resolved", "22"), []),
        (StatusRuleDraft("1", "resolved", "14"), [RuleWarning.MAILS_CUSTOMER]),
        (StatusRuleDraft("2", "resolved", "21"), [RuleWarning.NOT_CLOSED]),
        (StatusRuleDraft("2", "escalated", "21"), []),
        (StatusRuleDraft("3", "resolved", "32"), [RuleWarning.NO_TIME_ENTRIES, RuleWarning.NOT_CLOSED]),
    ],
)
def test_warnings_of_a_rule_and_of_the_status_before_it_is_chosen(
    ours: World, psa: DummyServer, draft: StatusRuleDraft, warnings: list[RuleWarning]
) -> None:
    put(ours, draft)
    status = next(row for row in psa.statuses[draft.board] if row.id == draft.status)
    assert selectors.rule_warnings(StatusRule.objects.get()) == warnings
    assert selectors.status_warnings(status, draft.outcome) == warnings


def test_a_rule_from_before_statuses_were_looked_at_is_not_doubted(ours: World) -> None:
    assert (ours.rule.closes, selectors.rule_warnings(ours.rule)) == (None, [])


def test_boards_without_a_rule_are_named(ours: World) -> None:
    found = selectors.boards_without_rule(ours.account, ours.connection.pk)
    assert [board.name for board in found] == ["Alerts", "Projects"]


# refresh ----------------------------------------------------------------------------------------


def refresh(world: World) -> StatusRule:
    (rule,) = services.status_rules_refresh(world.account, world.connection.pk)
    return rule


def test_a_status_that_is_switched_off_makes_its_rule_invalid(ours: World, psa: DummyServer) -> None:
    put(ours, DONE)
    psa.statuses["1"][3] = replace(psa.statuses["1"][3], active=False)
    rule = refresh(ours)
    assert selectors.rule_warnings(rule) == [RuleWarning.NOT_VALID]
    assert selectors.status_rule(ours.account, ours.link.pk, "resolved") is None


def test_a_status_that_left_the_board_makes_its_rule_invalid(ours: World, psa: DummyServer) -> None:
    psa.statuses["1"].pop(3)
    assert not refresh(ours).valid


def test_a_board_that_is_gone_makes_its_rules_invalid(ours: World, psa: DummyServer) -> None:
    psa.statuses.pop("1")
    assert not refresh(ours).valid
    assert psa.calls == ["statuses_of_board", "check_access"]


def test_a_board_that_is_missing_while_the_keys_are_refused_changes_nothing(
    ours: World, psa: DummyServer
) -> None:
    psa.statuses.pop("1")
    psa.fail_next("check_access", UnavailableError("Down."))
    with pytest.raises(UnavailableError):
        refresh(ours)
    assert StatusRule.objects.get().valid


def test_a_status_that_is_back_makes_its_rule_valid_again(ours: World) -> None:
    StatusRule.objects.update(valid=False, status_name="Old name")
    rule = refresh(ours)
    assert (rule.valid, rule.status_name, rule.mails_customer, rule.closes) == (True, "Completed", True, True)


def test_a_disabled_connection_is_not_asked(ours: World, psa: DummyServer) -> None:
    Connection.objects.update(state="disabled")
    with pytest.raises(ConflictError):
        refresh(ours)
    assert psa.calls == []
