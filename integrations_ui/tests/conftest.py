"""Owns what page tests share: people, a sandbox on a real socket, and Chromium where it is installed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from playwright.sync_api import Page, Playwright
from pytest_django.live_server_helper import LiveServer

from psa.providers.connectwise.sandbox.server import SandboxServer
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


@pytest.fixture(scope="session")
def playwright(django_db_setup: None, playwright: Playwright) -> Iterator[Playwright]:
    """Playwright, whose event loop gives the tests' thread a database connection of its own.

    Django keeps one per running loop. Once the loop has ended nobody reaches it to close it, and PostgreSQL
    does not drop a database that somebody is connected to.
    """
    yield playwright
    database.close()


@pytest.fixture(scope="session")
def live_server(django_db_setup: None, live_server: LiveServer) -> LiveServer:
    """The server of pytest-django, started after the database is there.

    Started before, it takes the database for one in memory and shares the connection of the tests' thread,
    which SQLite does not stand once two requests come at the same time.
    """
    return live_server


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
def lead(account: Account) -> User:
    return user_create(account, username="lea", password=PASSWORD, role=Role.LEAD, first_name="Lea")


@pytest.fixture
def foreign_owner(db: None) -> User:
    """The admin of another account: may do everything, but not here."""
    other = Account.objects.create(name="Contoso", slug="contoso")
    return user_create(other, username="cora", password=PASSWORD, role=Role.ADMIN)


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


def typed_in(sandbox: SandboxServer, **changes: str) -> dict[str, str]:
    """Return what an admin types to connect the sandbox."""
    keys = sandbox.credentials
    given = {
        "name": "Main ConnectWise",
        "site": sandbox.url,
        "company_id": keys.company_id,
        "public_key": keys.public_key,
        "private_key": keys.private_key,
        "client_id": keys.client_id,
    }
    return given | changes


def queries_of(client: Client, url: str, **headers: Any) -> int:
    """Return how many SQL queries a page costs; it has to be there."""
    with CaptureQueriesContext(database) as captured:
        answer = client.get(url, **headers)
    assert answer.status_code == 200
    return len(captured)
