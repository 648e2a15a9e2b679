"""Tests in Chromium: a session from its link to what stands on the ticket, with a worker and a sandbox."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from integrations_ui.tests.conftest import PASSWORD
from integrations_ui.tests.session_desk import (
    OTHER_COMPANYS,
    TICKET,
    actor_of,
    begin,
    connect_sandbox,
    deliver,
    link,
    map_member,
    posts,
    url,
)
from integrations_ui.tests.test_browser import fits, sign_in
from psa.models import Connection, Delivery
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import NoteKind
from resolutionflow.accounts.models import Account, User
from resolutionflow.flows.models import Flow
from resolutionflow.sessions import services
from resolutionflow.sessions.models import FlowSession

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SIZES = {"phone": {"width": 390, "height": 844}, "desktop": {"width": 1280, "height": 800}}
LOOKS = [
    pytest.param(size, scheme, id=f"{name}-{scheme}")
    for name, size in SIZES.items()
    for scheme in ("light", "dark")
]
TOO_LONG = {
    "code": "InvalidObject",
    "message": "serviceNote object is invalid",
    "errors": [
        {"code": "TooLong", "message": "The text is too long.", "resource": "serviceNote", "field": "text"}
    ],
}


@pytest.fixture(scope="module")
def live_server(django_db_setup: None) -> Iterator[LiveServer]:
    """A server whose threads have database connections of their own.

    Made before the test database, as pytest-django may do it, a live server takes SQLite for an in-memory one
    and shares the test's connection with its threads. Beside a worker that crashes the interpreter.
    """
    server = LiveServer("localhost")
    yield server
    server.stop()


@pytest.fixture
def connection(transactional_db: None, account: Account, owner: User, sandbox: SandboxServer) -> Connection:
    return connect_sandbox(account, owner, sandbox)


@pytest.fixture
def session(account: Account, member: User, connection: Connection) -> FlowSession:
    return begin(account, member)


def troubles(page: Page) -> list[str]:
    """Return what a page complained about. htmx calls it an error when a newer request replaces one."""
    return [text for text in page.complaints if not text.startswith(("htmx:afterRequest", "htmx:sendAbort"))]


def choose(page: Page, outcome: str, *, summary: str = "", status: str = "") -> None:
    """Fill the complete dialog; the statuses of the board are there by then."""
    page.get_by_label(outcome, exact=True).check()
    page.get_by_label("Closing summary").fill(summary)
    if status:
        page.get_by_label("Status of the ticket").locator(f"option[value='{status}']").wait_for(
            state="attached"
        )
        page.get_by_label("Status of the ticket").select_option(status)
    expect(page.locator(".htmx-request")).to_have_count(0)


def test_linking_and_completing_without_javascript(
    browser: Browser, live_server: LiveServer, member: User, session: FlowSession, sandbox: SandboxServer
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(page, live_server, "mia")
    page.goto(f"{live_server.url}{url(session, 'ticket/')}")
    page.get_by_role("link", name="Show my open tickets").click()
    page.get_by_label("Words or ticket number").fill(str(TICKET))
    page.get_by_role("button", name="Find").click()
    page.get_by_role("button", name="Link this ticket").click()
    expect(page.get_by_text(f"Linked to ticket #{TICKET}")).to_be_visible()

    page.get_by_label("What did you do?").fill("Restarted the spooler.")
    page.get_by_role("button", name="Add step").click()
    expect(page.get_by_text("Restarted the spooler.").first).to_be_visible()

    page.get_by_role("link", name="Complete").click()
    page.get_by_label("Resolved", exact=True).check()
    page.get_by_label("Closing summary").fill("It prints again.")
    page.get_by_role("button", name="Show all statuses of the board").click()
    expect(page.get_by_label("Closing summary")).to_have_value("It prints again.")
    page.get_by_label("Status of the ticket").select_option("Closed")
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("button", name="Complete and post").click()
    expect(page.get_by_text("Completed. What it posts")).to_be_visible()
    deliver()
    page.reload()
    expect(page.locator("#deliveries").get_by_text("Delivered", exact=True)).to_have_count(3)
    assert sandbox.ticket(TICKET)["status"]["name"] == "Closed"
    context.close()


def test_outage_is_shown_and_heals(
    watched: Page,
    live_server: LiveServer,
    account: Account,
    member: User,
    session: FlowSession,
    connection: Connection,
    sandbox: SandboxServer,
) -> None:
    page = watched
    link(session, connection, member)
    sandbox.faults.add(kind="drop_before")
    sign_in(page, live_server, "mia")
    page.goto(f"{live_server.url}{url(session)}")
    expect(page.get_by_text("You can go on working")).to_be_visible(timeout=15_000)
    services.note_post(account, session.pk, actor=actor_of(member), kind=NoteKind.ANALYSIS)
    Connection.objects.update(state="degraded")
    page.reload()
    expect(page.get_by_text("Waiting for Main ConnectWise")).to_be_visible()
    expect(page.get_by_role("link", name="Ask again")).to_be_visible(timeout=15_000)
    sandbox.faults.clear()
    Connection.objects.update(state="connected")
    page.get_by_role("link", name="Ask again").click()
    expect(page.get_by_text("Owen Castillo")).to_be_visible()
    page.reload()
    deliver()
    expect(page.locator("#deliveries").get_by_text("Delivered", exact=True)).to_be_visible(timeout=15_000)
    assert troubles(page) == []


def test_refused_note_is_edited_and_posted(
    watched: Page,
    live_server: LiveServer,
    account: Account,
    member: User,
    session: FlowSession,
    connection: Connection,
    sandbox: SandboxServer,
) -> None:
    page = watched
    link(session, connection, member)
    sandbox.faults.add(kind="status", method="POST", path="/notes$", status=400, body=json.dumps(TOO_LONG))
    services.note_post(account, session.pk, actor=actor_of(member), kind=NoteKind.ANALYSIS)
    deliver()
    sandbox.faults.clear()
    sign_in(page, live_server, "mia")
    page.goto(f"{live_server.url}{url(session)}")
    expect(page.get_by_text("The text is too long.")).to_be_visible()
    page.get_by_role("link", name="Edit and retry").click()
    page.get_by_label("Text").fill("Shorter.")
    page.get_by_role("button", name="Post this text").click()
    expect(page.get_by_text("Queued")).to_be_visible()
    deliver()
    expect(page.locator("#deliveries").get_by_text("Delivered", exact=True)).to_be_visible(timeout=15_000)
    assert "Shorter." in sandbox.notes(TICKET)[-1]["text"]


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


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_session_pages_are_accessible_and_fit(
    watched: Page,
    live_server: LiveServer,
    account: Account,
    member: User,
    session: FlowSession,
    connection: Connection,
    size: dict[str, int],
    scheme: str,
) -> None:
    page = watched
    Flow.objects.create(account=account, title="Printer is offline for one person")
    map_member(connection, member, "eowens")
    link(session, connection, member)
    services.note_post(account, session.pk, actor=actor_of(member), kind=NoteKind.ANALYSIS)
    problem = {"code": "psa-rejected", "text": "ConnectWise refused this.", "remedy": "Change the text."}
    Delivery.objects.update(state="dead", problem=problem)
    (dead,) = posts(session)
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=scheme)
    sign_in(page, live_server, "mia")
    tails: list[tuple[str, str]] = [
        ("", "Owen Castillo"),
        ("edit/", "Edit session"),
        ("ticket/", "Yours"),
        (f"ticket/{connection.pk}/{OTHER_COMPANYS}/", "Another company"),
        ("ticket/now/", "Owen Castillo"),
        ("ticket/unlink/", "Give it up"),
        ("note/", "Internal (staff only)"),
        ("complete/", "Show all statuses|closes the ticket"),
        (f"deliveries/{dead.pk}/edit/", "Change the text."),
        (f"deliveries/{dead.pk}/discard/", "Discard this post?"),
    ]
    pages = [(url(session, tail), word) for tail, word in tails]
    pages += [
        ("/integrations/sessions/", "Needs you"),
        ("/integrations/sessions/?show=completed", "No sessions here"),
        ("/integrations/sessions/new/", "New session"),
        (f"/integrations/tickets/{connection.pk}/{TICKET}/", "Owen Castillo"),
    ]
    wrong: dict[str, Any] = {}
    for address, word in pages:
        page.goto(f"{live_server.url}{address}")
        expect(page.locator("main")).to_contain_text(word.split("|")[-1])
        wrong |= _faults(page, address)
    page.goto(f"{live_server.url}{url(session, 'complete/')}")
    choose(page, "Resolved", summary="It prints again.", status="Closed")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("button", name="Complete and post")).to_be_visible()
    wrong |= _faults(page, "the preview")
    assert wrong == {}
    assert troubles(page) == []


def _faults(page: Page, name: str) -> dict[str, Any]:
    """Return what axe finds on a page, and whether it is wider than the screen."""
    found: dict[str, Any] = {}
    if violations := Axe().run(page).response["violations"]:
        found[name] = [(row["id"], [node["html"] for node in row["nodes"]]) for row in violations]
    if not fits(page):
        found[f"{name} is too wide"] = True
    return found
