"""Registrations of callbacks: made, healed, moved and taken back, and nobody else's touched."""

from __future__ import annotations

from typing import Any

import pytest

from psa import services
from psa.exceptions import ConflictError, InvalidInputError, MissingError
from psa.models import (
    AuditEntry,
    CallbackSubscription,
    Connection,
)
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Actor
from psa.webhooks.changes import Changes
from psa.webhooks.tests.conftest import BASE_URL

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

ADMIN = Actor(None, "Ada")


def registered(sandbox: SandboxServer) -> list[dict[str, Any]]:
    return [row.data for row in sandbox.store.table("system/callbacks").rows.values()]


def test_a_callback_is_registered_as_it_must_be(
    connection: Connection, callback: CallbackSubscription, sandbox: SandboxServer
) -> None:
    [row] = registered(sandbox)
    assert row["url"] == f"{BASE_URL}/psa/webhooks/{callback.secret_id}/?recordId="
    assert (row["type"], row["level"], row["objectId"]) == ("ticket", "owner", 1)
    assert (row["isSelfSuppressedFlag"], row["inactiveFlag"]) == (True, False)
    assert (callback.state, callback.external_id) == ("active", str(row["id"]))
    entry = AuditEntry.objects.get(verb="callback.added")
    assert str(callback.secret_id) not in str(entry.facts)


def due_again() -> None:
    CallbackSubscription.objects.update(next_check_at=None)
    Changes().settle(5)


def test_one_that_was_switched_off_is_switched_on_again(
    callback: CallbackSubscription, sandbox: SandboxServer
) -> None:
    table = sandbox.store.table("system/callbacks")
    row = next(iter(table.rows.values()))
    table.put(row, {**row.data, "inactiveFlag": True})
    due_again()
    assert registered(sandbox)[0]["inactiveFlag"] is False


def test_one_that_vanished_is_registered_again(
    callback: CallbackSubscription, sandbox: SandboxServer
) -> None:
    table = sandbox.store.table("system/callbacks")
    table.remove(next(iter(table.rows.values())))
    due_again()
    assert len(registered(sandbox)) == 1


def test_another_public_address_is_registered_and_the_old_one_removed(
    callback: CallbackSubscription, sandbox: SandboxServer, settings: Any
) -> None:
    settings.PSA = {**settings.PSA, "BASE_URL": "https://new.example.com/"}
    due_again()
    [row] = registered(sandbox)
    assert row["url"].startswith(f"https://new.example.com/psa/webhooks/{callback.secret_id}/")
    callback.refresh_from_db()
    assert callback.url == row["url"]


def test_nobody_elses_callbacks_are_touched(
    connection: Connection, callback: CallbackSubscription, sandbox: SandboxServer
) -> None:
    table = sandbox.store.table("system/callbacks")
    theirs = table.add(
        {
            **registered(sandbox)[0],
            "url": f"{BASE_URL}/psa/webhooks/of-somebody-else/?id=",
            "inactiveFlag": True,
        }
    )
    before = dict(table.rows[theirs.id].data)
    due_again()
    services.callback_remove(connection.tenant, connection.pk, callback.pk, actor=ADMIN)
    services.connection_delete(connection.tenant, connection.pk, actor=ADMIN)
    assert registered(sandbox) == [before]


def test_disable_and_enable_are_told_to_the_psa(
    connection: Connection, callback: CallbackSubscription, sandbox: SandboxServer
) -> None:
    services.connection_disable(connection.tenant, connection.pk, actor=ADMIN)
    Changes().settle(5)
    assert registered(sandbox)[0]["inactiveFlag"] is True
    callback.refresh_from_db()
    assert callback.state == "paused"
    services.connection_enable(connection.tenant, connection.pk, actor=ADMIN)
    Changes().settle(5)
    assert registered(sandbox)[0]["inactiveFlag"] is False
    callback.refresh_from_db()
    assert callback.state == "active"


