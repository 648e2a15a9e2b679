"""Tests of the tab Status rules: what is shown, one form a board, warnings, and a PSA that is away."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.test import Client

from integrations_ui.tests.conftest import queries_of
from integrations_ui.tests.session_desk import HTMX, connect_sandbox, get, text_of
from psa.models import Connection, StatusRule
from psa.providers.connectwise.sandbox.server import SandboxServer
from resolutionflow.accounts.models import Account, User

HELP_DESK, NETWORK = "1", "2"
NEW, IN_PROGRESS, SCHEDULED, CLOSED = "501", "502", "504", "507"
"""Statuses of the help desk: Scheduled takes no time entries, Closed closes and mails the customer."""
BOARD_CALLS = "/service/boards"


@pytest.fixture
def connection(account: Account, owner: User, sandbox: SandboxServer) -> Connection:
    return connect_sandbox(account, owner, sandbox)


@pytest.fixture
def url(connection: Connection) -> str:
    return f"/integrations/{connection.pk}/status-rules/"


@pytest.fixture
def board(url: str) -> str:
    return f"{url}board/{HELP_DESK}/"


def rule(connection: Connection, **changes: object) -> StatusRule:
    given = {
        "tenant": connection.tenant,
        "connection": connection,
        "board_id": HELP_DESK,
        "board_name": "Help Desk",
        "outcome": "resolved",
        "status_id": CLOSED,
        "status_name": "Closed",
        "closes": True,
    }
    return StatusRule.objects.create(**{**given, **changes})


def stored() -> dict[tuple[str, str], tuple[str, str]]:
    return {(row.board_id, row.outcome): (row.status_id, row.mail) for row in StatusRule.objects.all()}


def asked(sandbox: SandboxServer) -> int:
    return sum(BOARD_CALLS in row["path"] for row in sandbox.requests)


def away(sandbox: SandboxServer) -> None:
    cache.clear()
    sandbox.faults.add("status", method="GET", path=BOARD_CALLS, status=503)


# What is shown ----------------------------------------------------------------------------------


def test_first_paint_shows_the_rules_and_asks_no_psa(
    client: Client, member: User, connection: Connection, url: str, sandbox: SandboxServer
) -> None:
    rule(connection)
    before = asked(sandbox)
    page = get(client, member, url)
    assert asked(sandbox) == before
    assert "Help Desk" in page
    assert "<strong>Closed</strong>" in page
    assert f'hx-get="{url}boards/" hx-trigger="load"' in page


def test_boards_without_a_rule_are_named(
    client: Client, member: User, connection: Connection, url: str
) -> None:
    rule(connection)
    page = get(client, member, f"{url}boards/", **HTMX)
    assert "<strong>3 boards without a rule:</strong> Client Projects, Network Operations, Security." in page


def test_without_javascript_a_link_reads_the_boards(client: Client, member: User, url: str) -> None:
    assert 'href="?now=1"' in get(client, member, url)
    assert "4 boards without a rule" in get(client, member, f"{url}?now=1")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"valid": False}, "This status is not on the board any more, so nothing is set."),
        ({"no_time_entries": True}, "No time entries here."),
        ({"mails_customer": True, "mail": "as_psa"}, "This status mails the customer."),
        ({"closes": False}, "This status leaves the ticket open."),
    ],
)
def test_what_is_doubtful_about_a_rule_is_said(
    client: Client, member: User, connection: Connection, url: str, changes: dict[str, object], sentence: str
) -> None:
    rule(connection, **changes)
    assert sentence in get(client, member, url)


def test_silent_rule_with_a_mailing_status_says_that_workflows_may_mail(
    client: Client, member: User, connection: Connection, url: str
) -> None:
    rule(connection, mails_customer=True)
    assert "Workflow rules of the PSA may still send one." in get(client, member, url)


def test_choice_of_mail_is_called_as_connectwise_does(
    client: Client, member: User, connection: Connection, url: str
) -> None:
    rule(connection, mail="as_psa")
    assert "As ConnectWise does" in get(client, member, url)


def test_psa_that_is_away_leaves_the_rules_on_the_page(
    client: Client, member: User, connection: Connection, url: str, sandbox: SandboxServer
) -> None:
    rule(connection)
    away(sandbox)
    page = get(client, member, f"{url}boards/", **HTMX)
    assert "The boards cannot be read right now." in page
    assert "Help Desk" in page


def test_board_that_is_gone_is_said(client: Client, lead: User, connection: Connection, url: str) -> None:
    rule(connection, board_id="77", board_name="Old Desk")
    page = get(client, lead, f"{url}boards/", **HTMX)
    assert "This board is gone, or hidden from our API member." in page
    assert f'href="{url}board/77/clear/"' in page


def test_many_rules_cost_no_more_queries(
    client: Client, member: User, connection: Connection, url: str
) -> None:
    rule(connection)
    client.force_login(member)
    few = queries_of(client, url)
    for number in range(20):
        rule(connection, board_id=f"9{number}", board_name=f"Board {number}")
    assert queries_of(client, url) == few


# The form of a board ----------------------------------------------------------------------------


def test_only_valid_statuses_are_offered_with_what_they_do(client: Client, lead: User, board: str) -> None:
    page = get(client, lead, f"{board}?now=1")
    assert "Closed (closes the ticket, mails the customer)" in page
    assert "Scheduled (no time entries)" in page
    assert page.count("Leave the status as it is") == 4


def test_form_starts_from_what_is_stored(
    client: Client, lead: User, connection: Connection, board: str
) -> None:
    rule(connection, mail="as_psa")
    page = get(client, lead, f"{board}?now=1")
    assert f'<option value="{CLOSED}" selected>' in page
    assert '<option value="as_psa" selected>' in page


def test_form_asks_no_psa_at_first_paint(
    client: Client, lead: User, board: str, sandbox: SandboxServer
) -> None:
    before = asked(sandbox)
    page = get(client, lead, board)
    assert asked(sandbox) == before
    assert "Reading the statuses of this board." in page


def test_saving_without_javascript_leads_back(client: Client, lead: User, board: str, url: str) -> None:
    client.force_login(lead)
    sent = {"status_resolved": CLOSED, "mail_resolved": "as_psa", "status_escalated": IN_PROGRESS}
    answer = client.post(board, sent)
    assert answer["Location"] == f"{url}#board-{HELP_DESK}"
    assert stored() == {
        (HELP_DESK, "resolved"): (CLOSED, "as_psa"),
        (HELP_DESK, "escalated"): (IN_PROGRESS, "silent"),
    }


def test_saving_by_htmx_answers_the_row(client: Client, lead: User, board: str) -> None:
    client.force_login(lead)
    page = text_of(client.post(board, {"status_resolved": CLOSED}, **HTMX))
    assert "Saved." in page
    assert "<strong>Closed</strong>" in page
    assert "<form" not in page


def test_saving_one_board_leaves_the_others(
    client: Client, lead: User, connection: Connection, board: str
) -> None:
    rule(connection, board_id=NETWORK, board_name="Network Operations", status_id="5", status_name="X")
    client.force_login(lead)
    client.post(board, {"status_resolved": CLOSED})
    assert set(stored()) == {(HELP_DESK, "resolved"), (NETWORK, "resolved")}


def test_leaving_a_status_as_it_is_ends_the_rule(
    client: Client, lead: User, connection: Connection, board: str
) -> None:
    rule(connection)
    client.force_login(lead)
    client.post(board, {"status_resolved": ""})
    assert stored() == {}


@pytest.mark.parametrize(
    "value", ["99999", "<script>alert(1)</script>", "x" * 101, "507; DROP", "Old status"]
)
def test_status_that_is_not_there_is_refused_beside_its_field(
    client: Client, lead: User, board: str, value: str
) -> None:
    client.force_login(lead)
    answer = client.post(board, {"status_escalated": value, "status_resolved": CLOSED})
    page = text_of(answer)
    assert answer.status_code == 422
    assert 'id="board-1-status_escalated_error"' in page
    assert 'id="board-1-status_resolved_error"' not in page
    assert "<script>alert" not in page
    assert stored() == {}


def test_refusal_names_the_statuses_there_are(client: Client, lead: User, board: str) -> None:
    client.force_login(lead)
    page = text_of(client.post(board, {"status_resolved": "99999"}, **HTMX))
    assert "Choose one of: New, In Progress, Waiting on Customer" in page


def test_senseless_mail_choice_is_refused(client: Client, lead: User, board: str) -> None:
    client.force_login(lead)
    answer = client.post(board, {"status_resolved": CLOSED, "mail_resolved": "everybody"})
    assert (answer.status_code, stored()) == (422, {})


def test_status_that_left_the_board_is_named(
    client: Client, lead: User, connection: Connection, board: str
) -> None:
    rule(connection, status_id="999", status_name="Done done", valid=False)
    page = get(client, lead, f"{board}?now=1")
    assert "The status Done done is not on this board any more." in page


def test_form_says_when_the_psa_is_away(
    client: Client, lead: User, connection: Connection, board: str, sandbox: SandboxServer
) -> None:
    rule(connection)
    away(sandbox)
    page = get(client, lead, f"{board}?now=1")
    assert "The statuses cannot be read right now." in page
    assert "Help Desk" in page


def test_saving_while_the_psa_is_away_keeps_what_was_chosen(
    client: Client, lead: User, board: str, sandbox: SandboxServer
) -> None:
    away(sandbox)
    client.force_login(lead)
    answer = client.post(board, {"status_resolved": CLOSED}, **HTMX)
    assert answer["HX-Retarget"] == f'[id="trouble-{HELP_DESK}"]'
    assert "Nothing was saved." in text_of(answer)
    assert stored() == {}


@pytest.mark.parametrize("board_id", ["99", "x" * 41, 'a"b'])
def test_board_that_is_not_there_is_not_found(client: Client, lead: User, url: str, board_id: str) -> None:
    client.force_login(lead)
    assert client.get(f"{url}board/{board_id}/?now=1").status_code == 404


def test_warning_is_shown_while_choosing(client: Client, lead: User, board: str) -> None:
    choosing = {"outcome": "resolved", "status_resolved": SCHEDULED, "mail_resolved": "silent"}
    client.force_login(lead)
    page = text_of(client.get(f"{board}warnings/", choosing, **HTMX))
    assert "No time entries here." in page
    assert "This status leaves the ticket open." in page


def test_clearing_asks_first_and_asks_no_psa(
    client: Client, lead: User, connection: Connection, board: str, sandbox: SandboxServer
) -> None:
    rule(connection)
    assert "Clear all rules of Help Desk?" in get(client, lead, f"{board}clear/")
    away(sandbox)
    client.post(f"{board}clear/")
    assert stored() == {}


def test_checking_again_finds_a_status_that_is_gone(
    client: Client, lead: User, connection: Connection, url: str
) -> None:
    rule(connection, status_id="999")
    client.force_login(lead)
    page = text_of(client.post(f"{url}refresh/", follow=True))
    assert "1 rule names a status that cannot be set any more." in page
    assert not StatusRule.objects.get().valid


# Others -----------------------------------------------------------------------------------------


def test_engineer_reads_and_changes_nothing(
    client: Client, member: User, connection: Connection, url: str, board: str
) -> None:
    rule(connection)
    page = get(client, member, f"{url}?now=1")
    assert "Help Desk" in page
    assert "board/1/" not in page
    assert client.get(board).status_code == 403
    assert client.post(board, {"status_resolved": ""}).status_code == 403
    assert client.post(f"{board}clear/").status_code == 403
    assert client.post(f"{url}refresh/").status_code == 403
    assert stored()


@pytest.mark.parametrize("tail", ["", "boards/", "board/1/", "board/1/clear/"])
def test_another_tenant_finds_nothing(
    client: Client, foreign_owner: User, connection: Connection, url: str, tail: str
) -> None:
    rule(connection)
    client.force_login(foreign_owner)
    assert client.get(url + tail).status_code == 404
