"""Tests in Chromium of the account pages: their look, the second factor from set-up to sign-in, tokens."""

from __future__ import annotations

import time
from typing import Any

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value
from django.contrib.auth.tokens import default_token_generator
from django.test import Client
from django.utils.http import int_to_base36
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from integrations_ui.tests.browser_desk import DESKTOP, LOOKS, PHONE, look_faults, sign_in
from integrations_ui.tests.conftest import PASSWORD
from resolutionflow.accounts.models import User
from resolutionflow.accounts.services import token_create, token_revoke

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"

OUTSIDE = ["login/", "password/reset/", "password/reset/done/", "password/reset/key/1-x-y/", "inactive/"]
INSIDE = [
    "/accounts/",
    "/accounts/password/change/",
    "/accounts/logout/",
    "/accounts/reauthenticate/?next=/accounts/",
    "/accounts/2fa/",
    "/integrations/tokens/",
    "/integrations/tokens/new/",
    "/integrations/tokens/{token}/revoke/",
]
FACTOR = [
    "/accounts/2fa/",
    "/accounts/2fa/reauthenticate/?next=/accounts/",
    "/accounts/2fa/recovery-codes/",
    "/accounts/2fa/recovery-codes/generate/",
    "/accounts/2fa/totp/deactivate/",
]


def dress(page: Page, size: dict[str, int], scheme: Any) -> None:
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=scheme)


def confirm(page: Page) -> None:
    """Give the password once more."""
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()


def faults_of(page: Page, live_server: LiveServer, paths: list[str]) -> dict[str, list[Any]]:
    """Return what is wrong with the look of some pages, by address."""
    found = {}
    for path in paths:
        page.goto(f"{live_server.url}{path}")
        found[path] = look_faults(page)
    return {path: faults for path, faults in found.items() if faults}


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_pages_outside_are_accessible_and_fit(
    watched: Page, live_server: LiveServer, member: User, size: dict[str, int], scheme: str
) -> None:
    dress(watched, size, scheme)
    paths = [f"/accounts/{path}" for path in OUTSIDE]
    key = f"{int_to_base36(member.pk)}-{default_token_generator.make_token(member)}"
    assert faults_of(watched, live_server, [*paths, f"/accounts/password/reset/key/{key}/"]) == {}
    expect(watched.get_by_role("heading", name="Choose a new password")).to_be_visible()
    assert watched.complaints == []


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_pages_inside_are_accessible_and_fit(
    watched: Page, live_server: LiveServer, owner: User, member: User, size: dict[str, int], scheme: str
) -> None:
    dress(watched, size, scheme)
    token = token_create(member, name="A rather long name of what exports everything every night").token
    token_revoke(token_create(owner, name="old").token)
    sign_in(watched, live_server, "olga")
    paths = [path.format(token=token.pk) for path in INSIDE]
    assert faults_of(watched, live_server, paths) == {}
    watched.goto(f"{live_server.url}/integrations/tokens/new/")
    watched.get_by_role("button", name="Create token").click()
    assert look_faults(watched) == []
    watched.get_by_label("Name").fill("export")
    watched.get_by_role("button", name="Create token").click()
    watched.get_by_role("heading", name="export is ready").wait_for()
    assert look_faults(watched) == []
    assert watched.complaints == []


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_pages_of_the_second_factor_are_accessible_and_fit(
    watched: Page, live_server: LiveServer, member: User, size: dict[str, int], scheme: str
) -> None:
    dress(watched, size, scheme)
    sign_in(watched, live_server, "mia")
    watched.goto(f"{live_server.url}/accounts/2fa/totp/activate/")
    confirm(watched)
    expect(watched.get_by_role("img", name="QR code")).to_be_visible()
    assert look_faults(watched) == []
    TOTP.activate(member, SECRET)
    RecoveryCodes.activate(member)
    assert faults_of(watched, live_server, FACTOR) == {}
    watched.context.clear_cookies()
    watched.goto(f"{live_server.url}/accounts/login/")
    watched.get_by_label("User name or e-mail").fill("mia")
    watched.get_by_label("Password").fill(PASSWORD)
    watched.get_by_role("button", name="Sign in").click()
    watched.wait_for_url("**/authenticate/**")
    assert look_faults(watched) == []
    assert watched.complaints == []


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_admin_sets_up_the_second_factor_the_site_asks_for_and_signs_in_with_it(
    watched: Page, live_server: LiveServer, owner: User, settings: Any, size: dict[str, int]
) -> None:
    settings.ADMIN_SECOND_FACTOR_REQUIRED = True
    watched.set_viewport_size(size)
    watched.goto(f"{live_server.url}/")
    watched.get_by_label("User name or e-mail").fill("olga")
    watched.get_by_label("Password").fill(PASSWORD)
    watched.get_by_role("button", name="Sign in").click()
    watched.get_by_role("heading", name="Confirm that it is you").wait_for()
    confirm(watched)
    watched.get_by_text("Admins need a second factor here.").wait_for()
    assert watched.evaluate("document.querySelector('.qr').naturalWidth") > 0
    assert look_faults(watched) == []
    secret = watched.locator("#key").inner_text()
    step = int(time.time()) // 30
    watched.get_by_label("Code").fill(format_hotp_value(hotp_value(secret, step)))
    watched.get_by_role("button", name="Switch on").click()
    watched.get_by_text("The second factor is on.").wait_for()
    assert len(watched.locator("#codes").inner_text().split()) == 10

    watched.goto(f"{live_server.url}/accounts/logout/")
    watched.get_by_role("button", name="Sign out").click()
    watched.get_by_label("User name or e-mail").fill("olga")
    watched.get_by_label("Password").fill(PASSWORD)
    watched.get_by_role("button", name="Sign in").click()
    watched.get_by_label("Code").fill(format_hotp_value(hotp_value(secret, int(time.time()) // 30)))
    watched.get_by_role("button", name="Sign in").click()
    watched.wait_for_url("**/integrations/")
    assert watched.complaints == []


def test_key_of_a_new_token_is_copied(watched: Page, live_server: LiveServer, member: User) -> None:
    watched.context.grant_permissions(["clipboard-read", "clipboard-write"])
    sign_in(watched, live_server, "mia")
    watched.goto(f"{live_server.url}/accounts/")
    watched.get_by_role("link", name="API tokens").click()
    watched.get_by_role("link", name="New token").click()
    watched.get_by_label("Name").fill("export")
    watched.get_by_role("button", name="Create token").click()
    watched.get_by_role("button", name="Copy").click()
    watched.get_by_text("Copied", exact=True).wait_for()
    key = watched.evaluate("navigator.clipboard.readText()")
    assert key == watched.locator("#token-key").inner_text()
    assert Client().get("/api/v1/flows/", headers={"Authorization": f"Token {key}"}).status_code == 200


def test_token_is_made_and_revoked_without_scripts(
    browser: Browser, live_server: LiveServer, member: User
) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    sign_in(page, live_server, "mia")
    page.goto(f"{live_server.url}/integrations/tokens/new/")
    page.get_by_label("Name").fill("export")
    page.get_by_role("button", name="Create token").click()
    assert page.locator("#token-key").inner_text().startswith("rf_")
    page.get_by_role("link", name="I have copied it").click()
    page.get_by_role("link", name="Revoke").click()
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("export is revoked.")).to_be_visible()
    page.context.close()
