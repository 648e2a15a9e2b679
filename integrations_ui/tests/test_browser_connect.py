"""Tests in Chromium: connecting a PSA, what goes wrong on the way, and giving it another key."""

from __future__ import annotations

import re
from typing import Any

import pytest
from cryptography.fernet import Fernet
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from integrations_ui.tests.browser_desk import sign_in
from integrations_ui.tests.conftest import typed_in
from psa import services
from psa.models import Connection
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Actor
from resolutionflow.accounts.models import Account, User

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LABELS = {
    "name": "Name",
    "site": "Address",
    "company_id": "Company ID",
    "public_key": "Public key",
    "private_key": "Private key",
    "client_id": "Client ID",
}


def fill(page: Page, values: dict[str, str]) -> None:
    if values.get("client_id"):
        page.locator("details.more:not([open]) > summary").click()
    for name, value in values.items():
        page.get_by_label(LABELS[name]).fill(value)


def connection_make(account: Account, owner: User, sandbox: SandboxServer) -> Connection:
    keys = typed_in(sandbox)
    return services.connection_create(
        account,
        actor=Actor(owner.pk, "Olga Ray"),
        provider="connectwise",
        name=keys.pop("name"),
        site=keys.pop("site"),
        credentials=keys,
    )


def test_admin_connects_from_the_empty_state(
    watched: Page, live_server: LiveServer, owner: User, sandbox: SandboxServer
) -> None:
    sign_in(watched, live_server, "olga")
    watched.locator(".checklist").get_by_role("link", name="Connect").click()
    watched.get_by_label("Address").press_sequentially(f"{sandbox.url}/v4_6_release/", delay=5)
    expect(watched.locator("#address")).to_contain_text(f"It is cut to {sandbox.url}.")
    fill(watched, typed_in(sandbox, private_key="wrong"))
    watched.get_by_role("button", name="Test and connect").click()
    expect(watched.get_by_role("alert")).to_contain_text("The keys were refused")
    expect(watched.get_by_label("Private key")).to_have_value("")
    fill(
        watched, {"private_key": sandbox.credentials.private_key, "client_id": sandbox.credentials.client_id}
    )
    watched.get_by_role("button", name="Test and connect").click()
    expect(watched.get_by_role("heading", level=1)).to_have_text("Main ConnectWise")
    expect(watched.locator(".page-head .state")).to_have_text("Connected")
    watched.get_by_role("link", name="Integrations").first.click()
    expect(watched.locator(".checklist")).to_contain_text("2 of 6 done")
    assert watched.complaints == []


def test_admin_connects_without_javascript(
    browser: Browser, live_server: LiveServer, owner: User, sandbox: SandboxServer
) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        sign_in(page, live_server, "olga")
        page.locator(".checklist").get_by_role("link", name="Connect").click()
        values = typed_in(sandbox, private_key="wrong")
        fill(page, values)
        page.get_by_role("button", name="Test and connect").click()
        expect(page.get_by_role("alert")).to_contain_text("The keys were refused")
        fill(page, {"private_key": sandbox.credentials.private_key, "client_id": values["client_id"]})
        page.get_by_role("button", name="Test and connect").click()
        expect(page.locator(".page-head .state")).to_have_text("Connected")
        page.get_by_role("button", name="Test again").click()
        expect(page.get_by_text("Main ConnectWise works.")).to_be_visible()


def test_value_for_the_operator_is_copied(
    watched: Page, live_server: LiveServer, owner: User, sandbox: SandboxServer, settings: Any
) -> None:
    settings.PSA = {**settings.PSA, "TRUSTED_HOSTS": []}
    watched.context.grant_permissions(["clipboard-read", "clipboard-write"])
    sign_in(watched, live_server, "olga")
    watched.goto(f"{live_server.url}/integrations/connect/connectwise/")
    fill(watched, typed_in(sandbox))
    watched.get_by_role("button", name="Test and connect").click()
    watched.get_by_role("button", name="Copy").click()
    expect(watched.get_by_role("button", name="Copied")).to_be_visible()
    assert watched.evaluate("navigator.clipboard.readText()") == sandbox.url.removeprefix("http://")


