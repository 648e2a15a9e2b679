"""Encryption at rest: key ids, rotation, and no way to get a value out of what does not verify."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

from psa import crypto
from psa.exceptions import CredentialsUnreadableError

ONE, TWO = Fernet.generate_key().decode(), Fernet.generate_key().decode()

Use = Callable[..., None]


def test_value_comes_back(keys: Use) -> None:
    keys(ONE)
    stored = crypto.encrypt(b"hidden")
    assert crypto.decrypt(stored) == b"hidden"
    assert "hidden" not in stored


def test_stored_value_names_its_key(keys: Use) -> None:
    keys(ONE)
    stored = crypto.encrypt(b"x")
    assert stored.startswith(f"psa1:{crypto.key_id(ONE)}:")
    assert crypto.key_id_of(stored) == crypto.key_id(ONE) == crypto.newest_key_id()
    assert len(crypto.key_id(ONE)) == 8
    assert crypto.key_id(ONE) not in ONE


def test_same_value_never_looks_the_same(keys: Use) -> None:
    keys(ONE)
    assert crypto.encrypt(b"x") != crypto.encrypt(b"x")


def test_first_key_encrypts_and_all_decrypt(keys: Use) -> None:
    keys(ONE)
    old = crypto.encrypt(b"x")
    keys(TWO, ONE)
    assert crypto.decrypt(old) == b"x"
    assert crypto.key_id_of(crypto.encrypt(b"x")) == crypto.key_id(TWO)


def test_missing_key_is_named(keys: Use) -> None:
    keys(ONE)
    old = crypto.encrypt(b"x")
    keys(TWO)
    with pytest.raises(CredentialsUnreadableError, match=crypto.key_id(ONE)):
        crypto.decrypt(old)


@pytest.mark.parametrize("form", ["", "plain", "a:b:c", "psa1:", "psa1:x", "psa2:{id}:{token}", "{token}"])
def test_foreign_form_is_an_error_never_a_value(keys: Use, form: str) -> None:
    keys(ONE)
    _prefix, name, token = crypto.encrypt(b"x").split(":")
    with pytest.raises(CredentialsUnreadableError):
        crypto.decrypt(form.format(id=name, token=token))


def test_changed_token_does_not_verify(keys: Use) -> None:
    keys(ONE)
    head, token = crypto.encrypt(b"hidden").rsplit(":", 1)
    changed = token[:20] + ("A" if token[20] != "A" else "B") + token[21:]
    with pytest.raises(CredentialsUnreadableError, match="does not verify") as caught:
        crypto.decrypt(f"{head}:{changed}")
    assert "hidden" not in str(caught.value)


def test_token_under_another_keys_name_does_not_verify(keys: Use) -> None:
    keys(ONE, TWO)
    token = crypto.encrypt(b"x").rsplit(":", 1)[1]
    with pytest.raises(CredentialsUnreadableError):
        crypto.decrypt(f"psa1:{crypto.key_id(TWO)}:{token}")


@pytest.mark.parametrize("given", [(), ("no-key",), (ONE, "no-key"), ("ü" * 44,)])
def test_keys_that_are_none_stop_everything(keys: Use, given: tuple[str, ...]) -> None:
    keys(*given)
    with pytest.raises(ImproperlyConfigured) as caught:
        crypto.encrypt(b"x")
    assert "no-key" not in str(caught.value)


@pytest.mark.parametrize("stored", ["", "x", "psa1", "psa1:abc", "other:abc:def"])
def test_key_id_of_a_foreign_form_is_empty(stored: str) -> None:
    assert crypto.key_id_of(stored) == ""
