"""Tests in Chromium: how time, files and pauses look, and that the dialog is filled by itself."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from integrations_ui.tests.browser_desk import LOOKS, look_faults, settled, sign_in, troubles
from integrations_ui.tests.session_desk import actor_of, begin, connect_sandbox, link, map_member, url
from integrations_ui.tests.test_session_time import OVERLAP, psa  # noqa: F401  a fixture
from psa import selectors as psa_selectors
from psa.models import Connection
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Document
from resolutionflow.accounts.models import Account, User
from resolutionflow.accounts.services import user_create
from resolutionflow.sessions import services
from resolutionflow.sessions.models import FlowSession, SessionStep

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

FILES = [
    Document("55", "1", "Report", "ResolutionFlow-session-12.html", 20_480, created_by="Eva Owens"),
    Document("54", "1", "", "a-very-long-name-" * 6 + ".pdf", None, customer_visible=True),
]


@pytest.fixture
def connection(transactional_db: None, account: Account, owner: User, sandbox: SandboxServer) -> Connection:
    return connect_sandbox(account, owner, sandbox)


@pytest.fixture
def worked(account: Account, member: User, connection: Connection) -> FlowSession:
    """A session of forty minutes, by two engineers, paused now."""
    ben = user_create(account, username="ben", password="x", first_name="Ben", last_name="Keller")
    session = link(begin(account, member), connection, member)
    services.step_add(account, session.pk, actor=actor_of(ben), body="Exchanged the fuser unit.")
    start = timezone.now() - timedelta(minutes=40)
    FlowSession.objects.filter(pk=session.pk).update(started_at=start)
    for position in (1, 2):
        SessionStep.objects.filter(session=session, position=position).update(
            created_at=start + timedelta(minutes=10 * position)
        )
    services.session_pause(account, session.pk, actor=actor_of(member))
    map_member(connection, member, "eowens")
    return session


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_time_and_files_are_accessible_and_fit(
    watched: Page,
    live_server: LiveServer,
    worked: FlowSession,
    psa: dict[str, Any],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    size: dict[str, int],
    scheme: str,
) -> None:
    page = watched
    monkeypatch.setattr(psa_selectors, "documents", lambda *args: FILES)
    psa["objections"] = (OVERLAP,)
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=scheme)
    sign_in(page, live_server, "mia")
    wrong: dict[str, list[Any]] = {}

    def look(name: str) -> None:
        settled(page)
        wrong[name] = look_faults(page)
        if folder := os.environ.get("LOOK_AT"):
            page.screenshot(path=f"{folder}/{name}-{size['width']}-{scheme}.png", full_page=True)

    page.goto(f"{live_server.url}{url(worked)}")
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    page.get_by_text("Files", exact=True).click()
    expect(page.get_by_role("link", name="ResolutionFlow-session-12.html")).to_be_visible()
    look("session")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()

    page.goto(f"{live_server.url}{url(worked, 'complete/')}")
    expect(page.get_by_text("Your time on this ticket that day:")).to_be_visible()
    page.get_by_text("More: billing, work type, role, agreement").click()
    page.get_by_label("Work type").select_option("Remote")
    page.get_by_label("Enter my time on the ticket").check()
    look("complete")
    page.get_by_label("Cancelled", exact=True).check()
    page.get_by_label("Sentence for the invoice").fill("Printer repaired.")
    page.get_by_label("Attach the session's documentation").uncheck()
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("Prints on the invoice").first).to_be_visible()
    expect(page.get_by_label("Skip it: it is there already")).to_be_visible()
    look("preview")
    assert psa["parts"][-2].work_type == "3"
    page.get_by_label("Skip it: it is there already").check()
    page.get_by_role("button", name="Complete and post").click()
    expect(page.get_by_text("Completed. What it posts is on its way to the ticket.")).to_be_visible()

    assert {name: faults for name, faults in wrong.items() if faults} == {}
    assert troubles(page) == []