def test_a_double_click_connects_once(
    watched: Page, live_server: LiveServer, owner: User, account: Account, sandbox: SandboxServer
) -> None:
    sandbox.faults.add("latency", path="companyinfo", seconds=0.5)
    sign_in(watched, live_server, "olga")
    watched.goto(f"{live_server.url}/integrations/connect/connectwise/")
    fill(watched, typed_in(sandbox))
    watched.get_by_role("button", name="Test and connect").dblclick()
    expect(watched.locator(".page-head .state")).to_have_text("Connected")
    assert Connection.objects.of(account).count() == 1


def test_what_was_typed_survives_an_expired_sign_in(
    watched: Page, live_server: LiveServer, owner: User, sandbox: SandboxServer
) -> None:
    sign_in(watched, live_server, "olga")
    watched.goto(f"{live_server.url}/integrations/connect/connectwise/")
    fill(watched, typed_in(sandbox, name="Head office"))
    watched.context.clear_cookies(name="sessionid")
    watched.get_by_role("button", name="Test and connect").click()
    watched.get_by_label("User name or e-mail").fill("olga")
    watched.get_by_label("Password").fill("correct horse battery")
    watched.get_by_role("button", name="Sign in").click()
    expect(watched.get_by_text("What you had typed is still here.")).to_be_visible()
    expect(watched.get_by_label("Name")).to_have_value("Head office")
    expect(watched.get_by_label("Private key")).to_have_value("")


def test_a_missing_permission_is_shown_with_what_to_grant(
    watched: Page, live_server: LiveServer, owner: User, account: Account, sandbox: SandboxServer
) -> None:
    connection = connection_make(account, owner, sandbox)
    level = {"addLevel": "All", "editLevel": "All", "deleteLevel": "All", "inquireLevel": "All"}
    rows = [{"moduleFunctionName": name, **level} for name in ("Service Tickets", "Table Setup")]
    sandbox.configure(security=[*rows, {"moduleFunctionName": "Close Service Tickets"}])
    sign_in(watched, live_server, "olga")
    watched.goto(f"{live_server.url}/integrations/{connection.pk}/permissions/")
    watched.get_by_role("button", name="Re-check").click()
    row = watched.get_by_role("row", name=re.compile("Close tickets"))
    expect(row).to_contain_text("Denied")
    expect(row).to_contain_text("Service Desk > Close Service Tickets: Edit All, Inquire All")
    sandbox.configure(security=None)
    watched.get_by_role("button", name="Re-check").click()
    expect(row).to_contain_text("OK")


def test_refused_keys_are_replaced(
    watched: Page, live_server: LiveServer, owner: User, account: Account, sandbox: SandboxServer
) -> None:
    connection = connection_make(account, owner, sandbox)
    lost = {"private_key": "lost"}
    services.connection_update(account, connection.pk, actor=Actor(None, "x"), credentials=lost, verify=False)
    sign_in(watched, live_server, "olga")
    watched.get_by_role("button", name="Test Main ConnectWise").click()
    expect(watched.locator(".connection-card .state").first).to_have_text("Keys refused")
    expect(watched.locator(".site-badge")).to_contain_text("1 needs you")
    watched.get_by_role("link", name="Replace API key").click()
    fill(watched, {"private_key": sandbox.credentials.private_key})
    watched.get_by_role("button", name="Test and use it").click()
    expect(watched.locator(".page-head .state")).to_have_text("Connected")
    expect(watched.locator(".site-badge")).to_have_count(0)
    assert watched.url == f"{live_server.url}/integrations/{connection.pk}/"
    assert watched.complaints == []


def test_keys_that_cannot_be_read_any_more_are_entered_anew(
    watched: Page,
    live_server: LiveServer,
    owner: User,
    account: Account,
    sandbox: SandboxServer,
    settings: Any,
) -> None:
    connection = connection_make(account, owner, sandbox)
    settings.PSA = {**settings.PSA, "ENCRYPTION_KEYS": [Fernet.generate_key().decode()]}
    sign_in(watched, live_server, "olga")
    watched.get_by_role("button", name="Test Main ConnectWise").click()
    watched.get_by_role("link", name="Replace API key").click()
    expect(watched.get_by_text("The stored keys cannot be read any more")).to_be_visible()
    fill(watched, {name: typed_in(sandbox)[name] for name in ("public_key", "private_key", "client_id")})
    watched.get_by_role("button", name="Test and use it").click()
    expect(watched.locator(".page-head .state")).to_have_text("Connected")
    assert watched.url == f"{live_server.url}/integrations/{connection.pk}/"
    assert watched.complaints == []
