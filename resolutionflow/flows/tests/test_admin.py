"""Tests of flows in Django admin."""

from __future__ import annotations

import pytest
from django.test import Client

from resolutionflow.accounts.models import Account, Role, User
from resolutionflow.accounts.services import membership_set
from resolutionflow.flows.models import Flow
from resolutionflow.flows.services import StepDraft, flow_create

URL = "/admin/flows/flow/"


@pytest.fixture
def as_owner(client: Client, member: User, account: Account) -> Client:
    membership_set(member, account, Role.ADMIN)
    client.force_login(User.objects.get(pk=member.pk))
    return client


def form(**changes: str) -> dict[str, str]:
    steps = {f"steps-{key}": "0" for key in ("TOTAL_FORMS", "INITIAL_FORMS", "MIN_NUM_FORMS")}
    return {"title": "VPN", "keywords": "Vpn, tunnel", "published": "on"} | steps | changes


def test_admin_adds_a_flow(as_owner: Client, account: Account) -> None:
    as_owner.post(f"{URL}add/", form(account=str(account.pk)))
    assert Flow.objects.get().keywords == ["vpn", "tunnel"]


def test_admin_adds_no_flow_to_another_account(as_owner: Client, outsider: User) -> None:
    as_owner.post(f"{URL}add/", form(account=str(outsider.membership.account_id)))
    assert not Flow.objects.exists()


def test_admin_sees_own_flows_only(as_owner: Client, account: Account, outsider: User) -> None:
    flow_create(account, title="Ours")
    flow_create(outsider.membership.account, title="Theirs")
    page = as_owner.get(URL).content.decode()
    assert ("Ours" in page, "Theirs" in page) == (True, False)


def test_change_page_shows_steps_and_keywords(as_owner: Client, account: Account) -> None:
    flow = flow_create(
        account, title="Ours", keywords=["vpn", "tunnel"], steps=[StepDraft("Ping the gateway")]
    )
    page = as_owner.get(f"{URL}{flow.pk}/change/").content.decode()
    assert "Ping the gateway" in page
    assert "vpn, tunnel" in page
