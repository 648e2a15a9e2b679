"""Rotation moves every secret to the newest key, loses none, and names what it cannot read."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connection as database

from psa import crypto, key_rotation
from psa.fields import Secret
from psa.models import Connection, MemberMapping
from psa.tests.conftest import OWN_SECRET, SECRET, World

OLD, NEW, LOST = (Fernet.generate_key().decode() for _ in range(3))

Use = Callable[..., None]


@pytest.fixture
def stored(keys: Use, request: pytest.FixtureRequest) -> World:
    """Return a world whose secrets are under the old key."""
    keys(OLD)
    world: World = request.getfixturevalue("ours")
    return world


def run(**options: Any) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("psa_rotate_keys", stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


def raw(table: str, column: str) -> list[str]:
    """Return what the database itself holds."""
    with database.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL ORDER BY id")
        return [row[0] for row in cursor.fetchall()]


def sealed(key: str, plain: bytes) -> str:
    return f"psa1:{crypto.key_id(key)}:{Fernet(key).encrypt(plain).decode()}"


def key_ids() -> set[str]:
    found = raw("psa_connection", "credentials") + raw("psa_membermapping", "own_credentials")
    return {crypto.key_id_of(value) for value in found}


def another(world: World, number: int) -> Connection:
    return Connection.objects.create(
        tenant=world.account,
        provider="dummy",
        name=f"No {number}",
        site=str(number),
        credentials={"api_key": str(number)},
    )


def test_columns_are_found_on_the_models() -> None:
    assert key_rotation.encrypted_columns() == [
        (Connection, "credentials"),
        (MemberMapping, "own_credentials"),
    ]


def test_everything_moves_to_the_newest_key(stored: World, keys: Use) -> None:
    keys(NEW, OLD)
    out, err = run()
    assert out == f"2 encrypted under key {crypto.key_id(NEW)}, 0 under it already, 0 unreadable.\n"
    assert err == ""
    assert key_ids() == {crypto.key_id(NEW)}
    keys(NEW)
    assert Connection.objects.get().credentials["api_key"] == SECRET
    assert MemberMapping.objects.get().own_credentials["private_key"] == OWN_SECRET


def test_nothing_but_the_ciphertext_changes(stored: World, keys: Use) -> None:
    keys(NEW, OLD)
    before = Connection.objects.values().get()
    run()
    after = Connection.objects.values().get()
    assert dict(before.pop("credentials")) == dict(after.pop("credentials"))
    assert before == after


def test_dry_run_counts_and_changes_nothing(stored: World, keys: Use) -> None:
    keys(NEW, OLD)
    before = raw("psa_connection", "credentials")
    out, _err = run(dry_run=True)
    assert out.startswith(f"2 to encrypt under key {crypto.key_id(NEW)}, 0 under it already")
    assert raw("psa_connection", "credentials") == before


def test_second_run_leaves_every_row_alone(stored: World, keys: Use) -> None:
    keys(NEW, OLD)
    run()
    before = raw("psa_connection", "credentials")
    assert run()[0].startswith("0 encrypted")
    assert raw("psa_connection", "credentials") == before


def test_many_rows_take_several_pages(stored: World, keys: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_rotation, "PAGE", 2)
    for number in range(5):
        another(stored, number)
    keys(NEW, OLD)
    assert run()[0].startswith("7 encrypted")
    assert [row.credentials["api_key"] for row in Connection.objects.all()] == [SECRET, *"01234"]


def test_run_that_was_broken_off_goes_on(stored: World, keys: Use) -> None:
    for number in range(3):
        another(stored, number)
    keys(NEW, OLD)
    started = key_rotation.keys_rotate()
    next(started), next(started)
    started.close()
    done = raw("psa_connection", "credentials")[:2]
    assert run()[0].startswith("3 encrypted")
    assert raw("psa_connection", "credentials")[:2] == done
    assert key_ids() == {crypto.key_id(NEW)}


def test_unreadable_rows_are_named_and_left(stored: World, keys: Use) -> None:
    keys(LOST)
    lost = another(stored, 1)
    foreign = another(stored, 2)
    with database.cursor() as cursor:
        cursor.execute("UPDATE psa_connection SET credentials = 'hunter2:oh:no' WHERE id = %s", [foreign.pk])
    before = raw("psa_connection", "credentials")
    keys(NEW, OLD)
    err = io.StringIO()
    out = io.StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("psa_rotate_keys", stdout=out, stderr=err)
    assert caught.value.returncode == 1
    assert err.getvalue().splitlines() == [
        f"Cannot decrypt psa.Connection {lost.pk} credentials: key {crypto.key_id(LOST)}.",
        f"Cannot decrypt psa.Connection {foreign.pk} credentials: no known form.",
    ]
    assert out.getvalue().startswith("2 encrypted")
    assert raw("psa_connection", "credentials")[1:] == before[1:]


def test_damaged_row_under_the_newest_key_is_found(stored: World) -> None:
    damaged = f"psa1:{crypto.key_id(OLD)}:{'x' * 100}"
    with database.cursor() as cursor:
        cursor.execute("UPDATE psa_connection SET credentials = %s", [damaged])
    with pytest.raises(CommandError):
        run()
    assert raw("psa_connection", "credentials") == [damaged]


@pytest.mark.parametrize("part", ["hunter2", "psa1:hunter2:x", "psa1::", ""])
def test_report_never_repeats_a_value(part: str) -> None:
    assert key_rotation._named_key(part) == ""


def test_change_in_the_meantime_wins(stored: World, keys: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    keys(NEW, OLD)
    encrypt = crypto.encrypt

    def late(plain: bytes) -> str:
        monkeypatch.setattr(crypto, "encrypt", encrypt)
        # A person stores new credentials between our read and our write.
        Connection.objects.update(credentials=Secret({"api_key": "fresh"}))
        return encrypt(plain)

    monkeypatch.setattr(crypto, "encrypt", late)
    assert run()[0].startswith("1 encrypted")
    assert Connection.objects.get().credentials["api_key"] == "fresh"


def test_row_rewritten_under_the_old_key_in_the_meantime_is_moved(
    stored: World, keys: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = sealed(OLD, b'{"api_key": "fresh"}')
    keys(NEW, OLD)
    encrypt = crypto.encrypt

    def late(plain: bytes) -> str:
        monkeypatch.setattr(crypto, "encrypt", encrypt)
        Connection.objects.update(credentials=Secret(sealed=older))  # by a process with the old settings
        return encrypt(plain)

    monkeypatch.setattr(crypto, "encrypt", late)
    run()
    assert key_ids() == {crypto.key_id(NEW)}
    assert Connection.objects.get().credentials["api_key"] == "fresh"


def test_row_deleted_in_the_meantime_is_no_failure(
    stored: World, keys: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys(NEW, OLD)
    encrypt = crypto.encrypt

    def late(plain: bytes) -> str:
        MemberMapping.objects.all().delete()
        return encrypt(plain)

    monkeypatch.setattr(crypto, "encrypt", late)
    results = [row.result for row in key_rotation.keys_rotate()]
    assert results == [key_rotation.RowResult.REWRITTEN]
    MemberMapping.objects.create(
        tenant=stored.account,
        connection=stored.connection,
        user_name="x",
        member_id="1",
        member_name="x",
        own_credentials=Secret(sealed=sealed(OLD, b"{}")),
    )
    results = [row.result for row in key_rotation.keys_rotate()]
    assert results == [key_rotation.RowResult.CURRENT, key_rotation.RowResult.GONE]


@pytest.mark.django_db
def test_without_a_key_nothing_starts(keys: Use) -> None:
    keys()
    with pytest.raises(ImproperlyConfigured):
        run()
