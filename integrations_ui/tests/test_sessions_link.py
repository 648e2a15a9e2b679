"""Tests of linking a session to a ticket, against the sandbox on a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from integrations_ui.tests.conftest import queries_of
from integrations_ui.tests.session_desk import (
    HTMX,
    OTHER_COMPANYS,
    OTHER_TICKET,
    PROJECT_TICKET,
    TICKET,
    actor_of,
    begin,
    connect_sandbox,
    deliver,
    get,
    link,
    map_member,
    posts,
    text_of,
    url,
)
from psa.models import Connection, TicketLink
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import NoteKind
from resolutionflow.accounts.models import Account, User
from resolutionflow.sessions import services
from resolutionflow.sessions.models import FlowSession


@pytest.fixture
def connection(account: Account, owner: User, sandbox: SandboxServer) -> Connection:
    return connect_sandbox(account, owner, sandbox)


@pytest.fixture
def session(account: Account, member: User) -> FlowSession:
    return begin(account, member)


def card(session: FlowSession, connection: Connection, number: int = TICKET) -> str:
    return url(session, f"ticket/{connection.pk}/{number}/")


def linked_to(session: FlowSession) -> str | None:
    session.refresh_from_db()
    return session.link.ticket_id if session.link else None


# Finding ----------------------------------------------------------------------------------------


def test_no_page_asks_the_psa_before_it_is_there(
    client: Client,
    account: Account,
    member: User,
    session: FlowSession,
    connection: Connection,
    sandbox: SandboxServer,
) -> None:
    link(session, connection, member)
    client.force_login(member)
    before = len(sandbox.requests)
    tails = [
        "",
        "edit/",
        "note/",
        "complete/",
        "ticket/",
        f"ticket/{connection.pk}/{TICKET}/",
        "ticket/unlink/",
    ]
    pages = [url(session, tail) for tail in tails]
    pages += ["/integrations/sessions/", f"/integrations/tickets/{connection.pk}/{TICKET}/"]
    assert [page for page in pages if client.get(page).status_code != 200] == []
    assert len(sandbox.requests) == before


def test_search_finds_words_and_names_the_connection(
    client: Client, member: User, session: FlowSession, connection: Connection
) -> None:
    page = get(client, member, url(session, "ticket/?q=printer"), **HTMX)
    assert ("Printer on second floor offline" in page, "Main ConnectWise" in page) == (True, True)
    assert "<html" not in page


def test_search_works_as_a_plain_page(
    client: Client, member: User, session: FlowSession, connection: Connection
) -> None:
    page = get(client, member, url(session, "ticket/?q=printer"))
    assert ("<html" in page, "Printer on second floor offline" in page) == (True, True)


def test_own_open_tickets_come_first(
    client: Client, member: User, session: FlowSession, connection: Connection
) -> None:
    map_member(connection, member, "eowens")
    page = get(client, member, url(session, "ticket/?q="), **HTMX)
    rows = page.split('<li class="row">')[1:]
    own = ["Yours" in row for row in rows]
    assert own[0]
    assert own == sorted(own, reverse=True)


def test_unmapped_person_is_told_that_own_tickets_are_not_known(
    client: Client, member: User, session: FlowSession, connection: Connection
) -> None:
    page = get(client, member, url(session, "ticket/?q=printer"), **HTMX)
    assert "You are not matched to a member of Main ConnectWise" in page


@pytest.mark.parametrize(
    "query", ["nothing-like-this", "<script>alert(1)</script>", 'a" or summary != "', "x" * 500]
)
def test_odd_words_find_nothing_and_break_nothing(
    client: Client, member: User, session: FlowSession, connection: Connection, query: str
) -> None:
    client.force_login(member)
    answer = client.get(url(session, "ticket/"), {"q": query}, **HTMX)
    page = answer.content.decode()
    assert (answer.status_code, "Nothing found" in page, "<script>" in page) == (200, True, False)


def test_number_leads_to_its_card(
    client: Client, member: User, session: FlowSession, connection: Connection
) -> None:
    client.force_login(member)
    answer = client.get(url(session, "ticket/"), {"q": f" #0{TICKET} ", "find": "1"})
    assert answer["Location"] == f"{card(session, connection)}?now=1"


def test_number_nobody_has_is_said_in_words(
    client: Client, member: User, session: FlowSession, connection: Connection
) -> None:
    assert "No such ticket" in get(client, member, url(session, "ticket/?q=999999&find=1"))


def test_no_connection_yet(client: Client, member: User, session: FlowSession) -> None:
    assert "No PSA is connected yet" in get(client, member, url(session, "ticket/"))


def test_away_psa_is_named_and_can_be_asked_again(
    client: Client, member: User, session: FlowSession, connection: Connection, sandbox: SandboxServer
) -> None:
    sandbox.faults.add(kind="drop_before")
    page = get(client, member, url(session, "ticket/?q=printer"), **HTMX)
    assert ("Main ConnectWise:" in page, "Ask again" in page) == (True, True)


@pytest.mark.parametrize("state", ["disabled", "broken"])
def test_connection_that_cannot_answer_is_not_asked(
    client: Client,
    member: User,
    session: FlowSession,
    connection: Connection,
    sandbox: SandboxServer,
    state: str,
) -> None:
    Connection.objects.update(state=state)
    before = len(sandbox.requests)
    assert "Main ConnectWise:" in get(client, member, url(session, "ticket/?q=printer"))
    assert len(sandbox.requests) == before


def test_typing_does_not_wait_for_a_psa_that_is_down(
    client: Client, member: User, session: FlowSession, connection: Connection, sandbox: SandboxServer
) -> None:
    Connection.objects.update(state="degraded", problem={"text": "It is down.", "code": "", "remedy": ""})
    before = len(sandbox.requests)
    assert "It is down." in get(client, member, url(session, "ticket/?q=printer"), **HTMX)
    assert len(sandbox.requests) == before
    assert "Printer on second" in get(client, member, url(session, "ticket/?q=printer"))


# Two connections --------------------------------------------------------------------------------


@pytest.fixture
def second_sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(port=0) as server:
        yield server


@pytest.fixture
def two(
    transactional_db: None,
    account: Account,
    owner: User,
    sandbox: SandboxServer,
    second_sandbox: SandboxServer,
) -> tuple[Any, Any]:
    return (
        connect_sandbox(account, owner, sandbox, "ConnectWise East"),
        connect_sandbox(account, owner, second_sandbox, "ConnectWise West"),
    )


def test_search_runs_over_all_connections(
    client: Client, member: User, two: tuple[Any, Any], session: FlowSession
) -> None:
    page = get(client, member, url(session, "ticket/?q=printer"), **HTMX)
    assert (page.count(">ConnectWise East<") > 0, page.count(">ConnectWise West<") > 0) == (True, True)


def test_number_found_in_two_asks_which(
    client: Client, member: User, two: tuple[Any, Any], session: FlowSession
) -> None:
    page = get(client, member, url(session, f"ticket/?q={TICKET}&find=1"))
    assert "is in more than one PSA. Which one do you mean?" in page
    assert all(card(session, connection) in page for connection in two)


def test_one_connection_that_is_away_does_not_stop_the_other(
    client: Client, member: User, two: tuple[Any, Any], session: FlowSession, sandbox: SandboxServer
) -> None:
    sandbox.faults.add(kind="drop_before")
    page = get(client, member, url(session, "ticket/?q=printer"), **HTMX)
    assert ("ConnectWise East:</strong>" in page, ">ConnectWise West<" in page) == (True, True)


# The card ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["htmx", "link"])
def test_card_shows_what_one_recognises_a_ticket_by(
    client: Client, member: User, session: FlowSession, connection: Connection, how: str
) -> None:
    headers = HTMX if how == "htmx" else {}
    page = get(client, member, card(session, connection) + ("?now=1" if how == "link" else ""), **headers)
    wanted = [
        "Northfield Logistics",
        "Owen Castillo",
        "Printer on second floor",
        "Help Desk",
        "In Progress",
        "Opened",
    ]
    assert [word for word in wanted if word not in page] == []
    assert 'name="other_company"' not in page


def test_yes_links_the_ticket(
    client: Client, member: User, session: FlowSession, connection: Connection
) -> None:
    client.force_login(member)
    answer = client.post(card(session, connection), follow=True)
    assert linked_to(session) == str(TICKET)
    page = text_of(answer)
    assert ("Linked to ticket #57050" in page, "service_recid=57050" in page) == (True, True)


def test_looking_at_a_card_links_nothing(
    client: Client, member: User, session: FlowSession, connection: Connection
) -> None:
    get(client, member, card(session, connection), **HTMX)
    assert (linked_to(session), TicketLink.objects.count()) == (None, 0)


def test_ticket_of_a_project_is_found_by_its_number(
    client: Client, member: User, session: FlowSession, connection: Connection
) -> None:
    assert "Project ticket" in get(client, member, card(session, connection, PROJECT_TICKET), **HTMX)
    client.post(card(session, connection, PROJECT_TICKET))
    session.refresh_from_db()
    assert session.link.record_type == "project"


@pytest.mark.parametrize("number", [999999, 2**31, 10**30, 0])
def test_ticket_that_is_not_there(
    client: Client, member: User, session: FlowSession, connection: Connection, number: int
) -> None:
    client.force_login(member)
    answer = client.post(card(session, connection, number))
    assert (answer.status_code, linked_to(session)) == (404, None)


def test_connection_of_another_account_is_not_there(
    client: Client, outsider: User, member: User, session: FlowSession, connection: Connection
) -> None:
    foreign = begin(outsider.membership.account, outsider)
    client.force_login(outsider)
    assert client.post(card(foreign, connection)).status_code == 404
    assert linked_to(foreign) is None


def test_psa_away_at_the_yes_keeps_the_page_usable(
    client: Client, member: User, session: FlowSession, connection: Connection, sandbox: SandboxServer
) -> None:
    sandbox.faults.add(kind="drop_before")
    client.force_login(member)
    answer = client.post(card(session, connection))
    page = text_of(answer)
    assert (answer.status_code, "Try again" in page, linked_to(session)) == (503, True, None)
    sandbox.faults.clear()
    client.post(card(session, connection))
    assert linked_to(session) == str(TICKET)


def test_ticket_of_another_company_is_warned_about(
    client: Client, member: User, session: FlowSession, connection: Connection
) -> None:
    link(session, connection, member)
    page = get(client, member, card(session, connection, OTHER_COMPANYS), **HTMX)
    assert "So far this session was about Northfield Logistics" in page
    answer = client.post(card(session, connection, OTHER_COMPANYS))
    assert (answer.status_code, linked_to(session)) == (422, str(TICKET))
    client.post(card(session, connection, OTHER_COMPANYS), {"other_company": "on"})
    assert linked_to(session) == str(OTHER_COMPANYS)


def test_company_is_remembered_from_what_was_posted(
    client: Client, account: Account, member: User, session: FlowSession, connection: Connection
) -> None:
    link(session, connection, member)
    services.note_post(account, session.pk, actor=actor_of(member), kind=NoteKind.ANALYSIS)
    deliver()
    services.ticket_unlink(account, session.pk, actor=actor_of(member))
    page = get(client, member, card(session, connection, OTHER_COMPANYS), **HTMX)
    assert "So far this session was about Northfield Logistics" in page


def test_other_ticket_of_the_same_company_needs_no_warning(
    client: Client, member: User, session: FlowSession, connection: Connection
) -> None:
    link(session, connection, member)
    client.force_login(member)
    client.post(card(session, connection, OTHER_TICKET))
    assert linked_to(session) == str(OTHER_TICKET)


def test_relinking_asks_what_becomes_of_open_posts(
    client: Client, account: Account, member: User, session: FlowSession, connection: Connection
) -> None:
    link(session, connection, member)
    services.note_post(account, session.pk, actor=actor_of(member), kind=NoteKind.ANALYSIS)
    client.force_login(member)
    refused = client.post(card(session, connection, OTHER_TICKET))
    assert (refused.status_code, "1 post of this session is still on the way" in text_of(refused)) == (
        422,
        True,
    )
    client.post(card(session, connection, OTHER_TICKET), {"discard_open": "on"})
    assert (linked_to(session), posts(session)[0].state) == (str(OTHER_TICKET), "discarded")


def test_same_ticket_is_said_to_be_linked_already(
    client: Client, member: User, session: FlowSession, connection: Connection
) -> None:
    link(session, connection, member)
    page = get(client, member, card(session, connection), **HTMX)
    assert ("linked to this ticket already" in page, "Link this ticket" in page) == (True, False)


# The panel, and taking the session off ------------------------------------------------------------


def test_panel_reads_status_and_contact_now(
    client: Client, member: User, session: FlowSession, connection: Connection
) -> None:
    link(session, connection, member)
    page = get(client, member, url(session, "ticket/now/"), **HTMX)
    assert ("In Progress" in page, "Owen Castillo" in page, "<html" in page) == (True, True, False)
    assert "<html" in get(client, member, url(session, "ticket/now/"))


def test_panel_says_when_the_psa_is_away(
    client: Client, member: User, session: FlowSession, connection: Connection, sandbox: SandboxServer
) -> None:
    link(session, connection, member)
    sandbox.faults.add(kind="drop_before")
    page = get(client, member, url(session, "ticket/now/"), **HTMX)
    assert ("You can go on working" in page, "Ask again" in page) == (True, True)
    assert "Printer on second floor offline" in get(client, member, url(session))


def test_unlink(client: Client, member: User, session: FlowSession, connection: Connection) -> None:
    link(session, connection, member)
    client.force_login(member)
    client.post(url(session, "ticket/unlink/"))
    assert linked_to(session) is None


def test_unlink_with_open_posts_asks_first(
    client: Client, account: Account, member: User, session: FlowSession, connection: Connection
) -> None:
    link(session, connection, member)
    services.note_post(account, session.pk, actor=actor_of(member), kind=NoteKind.ANALYSIS)
    page = get(client, member, url(session, "ticket/unlink/"))
    assert "Give it up and unlink now" in page
    assert client.post(url(session, "ticket/unlink/"), {"open": ""}).status_code == 409
    assert linked_to(session) == str(TICKET)
    client.post(url(session, "ticket/unlink/"), {"open": "discard"})
    assert (linked_to(session), posts(session)[0].state) == (None, "discarded")


# The link back ----------------------------------------------------------------------------------


def back(connection: Connection, number: int = TICKET) -> str:
    return f"/integrations/tickets/{connection.pk}/{number}/"


def test_link_back_shows_the_sessions_of_a_ticket(
    client: Client, account: Account, member: User, session: FlowSession, connection: Connection
) -> None:
    link(session, connection, member)
    link(begin(account, member, "About another ticket"), connection, member, OTHER_TICKET)
    page = get(client, member, back(connection))
    assert (session.title in page, "About another ticket" in page) == (True, False)


def test_link_back_begins_a_session_on_the_ticket(
    client: Client, member: User, connection: Connection
) -> None:
    client.force_login(member)
    answer = client.post(back(connection), {"title": "From ConnectWise"})
    made = FlowSession.objects.get()
    assert (made.title, made.link.ticket_id, answer["Location"]) == (
        "From ConnectWise",
        str(TICKET),
        url(made),
    )


def test_link_back_begins_nothing_for_a_ticket_that_is_not_there(
    client: Client, member: User, connection: Connection
) -> None:
    client.force_login(member)
    answer = client.post(back(connection, 999999), {"title": "From ConnectWise"})
    assert (answer.status_code, FlowSession.objects.count()) == (422, 0)


def test_link_back_begins_while_the_psa_is_away_and_says_so(
    client: Client, member: User, connection: Connection, sandbox: SandboxServer
) -> None:
    sandbox.faults.add(kind="drop_before")
    client.force_login(member)
    answer = client.post(back(connection), {"title": "From ConnectWise"}, follow=True)
    assert (FlowSession.objects.get().link, "is not linked to ticket #57050 yet" in text_of(answer)) == (
        None,
        True,
    )


def test_link_back_leads_over_the_sign_in(client: Client, connection: Connection) -> None:
    assert client.get(back(connection))["Location"] == f"/accounts/login/?next={back(connection)}"


def test_link_back_of_another_account_is_not_there(
    client: Client, outsider: User, connection: Connection
) -> None:
    client.force_login(outsider)
    assert client.get(back(connection)).status_code == 404


def test_link_back_costs_the_same_for_many_sessions(
    client: Client, account: Account, member: User, session: FlowSession, connection: Connection
) -> None:
    link(session, connection, member)
    client.force_login(member)
    one = queries_of(client, back(connection))
    for number in range(6):
        link(begin(account, member, f"More {number}"), connection, member)
    assert queries_of(client, back(connection)) == one
