"""Tests in Chromium: a session from its link to what stands on the ticket, with a worker and a sandbox."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from integrations_ui.tests.browser_desk import LOOKS, look_faults, search, settled, sign_in, troubles
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
from psa import services as psa_services
from psa.models import Connection, Delivery
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import NoteKind
from resolutionflow.accounts.models import Account, User
from resolutionflow.flows.models import Flow
from resolutionflow.sessions import services
from resolutionflow.sessions.models import FlowSession

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

TOO_LONG = {
    "code": "InvalidObject",
    "message": "serviceNote object is invalid",
    "errors": [
        {"code": "TooLong", "message": "The text is too long.", "resource": "serviceNote", "field": "text"}
    ],
}


@pytest.fixture
def connection(transactional_db: None, account: Account, owner: User, sandbox: SandboxServer) -> Connection:
    return connect_sandbox(account, owner, sandbox)


@pytest.fixture
def session(account: Account, member: User, connection: Connection) -> FlowSession:
    return begin(account, member)


def choose(page: Page, outcome: str, *, summary: str = "", status: str = "") -> None:
    """Fill the complete dialog, as soon as the statuses of the board are there."""
    page.get_by_label(outcome, exact=True).check()
    page.get_by_label("Closing summary").fill(summary)
    if status:
        page.get_by_label("Status of the ticket").select_option(status)


def test_from_the_link_to_what_stands_on_the_ticket(
    watched: Page, live_server: LiveServer, member: User, session: FlowSession, sandbox: SandboxServer
) -> None:
    page = watched
    sign_in(page, live_server, "mia")
    page.get_by_role("link", name="Sessions").first.click()
    page.get_by_role("link", name="Printer offline").click()
    page.get_by_role("link", name="Link a ticket").first.click()
    search(page, page.get_by_label("Words or ticket number"), "second floor")
    page.get_by_role("link", name=f"#{TICKET}").click()
    expect(page.get_by_text("Owen Castillo").first).to_be_visible()
    page.get_by_role("button", name="Link this ticket").click()
    expect(page.get_by_text("In Progress")).to_be_visible()  # the panel has asked the PSA by itself

    page.get_by_role("link", name="Complete").click()
    choose(page, "Resolved", summary="It prints again.", status="Closed")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("Your staff only")).to_be_visible()
    assert posts(session) == []
    page.get_by_role("button", name="Complete and post").click()
    expect(page.get_by_text("Queued").first).to_be_visible()
    deliver()
    expect(page.locator("#deliveries").get_by_text("Delivered", exact=True)).to_have_count(3, timeout=15_000)
    expect(page.locator("#deliveries[hx-get]")).to_have_count(0)
    assert sandbox.ticket(TICKET)["status"]["name"] == "Closed"
    assert troubles(page) == []


def test_status_chosen_stays_and_the_other_choice_says_what_the_rule_sets(
    watched: Page,
    live_server: LiveServer,
    account: Account,
    owner: User,
    member: User,
    session: FlowSession,
    connection: Connection,
) -> None:
    page = watched
    rules = [psa_services.StatusRuleDraft("1", "resolved", "Closed")]
    psa_services.status_rules_set(account, connection.pk, rules, actor=actor_of(owner))
    link(session, connection, member)
    sign_in(page, live_server, "mia")
    page.goto(f"{live_server.url}{url(session, 'complete/')}")
    status = page.get_by_label("Status of the ticket")
    expect(status.locator("option").first).to_have_text("As the status rules say")
    status.select_option("Escalated")
    page.get_by_label("Resolved", exact=True).check()
    expect(status.locator("option").first).to_have_text("Closed (by the status rule)")
    page.get_by_label("Escalated", exact=True).check()
    expect(status.locator("option").first).to_have_text("Leave it as it is")
    settled(page)
    expect(status).to_have_value("Escalated")


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
    expect(page.locator("#ticket-now").get_by_role("link", name="Ask again")).to_be_visible(timeout=15_000)
    sandbox.faults.clear()
    Connection.objects.update(state="connected")
    page.locator("#ticket-now").get_by_role("link", name="Ask again").click()
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
    ]
    pages = [(url(session, tail), word) for tail, word in tails]
    pages += [
        ("/integrations/sessions/", "Needs you"),
        ("/integrations/sessions/?show=completed", "No sessions here"),
        ("/integrations/sessions/new/", "New session"),
        (f"/integrations/tickets/{connection.pk}/{TICKET}/", "Owen Castillo"),
        (f"/integrations/deliveries/{dead.pk}/edit/", "Change the text."),
        (f"/integrations/deliveries/{dead.pk}/discard/", "Discard this post?"),
    ]
    wrong: dict[str, list[Any]] = {}
    for address, word in pages:
        page.goto(f"{live_server.url}{address}")
        expect(page.locator("main")).to_contain_text(word.split("|")[-1])
        settled(page)
        wrong[address] = look_faults(page)
    page.goto(f"{live_server.url}{url(session, 'complete/')}")
    choose(page, "Resolved", summary="It prints again.", status="Closed")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("button", name="Complete and post")).to_be_visible()
    wrong["the preview"] = look_faults(page)
    assert {name: faults for name, faults in wrong.items() if faults} == {}
    assert troubles(page) == []
