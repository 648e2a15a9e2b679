"""Tests of what the pages say to whom."""

from __future__ import annotations

import pytest
from django.test import Client

from integrations_ui.tests.conftest import queries_of
from integrations_ui.wording import STATES
from psa.models import Connection
from psa.models.connection import ConnectionState
from resolutionflow.accounts.models import Account, User

URL = "/integrations/"


def connect(account: Account, **changes: object) -> Connection:
    return Connection.objects.create(
        **{
            "tenant": account,
            "provider": "connectwise",
            "name": "Main ConnectWise",
            "site": "na.myconnectwise.net",
            "company_id": "northwind",
            "credentials": {"private_key": "very-secret"},
            "state": "connected",
        }
        | changes
    )


def test_root_leads_to_the_integrations(client: Client) -> None:
    assert client.get("/")["Location"] == URL


def test_nobody_is_sent_to_the_sign_in_page(client: Client) -> None:
    assert client.get(URL)["Location"] == "/accounts/login/?next=/integrations/"


def test_member_sees_the_connections(client: Client, member: User, account: Account) -> None:
    connect(account)
    client.force_login(member)
    page = client.get(URL).content.decode()
    assert "Main ConnectWise" in page
    assert "na.myconnectwise.net" in page


def test_provider_is_named_as_people_name_it(client: Client, member: User, account: Account) -> None:
    connect(account)
    client.force_login(member)
    assert "ConnectWise PSA" in client.get(URL).content.decode()


def test_outsider_sees_none_of_it(client: Client, outsider: User, account: Account) -> None:
    connect(account)
    client.force_login(outsider)
    page = client.get(URL).content.decode()
    assert "Main ConnectWise" not in page
    assert "No connections yet" in page


def test_user_of_no_account_is_told_so(client: Client, db: None) -> None:
    client.force_login(User.objects.create_user("lone"))
    answer = client.get(URL)
    assert answer.status_code == 403
    assert "belongs to no account" in answer.content.decode()


@pytest.mark.parametrize("state", ConnectionState.values)
def test_each_state_is_said_in_words(client: Client, member: User, account: Account, state: str) -> None:
    connect(account, state=state)
    client.force_login(member)
    assert STATES[state][0] in client.get(URL).content.decode()


def test_problem_is_shown_with_the_connection(client: Client, member: User, account: Account) -> None:
    connect(account, state="broken", problem={"code": "auth", "text": "The keys were refused.", "remedy": ""})
    client.force_login(member)
    assert "The keys were refused." in client.get(URL).content.decode()


def test_name_is_escaped(client: Client, member: User, account: Account) -> None:
    connect(account, name="<script>alert(1)</script>")
    client.force_login(member)
    assert "<script>alert" not in client.get(URL).content.decode()


def test_secrets_are_not_on_the_page(client: Client, owner: User, account: Account) -> None:
    connect(account)
    client.force_login(owner)
    assert "very-secret" not in client.get(URL).content.decode()


def test_last_check_is_shown_in_the_zone_of_the_person(
    client: Client, member: User, account: Account
) -> None:
    connect(account, last_checked_at="2026-03-01T12:00:00Z")
    User.objects.filter(pk=member.pk).update(time_zone="Asia/Tokyo")
    client.force_login(member)
    assert "1 Mar 2026, 21:00" in client.get(URL).content.decode()


def test_list_costs_the_same_for_many_connections(client: Client, owner: User, account: Account) -> None:
    connect(account, company_id="first", state="broken")
    client.force_login(owner)
    one = queries_of(client, URL)
    for number in range(8):
        connect(account, company_id=f"c{number}", state="broken")
    assert queries_of(client, URL) == one


def test_admin_link_is_for_staff_only(client: Client, member: User) -> None:
    client.force_login(member)
    assert 'href="/admin/"' not in client.get(URL).content.decode()


def test_sign_in_form_has_labels_and_keeps_the_way_back(client: Client, db: None) -> None:
    page = client.get("/accounts/login/", {"next": "/integrations/"}).content.decode()
    assert '<label for="id_login">' in page
    assert 'name="next" value="/integrations/"' in page.replace('" type="hidden', "")


def test_missing_page_is_answered_in_our_look(client: Client, db: None) -> None:
    answer = client.get("/nothing/")
    assert (answer.status_code, "There is nothing here" in answer.content.decode()) == (404, True)
