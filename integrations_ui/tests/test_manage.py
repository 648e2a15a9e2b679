"""Tests of a connection's settings: name, key, host, off and on, delete."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.test import Client
from django.utils import timezone

from integrations_ui.tests.conftest import PASSWORD, typed_in
from psa import services
from psa.models import AuditEntry, Connection, Delivery, TicketLink
from psa.models.member_mapping import MemberMapping
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Actor, NoteKind, NotePart
from resolutionflow.accounts.models import Account, User


@pytest.fixture
def admin(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


@pytest.fixture
def connection(account: Account, owner: User, sandbox: SandboxServer) -> Connection:
    keys = typed_in(sandbox)
    return services.connection_create(
        account,
        actor=Actor(owner.pk, "Olga Ray"),
        provider="connectwise",
        name=keys.pop("name"),
        site=keys.pop("site"),
        credentials=keys,
    )


@pytest.fixture
def link(account: Account, connection: Connection) -> TicketLink:
    return services.ticket_link(account, connection.pk, "57050")


@pytest.fixture
def delivery(account: Account, owner: User, link: TicketLink) -> Delivery:
    part = NotePart(NoteKind.ANALYSIS, "Restarted the spooler.")
    unit = services.unit_enqueue(account, link.pk, [part], actor=Actor(owner.pk, "Olga Ray"))
    return unit.deliveries.get()


def url(connection: Connection, tail: str = "") -> str:
    return f"/integrations/{connection.pk}/settings/{tail}"


def lose_encryption_key(settings: Any) -> None:
    """Leave what is stored encrypted under a key that nobody has any more."""
    settings.PSA = {**settings.PSA, "ENCRYPTION_KEYS": [Fernet.generate_key().decode()]}


def keys_of(sandbox: SandboxServer, **changes: str) -> dict[str, str]:
    given = typed_in(sandbox, **changes)
    return {name: given[name] for name in ("public_key", "private_key", "client_id")}


# Name ---------------------------------------------------------------------------------------------


def test_admin_renames(admin: Client, connection: Connection) -> None:
    answer = admin.post(url(connection, "name/"), {"name": "Head office"}, follow=True)
    connection.refresh_from_db()
    assert connection.name == "Head office"
    assert "Renamed." in answer.content.decode()


@pytest.mark.parametrize("name", ["", "   ", "x" * 101])
def test_bad_name_is_said_and_kept(admin: Client, connection: Connection, name: str) -> None:
    answer = admin.post(url(connection, "name/"), {"name": name})
    assert 'id="id_name_error"' in answer.content.decode()
    connection.refresh_from_db()
    assert connection.name == "Main ConnectWise"


def test_typed_name_survives_an_expired_sign_in(client: Client, connection: Connection) -> None:
    answer = client.post(url(connection, "name/"), {"name": "Head office"})
    page = client.post(answer["Location"], {"login": "olga", "password": PASSWORD}, follow=True)
    assert 'value="Head office"' in page.content.decode()


# Key ----------------------------------------------------------------------------------------------


def test_new_key_keeps_id_mappings_and_history(
    admin: Client,
    account: Account,
    owner: User,
    connection: Connection,
    delivery: Delivery,
    sandbox: SandboxServer,
) -> None:
    mapping = MemberMapping.objects.create(
        tenant=account, connection=connection, user=owner, user_name="Olga", member_id="1", member_name="O"
    )
    lost = Connection.objects.get(pk=connection.pk)
    lost.credentials = {**keys_of(sandbox, private_key="lost"), "company_id": lost.company_id}
    lost.state = "broken"
    lost.save()
    answer = admin.post(url(connection, "key/"), keys_of(sandbox), follow=True)
    assert answer.redirect_chain[-1][0] == f"/integrations/{connection.pk}/"
    assert "The new key is in use" in answer.content.decode()
    changed = Connection.objects.get(pk=connection.pk)
    assert changed.state == "connected"
    assert Delivery.objects.get(pk=delivery.pk).connection_id == changed.pk
    assert MemberMapping.objects.get(pk=mapping.pk).active
    verbs = AuditEntry.objects.filter(connection=connection).values_list("verb", flat=True)
    assert {"connection.created", "connection.changed"} <= set(verbs)


def test_blank_secret_keeps_the_stored_one(
    admin: Client, connection: Connection, sandbox: SandboxServer
) -> None:
    given = {"public_key": "", "private_key": sandbox.credentials.private_key, "client_id": ""}
    assert admin.post(url(connection, "key/"), given).status_code == 302
    kept = Connection.objects.get(pk=connection.pk).credentials
    assert kept["client_id"] == sandbox.credentials.client_id
    assert kept["public_key"] == sandbox.credentials.public_key


def test_stored_client_id_is_removed_by_a_tick(
    admin: Client, connection: Connection, sandbox: SandboxServer, settings: Any
) -> None:
    defaults = {"connectwise": {"client_id": sandbox.credentials.client_id}}
    settings.PSA = {**settings.PSA, "DEFAULT_CREDENTIALS": defaults}
    assert "Remove the stored Client ID" in admin.get(url(connection, "key/")).content.decode()
    assert admin.post(url(connection, "key/"), {"remove_client_id": "on"}).status_code == 302
    kept = Connection.objects.get(pk=connection.pk).credentials
    assert ("client_id" in kept, kept["private_key"]) == (False, sandbox.credentials.private_key)
    assert "Remove the stored Client ID" not in admin.get(url(connection, "key/")).content.decode()


def test_keys_that_cannot_be_read_are_replaced_and_all_else_stays(
    admin: Client, connection: Connection, delivery: Delivery, sandbox: SandboxServer, settings: Any
) -> None:
    lose_encryption_key(settings)
    page = admin.get(url(connection, "key/")).content.decode()
    assert "The stored keys cannot be read any more" in page
    page = admin.post(
        url(connection, "key/"), {"private_key": sandbox.credentials.private_key}
    ).content.decode()
    assert 'id="id_public_key_error"' in page
    assert admin.post(url(connection, "key/"), keys_of(sandbox)).status_code == 302
    changed = Connection.objects.get()
    assert (changed.pk, changed.state, changed.company_id) == (
        connection.pk,
        "connected",
        connection.company_id,
    )
    assert changed.credentials["private_key"] == sandbox.credentials.private_key
    assert changed.deliveries.get() == delivery


def test_name_changes_without_readable_keys(admin: Client, connection: Connection, settings: Any) -> None:
    lose_encryption_key(settings)
    admin.post(url(connection, "name/"), {"name": "Head office"})
    changed = Connection.objects.get()
    assert (changed.name, changed.company_id) == ("Head office", connection.company_id)


def test_new_public_key_needs_every_secret_again(admin: Client, connection: Connection) -> None:
    page = admin.post(url(connection, "key/"), {"public_key": "another"}).content.decode()
    assert "Enter Private key again." in page
    assert "Enter Client ID again." in page
    assert '<details class="more" open>' in page


def test_empty_form_changes_nothing(admin: Client, connection: Connection) -> None:
    page = admin.post(url(connection, "key/"), {}).content.decode()
    assert "Enter at least the new private key." in page


def test_wrong_new_key_leaves_the_old_one(
    admin: Client, connection: Connection, sandbox: SandboxServer
) -> None:
    page = admin.post(url(connection, "key/"), keys_of(sandbox, private_key="wrong")).content.decode()
    assert "The keys were refused" in page
    stored = Connection.objects.get(pk=connection.pk)
    assert stored.credentials["private_key"] == sandbox.credentials.private_key
    assert stored.state == "connected"


def test_the_stored_key_once_more_is_tested(
    admin: Client, connection: Connection, sandbox: SandboxServer
) -> None:
    Connection.objects.filter(pk=connection.pk).update(state="broken")
    admin.post(url(connection, "key/"), keys_of(sandbox))
    assert Connection.objects.get(pk=connection.pk).state == "connected"


def test_the_stored_key_that_is_still_refused_is_no_success(
    admin: Client, connection: Connection, sandbox: SandboxServer
) -> None:
    Connection.objects.filter(pk=connection.pk).update(state="broken")
    sandbox.faults.add("status", path="/apis/3.0/", status=401)
    page = admin.post(url(connection, "key/"), keys_of(sandbox), follow=True).content.decode()
    assert "Nothing has changed." in page
    assert "The new key is in use" not in page


def test_key_of_a_connection_that_is_off_is_saved_and_said(
    admin: Client, connection: Connection, sandbox: SandboxServer
) -> None:
    off = Connection.objects.get(pk=connection.pk)
    off.credentials = {**keys_of(sandbox, private_key="lost"), "company_id": off.company_id}
    off.state = "disabled"
    off.save()
    answer = admin.post(url(connection, "key/"), keys_of(sandbox), follow=True)
    assert "The connection is still switched off." in answer.content.decode()


def test_key_page_shows_the_three_steps(admin: Client, connection: Connection) -> None:
    page = admin.get(url(connection, "key/")).content.decode()
    for title in ("Make a new key", "Enter it", "Test and use it"):
        assert title in page


# Host ---------------------------------------------------------------------------------------------


def moved(sandbox: SandboxServer, **changes: str) -> dict[str, str]:
    given = typed_in(sandbox, **changes)
    given.pop("name")
    return given


def test_moves_to_a_host_with_the_same_tickets(
    admin: Client, connection: Connection, link: TicketLink, sandbox: SandboxServer
) -> None:
    elsewhere = sandbox.url.replace("127.0.0.1", "localhost")
    answer = admin.post(url(connection, "move/"), moved(sandbox, site=f"{elsewhere}/login"), follow=True)
    assert f"now leads to {elsewhere}" in answer.content.decode()
    assert Connection.objects.get(pk=connection.pk).site == elsewhere


def test_another_company_is_no_move(
    admin: Client, connection: Connection, link: TicketLink, sandbox: SandboxServer
) -> None:
    TicketLink.objects.filter(pk=link.pk).update(summary="Something else")
    elsewhere = sandbox.url.replace("127.0.0.1", "localhost")
    page = admin.post(url(connection, "move/"), moved(sandbox, site=elsewhere)).content.decode()
    assert "not the same company" in page
    assert Connection.objects.get(pk=connection.pk).site == sandbox.url


def test_move_needs_every_secret(admin: Client, connection: Connection, sandbox: SandboxServer) -> None:
    elsewhere = sandbox.url.replace("127.0.0.1", "localhost")
    given = moved(sandbox, site=elsewhere, client_id="")
    assert "Enter Client ID again." in admin.post(url(connection, "move/"), given).content.decode()


def test_move_page_shows_where_it_leads_now(admin: Client, connection: Connection) -> None:
    page = admin.get(url(connection, "move/")).content.decode()
    assert f'value="{connection.site}"' in page
    assert f'value="{connection.company_id}"' in page


# Off, on, delete ------------------------------------------------------------------------------------


def test_switching_off_is_asked_once(admin: Client, connection: Connection) -> None:
    assert "Switch Main ConnectWise off?" in admin.get(url(connection, "off/")).content.decode()
    assert Connection.objects.get(pk=connection.pk).state == "connected"
    admin.post(url(connection, "off/"))
    assert Connection.objects.get(pk=connection.pk).state == "disabled"


def test_switching_on_tests_at_once(admin: Client, connection: Connection) -> None:
    admin.post(url(connection, "off/"))
    answer = admin.post(url(connection, "on/"), follow=True)
    assert "Switched on and tested." in answer.content.decode()
    assert Connection.objects.get(pk=connection.pk).state == "connected"


def test_switching_on_says_when_the_test_fails(
    admin: Client, connection: Connection, sandbox: SandboxServer
) -> None:
    admin.post(url(connection, "off/"))
    sandbox.faults.add("status", path="/apis/3.0/", status=401)
    answer = admin.post(url(connection, "on/"), follow=True)
    assert "Switched on, but the test failed." in answer.content.decode()


def test_delete_page_says_what_goes(admin: Client, connection: Connection, delivery: Delivery) -> None:
    page = " ".join(admin.get(url(connection, "delete/")).content.decode().split())
    assert "1 post, discarded and never posted" in page
    assert "1; what was posted there stays there" in page


def test_deleting_wipes_discards_and_leads_home(
    admin: Client, connection: Connection, delivery: Delivery
) -> None:
    answer = admin.post(url(connection, "delete/"), follow=True)
    assert answer.redirect_chain == [("/integrations/", 302)]
    gone = Connection.objects.get(pk=connection.pk)
    assert gone.deleted_at is not None
    assert gone.credentials == {}
    delivery.refresh_from_db()
    assert delivery.state == "discarded"
    assert admin.get(url(connection, "delete/")).status_code == 404


def test_deleting_in_flight_asks_again(admin: Client, connection: Connection, delivery: Delivery) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(state="sending", due_at=timezone.now())
    page = admin.post(url(connection, "delete/")).content.decode()
    assert "Delete all the same" in page
    assert Connection.objects.get(pk=connection.pk).deleted_at is None
    admin.post(url(connection, "delete/"), {"force": "yes"})
    assert Connection.objects.get(pk=connection.pk).deleted_at is not None


def test_second_click_on_delete_is_not_found(admin: Client, connection: Connection) -> None:
    admin.post(url(connection, "delete/"))
    assert admin.post(url(connection, "delete/")).status_code == 404


@pytest.mark.parametrize("tail", ["", "name/", "key/", "move/", "off/", "delete/"])
def test_settings_are_for_admins(client: Client, lead: User, connection: Connection, tail: str) -> None:
    client.force_login(lead)
    assert client.get(url(connection, tail)).status_code == 403
    before: Any = Connection.objects.values().get(pk=connection.pk)
    assert client.post(url(connection, tail), {"name": "x", "force": "yes"}).status_code in (403, 405)
    assert Connection.objects.values().get(pk=connection.pk) == before
