"""Tests in Chromium: signing in and out, accessibility, width of a phone, the content security policy."""

from __future__ import annotations

import pytest
import requests
from playwright.sync_api import Page
from pytest_django.live_server_helper import LiveServer

from integrations_ui.tests.browser_desk import LOOKS, look_faults, sign_in
from integrations_ui.tests.test_pages import connect
from resolutionflow.accounts.models import Account, User

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_person_signs_in_and_out(watched: Page, live_server: LiveServer, member: User) -> None:
    sign_in(watched, live_server, "mia")
    watched.get_by_role("button", name="Sign out").click()
    watched.wait_for_url("**/accounts/login/")
    assert watched.complaints == []


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_sign_in_page_is_accessible_and_fits(
    watched: Page, live_server: LiveServer, size: dict[str, int], scheme: str
) -> None:
    watched.set_viewport_size(size)
    watched.emulate_media(color_scheme=scheme)
    watched.goto(f"{live_server.url}/accounts/login/")
    assert look_faults(watched) == []


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_integrations_page_is_accessible_and_fits(
    watched: Page, live_server: LiveServer, owner: User, account: Account, size: dict[str, int], scheme: str
) -> None:
    for number, state in enumerate(["connected", "unverified", "degraded", "broken", "disabled"]):
        connect(
            account, company_id=f"c{number}", state=state, name=f"A rather long name of a connection {number}"
        )
    watched.set_viewport_size(size)
    watched.emulate_media(color_scheme=scheme)
    sign_in(watched, live_server, "olga")
    assert look_faults(watched) == []


def test_second_factor_page_is_accessible(watched: Page, live_server: LiveServer, member: User) -> None:
    sign_in(watched, live_server, "mia")
    watched.goto(f"{live_server.url}/accounts/2fa/")
    assert look_faults(watched) == []


def test_api_docs_load_under_the_policy(watched: Page, live_server: LiveServer) -> None:
    watched.goto(f"{live_server.url}/api/docs/")
    watched.get_by_role("heading", name="ResolutionFlow PSA").wait_for()
    watched.locator("text=/api/v1/flows/").first.wait_for()
    assert watched.complaints == []


def test_the_icon_a_browser_asks_for_by_itself_is_there(live_server: LiveServer) -> None:
    answer = requests.get(f"{live_server.url}/favicon.ico", timeout=5)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/svg+xml")


def test_django_admin_works_under_the_policy(watched: Page, live_server: LiveServer, owner: User) -> None:
    sign_in(watched, live_server, "olga")
    watched.goto(f"{live_server.url}/admin/accounts/user/add/")
    watched.get_by_role("heading", name="Add user").wait_for()
    assert watched.complaints == []
