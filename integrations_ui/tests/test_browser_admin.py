"""Tests in Chromium of the admin: its pages that ask, their look, and that no page breaks the policy."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from integrations_ui.tests.browser_desk import LOOKS, look_faults, sign_in
from integrations_ui.tests.conftest import PASSWORD
from psa.models import Connection, Delivery
from psa.providers.dummy.server import DummyServer
from resolutionflow.accounts.models import User
from resolutionflow.tests.admin_rows import Tenant, tenant_grow, tenant_make

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

CHECKED = [
    "",
    "psa/",
    "psa/connection/",
    "psa/connection/{connection}/change/",
    "psa/connection/{connection}/test/",
    "psa/connection/{connection}/keys/",
    "psa/connection/{connection}/disable/",
    "psa/delivery/",
    "psa/delivery/{delivery}/change/",
    "psa/delivery/{delivery}/discard/",
    "psa/auditentry/",
    "psa/membermapping/",
    "accounts/user/{user}/change/",
    "accounts/user/{user}/hand-over/",
]
OURS = ("/test/", "/keys/", "/disable/", "/discard/", "/hand-over/")
"""Ends of the pages that are not Django's own: those axe looks at."""


@pytest.fixture
def tenant(db: None, settings: Any) -> Tenant:
    settings.PSA = {**settings.PSA, "PROVIDERS": {"dummy": "psa.providers.dummy.provider.DummyProvider"}}
    DummyServer.reset()
    made = tenant_make("Northwind")
    tenant_grow(made, 2)
    made.owner.set_password(PASSWORD)
    made.owner.save()
    return made


@pytest.fixture
def addresses(tenant: Tenant) -> list[str]:
    world = tenant.world
    places = {
        "connection": world.connection.pk,
        "delivery": world.delivery.pk,
        "user": world.engineer.pk,
    }
    return [f"/admin/{path.format(**places)}" for path in CHECKED]


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_pages_keep_to_the_policy_and_ours_are_accessible_and_fit(
    watched: Page,
    live_server: LiveServer,
    tenant: Tenant,
    addresses: list[str],
    size: dict[str, int],
    scheme: Any,
) -> None:
    watched.set_viewport_size(size)
    watched.emulate_media(color_scheme=scheme)
    sign_in(watched, live_server, tenant.owner.username)
    for address in addresses:
        watched.goto(f"{live_server.url}{address}")
    assert watched.complaints == []
    faults = {}
    for address in addresses:
        if address.endswith(OURS):
            watched.goto(f"{live_server.url}{address}")
            faults[address] = look_faults(watched)
    assert len(faults) == len(OURS)
    assert {address: found for address, found in faults.items() if found} == {}


def test_connection_is_switched_off_and_on(watched: Page, live_server: LiveServer, tenant: Tenant) -> None:
    sign_in(watched, live_server, tenant.owner.username)
    watched.goto(f"{live_server.url}/admin/psa/connection/{tenant.world.connection.pk}/change/")
    watched.get_by_role("link", name="Disable").click()
    expect(watched.get_by_text("What is queued waits and is not lost")).to_be_visible()
    watched.get_by_role("link", name="No, take me back").click()
    watched.get_by_role("link", name="Disable").click()
    watched.get_by_role("button", name="Disable").click()
    expect(watched.get_by_text("Northwind PSA: Switched off.")).to_be_visible()
    watched.get_by_role("link", name="Enable").click()
    watched.get_by_role("button", name="Enable").click()
    expect(watched.get_by_text("Northwind PSA: Switched on. Connected.")).to_be_visible()
    assert Connection.objects.get(pk=tenant.world.connection.pk).state == "connected"
    assert watched.complaints == []


def test_chosen_posts_are_discarded_with_a_reason(
    watched: Page, live_server: LiveServer, tenant: Tenant
) -> None:
    sign_in(watched, live_server, tenant.owner.username)
    watched.goto(f"{live_server.url}/admin/psa/delivery/")
    watched.locator("#action-toggle").check()
    watched.get_by_label("Action:").select_option("Discard")
    watched.get_by_role("button", name="Go").click()
    expect(watched.get_by_role("heading", name="Discard")).to_be_visible()
    assert look_faults(watched) == []
    watched.get_by_label("Reason").fill("The ticket was a test.")
    watched.get_by_role("button", name="Discard").click()
    expect(watched.get_by_text("Discarded. It will not be posted.")).to_be_visible()
    assert {row.discard_reason for row in Delivery.objects.all()} == {"The ticket was a test."}


def test_leaver_is_switched_off_and_their_posts_handed_over(
    watched: Page, live_server: LiveServer, tenant: Tenant
) -> None:
    sign_in(watched, live_server, tenant.owner.username)
    person = tenant.world.engineer
    watched.goto(f"{live_server.url}/admin/accounts/user/{person.pk}/change/")
    watched.get_by_label("Active").uncheck()
    watched.get_by_role("button", name="Save and continue editing").click()
    expect(watched.get_by_text("Sessions and password ended")).to_be_visible()
    watched.get_by_role("link", name="Hand them over").click()
    watched.get_by_label("Hand over to").select_option(tenant.owner.username)
    watched.get_by_role("button", name="Hand over").click()
    expect(watched.get_by_text("Northwind-owner answers for 3 posts")).to_be_visible()
    assert not User.objects.get(pk=person.pk).is_active
    assert watched.complaints == []
