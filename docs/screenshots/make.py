"""Owns the pictures of the pages in this folder: `make screenshots` makes all of them again.

It stands on its own: a new database, the ConnectWise sandbox, the demo, a clock that stands still, Chromium.
A picture more is a row of `SHOTS`; its page finds what it needs in `story.py`.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import time_machine
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

if TYPE_CHECKING:
    from docs.screenshots.story import Story

FOLDER = Path(__file__).resolve().parent
BEGIN = "2026-03-04T14:00:00Z"
"""When the story of the pictures begins."""
SANDBOX_PORT = 8001
"""Shown on the pages, and therefore always the same."""
SIZES = {"desktop": (1120, 780), "phone": (390, 844)}
CHROMIUM_ARGS = ["--no-sandbox", "--disable-gpu", "--disable-partial-raster", "--num-raster-threads=1"]
"""The last two paint each pixel once and in order, so that two runs give the same picture."""
MAX_KB = 150
"""A picture is no larger than this: it is read over the net."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture: which page, of whom, and what is done there before."""

    name: str
    address: str
    """Below the host; `{connection}` and the like are the ids of the story."""
    user: str = "admin"
    act: Callable[[Page], None] = lambda page: None
    looks: tuple[str, ...] = ("desktop-light",)


def _connect(page: Page) -> None:
    page.get_by_label("Name").fill("Main ConnectWise")
    page.get_by_label("Address").fill("na.myconnectwise.net")
    page.get_by_label("Company ID").fill("acme_msp")
    page.get_by_label("Public key").fill("Xk3vQ0aJtq8LwZ2p")
    page.get_by_label("Public key").blur()


def _edit_rules(page: Page) -> None:
    page.get_by_role("link", name="Edit the rules of Help Desk").click()
    page.get_by_role("button", name="Save").wait_for()


def _preview(page: Page) -> None:
    page.get_by_label("Resolved", exact=True).check()
    page.get_by_label("Closing summary").fill(
        "Outlook signs in again. We removed old passwords that Windows had kept and signed in anew."
    )
    page.get_by_label("Status of the ticket").select_option("Closed")
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("button", name="Complete and post").wait_for()
    page.evaluate("window.scrollTo(0, 0)")


SHOTS = (
    Shot("integrations", "", looks=("desktop-light", "desktop-dark")),
    Shot("connect", "connect/connectwise/", act=_connect),
    Shot("connection", "{connection}/"),
    Shot("permissions", "{connection}/permissions/"),
    Shot("members", "{connection}/members/"),
    Shot("status-rules", "{connection}/status-rules/", act=_edit_rules),
    Shot("activity", "{connection}/activity/"),
    Shot("session", "sessions/{session}/", "engineer", looks=("desktop-light", "phone-light")),
    Shot(
        "preview", "sessions/{session}/complete/", "engineer", _preview, looks=("desktop-light", "phone-dark")
    ),
    Shot("delivery", "deliveries/{delivery}/", "lead"),
    Shot("audit", "audit/"),
)


def main() -> None:
    """Make every picture, and say how large it is."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("Chromium is not installed (apt-get install chromium): no pictures can be made.")
    with (
        tempfile.TemporaryDirectory(prefix="screenshots-") as folder,
        time_machine.travel(BEGIN, tick=False) as clock,
    ):
        _environment(Path(folder))
        logging.disable()
        from docs.screenshots.story import story_tell

        with story_tell(SANDBOX_PORT, clock.shift) as story, sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGS)
            for shot in SHOTS:
                for look in shot.looks:
                    _shoot(browser.new_context, story, shot, look)
            browser.close()


def _environment(folder: Path) -> None:
    """Set what Django reads: nothing of this machine gets into the pictures."""
    os.environ.update(
        ENV_FILE=os.devnull,
        DJANGO_SETTINGS_MODULE="resolutionflow.settings",
        # Playwright's event loop runs in this thread; Django would refuse the database here.
        DJANGO_ALLOW_ASYNC_UNSAFE="1",
        DEBUG="0",
        SECRET_KEY="only-for-pictures-" + "x" * 50,
        PSA_ENCRYPTION_KEYS="cGljdHVyZXMtb25seS1waWN0dXJlcy1vbmx5LXBpY3Q=",
        PSA_TRUSTED_HOSTS="127.0.0.1",
        PSA_BASE_URL="https://psa.example.com",
        DATABASE_URL=f"sqlite:///{folder / 'pictures.sqlite3'}",
        CACHE_URL="locmemcache://",
        SECURE_SSL_REDIRECT="0",
        STATIC_MANIFEST="0",
        SANDBOX_PORT=str(SANDBOX_PORT),
        CONNECTWISE_SANDBOX_COMPANY_ID="acme_msp",
        CONNECTWISE_SANDBOX_PUBLIC_KEY="public",
        CONNECTWISE_SANDBOX_PRIVATE_KEY="private",
        CONNECTWISE_SANDBOX_CLIENT_ID="00000000-0000-4000-8000-000000000000",
    )


def _shoot(context_new: Callable[..., BrowserContext], story: Story, shot: Shot, look: str) -> None:
    size, scheme = look.split("-")
    width, height = SIZES[size]
    context = context_new(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
    )
    context.add_cookies([{"name": "sessionid", "value": story.sign_in(shot.user), "url": story.url}])
    with _page(context) as page:
        page.goto(f"{story.url}/integrations/{shot.address.format(**story.ids)}")
        _settled(page)
        shot.act(page)
        _settled(page)
        path = FOLDER / f"{shot.name}-{look}.png"
        page.screenshot(path=path, animations="disabled", caret="hide")
        kilobytes = path.stat().st_size // 1000
        sys.stdout.write(f"{path.name}: {kilobytes} kB\n")
        if kilobytes >= MAX_KB:
            sys.exit(f"{path.name} is larger than {MAX_KB} kB.")


@contextmanager
def _page(context: BrowserContext) -> Iterator[Page]:
    try:
        yield context.new_page()
    finally:
        context.close()


def _settled(page: Page) -> None:
    """Wait until the page asks for nothing any more."""
    page.wait_for_load_state("networkidle")
    expect(page.locator(".htmx-request, main progress")).to_have_count(0)


if __name__ == "__main__":
    main()
