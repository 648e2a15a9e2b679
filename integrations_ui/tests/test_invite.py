"""Tests of making users of a PSA's members and inviting them."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail
from django.test import Client

from integrations_ui.tests.session_desk import connect_sandbox, text_of
from psa.models import Connection, MemberMapping
from psa.providers.connectwise.sandbox.server import SandboxServer
from resolutionflow.accounts.models import Account, Membership, Role, User

CARMEN, DEV, FELIX = "103", "104", "106"
"""Members of the sandbox; Felix shares an address with a colleague."""


@pytest.fixture
def connection(account: Account, owner: User, sandbox: SandboxServer) -> Connection:
    return connect_sandbox(account, owner, sandbox)


@pytest.fixture
def url(connection: Connection) -> str:
    return f"/integrations/{connection.pk}/members/"


def mapped(connection: Connection) -> dict[str, str]:
    rows = MemberMapping.objects.filter(connection=connection, active=True)
    return {row.user_name: row.member_id for row in rows}


def test_inviting_asks_first_and_names_everybody(client: Client, owner: User, url: str) -> None:
    client.force_login(owner)
    page = text_of(client.post(f"{url}invite/", {"member": [CARMEN, DEV]}))
    assert "Create 2 users and invite them by mail?" in page
    assert "Carmen Diaz" in page
    assert not User.objects.filter(email__startswith="cdiaz").exists()
    assert mail.outbox == []


def test_invited_member_becomes_an_engineer_and_is_mapped(
    client: Client, owner: User, account: Account, connection: Connection, url: str
) -> None:
    client.force_login(owner)
    page = text_of(client.post(f"{url}invite/", {"member": [CARMEN], "sure": "yes"}, follow=True))
    carmen = User.objects.get(email="cdiaz@acme-msp.example")
    assert Membership.objects.get(user=carmen).role == Role.ENGINEER
    assert mapped(connection) == {"Carmen Diaz": CARMEN}
    assert [found.to for found in mail.outbox] == [["cdiaz@acme-msp.example"]]
    assert "1 person was invited by mail" in page


def test_one_who_cannot_be_invited_keeps_nobody_else(client: Client, owner: User, url: str) -> None:
    client.force_login(owner)
    page = text_of(client.post(f"{url}invite/", {"member": [CARMEN, FELIX, "9999"], "sure": "yes"}))
    assert "is shared by several members" in page
    assert "The PSA has no such member any more." in page
    assert User.objects.filter(email="cdiaz@acme-msp.example").exists()


def test_link_is_shown_where_no_mail_could_be_sent(
    client: Client, owner: User, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: Any, **_options: Any) -> None:
        raise OSError("no mail server")

    monkeypatch.setattr("resolutionflow.accounts.invitations.send_mail", refuse)
    client.force_login(owner)
    page = text_of(client.post(f"{url}invite/", {"member": [CARMEN], "sure": "yes"}))
    assert "Hand this link over yourself" in page
    assert "http://testserver/accounts/invitation/" in page


def test_nobody_ticked_is_said(client: Client, owner: User, url: str) -> None:
    client.force_login(owner)
    assert "Tick the members to invite first." in text_of(client.post(f"{url}invite/", follow=True))


def test_only_admins_invite(client: Client, lead: User, url: str) -> None:
    client.force_login(lead)
    assert client.post(f"{url}invite/", {"member": [CARMEN], "sure": "yes"}).status_code == 403
    assert not User.objects.filter(email="cdiaz@acme-msp.example").exists()
