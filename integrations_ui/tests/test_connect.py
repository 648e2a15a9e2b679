"""Tests of the form that connects a PSA: drawn from the schema, tested first, every refusal in words."""

from __future__ import annotations

import socket
from typing import Any
from unittest import mock

import pytest
from django.core.cache import cache
from django.test import Client

from integrations_ui.kept import KEEPS_AN_HOUR
from integrations_ui.tests.conftest import PASSWORD, queries_of, typed_in
from integrations_ui.tests.test_pages import connect
from psa import exceptions as errors
from psa import services
from psa.models import Connection
from psa.providers.connectwise.sandbox.server import SandboxServer
from resolutionflow.accounts.models import Account, User

URL = "/integrations/connect/connectwise/"
SCRIPT = '<script>alert("x")</script>'


@pytest.fixture
def admin(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


def sent(client: Client, values: dict[str, str]) -> str:
    answer = client.post(URL, values)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_form_is_drawn_from_the_credential_schema(admin: Client) -> None:
    page = admin.get(URL).content.decode()
    for label in ("Address", "Company ID", "Public key", "Private key", "Client ID"):
        assert f"{label}\n" in page or f">{label}<" in page.replace("\n", "").replace("  ", "")
    assert "API Members" in page


def test_client_id_is_tucked_away(admin: Client) -> None:
    page = admin.get(URL).content.decode()
    assert page.index("Advanced</summary>") < page.index('name="client_id"')
    assert 'name="private_key"' in page[: page.index("Advanced</summary>")]


@pytest.mark.parametrize("name", ["private_key", "client_id"])
def test_secrets_are_typed_unseen(admin: Client, name: str) -> None:
    page = admin.get(URL).content.decode()
    field = page[page.rindex("<input", 0, page.index(f'name="{name}"')) :][:200]
    assert 'type="password"' in field


def test_unknown_product_is_not_found(admin: Client) -> None:
    assert admin.get("/integrations/connect/other/").status_code == 404
    assert admin.post("/integrations/connect/other/", {"name": "x"}).status_code == 404


def test_what_works_is_saved_and_shown(admin: Client, account: Account, sandbox: SandboxServer) -> None:
    answer = admin.post(URL, typed_in(sandbox), follow=True)
    made = Connection.objects.of(account).get()
    assert answer.redirect_chain == [(f"/integrations/{made.pk}/", 302)]
    assert (made.state, made.name, made.created_by_name) == ("connected", "Main ConnectWise", "Olga Ray")
    assert "Everything was tested and works." in answer.content.decode()


def test_pasted_address_is_cut_to_its_host_and_shown(admin: Client, sandbox: SandboxServer) -> None:
    pasted = f"{sandbox.url}/v4_6_release/ConnectWise.aspx?locale=en_US#startscreen"
    page = sent(admin, typed_in(sandbox, site=pasted, private_key="wrong"))
    assert f'value="{sandbox.url}"' in page
    assert f"It is cut to <strong>{sandbox.url}</strong>" in page


def test_address_is_cut_while_it_is_typed(admin: Client) -> None:
    url = f"{URL}address/"
    answer = admin.get(url, {"site": "https://API-NA.myconnectwise.net/v4_6_release/x"})
    assert "<strong>na.myconnectwise.net</strong>" in answer.content.decode()
    assert "Leave user names" in admin.get(url, {"site": "https://me:pw@psa.example"}).content.decode()
    assert admin.get(url, {"site": "na.myconnectwise.net"}).content.strip() == b""
    assert SCRIPT not in admin.get(url, {"site": SCRIPT}).content.decode()


def test_wrong_keys_are_said_and_nothing_is_saved(admin: Client, sandbox: SandboxServer) -> None:
    page = sent(admin, typed_in(sandbox, private_key="wrong"))
    assert "The keys were refused" in page
    assert not Connection.objects.exists()


def test_unknown_company_is_said_at_its_field(admin: Client, sandbox: SandboxServer) -> None:
    page = sent(admin, typed_in(sandbox, company_id="nobody"))
    assert "knows no company with this ID" in page
    assert 'id="id_company_id_error"' in page


def test_refused_client_id_opens_advanced(admin: Client, sandbox: SandboxServer) -> None:
    page = sent(admin, typed_in(sandbox, client_id="11111111-1111-4111-8111-111111111111"))
    assert "The Client ID was refused" in page
    assert '<details class="more" open>' in page


def test_refused_client_id_of_the_installation_is_the_operators_matter(
    admin: Client, sandbox: SandboxServer
) -> None:
    page = sent(admin, typed_in(sandbox, client_id=""))
    assert "The client ID of this installation was refused" in page


def test_host_that_is_not_trusted_names_the_setting_and_its_value(
    admin: Client, sandbox: SandboxServer, settings: Any
) -> None:
    settings.PSA = {**settings.PSA, "TRUSTED_HOSTS": []}
    page = sent(admin, typed_in(sandbox))
    assert "PSA_TRUSTED_HOSTS" in page
    assert f'<code id="setting-value">{sandbox.url.removeprefix("http://")}</code>' in page
    assert 'data-copy="setting-value" hidden' in page
    assert sandbox.requests == []


def test_server_that_is_not_there_is_said(admin: Client, sandbox: SandboxServer) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        page = sent(admin, typed_in(sandbox, site=f"http://127.0.0.1:{free.getsockname()[1]}"))
    assert "The server could not be reached" in page


def test_server_without_tls_is_said(admin: Client, sandbox: SandboxServer) -> None:
    page = sent(admin, typed_in(sandbox, site=sandbox.url.replace("http://", "https://")))
    assert "The certificate could not be verified" in page
    assert "PSA_CA_BUNDLE" in page


def test_server_that_takes_too_long_is_said(admin: Client, sandbox: SandboxServer, settings: Any) -> None:
    settings.PSA = {**settings.PSA, "PROBE_DEADLINE_S": 0.3}
    sandbox.faults.add("latency", seconds=1.0)
    assert "No usable answer in time" in sent(admin, typed_in(sandbox))


def test_server_that_is_being_upgraded_is_said(admin: Client, sandbox: SandboxServer) -> None:
    sandbox.faults.add("status", path="companyinfo", status=503)
    assert "It is being upgraded" in sent(admin, typed_in(sandbox))
    assert not Connection.objects.exists()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (errors.MovedError("It moved."), "It is being upgraded"),
        (errors.RateLimitedError("Wait."), "It asks for patience"),
        (errors.NotFoundError("No."), "Nothing like this is there"),
        (errors.OutcomeUnknownError("Who knows."), "It could not be tested"),
        (errors.CredentialsUnreadableError("No key."), "The stored keys cannot be read"),
    ],
)
def test_every_failure_has_its_words(
    admin: Client, sandbox: SandboxServer, error: Exception, words: str
) -> None:
    with mock.patch.object(services, "connection_create", side_effect=error):
        assert words in sent(admin, typed_in(sandbox))