def test_deleting_a_connection_takes_its_callbacks_along(
    connection: Connection, callback: CallbackSubscription, sandbox: SandboxServer
) -> None:
    services.connection_delete(connection.tenant, connection.pk, actor=ADMIN)
    assert registered(sandbox) == []
    assert AuditEntry.objects.get(verb="connection.deleted").facts["callbacks_left_behind"] == 0


def test_while_the_psa_is_down_a_wish_waits(connection: Connection, sandbox: SandboxServer) -> None:
    sandbox.faults.add("status", path="callbacks", status=503)
    made = services.callback_add(connection.tenant, connection.pk, actor=ADMIN, level="board", object_id="2")
    assert made.state == "wanted"
    assert made.problem["code"] == "unreachable"
    sandbox.faults.clear()
    due_again()
    made.refresh_from_db()
    assert (made.state, made.problem) == ("active", None)
    assert registered(sandbox)[0]["objectId"] == 2


def test_a_registration_without_a_clear_answer_is_not_made_twice(
    connection: Connection, sandbox: SandboxServer
) -> None:
    sandbox.faults.add("drop_after", method="POST", path="callbacks", count=1)
    made = services.callback_add(connection.tenant, connection.pk, actor=ADMIN)
    assert made.state == "wanted"
    due_again()
    made.refresh_from_db()
    assert made.state == "active"
    assert len(registered(sandbox)) == 1


def test_a_removal_that_failed_is_made_good(
    connection: Connection, callback: CallbackSubscription, sandbox: SandboxServer
) -> None:
    sandbox.faults.add("status", path="callbacks", status=503)
    services.callback_remove(connection.tenant, connection.pk, callback.pk, actor=ADMIN)
    assert len(registered(sandbox)) == 1
    sandbox.faults.clear()
    due_again()
    assert registered(sandbox) == []


def test_without_the_right_the_grant_is_named(connection: Connection, sandbox: SandboxServer) -> None:
    sandbox.faults.add("status", path="callbacks", status=403, body={"code": "Security", "message": "no"})
    made = services.callback_add(connection.tenant, connection.pk, actor=ADMIN)
    assert (made.state, made.problem["code"]) == ("failed", "psa-permission")
    assert "Table Setup" in made.problem["remedy"]


def test_wrong_wishes_are_refused_by_field(connection: Connection, settings: Any) -> None:
    def add(**given: str) -> CallbackSubscription:
        return services.callback_add(connection.tenant, connection.pk, actor=ADMIN, **given)

    for given, field in (
        ({"type": "invoice"}, "type"),
        ({"level": "status"}, "level"),
        ({"level": "board"}, "object_id"),
        ({"level": "board", "object_id": "x"}, "object_id"),
    ):
        with pytest.raises(InvalidInputError) as caught:
            add(**given)
        assert list(caught.value.fields) == [field]
    add()
    with pytest.raises(ConflictError) as there:
        add()
    assert there.value.code == "callback-exists"
    settings.PSA = {**settings.PSA, "BASE_URL": ""}
    with pytest.raises(ConflictError) as nowhere:
        add(level="board", object_id="1")
    assert nowhere.value.code == "base-url-missing"
    with pytest.raises(MissingError):
        services.callback_remove(connection.tenant, connection.pk, 999_999, actor=ADMIN)


def test_a_board_the_psa_cannot_have_is_refused_and_holds_nothing_up(
    connection: Connection, changes: Changes
) -> None:
    made = services.callback_add(
        connection.tenant, connection.pk, actor=ADMIN, level="board", object_id="9" * 40
    )
    assert (made.state, (made.problem or {})["code"]) == ("failed", "psa-refused")
    whole = services.callback_add(connection.tenant, connection.pk, actor=ADMIN)
    CallbackSubscription.objects.update(next_check_at=None)
    changes.settle(3)
    whole.refresh_from_db()
    assert whole.state == "active"
    connection.refresh_from_db()
    assert connection.reads_not_before is None
