"""Owns what page tests share: people, and Chromium where it is installed."""

from __future__ import annotations

import os
import shutil
from typing import Any

import pytest
from playwright.sync_api import Page

from resolutionflow.accounts.models import Account, Role, User
from resolutionflow.accounts.services import user_create

# Playwright's event loop runs in the thread of the tests; Django would refuse the database there.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")

PASSWORD = "correct horse battery"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """Start the system's Chromium, or skip."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (apt-get install chromium): the browser tests are left out.")
    return {"executable_path": CHROMIUM, "args": ["--no-sandbox", "--disable-dev-shm-usage"]}


@pytest.fixture
def account(db: None) -> Account:
    return Account.objects.create(name="Northwind IT", slug="northwind")


@pytest.fixture
def owner(account: Account) -> User:
    return user_create(
        account, username="olga", password=PASSWORD, role=Role.ADMIN, first_name="Olga", last_name="Ray"
    )


@pytest.fixture
def member(account: Account) -> User:
    return user_create(account, username="mia", password=PASSWORD, first_name="Mia", last_name="Stone")


@pytest.fixture
def outsider(db: None) -> User:
    return user_create(
        Account.objects.create(name="Fabrikam", slug="fabrikam"), username="otto", password=PASSWORD
    )


@pytest.fixture
def watched(page: Page) -> Page:
    """A page that fails the test when anything is blocked by the policy, missing, or throws."""
    page.complaints = []
    page.on("console", lambda message: message.type == "error" and page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    return page
