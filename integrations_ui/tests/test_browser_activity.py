"""Tests in Chromium of members, status rules, activity and the audit, on a real server and a real sandbox."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from integrations_ui.tests.browser_desk import LOOKS, look_faults, search, settled, sign_in
from integrations_ui.tests.delivery_desk import NOTES, attempt, notes_on, post, put
from integrations_ui.tests.session_desk import actor_of, connect_sandbox, deliver
from psa import services
from psa.models import Connection, Delivery, MemberMapping, MemberReview, StatusRule
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Scope
from resolutionflow.accounts.models import Account, User
from resolutionflow.accounts.services import user_create

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def connection(account: Account, owner: User, sandbox: SandboxServer) -> Connection:
    return connect_sandbox(account, owner, sandbox)


@pytest.fixture
def erin(account: Account) -> User:
    """Somebody whose address is that of one member."""
    return user_create(
        account,
        username="erin",
        password="x",
        email="eowens@acme-msp.example",
        first_name="Erin",
        last_name="Owens",
    )


@pytest.fixture
def felix(account: Account) -> User:
    """Somebody whose address two members share."""
    return user_create(
        account,
        username="felix",
        password="x",
        email="helpdesk@acme-msp.example",
        first_name="Felix",
        last_name="Chan",
    )


@pytest.fixture
def without_script(browser: Browser) -> Iterator[Page]:
    """A page of a browser whose JavaScript is switched off."""
    context = browser.new_context(java_script_enabled=False)
    yield context.new_page()
    context.close()


def mapped() -> dict[str, str]:
    return dict(MemberMapping.objects.filter(active=True).values_list("user_name", "member_name"))


def address(live_server: LiveServer, connection: Connection, tail: str) -> str:
    return f"{live_server.url}/integrations/{connection.pk}/{tail}"


# Members ----------------------------------------------------------------------------------------


def test_lead_matches_by_mail_and_chooses_who_is_ambiguous(
    watched: Page, live_server: LiveServer, lead: User, erin: User, felix: User, connection: Connection
) -> None:
    sign_in(watched, live_server, "lea")
    watched.goto(address(live_server, connection, "members/"))
    expect(watched.get_by_text("Would be Erin Owens")).to_be_visible()
    watched.get_by_role("button", name="Match by e-mail").click()
    expect(watched.get_by_text("1 person matched by e-mail.")).to_be_visible()
    assert mapped() == {"Erin Owens": "Erin Owens"}
    watched.get_by_role("button", name="This one: Felix Chan is Felix Chan").click()
    expect(watched.get_by_text("Felix Chan is mapped.")).to_be_visible()
    assert mapped() == {"Erin Owens": "Erin Owens", "Felix Chan": "Felix Chan"}
    assert watched.complaints == []


def test_member_is_found_while_typing(
    watched: Page, live_server: LiveServer, lead: User, felix: User, connection: Connection
) -> None:
    sign_in(watched, live_server, "lea")
    watched.goto(address(live_server, connection, f"members/{felix.pk}/"))
    search(watched, watched.get_by_role("searchbox"), "carmen")
    expect(watched.get_by_role("radio")).to_have_count(1)
    watched.get_by_label("Carmen Diaz").check()
    watched.get_by_role("button", name="Map").click()
    expect(watched.get_by_text("Felix Chan is mapped.")).to_be_visible()
    assert mapped() == {"Felix Chan": "Carmen Diaz"}


def test_member_is_chosen_without_javascript(
    without_script: Page, live_server: LiveServer, lead: User, felix: User, connection: Connection
) -> None:
    page = without_script
    sign_in(page, live_server, "lea")
    page.goto(address(live_server, connection, "members/"))
    page.get_by_role("link", name="Read them now").click()
    expect(page.get_by_text("Several people share this address")).to_be_visible()
    page.get_by_role("link", name="Choose the member Felix Chan is").click()
    page.get_by_role("searchbox").fill("romano")
    page.get_by_role("button", name="Search").click()
    page.get_by_label("Gia Romano").check()
    page.get_by_role("button", name="Map").click()
    expect(page.get_by_text("Felix Chan is mapped.")).to_be_visible()
    assert mapped() == {"Felix Chan": "Gia Romano"}


# Status rules -----------------------------------------------------------------------------------


def test_rule_is_set_in_its_row_with_its_warning(
    watched: Page, live_server: LiveServer, lead: User, connection: Connection
) -> None:
    sign_in(watched, live_server, "lea")
    watched.goto(address(live_server, connection, "status-rules/"))
    watched.get_by_role("link", name="Set up the rules of Help Desk").click()
    resolved = watched.get_by_role("group", name="Resolved", exact=True)
    resolved.get_by_label("Status").select_option(label="Closed (closes the ticket, mails the customer)")
    expect(resolved.get_by_text("This status mails the customer.")).to_be_visible()
    watched.get_by_role("button", name="Save").click()
    expect(watched.get_by_text("Saved.")).to_be_visible()
    expect(watched.get_by_role("link", name="Edit the rules of Help Desk")).to_be_focused()
    assert StatusRule.objects.get().status_name == "Closed"
    assert watched.complaints == []


AT_ONCE = """
new MutationObserver(() => {
  const status = document.querySelector(".board-form select");
  if (!status || window.changed) return;
  window.changed = true;
  status.selectedIndex = [...status.options].findIndex((one) => one.text.includes("mails the customer"));
  status.dispatchEvent(new Event("change", { bubbles: true }));
}).observe(document, { childList: true, subtree: true });
"""
"""A hand as quick as the page: it chooses a status in the moment the form is there."""


def test_warning_comes_however_early_the_status_is_chosen(
    watched: Page, live_server: LiveServer, lead: User, connection: Connection
) -> None:
    sign_in(watched, live_server, "lea")
    watched.goto(address(live_server, connection, "status-rules/"))
    watched.get_by_role("link", name="Set up the rules of Help Desk").wait_for()
    watched.evaluate(AT_ONCE)
    watched.get_by_role("link", name="Set up the rules of Help Desk").click()
    expect(watched.get_by_text("This status mails the customer.")).to_be_visible()


def test_rule_is_set_without_javascript(
    without_script: Page, live_server: LiveServer, lead: User, connection: Connection
) -> None:
    page = without_script
    sign_in(page, live_server, "lea")
    page.goto(address(live_server, connection, "status-rules/"))
    page.get_by_role("link", name="Read them now").click()
    page.get_by_role("link", name="Set up the rules of Security").click()
    page.get_by_role("group", name="Escalated").get_by_label("Status").select_option(index=1)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The rules of Security are saved.")).to_be_visible()
    assert StatusRule.objects.get().board_name == "Security"


# Activity ---------------------------------------------------------------------------------------


def test_delivery_that_needs_a_person_is_retried_and_watched(
    watched: Page,
    live_server: LiveServer,
    member: User,
    connection: Connection,
    sandbox: SandboxServer,
) -> None:
    sandbox.faults.add("status", method="POST", path=NOTES, status=400, count=1)
    found = post(connection, member)
    deliver()
    sign_in(watched, live_server, "mia")
    watched.goto(address(live_server, connection, "activity/"))
    row = watched.locator(f"#delivery-{found.pk}")
    expect(row.get_by_text("Needs you")).to_be_visible()
    row.get_by_text("1 attempt").click()
    expect(row.get_by_text("Refused by the PSA")).to_be_visible()
    row.get_by_role("button", name="Retry").click()
    expect(row.get_by_text("Queued")).to_be_visible()
    deliver()
    expect(row.get_by_text("Delivered")).to_be_visible(timeout=10_000)
    expect(watched.get_by_text("Live", exact=True)).to_have_count(0)
    assert len(notes_on(sandbox)) == 1
    assert watched.complaints == []


def test_delivery_is_edited_without_javascript(
    without_script: Page,
    live_server: LiveServer,
    member: User,
    connection: Connection,
    sandbox: SandboxServer,
) -> None:
    page = without_script
    found = put(post(connection, member), "dead")
    sign_in(page, live_server, "mia")
    page.goto(address(live_server, connection, "activity/"))
    page.get_by_role("link", name=f"Edit and retry (post {found.pk})").click()
    page.get_by_label("Text").fill("Restarted the spooler and tested it.")
    page.get_by_role("button", name="Post this text").click()
    expect(page.get_by_text("The new text takes the place of the old one.")).to_be_visible()
    deliver()
    (note,) = notes_on(sandbox)
    assert "tested it" in note["text"]


def test_note_is_hidden_and_corrected(
    watched: Page,
    live_server: LiveServer,
    member: User,
    connection: Connection,
    sandbox: SandboxServer,
) -> None:
    found = post(connection, member, "The printer works again.", kind="resolution", notify=True)
    deliver()
    sign_in(watched, live_server, "mia")
    watched.goto(f"{live_server.url}/integrations/deliveries/{found.pk}/")
    watched.get_by_role("link", name="Hide from customer").click()
    expect(watched.get_by_text("A mail already sent cannot be recalled.")).to_be_visible()
    watched.get_by_role("button", name="Hide from customer").click()
    expect(watched.get_by_text("Only staff can read it now.")).to_be_visible()
    assert notes_on(sandbox)[0]["internalAnalysisFlag"] is True
    watched.get_by_role("link", name="Correct").click()
    watched.get_by_label("Text").fill("The scanner works again.")
    watched.get_by_role("button", name="Correct it").click()
    expect(watched.get_by_text("The note has its new text.")).to_be_visible()
    (note,) = notes_on(sandbox)
    assert "The scanner works again." in note["text"]
    assert watched.complaints == []


def test_note_is_moved_to_a_ticket_found_while_typing(
    watched: Page,
    live_server: LiveServer,
    member: User,
    connection: Connection,
    sandbox: SandboxServer,
) -> None:
    found = post(connection, member)
    deliver()
    sign_in(watched, live_server, "mia")
    watched.goto(f"{live_server.url}/integrations/deliveries/{found.pk}/move/")
    search(watched, watched.get_by_role("searchbox"), "57002")
    watched.get_by_role("link", name="#57002").click()
    watched.get_by_role("button", name="Move it there").click()
    expect(watched.get_by_text("It is queued for ticket 57002")).to_be_visible()
    assert Delivery.objects.get(supersedes=found).link.ticket_id == "57002"


def test_note_is_removed_without_javascript(
    without_script: Page,
    live_server: LiveServer,
    member: User,
    connection: Connection,
    sandbox: SandboxServer,
) -> None:
    page = without_script
    found = post(connection, member)
    deliver()
    sign_in(page, live_server, "mia")
    page.goto(f"{live_server.url}/integrations/deliveries/{found.pk}/")
    page.get_by_role("link", name="Remove").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("It is off the ticket.")).to_be_visible()
    assert notes_on(sandbox) == []


# Look -------------------------------------------------------------------------------------------


@pytest.fixture
def furnished(
    account: Account, owner: User, member: User, erin: User, felix: User, connection: Connection
) -> Delivery:
    """One of everything the pages can show. Returns a delivered note of the customer."""
    services.member_mappings_set(account, connection.pk, {erin.pk: "105"}, actor=actor_of(owner))
    MemberReview.objects.create(
        tenant=account,
        connection=connection,
        due_at=connection.created_at,
        checked_at=connection.created_at,
        news=[{"id": "1", "name": "Tom Weber", "change": "left", "at": "2026-03-02T09:00:00+00:00"}],
    )
    services.status_rules_set(
        account,
        connection.pk,
        [
            services.StatusRuleDraft("1", "resolved", "Closed"),
            services.StatusRuleDraft("1", "escalated", "504"),
        ],
        actor=actor_of(owner),
    )
    note = post(connection, member, "The printer works again.", kind="resolution", notify=True)
    deliver()
    dead = put(post(connection, member, "One.", "Two."), "dead")
    attempt(dead)
    put(post(connection, member, ticket=57002), "unknown")
    services.delivery_retry(account, dead.pk, scope=_scope(account, owner))
    put(dead, "dead")
    return note


def _scope(account: Account, user: User) -> Scope:
    return Scope(account, actor_of(user), can_manage=True, can_lead=True, can_post=True)


PAGES = [
    "{connection}/members/",
    "{connection}/members/{felix}/",
    "{connection}/members/{erin}/clear/",
    "{connection}/status-rules/",
    "{connection}/status-rules/board/1/",
    "{connection}/activity/?state=needs-you",
    "{connection}/activity/?since=nonsense",
    "deliveries/{note}/",
    "deliveries/{note}/hide/",
    "deliveries/{note}/correct/",
    "deliveries/{note}/move/",
    "deliveries/{dead}/",
    "deliveries/{dead}/discard/",
    "audit/?who=olga",
]


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_pages_are_accessible_and_fit(
    watched: Page,
    live_server: LiveServer,
    furnished: Delivery,
    connection: Connection,
    erin: User,
    felix: User,
    size: dict[str, int],
    scheme: str,
) -> None:
    watched.set_viewport_size(size)
    watched.emulate_media(color_scheme=scheme)
    sign_in(watched, live_server, "olga")
    names = {
        "connection": connection.pk,
        "erin": erin.pk,
        "felix": felix.pk,
        "note": furnished.pk,
        "dead": Delivery.objects.filter(state="dead").first().pk,
    }
    for page in PAGES:
        watched.goto(f"{live_server.url}/integrations/{page.format(**names)}")
        expect(watched.locator("progress")).to_have_count(0)
        watched.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true; })")
        settled(watched)
        assert (page, look_faults(watched)) == (page, [])
    assert watched.complaints == []
