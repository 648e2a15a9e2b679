"""Tests of Django admin of sessions: who sees what, and that nothing changes there."""

from __future__ import annotations

import pytest
from django.test import Client

from resolutionflow.accounts.models import Role, User
from resolutionflow.accounts.services import membership_set
from resolutionflow.sessions.models import FlowSession
from resolutionflow.sessions.tests.conftest import STEP_BODY

LIST = "/admin/flow_sessions/flowsession/"


def _signed_in(client: Client, user: User) -> Client:
    client.force_login(user)
    return client


def test_admin_reads_a_session_with_its_steps(client: Client, owner: User, session: FlowSession) -> None:
    browser = _signed_in(client, owner)
    assert "Printer offline" in browser.get(LIST).content.decode()
    assert STEP_BODY in browser.get(f"{LIST}{session.pk}/change/").content.decode()


def test_admin_of_another_account_sees_nothing(client: Client, outsider: User, session: FlowSession) -> None:
    membership_set(outsider, outsider.membership.account, Role.ADMIN)
    browser = _signed_in(client, User.objects.get(pk=outsider.pk))
    assert "Printer offline" not in browser.get(LIST).content.decode()
    assert STEP_BODY not in browser.get(f"{LIST}{session.pk}/change/", follow=True).content.decode()


@pytest.mark.parametrize("rest", ["add/", "{pk}/delete/"])
def test_nothing_is_added_or_removed_there(
    client: Client, owner: User, session: FlowSession, rest: str
) -> None:
    assert _signed_in(client, owner).get(LIST + rest.format(pk=session.pk)).status_code == 403


def test_nothing_is_changed_there(client: Client, owner: User, session: FlowSession) -> None:
    answer = _signed_in(client, owner).post(f"{LIST}{session.pk}/change/", {"title": "Other"})
    session.refresh_from_db()
    assert (answer.status_code, session.title) == (403, "Printer offline")
