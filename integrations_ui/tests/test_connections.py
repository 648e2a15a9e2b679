"""Tests of the Integrations page: cards, checklist, problems, the Test button, and the overview."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from integrations_ui.practice import is_test_system
from integrations_ui.tests.conftest import queries_of, typed_in
from integrations_ui.tests.test_pages import URL, connect
from psa import services
from psa.models import Connection
from psa.models.callback import CallbackSubscription
from psa.models.member_mapping import MemberMapping
from psa.models.status_rule import StatusRule
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Actor
from resolutionflow.accounts.models import Account, User

HTMX = {"HTTP_HX_REQUEST": "true", "HTTP_HX_CURRENT_URL": "http://testserver/integrations/"}


@pytest.fixture
def connection(account: Account, owner: User, sandbox: SandboxServer) -> Connection:
    """A tested connection to the sandbox."""
    keys = typed_in(sandbox)
    return services.connection_create(
        account,
        actor=Actor(owner.pk, "Olga Ray"),
        provider="connectwise",
        name=keys.pop("name"),
        site=keys.pop("site"),
        credentials=keys,
    )


def page_of(client: Client, user: User, url: str = URL, **headers: str) -> str:
    client.force_login(user)
    return " ".join(client.get(url, **headers).content.decode().split())


@pytest.mark.parametrize(
    ("site", "is_test"),
    [
        ("na.myconnectwise.net", False),
        ("sandbox-na.myconnectwise.net", True),
        ("staging.connectwisedev.com", True),
        ("psa-sandbox.example.com", True),
        ("http://127.0.0.1:8001", True),
        ("127.0.0.1:8443", True),
        ("http://10.0.0.5", True),
        ("10.0.0.5", False),
        ("sandboxes.example.com", False),
        ("[::1]:8443", True),
    ],
)
def test_test_systems_are_known_by_their_address(site: str, is_test: bool) -> None:
    assert is_test_system(site) is is_test


def test_card_of_a_test_system_says_so(client: Client, member: User, account: Account) -> None:
    connect(account, site="sandbox-na.myconnectwise.net")
    assert "Test system" in page_of(client, member)


def test_card_names_missing_permissions(client: Client, member: User, account: Account) -> None:
    features = [{"feature": "notes", "status": "denied", "grant": "x"}]
    connect(account, features=features)
    assert "Missing permissions: Post notes" in page_of(client, member)


def test_remedy_stands_with_the_problem(client: Client, member: User, account: Account) -> None:
    problem = {"code": "keys-refused", "text": "Refused.", "remedy": "Replace the API key."}
    connect(account, state="broken", problem=problem)
    assert "Replace the API key." in page_of(client, member)


def test_only_an_admin_is_offered_to_connect(client: Client, owner: User, member: User) -> None:
    url = "/integrations/connect/connectwise/"
    assert f'href="{url}"' in page_of(client, owner)
    assert f'href="{url}"' not in page_of(client, member)


def test_first_run_shows_every_step_to_an_admin(client: Client, owner: User) -> None:
    page = page_of(client, owner)
    for title in ("Connect your PSA", "Check permissions", "Match members", "Choose statuses", "Callbacks"):
        assert title in page
    assert "0 of 6 done" in page


def test_engineers_get_no_checklist(client: Client, member: User) -> None:
    assert "Connect your PSA" not in page_of(client, member)


def test_steps_are_ticked_one_by_one(
    client: Client, owner: User, account: Account, connection: Connection
) -> None:
    assert "2 of 6 done" in page_of(client, owner)
    MemberMapping.objects.create(
        tenant=account, connection=connection, user=owner, user_name="Olga", member_id="1", member_name="O"
    )
    StatusRule.objects.create(
        tenant=account,
        connection=connection,
        board_id="1",
        outcome="resolved",
        status_id="2",
        status_name="Closed",
    )
    assert "4 of 6 done" in page_of(client, owner)
    CallbackSubscription.objects.create(
        tenant=account, connection=connection, type="ticket", level="owner", object_id="1", state="active"
    )
    Connection.objects.filter(pk=connection.pk).update(last_delivered_at="2026-03-01T12:00:00Z")
    page = page_of(client, owner)
    assert "6 of 6 done" in page
    assert "Set-up is complete" in page


def test_an_outage_does_not_bring_the_first_step_back(
    client: Client, owner: User, connection: Connection
) -> None:
    Connection.objects.filter(pk=connection.pk).update(state="degraded")
    assert "2 of 6 done" in page_of(client, owner)


def test_every_page_has_a_badge_when_something_needs_a_person(
    client: Client, member: User, account: Account
) -> None:
    assert "need you" not in page_of(client, member, "/integrations/sessions/")
    connect(account, state="broken")
    page = page_of(client, member, "/integrations/sessions/")
    assert re.search(r'class="site-badge".*?1 <span class="site-badge-words">needs you', page)


def test_outsiders_have_no_badge(client: Client, outsider: User, account: Account) -> None:
    connect(account, state="broken")
    assert "site-badge-words" not in page_of(client, outsider)


def test_sign_in_page_reads_nothing_for_a_badge(
    client: Client, db: None, django_assert_num_queries: object
) -> None:
    with django_assert_num_queries(0):
        client.get("/accounts/login/")


def test_live_part_brings_cards_and_badge(client: Client, member: User, account: Account) -> None:
    connect(account, state="broken")
    page = page_of(client, member, "/integrations/live/", **HTMX)
    assert 'id="site-badge" hx-swap-oob="true"' in page
    assert "Main ConnectWise" in page
    assert "<html" not in page


def test_live_part_sends_an_expired_sign_in_to_the_sign_in_page(client: Client, db: None) -> None:
    answer = client.get("/integrations/live/", **HTMX)
    assert answer["HX-Redirect"] == "/accounts/login/?next=/integrations/"


def test_test_button_leads_back_with_the_result(client: Client, member: User, connection: Connection) -> None:
    client.force_login(member)
    answer = client.post(f"/integrations/{connection.pk}/test/", follow=True)
    assert answer.redirect_chain[-1][0] == URL
    assert "Main ConnectWise works." in answer.content.decode()


@pytest.mark.parametrize("back", ["connection", "permissions"])
def test_test_button_leads_back_to_its_page(
    client: Client, member: User, connection: Connection, back: str
) -> None:
    client.force_login(member)
    answer = client.post(f"/integrations/{connection.pk}/test/", {"back": back})
    tail = "" if back == "connection" else "permissions/"
    assert answer["Location"] == f"/integrations/{connection.pk}/{tail}"


def test_test_button_says_what_is_wrong(
    client: Client, member: User, connection: Connection, sandbox: SandboxServer
) -> None:
    sandbox.faults.add("status", path="/apis/3.0/", status=401)
    client.force_login(member)
    answer = client.post(f"/integrations/{connection.pk}/test/", **HTMX)
    page = answer.content.decode()
    assert "refused the keys" in page
    assert "Keys refused" in page


def test_test_of_a_disabled_connection_is_refused_in_words(
    client: Client, member: User, account: Account
) -> None:
    off = connect(account, state="disabled")
    client.force_login(member)
    answer = client.post(f"/integrations/{off.pk}/test/", follow=True)
    assert "Enable it to test it." in answer.content.decode()


def test_keys_nobody_can_read_are_no_crash(client: Client, owner: User, connection: Connection) -> None:
    Connection.objects.filter(pk=connection.pk).update(state="broken")
    problem = {"code": "credentials-unreadable", "text": "Cannot be decrypted.", "remedy": "Ask."}
    Connection.objects.filter(pk=connection.pk).update(problem=problem)
    assert "Stored keys unreadable" in page_of(client, owner)


def test_overview_tells_state_version_and_queue(client: Client, member: User, connection: Connection) -> None:
    page = page_of(client, member, f"/integrations/{connection.pk}/")
    assert "Everything that is queued goes out." in page
    assert "v2025" in page
    assert "On its way" in page


def test_overview_of_an_older_server_says_so(client: Client, member: User, account: Account) -> None:
    endpoint = {"site": "x", "base_url": "https://x/apis/3.0", "version": "v2019.4", "api_version": ""}
    old = connect(account, endpoint=endpoint)
    assert "The newest this server knows." in page_of(client, member, f"/integrations/{old.pk}/")


def test_pages_of_a_connection_never_show_a_secret(
    client: Client, owner: User, connection: Connection, sandbox: SandboxServer
) -> None:
    secrets = [sandbox.credentials.private_key, sandbox.credentials.client_id, sandbox.credentials.public_key]
    for tail in ("", "live/", "permissions/", "settings/", "settings/key/", "settings/move/", "callbacks/"):
        page = page_of(client, owner, f"/integrations/{connection.pk}/{tail}")
        assert not [secret for secret in secrets if secret in page], tail


def test_callbacks_are_shown(client: Client, member: User, account: Account) -> None:
    linked = connect(account)
    CallbackSubscription.objects.create(
        tenant=account, connection=linked, type="ticket", level="owner", object_id="1", state="failed"
    )
    page = page_of(client, member, f"/integrations/{linked.pk}/callbacks/")
    assert "All tickets" in page
    assert "Failed" in page


@pytest.mark.parametrize("tail", ["", "live/", "permissions/", "settings/", "callbacks/"])
def test_pages_cost_the_same_however_much_there_is(
    client: Client, owner: User, account: Account, tail: str
) -> None:
    first = connect(account, company_id="first", state="broken")
    client.force_login(owner)
    url = f"/integrations/{first.pk}/{tail}"
    before = queries_of(client, url)
    for number in range(5):
        connect(account, company_id=f"c{number}", state="broken")
        CallbackSubscription.objects.create(
            tenant=account, connection=first, type="ticket", level="owner", object_id=str(number)
        )
    assert queries_of(client, url) == before
