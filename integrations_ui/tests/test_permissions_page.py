"""Tests of the table of permissions and of the printable role."""

from __future__ import annotations

import pytest
from django.test import Client

from integrations_ui.tests.test_connections import page_of
from integrations_ui.tests.test_pages import connect
from integrations_ui.wording import FEATURES
from psa.models import Connection
from psa.providers.connectwise.permissions import NEEDS
from psa.types import Feature
from resolutionflow.accounts.models import Account, User


def with_features(account: Account, **states: str) -> Connection:
    rows = [{"feature": name, "status": state, "grant": ""} for name, state in states.items()]
    return connect(account, features=rows, last_checked_at="2026-03-01T12:00:00Z")


def test_every_feature_has_words() -> None:
    assert set(FEATURES) == {feature.value for feature in Feature}


@pytest.mark.parametrize(
    ("status", "word"), [("ok", "OK"), ("limited", "Limited"), ("denied", "Denied"), ("unknown", "Unknown")]
)
def test_each_result_is_said(client: Client, member: User, account: Account, status: str, word: str) -> None:
    row = with_features(account, notes=status)
    page = page_of(client, member, f"/integrations/{row.pk}/permissions/")
    assert f">{word}</span>" in page
    assert "Service Desk &gt; Service Tickets" in page
    assert "Add All" in page


def test_what_is_limited_is_explained(client: Client, member: User, account: Account) -> None:
    row = with_features(account, notes="limited")
    assert "Give the level All." in page_of(client, member, f"/integrations/{row.pk}/permissions/")


def test_a_refused_write_is_named(client: Client, member: User, account: Account) -> None:
    row = connect(account, features=[{"feature": "notes", "status": "denied", "refused": True}])
    assert "The last write was refused." in page_of(client, member, f"/integrations/{row.pk}/permissions/")


def test_hidden_boards_are_listed(client: Client, member: User, account: Account) -> None:
    row = connect(account, hidden_boards=["HR", "<b>#9</b>"])
    page = page_of(client, member, f"/integrations/{row.pk}/permissions/")
    assert "Boards hidden from us" in page
    assert "&lt;b&gt;#9&lt;/b&gt;" in page


def test_never_checked_is_said(client: Client, member: User, account: Account) -> None:
    row = connect(account)
    page = page_of(client, member, f"/integrations/{row.pk}/permissions/")
    assert "It was never checked" in page
    assert ">Unknown</span>" in page


def test_feature_of_a_later_release_is_left_out(client: Client, member: User, account: Account) -> None:
    row = connect(account, features=[{"feature": "teleport", "status": "ok"}])
    assert "teleport" not in page_of(client, member, f"/integrations/{row.pk}/permissions/")


def test_provider_that_was_taken_out_is_no_crash(client: Client, member: User, account: Account) -> None:
    row = connect(account, provider="gone", features=[{"feature": "notes", "status": "ok"}])
    for tail in ("", "permissions/", "callbacks/"):
        assert "Main ConnectWise" in page_of(client, member, f"/integrations/{row.pk}/{tail}")


def test_recipe_has_every_row_of_the_role(client: Client, member: User) -> None:
    page = page_of(client, member, "/integrations/connect/connectwise/role/")
    for need in {need.row for needs in NEEDS.values() for need in needs}:
        assert need in page
    assert "Restrict Board Access" in page


def test_recipe_of_an_unknown_product_is_not_found(client: Client, member: User) -> None:
    client.force_login(member)
    assert client.get("/integrations/connect/other/role/").status_code == 404