def test_an_older_server_is_connected_and_told_apart(admin: Client, sandbox: SandboxServer) -> None:
    sandbox.configure(supported_version="2019.5")
    answer = admin.post(URL, typed_in(sandbox), follow=True)
    assert "The newest this server knows." in answer.content.decode()


@pytest.mark.parametrize("name", ["name", "site", "company_id", "public_key", "private_key"])
def test_empty_field_is_asked_for(admin: Client, sandbox: SandboxServer, name: str) -> None:
    page = sent(admin, typed_in(sandbox, **{name: "  "}))
    assert f'id="id_{name}_error"' in page
    assert not Connection.objects.exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", "x" * 101),
        ("site", "x" * 3000),
        ("site", "https://user:secret@psa.example.com"),
        ("site", "ftp://psa.example.com"),
        ("site", SCRIPT),
        ("company_id", "a b"),
        ("company_id", "x" * 101),
        ("company_id", SCRIPT),
        ("public_key", "a:b"),
        ("public_key", "ключ"),
        ("private_key", "x" * 201),
        ("private_key", "two words"),
        ("client_id", "not-a-client-id"),
        ("name", "nul\x00byte"),
    ],
)
def test_bad_value_is_said_at_its_field(admin: Client, sandbox: SandboxServer, name: str, value: str) -> None:
    page = sent(admin, typed_in(sandbox, **{name: value}))
    assert f'id="id_{name}_error"' in page
    assert "<script>alert" not in page
    assert not Connection.objects.exists()
    assert sandbox.requests == []


def test_name_with_markup_is_a_name(admin: Client, account: Account, sandbox: SandboxServer) -> None:
    answer = admin.post(URL, typed_in(sandbox, name="<b>Main</b>"), follow=True)
    assert Connection.objects.of(account).get().name == "<b>Main</b>"
    assert "<b>Main</b>" not in answer.content.decode()


