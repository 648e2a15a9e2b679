"""Owns what the tests in Chromium share: signing in, waiting for htmx, faults of a page's look."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect
from pytest_django.live_server_helper import LiveServer

from integrations_ui.tests.conftest import PASSWORD

PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1280, "height": 800}
LOOKS = [
    pytest.param(size, scheme, id=f"{name}-{scheme}")
    for name, size in {"phone": PHONE, "desktop": DESKTOP}.items()
    for scheme in ("light", "dark")
]


def sign_in(page: Page, live_server: LiveServer, username: str) -> None:
    """Sign in and stand on the Integrations page."""
    page.goto(f"{live_server.url}/")
    page.get_by_label("User name or e-mail").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/integrations/")


def settled(page: Page) -> None:
    """Wait until the page is loaded and htmx waits for no answer.

    An answer takes the place of what is there, and of a click that is on its way to it. So whoever acts on a
    part that an answer may replace waits first. What is there can be used at once: see `htmx-config`, without
    a delay between a swap and the listeners of what it brought.
    """
    page.wait_for_load_state()
    expect(page.locator(".htmx-request, .htmx-swapping, .htmx-settling")).to_have_count(0)


def search(page: Page, box: Locator, words: str) -> None:
    """Type words into a box that searches by itself, and wait for what is found by all of them."""
    settled(page)
    with page.expect_response(lambda answer: f"q={quote(words)}" in answer.url):
        box.press_sequentially(words)
    settled(page)


def troubles(page: Page) -> list[str]:
    """Return what a page complained about. htmx calls it an error when a newer request replaces one."""
    return [text for text in page.complaints if not text.startswith(("htmx:afterRequest", "htmx:sendAbort"))]


def look_faults(page: Page) -> list[Any]:
    """Return what axe finds on a page, and whether it is wider than the screen."""
    found: list[Any] = [
        (row["id"], [node["html"] for node in row["nodes"]]) for row in Axe().run(page).response["violations"]
    ]
    if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
        found.append("wider than the screen")
    return found
