"""The encrypted column: what the database, a dump, a form, a filter and a pickle see of it."""

from __future__ import annotations

import copy
import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import FieldError
from django.core.management import call_command
from django.db import connection as database
from django.forms import modelform_factory

from psa import crypto
from psa.exceptions import CredentialsUnreadableError
from psa.fields import EncryptedJSONField, Secret
from psa.models import Connection, MemberMapping
from psa.tests.conftest import SECRET, World

OTHER = Fernet.generate_key().decode()


def stored(world: World) -> str:
    with database.cursor() as cursor:
        cursor.execute("SELECT credentials FROM psa_connection WHERE id = %s", [world.connection.pk])
        return str(cursor.fetchone()[0])


def test_database_sees_ciphertext_only(ours: World) -> None:
    assert stored(ours).startswith(f"psa1:{crypto.newest_key_id()}:")
    assert SECRET not in stored(ours)


def test_value_comes_back(ours: World) -> None:
    secret = Connection.objects.get(pk=ours.connection.pk).credentials
    assert dict(secret) == {"api_key": SECRET}
    assert (secret["api_key"], secret.get("other"), len(secret), "api_key" in secret) == (
        SECRET,
        None,
        1,
        True,
    )


def test_unchanged_secret_keeps_its_ciphertext(ours: World) -> None:
    before = stored(ours)
    Connection.objects.get(pk=ours.connection.pk).save()
    assert stored(ours) == before


def test_assigned_dict_replaces_the_value(ours: World) -> None:
    row = Connection.objects.get(pk=ours.connection.pk)
    row.credentials = {"api_key": "new"}
    row.save(update_fields=["credentials"])
    assert Connection.objects.get(pk=row.pk).credentials["api_key"] == "new"


def test_update_and_bulk_create_encrypt_too(ours: World) -> None:
    Connection.objects.update(credentials={"api_key": "by update"})
    assert "by update" not in stored(ours)
    assert Connection.objects.get().credentials["api_key"] == "by update"
    rows = [Connection(tenant=ours.account, provider="x", name="b", credentials={"api_key": "bulk"})]
    Connection.objects.bulk_create(rows)
    assert Connection.objects.get(name="b").credentials["api_key"] == "bulk"


def test_null_stays_null(ours: World) -> None:
    MemberMapping.objects.update(own_credentials=None)
    assert MemberMapping.objects.get().own_credentials is None
    assert MemberMapping.objects.filter(own_credentials__isnull=True).exists()
    assert not MemberMapping.objects.filter(own_credentials__isnull=False).exists()


@pytest.mark.parametrize("value", ["plain text", 7, ["a"], b"x"])
@pytest.mark.django_db
def test_anything_but_an_object_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        Connection.objects.update(credentials=value)


@pytest.mark.parametrize(
    "lookup", ["credentials", "credentials__contains", "credentials__startswith", "credentials__in"]
)
@pytest.mark.django_db
def test_filter_by_value_is_refused(lookup: str) -> None:
    with pytest.raises(FieldError):
        Connection.objects.filter(**{lookup: {"api_key": SECRET}}).exists()


@pytest.mark.django_db
def test_transform_is_refused() -> None:
    with pytest.raises(FieldError):
        Connection.objects.filter(credentials__api_key="x").exists()


def test_dump_holds_ciphertext_and_loads_again(ours: World, tmp_path: Path) -> None:
    out = io.StringIO()
    call_command("dumpdata", "psa.Connection", "psa.MemberMapping", stdout=out)
    assert "s3cret" not in out.getvalue()
    rows = json.loads(out.getvalue())
    assert rows[0]["fields"]["credentials"] == stored(ours)
    dump = tmp_path / "dump.json"
    dump.write_text(out.getvalue())
    Connection.objects.update(credentials={})
    MemberMapping.objects.update(own_credentials=None)
    call_command("loaddata", str(dump), verbosity=0)
    assert Connection.objects.get().credentials["api_key"] == SECRET
    assert MemberMapping.objects.get().own_credentials is not None


def test_dump_of_null_loads_again(ours: World, tmp_path: Path) -> None:
    MemberMapping.objects.update(own_credentials=None)
    dump = tmp_path / "dump.json"
    call_command("dumpdata", "psa.MemberMapping", output=str(dump), verbosity=0)
    call_command("loaddata", str(dump), verbosity=0)
    assert MemberMapping.objects.get().own_credentials is None


def test_deconstruct_gives_the_field_back() -> None:
    _name, path, args, options = EncryptedJSONField(null=True, blank=True).deconstruct()
    assert (path, args, options) == ("psa.fields.EncryptedJSONField", [], {"null": True, "blank": True})


def test_no_form_draws_it() -> None:
    assert "credentials" not in modelform_factory(Connection, fields="__all__").base_fields


def test_repr_shows_nothing(ours: World) -> None:
    fresh, read = Secret({"a": SECRET}), Connection.objects.get(pk=ours.connection.pk).credentials
    assert len(read) == 1
    for secret in (fresh, read):
        assert {repr(secret), str(secret), f"{secret}", f"{[secret]}"} == {"<Secret>", "[<Secret>]"}


def test_pickle_holds_ciphertext_only(ours: World) -> None:
    for secret in (Secret({"api_key": SECRET}), Connection.objects.get(pk=ours.connection.pk).credentials):
        assert secret["api_key"] == SECRET
        dumped = pickle.dumps(secret)
        assert SECRET.encode() not in dumped
        assert pickle.loads(dumped)["api_key"] == SECRET


def test_copies_are_the_same_secret() -> None:
    secret = Secret({"api_key": SECRET})
    assert copy.deepcopy({"x": secret})["x"] is secret


def test_secret_does_not_follow_the_dict_it_was_made_of() -> None:
    given = {"api_key": "a"}
    secret = Secret(given)
    given["api_key"] = "b"
    assert secret["api_key"] == "a"
    with pytest.raises(TypeError):
        secret["api_key"] = "c"  # type: ignore[index]


@pytest.mark.parametrize(
    "use", [len, dict, lambda secret: secret["api_key"], lambda secret: secret.get("x"), bool]
)
def test_wrong_key_fails_on_use_and_the_list_still_loads(
    ours: World, keys: Callable[..., None], use: Callable[[Secret], Any]
) -> None:
    keys(OTHER)
    (row,) = Connection.objects.all()
    assert (row.name, repr(row.credentials)) == ("Northwind PSA", "<Secret>")
    with pytest.raises(CredentialsUnreadableError):
        use(row.credentials)


def test_row_that_cannot_be_decrypted_is_saved_unharmed(ours: World, keys: Callable[..., None]) -> None:
    before = stored(ours)
    keys(OTHER)
    row = Connection.objects.get()
    row.name = "Renamed"
    row.save()
    assert stored(ours) == before


def test_emptied_column_is_an_error_never_a_value(ours: World) -> None:
    with database.cursor() as cursor:
        cursor.execute("UPDATE psa_connection SET credentials = ''")
    row = Connection.objects.get()
    with pytest.raises(CredentialsUnreadableError):
        len(row.credentials)
    row.save()
    assert stored(ours) == ""
