"""Tests in Chromium: the frame, the Integrations page, and every page of a connection in all looks."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from integrations_ui.tests.browser_desk import LOOKS, look_faults, settled, sign_in
from integrations_ui.tests.test_browser_connect import connection_make
from integrations_ui.tests.test_pages import connect
from psa.models import Connection, Delivery, TicketLink, WorkUnit
from psa.models.callback import CallbackSubscription
from psa.outbox.worker import Worker
from psa.providers.connectwise.sandbox.server import SandboxServer
from resolutionflow.accounts.models import Account, User

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

FEATURES = [
    {"feature": "connection", "status": "ok"},
    {"feature": "notes", "status": "denied", "refused": True},
    {"feature": "status", "status": "limited"},
    {"feature": "articles", "status": "unknown"},
]
PROBLEM = {"code": "psa-refused", "text": "ConnectWise refused it.", "remedy": "Discard it."}
PAGES = [
    "",
    "connect/connectwise/",
    "connect/connectwise/role/",
    "{id}/",
    "{id}/permissions/",
    "{id}/callbacks/",
    "{id}/settings/",
    "{id}/settings/key/",
    "{id}/settings/move/",
    "{id}/settings/off/",
    "{id}/settings/delete/",
    "problems/{problem}/discard/",
]


def crowd(account: Account, owner: User) -> dict[str, int]:
    """Fill an account with connections in every state, and one problem; return what addresses need."""
    first = connect(
        account,
        features=FEATURES,
        hidden_boards=["HR", "Internal"],
        endpoint={"site": "x", "base_url": "https://x", "version": "v2025.16", "api_version": ""},
        last_checked_at=timezone.now(),
    )
    for number, state in enumerate(["unverified", "degraded", "broken", "disabled"]):
        connect(
            account,
            company_id=f"c{number}",
            state=state,
            name=f"A rather long name of a connection number {number}",
            site="a-long-host-name-of-an-installation.example.com",
            problem=PROBLEM if state in ("degraded", "broken") else None,
        )
    CallbackSubscription.objects.create(
        tenant=account, connection=first, type="ticket", level="owner", object_id="1", state="failed"
    )
    link = TicketLink.objects.create(tenant=account, connection=first, record_type="service", ticket_id="9")
    unit = WorkUnit.objects.create(tenant=account, link=link, created_by=owner, created_by_name="Olga")
    Delivery.objects.create(
        tenant=account,
        connection=first,
        link=link,
        unit=unit,
        kind="analysis",
        seq=1,
        payload={"text": "x"},
        due_at=timezone.now(),
        state="dead",
        problem=PROBLEM,
        created_by=owner,
    )
    return {"id": first.pk}


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_every_page_is_accessible_and_fits(
    watched: Page, live_server: LiveServer, owner: User, account: Account, size: dict[str, int], scheme: str
) -> None:
    ids = crowd(account, owner)
    User.objects.filter(pk=owner.pk).update(last_name="Featherstonehaugh-Cholmondeley the Third")
    watched.set_viewport_size(size)
    watched.emulate_media(color_scheme=scheme)
    sign_in(watched, live_server, "olga")
    found = watched.get_by_role("link", name=re.compile("^Discard")).first.get_attribute("href")
    ids["problem"] = int(re.search(r"problems/(\d+)/", found)[1])
    for page in PAGES:
        watched.goto(f"{live_server.url}/integrations/{page.format(**ids)}")
        settled(watched)
        assert (page, look_faults(watched)) == (page, [])
    assert watched.complaints == []


def test_phone_menu_opens_and_closes(watched: Page, live_server: LiveServer, member: User) -> None:
    watched.set_viewport_size({"width": 390, "height": 844})
    sign_in(watched, live_server, "mia")
    sessions = watched.get_by_role("link", name="Sessions")
    expect(sessions).to_have_count(0)
    watched.get_by_text("Menu").click()
    expect(sessions).to_be_visible()
    watched.keyboard.press("Escape")
    expect(sessions).to_have_count(0)


def test_keyboard_reaches_the_content_first(watched: Page, live_server: LiveServer, member: User) -> None:
    sign_in(watched, live_server, "mia")
    watched.goto(f"{live_server.url}/integrations/")
    watched.keyboard.press("Tab")
    expect(watched.get_by_role("link", name="Skip to content")).to_be_focused()
    watched.keyboard.press("Enter")
    expect(watched.locator("main")).to_be_focused()


def test_test_button_keeps_the_focus_and_says_the_result(
    watched: Page, live_server: LiveServer, owner: User, account: Account, sandbox: SandboxServer
) -> None:
    connection_make(account, owner, sandbox)
    sign_in(watched, live_server, "olga")
    button = watched.get_by_role("button", name="Test Main ConnectWise")
    button.click()
    expect(watched.locator(".connection-card [role=status]")).to_have_text(
        re.compile("Main ConnectWise works.")
    )
    expect(button).to_be_focused()


@pytest.fixture
def work() -> Callable[[], None]:
    """Run what a worker has to do now: probes that wait for their time, too."""

    def run() -> None:
        past = timezone.now() - timedelta(seconds=1)
        Connection.objects.filter(next_probe_at__isnull=False).update(next_probe_at=past)
        Worker(2).run(once=True)

    return run


def test_an_outage_is_shown_and_so_is_its_end(
    watched: Page,
    live_server: LiveServer,
    owner: User,
    account: Account,
    sandbox: SandboxServer,
    work: Callable[[], None],
) -> None:
    connection_make(account, owner, sandbox)
    sign_in(watched, live_server, "olga")
    sandbox.faults.add("drop_before")
    watched.get_by_role("button", name="Test Main ConnectWise").click()
    state = watched.locator(".connection-card .state").first
    expect(state).to_have_text("Not answering right now")
    expect(watched.locator(".site-badge")).to_contain_text("1 needs you")
    sandbox.faults.clear()
    work()
    watched.evaluate("htmx.trigger('#live', 'refresh')")
    expect(state).to_have_text("Connected")
    expect(watched.locator(".site-badge")).to_have_count(0)
    assert watched.complaints == []
