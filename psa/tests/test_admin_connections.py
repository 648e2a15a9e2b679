"""What the admin does to connections: each action asks first, and tells in a sentence what came of it."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from psa import crypto
from psa.exceptions import AuthenticationFailedError
from psa.models import AuditEntry, Connection
from psa.providers.dummy.provider import DummyProvider
from psa.providers.dummy.server import DummyServer
from psa.tests.conftest import SECRET, World
from psa.types import Feature, FeatureResult, FeatureStatus, ProbeResult
from resolutionflow.accounts.models import User

pytestmark = pytest.mark.usefixtures("dummy")

OLD = "dGVzdHMtb25seS10ZXN0cy1vbmx5LXRlc3RzLW9ubHk="
NEW = "b3RoZXIta2V5LW90aGVyLWtleS1vdGhlci1rZXktMDE="
LIST = "/admin/psa/connection/"
ACTIONS = ["test", "recheck", "reencrypt", "keys", "disable", "enable"]
LISTED = [name for name in ACTIONS if name != "keys"]


@pytest.fixture
def owner(ours: World) -> Client:
    client = Client()
    client.force_login(ours.owner)
    return client


def address(connection: Connection, name: str) -> str:
    return reverse(f"admin:psa_connection_{name}", args=[connection.pk])


def do(client: Client, connection: Connection, name: str, **filled: str) -> str:
    """Press the button of the page that asks, and return the page that follows."""
    return client.post(address(connection, name), filled, follow=True).content.decode()


def stored(world: World) -> Connection:
    return Connection.objects.get(pk=world.connection.pk)


def verbs() -> list[str]:
    return list(AuditEntry.objects.order_by("pk").values_list("verb", flat=True))[1:]


def switched_off(world: World) -> None:
    Connection.objects.filter(pk=world.connection.pk).update(state="disabled")


@pytest.mark.parametrize("name", ACTIONS)
def test_button_leads_to_a_page_that_asks_and_changes_nothing(owner: Client, ours: World, name: str) -> None:
    if name == "enable":
        switched_off(ours)
    before = stored(ours).__dict__ | {"_state": None, "credentials": None}
    assert address(ours.connection, name) in owner.get(address(ours.connection, "change")).content.decode()
    page = owner.get(address(ours.connection, name))
    assert page.status_code == 200
    assert 'method="post"' in page.content.decode()
    assert stored(ours).__dict__ | {"_state": None, "credentials": None} == before
    assert (verbs(), DummyServer.of(str(ours.connection.pk)).calls) == ([], [])


@pytest.mark.parametrize("name", LISTED)
def test_action_of_the_list_asks_first(owner: Client, ours: World, name: str) -> None:
    chosen = {"action": name, "_selected_action": [ours.connection.pk]}
    page = owner.post(LIST, chosen)
    assert (page.status_code, verbs()) == (200, [])
    assert f'name="_selected_action" value="{ours.connection.pk}"' in page.content.decode()
    assert owner.post(LIST, chosen | {"sure": "yes"}).status_code == 302


def test_keys_are_replaced_one_connection_at_a_time(owner: Client, ours: World) -> None:
    chosen = {"action": "keys", "_selected_action": [ours.connection.pk], "sure": "yes"}
    assert "No action selected." in owner.post(LIST, chosen, follow=True).content.decode()


def test_buttons_are_those_that_fit(owner: Client, ours: World) -> None:
    def offered() -> set[str]:
        shown = owner.get(address(ours.connection, "change")).content.decode()
        return {name for name in ACTIONS if address(ours.connection, name) in shown}

    assert offered() == {"test", "recheck", "reencrypt", "keys", "disable"}
    switched_off(ours)
    assert offered() == {"reencrypt", "keys", "enable"}


def test_connection_is_tested(owner: Client, ours: World) -> None:
    answer = owner.post(address(ours.connection, "test"), follow=True)
    assert answer.redirect_chain == [(address(ours.connection, "change"), 302)]
    assert "Northwind PSA: Connected." in answer.content.decode()
    assert (stored(ours).state, verbs()) == ("connected", ["connection.tested"])
    assert AuditEntry.objects.latest("pk").actor == ours.owner


def test_test_tells_what_is_wrong(owner: Client, ours: World) -> None:
    DummyServer.of(str(ours.connection.pk)).fail_next("*", AuthenticationFailedError("The keys are refused."))
    assert "Northwind PSA: Broken. The keys are refused." in do(owner, ours.connection, "test")
    switched_off(ours)
    assert "The connection is disabled. Enable it to test it." in do(owner, ours.connection, "test")


def test_permissions_are_read_anew(owner: Client, ours: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Every permission that is asked for is granted." in do(owner, ours.connection, "recheck")
    lacks = FeatureResult(Feature.NOTES, FeatureStatus.DENIED, "Service Desk: Notes")
    fine = FeatureResult(Feature.STATUS, FeatureStatus.OK)
    with monkeypatch.context() as patch:
        patch.setattr(DummyProvider, "probe", lambda _self: ProbeResult("1.0", (fine, lacks)))
        shown = do(owner, ours.connection, "recheck")
    assert "Not everything is granted. notes: denied (Service Desk: Notes)." in shown
    server = DummyServer.of(str(ours.connection.pk))
    server.fail_next("*", AuthenticationFailedError("The keys are refused."))
    assert "The permissions could not be read" in do(owner, ours.connection, "recheck")


def test_stored_keys_move_to_the_newest_encryption_key(owner: Client, ours: World, keys: Any) -> None:
    nothing = "Everything is encrypted under the newest key already. Nothing was changed."
    assert nothing in do(owner, ours.connection, "reencrypt")
    keys(NEW, OLD)
    shown = do(owner, ours.connection, "reencrypt")
    assert "2 of its stored secrets are encrypted under the newest key now." in shown
    assert crypto.key_id_of(stored(ours).credentials.sealed()) == crypto.key_id(NEW)
    assert dict(stored(ours).credentials) == {"api_key": SECRET}
    assert nothing in do(owner, ours.connection, "reencrypt")
    assert verbs() == ["connection.reencrypted"]


@pytest.mark.parametrize("name", ["test", "recheck", "reencrypt"])
def test_keys_that_cannot_be_decrypted_are_told_in_a_sentence(
    owner: Client, ours: World, keys: Any, name: str
) -> None:
    before = stored(ours).credentials.sealed()
    keys(NEW)
    answer = owner.post(address(ours.connection, name), follow=True)
    told = [str(message) for message in answer.context["messages"]]
    assert answer.status_code == 200
    assert len(told) == 1
    assert " key" in told[0]
    assert "replace" in told[0].lower()
    assert "operator" in told[0]
    assert stored(ours).credentials.sealed() == before


def test_keys_are_replaced_and_never_shown(owner: Client, ours: World) -> None:
    assert SECRET not in owner.get(address(ours.connection, "keys")).content.decode()
    Connection.objects.update(company_id="")  # the provider in memory knows no accounts
    shown = do(owner, ours.connection, "keys", **{"credentials.api_key": "another-key"})
    assert "Northwind PSA: The new keys are stored. Connected." in shown
    assert "another-key" not in shown
    assert dict(stored(ours).credentials) == {"api_key": "another-key"}
    assert verbs() == ["connection.changed"]


def test_keys_that_are_unreadable_are_replaced(owner: Client, ours: World, keys: Any) -> None:
    Connection.objects.update(company_id="")
    keys(NEW)
    assert "Connected." in do(owner, ours.connection, "keys", **{"credentials.api_key": "another-key"})
    assert dict(stored(ours).credentials) == {"api_key": "another-key"}


@pytest.mark.parametrize(("typed", "told"), [("", "Enter what is to be replaced."), ("refused", "refused")])
def test_keys_that_are_not_taken_are_asked_for_again(
    owner: Client, ours: World, typed: str, told: str
) -> None:
    Connection.objects.update(company_id="")
    answer = owner.post(address(ours.connection, "keys"), {"credentials.api_key": typed})
    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode()
    assert told in str(answer.context["form"].errors)
    assert (dict(stored(ours).credentials), verbs()) == ({"api_key": SECRET}, [])


def test_connection_is_disabled_once(owner: Client, ours: World) -> None:
    assert "Northwind PSA: Switched off. What is queued waits." in do(owner, ours.connection, "disable")
    since = stored(ours).state_since
    assert "It was switched off already. Nothing was changed." in do(owner, ours.connection, "disable")
    assert (stored(ours).state, stored(ours).state_since) == ("disabled", since)
    assert verbs() == ["connection.disabled"]


def test_connection_is_enabled_and_tested(owner: Client, ours: World) -> None:
    assert "It is switched on already. Nothing was changed." in do(owner, ours.connection, "enable")
    switched_off(ours)
    assert "Northwind PSA: Switched on. Connected." in do(owner, ours.connection, "enable")
    assert (stored(ours).state, verbs()) == ("connected", ["connection.enabled", "connection.tested"])


@pytest.mark.parametrize("name", ACTIONS)
def test_connection_that_was_deleted_meanwhile_is_told(owner: Client, ours: World, name: str) -> None:
    Connection.objects.update(deleted_at=timezone.now())
    for answer in (
        owner.get(address(ours.connection, name), follow=True),
        owner.post(address(ours.connection, name), follow=True),
    ):
        assert answer.redirect_chain == [(LIST, 302)]
        assert "There is no such connection. It may have been deleted meanwhile." in answer.content.decode()
    assert verbs() == []


@pytest.mark.parametrize("name", LISTED)
def test_connection_that_is_deleted_while_it_is_worked_on_is_told(
    owner: Client, ours: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "enable":
        switched_off(ours)
    page = owner.get(address(ours.connection, name))
    assert page.status_code == 200
    found = Connection.objects.get(pk=ours.connection.pk)
    monkeypatch.setattr("psa.admin.connections.ConnectionAdmin.get_object", lambda *_args: found)
    Connection.objects.update(deleted_at=timezone.now())
    answer = owner.post(address(ours.connection, name))
    assert answer.status_code == 302
    monkeypatch.undo()
    assert "There is no such connection." in owner.get(LIST).content.decode()
    assert verbs() == []


def test_chosen_ones_that_are_gone_are_counted(owner: Client, ours: World, theirs: World) -> None:
    chosen = {"action": "disable", "_selected_action": [ours.connection.pk, theirs.connection.pk]}
    shown = owner.post(LIST, chosen | {"sure": "yes"}, follow=True).content.decode()
    assert "1 of the chosen ones cannot be found any more." in shown
    assert "Northwind PSA: Switched off." in shown
    assert (stored(ours).state, stored(theirs).state) == ("disabled", "degraded")
    gone = chosen | {"_selected_action": [theirs.connection.pk]}
    shown = owner.post(LIST, gone, follow=True).content.decode()
    assert "1 of the chosen ones cannot be found any more." in shown
    assert "Fabrikam" not in shown


def test_at_most_ten_are_tested_at_once(owner: Client, ours: World) -> None:
    for number in range(11):
        Connection.objects.create(
            tenant=ours.account, provider="dummy", name="x", company_id=str(number), credentials={}
        )
    chosen = {"action": "test", "_selected_action": list(Connection.objects.values_list("pk", flat=True))}
    shown = owner.post(LIST, chosen | {"sure": "yes"}, follow=True).content.decode()
    assert "Nothing was done: choose at most 10 at once." in shown
    assert verbs() == []


@pytest.mark.parametrize("name", ACTIONS)
def test_actions_are_for_people_who_manage_the_tenant(
    owner: Client, ours: World, theirs: World, name: str
) -> None:
    before = stored(theirs).__dict__ | {"_state": None, "credentials": None}
    assert owner.post(address(theirs.connection, name)).status_code == 302
    engineer = Client()
    engineer.force_login(theirs.engineer)
    assert engineer.post(address(theirs.connection, name)).status_code == 302
    User.objects.filter(pk=theirs.engineer.pk).update(is_staff=True)
    assert engineer.post(address(theirs.connection, name)).status_code == 403
    assert stored(theirs).__dict__ | {"_state": None, "credentials": None} == before


def test_a_provider_that_is_no_longer_configured_is_told(owner: Client, ours: World) -> None:
    Connection.objects.update(provider="gone")
    for name in ("test", "recheck", "keys"):
        answer = owner.post(address(ours.connection, name), {"credentials.api_key": "x"}, follow=True)
        assert answer.status_code == 200
        assert "gone" in " ".join(str(message) for message in answer.context["messages"])