def test_what_was_typed_is_kept_after_an_error_but_no_secret(admin: Client, sandbox: SandboxServer) -> None:
    page = sent(admin, typed_in(sandbox, name="My PSA", private_key="wrong-secret"))
    assert 'value="My PSA"' in page
    assert f'value="{sandbox.credentials.public_key}"' in page
    assert "wrong-secret" not in page
    assert sandbox.credentials.client_id not in page


def test_what_was_typed_survives_an_expired_sign_in_but_no_secret(
    client: Client, owner: User, sandbox: SandboxServer
) -> None:
    answer = client.post(URL, typed_in(sandbox, name="My PSA"))
    assert answer["Location"] == f"/accounts/login/?next={URL}"
    kept = str(dict(client.session))
    assert sandbox.credentials.private_key not in kept
    assert sandbox.credentials.client_id not in kept
    answer = client.post(answer["Location"], {"login": "olga", "password": PASSWORD}, follow=True)
    page = answer.content.decode()
    assert "What you had typed is still here." in page
    assert 'value="My PSA"' in page
    assert "My PSA" not in client.get(URL).content.decode()


def test_what_was_kept_is_for_its_own_page_only(client: Client, owner: User, account: Account) -> None:
    linked = connect(account)
    client.post(URL, {"name": "My PSA"})
    client.force_login(owner)
    assert "My PSA" not in client.get(f"/integrations/{linked.pk}/settings/name/").content.decode()


def test_anonymous_callers_cannot_fill_the_database(client: Client, db: None) -> None:
    cache.clear()
    client.post(URL, {"name": "x" * 200_000})
    assert not client.session.keys()
    for _ in range(KEEPS_AN_HOUR):
        client.post(URL, {"name": "x"})
    other = Client()
    other.post(URL, {"name": "x"})
    assert not other.session.keys()
    cache.clear()


def test_what_was_typed_is_shown_where_the_sign_in_changed_meanwhile(
    owner: User, sandbox: SandboxServer
) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    answer = client.post(URL, typed_in(sandbox, name=SCRIPT))
    page = answer.content.decode()
    assert answer.status_code == 403
    assert "&lt;script&gt;alert" in page
    assert sandbox.credentials.public_key in page
    assert sandbox.credentials.private_key not in page
    assert sandbox.credentials.client_id not in page
    assert "kept_form" not in client.session


def test_refused_form_of_another_page_shows_nothing(owner: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    answer = client.post("/integrations/1/test/", {"name": "typed"})
    assert (answer.status_code, "typed" in answer.content.decode().replace("had typed", "")) == (403, False)


def test_second_click_leads_to_what_the_first_one_made(
    admin: Client, account: Account, sandbox: SandboxServer
) -> None:
    first = admin.post(URL, typed_in(sandbox))
    second = admin.post(URL, typed_in(sandbox))
    assert first["Location"] == second["Location"]
    assert Connection.objects.of(account).count() == 1


def test_the_same_company_twice_is_refused_in_words(
    admin: Client, account: Account, sandbox: SandboxServer
) -> None:
    admin.post(URL, typed_in(sandbox))
    Connection.objects.update(created_at="2026-01-01T00:00:00Z")
    assert "already a ConnectWise PSA connection" in sent(admin, typed_in(sandbox))


def test_another_tenants_same_company_is_another_connection(
    client: Client, owner: User, foreign_owner: User, sandbox: SandboxServer
) -> None:
    for user in (owner, foreign_owner):
        client.force_login(user)
        assert client.post(URL, typed_in(sandbox)).status_code == 302
    assert Connection.objects.count() == 2


def test_missing_permissions_are_told_with_the_success(admin: Client, sandbox: SandboxServer) -> None:
    rows = [{"moduleFunctionName": "Service Tickets", "inquireLevel": "All", "addLevel": "None"}]
    sandbox.configure(security=[*rows, {"moduleFunctionName": "Table Setup", "inquireLevel": "All"}])
    answer = admin.post(URL, typed_in(sandbox), follow=True)
    page = answer.content.decode()
    assert "Some permissions are missing" in page
    assert "Post notes" in page


def test_page_costs_the_same_for_many_connections(admin: Client, account: Account) -> None:
    before = queries_of(admin, URL)
    for number in range(5):
        connect(account, company_id=f"c{number}")
    assert queries_of(admin, URL) == before
