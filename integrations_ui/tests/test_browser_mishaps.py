"""Tests in Chromium: what goes wrong while people work on a session, and that nothing is lost or doubled."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from integrations_ui.tests.browser_desk import search, sign_in, troubles
from integrations_ui.tests.conftest import PASSWORD
from integrations_ui.tests.session_desk import (
    OTHER_COMPANYS,
    TICKET,
    actor_of,
    begin,
    connect_sandbox,
    deliver,
    link,
    posts,
    url,
)
from psa.models import Connection
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import NoteKind
from resolutionflow.accounts.models import Account, User
from resolutionflow.sessions import services
from resolutionflow.sessions.models import FlowSession

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def connection(transactional_db: None, account: Account, owner: User, sandbox: SandboxServer) -> Connection:
    return connect_sandbox(account, owner, sandbox)


@pytest.fixture
def session(account: Account, member: User, connection: Connection) -> FlowSession:
    return begin(account, member)


def test_ticket_picked_before_a_search_ends_is_shown(
    watched: Page, live_server: LiveServer, member: User, session: FlowSession
) -> None:
    page, slow = watched, []
    sign_in(page, live_server, "mia")
    page.goto(f"{live_server.url}{url(session, 'ticket/')}")
    box = page.get_by_label("Words or ticket number")
    search(page, box, "printer")
    page.route(f"**/{TICKET}/", lambda route: slow.append(route))
    with page.expect_request(f"**/{TICKET}/"):
        page.get_by_role("link", name=f"#{TICKET}").click()
    box.fill("password")
    expect(page.get_by_role("link", name="#57001")).to_be_visible()
    slow[0].continue_()
    expect(page.get_by_role("button", name="Link this ticket")).to_be_visible()
    assert troubles(page) == []


def test_double_click_on_post_posts_once(
    watched: Page, live_server: LiveServer, member: User, session: FlowSession, connection: Connection
) -> None:
    page = watched
    link(session, connection, member)
    sign_in(page, live_server, "mia")
    page.goto(f"{live_server.url}{url(session, 'note/')}")
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("button", name="Post it").dblclick()
    expect(page.get_by_text("Queued")).to_be_visible()
    assert len(posts(session)) == 1


def test_two_engineers_complete_the_same_session(
    watched: Page,
    browser: Browser,
    live_server: LiveServer,
    account: Account,
    lead: User,
    member: User,
    session: FlowSession,
    connection: Connection,
) -> None:
    link(session, connection, member)
    address = f"{live_server.url}{url(session, 'complete/')}"
    with browser.new_context() as other:
        pages = {"mia": watched, "lea": other.new_page()}
        for name, page in pages.items():
            sign_in(page, live_server, name)
            page.goto(address)
            page.get_by_label("Resolved", exact=True).check()
            page.get_by_label("Closing summary").fill(f"Solved by {name}.")
            page.get_by_role("button", name="Preview").click()
            expect(page.get_by_role("button", name="Complete and post")).to_be_visible()
        pages["mia"].get_by_role("button", name="Complete and post").click()
        expect(pages["mia"].get_by_text("Completed. What it posts")).to_be_visible()
        late = pages["lea"]
        late.get_by_role("button", name="Complete and post").click()
        expect(late.get_by_role("heading", level=1)).to_have_text("Completed already")
        expect(late.get_by_text("Solved by lea.")).to_be_visible()
    assert [row.kind for row in posts(session)] == ["analysis", "resolution"]


def test_psa_that_goes_away_while_the_page_is_open_stops_nobody(
    watched: Page,
    live_server: LiveServer,
    member: User,
    session: FlowSession,
    connection: Connection,
    sandbox: SandboxServer,
) -> None:
    page = watched
    link(session, connection, member)
    sign_in(page, live_server, "mia")
    page.goto(f"{live_server.url}{url(session, 'complete/')}")
    expect(page.get_by_label("Status of the ticket").locator("option[value=Closed]")).to_be_attached()
    sandbox.faults.add(kind="drop_before")
    page.get_by_label("Resolved", exact=True).check()
    page.get_by_label("Closing summary").fill("It prints again.")
    page.get_by_label("Status of the ticket").select_option("Closed")
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("button", name="Complete and post").click()
    expect(page.get_by_text("Completed. What it posts")).to_be_visible()
    expect(page.get_by_text("You can go on working")).to_be_visible()
    sandbox.faults.clear()
    deliver()
    page.reload()
    expect(page.locator("#deliveries").get_by_text("Delivered", exact=True)).to_have_count(3)
    assert troubles(page) == []


def test_ticket_of_another_company_needs_a_yes(
    watched: Page, live_server: LiveServer, member: User, session: FlowSession, connection: Connection
) -> None:
    page = watched
    link(session, connection, member)
    sign_in(page, live_server, "mia")
    page.goto(f"{live_server.url}{url(session, 'ticket/')}")
    page.get_by_label("Words or ticket number").fill(str(OTHER_COMPANYS))
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_text("Another company.")).to_be_visible()
    page.get_by_role("button", name="Link this ticket").click()
    session.refresh_from_db()
    expect(page.get_by_role("alert").filter(has_text="company")).to_be_visible()
    assert session.link.ticket_id == str(TICKET)
    page.get_by_label("It is the right ticket all the same").check()
    page.get_by_role("button", name="Link this ticket").click()
    expect(page.get_by_text(f"Linked to ticket #{OTHER_COMPANYS}")).to_be_visible()


def test_typed_text_outlives_the_sign_in_and_the_tab(
    watched: Page, live_server: LiveServer, member: User, session: FlowSession, connection: Connection
) -> None:
    page = watched
    link(session, connection, member)
    sign_in(page, live_server, "mia")
    address = f"{live_server.url}{url(session, 'complete/')}"
    page.goto(address)
    page.get_by_label("Closing summary").press_sequentially("Typed for ten minutes")
    page.goto(address)  # the tab was closed
    expect(page.get_by_label("Closing summary")).to_have_value("Typed for ten minutes")
    expect(page.get_by_text("did not send is back")).to_be_visible()

    page.get_by_label("Resolved", exact=True).check()
    page.context.clear_cookies(name="sessionid")  # the sign-in expires
    page.get_by_role("button", name="Preview").click()
    page.get_by_label("User name or e-mail").fill("mia")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/complete/")
    expect(page.get_by_label("Closing summary")).to_have_value("Typed for ten minutes")
    expect(page.get_by_label("Resolved", exact=True)).to_be_checked()

    page.get_by_role("button", name="Preview").click()
    page.get_by_role("button", name="Complete and post").click()
    expect(page.get_by_text("Completed. What it posts")).to_be_visible()
    assert page.evaluate("Object.keys(localStorage)") == []


def test_signing_out_leaves_no_typed_text_behind(
    watched: Page, live_server: LiveServer, member: User, session: FlowSession
) -> None:
    page = watched
    sign_in(page, live_server, "mia")
    page.goto(f"{live_server.url}{url(session)}")
    page.get_by_label("What did you do?").press_sequentially("Typed")
    assert page.evaluate("Object.keys(localStorage).length") == 1
    page.get_by_role("button", name="Sign out").first.click()
    page.wait_for_url("**/accounts/login/")
    assert page.evaluate("Object.keys(localStorage).length") == 0


def test_page_with_typed_text_stays_when_the_sign_in_expires(
    watched: Page,
    live_server: LiveServer,
    account: Account,
    member: User,
    session: FlowSession,
    connection: Connection,
) -> None:
    page = watched
    link(session, connection, member)
    services.note_post(account, session.pk, actor=actor_of(member), kind=NoteKind.ANALYSIS)
    sign_in(page, live_server, "mia")
    page.goto(f"{live_server.url}{url(session)}")
    page.get_by_label("What did you do?").fill("Typed")
    page.context.clear_cookies(name="sessionid")
    expect(page.get_by_text("You were signed out meanwhile.")).to_be_visible(timeout=10_000)
    expect(page.get_by_label("What did you do?")).to_have_value("Typed")
