"""Owns `EncryptedJSONField`: a JSON object that the database only ever sees encrypted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.exceptions import FieldError
from django.db import models
from django.db.models.lookups import IsNull

from psa import crypto


class Secret(Mapping[str, Any]):
    """A read-only JSON object, decrypted on first use. Its repr shows nothing; assign a dict to change it.

    Decrypting late keeps a list of connections readable when one row's key is gone.
    Raises: CredentialsUnreadableError on first use, when no configured key decrypts it.
    """

    __slots__ = ("_plain", "_sealed")

    def __init__(self, plain: Mapping[str, Any] | None = None, *, sealed: str = "") -> None:
        self._plain = dict(plain) if plain is not None else None
        self._sealed = sealed

    def _open(self) -> dict[str, Any]:
        if self._plain is None:
            self._plain = json.loads(crypto.decrypt(self._sealed))
        return self._plain

    def sealed(self) -> str:
        """Return the ciphertext: what was stored, or the plain value under the newest key."""
        if self._plain is not None and not self._sealed:
            self._sealed = crypto.encrypt(json.dumps(self._plain, separators=(",", ":")).encode())
        return self._sealed

    def __getitem__(self, key: str) -> Any:
        return self._open()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._open())

    def __len__(self) -> int:
        return len(self._open())

    def __repr__(self) -> str:
        return "<Secret>"

    __str__ = __repr__

    def __reduce__(self) -> tuple[Any, ...]:
        return _from_sealed, (self.sealed(),)

    def __deepcopy__(self, _memo: object) -> Secret:
        return self


def _from_sealed(sealed: str) -> Secret:
    return Secret(sealed=sealed)


class EncryptedJSONField(models.TextField):  # type: ignore[type-arg]
    """A JSON object stored as ciphertext. Cannot be filtered by value, and never serialises in clear.

    Shape: {"public_key": "…", "private_key": "…"}; JSON scalars as values. Reads give a `Secret`.
    """

    description = "Encrypted JSON object"
    # For type checkers: what may be assigned, what is read.
    _pyi_private_set_type: Any
    _pyi_private_get_type: Any

    def from_db_value(self, value: str | None, _expression: object, _connection: object) -> Secret | None:
        return None if value is None else Secret(sealed=value)

    def to_python(self, value: Any) -> Secret | None:
        if value is None or isinstance(value, Secret):
            return value
        if isinstance(value, Mapping):
            return Secret(value)
        if isinstance(value, str) and crypto.key_id_of(value):
            return Secret(sealed=value)
        raise TypeError(f"{self.name} takes a dict, not {type(value).__name__}.")

    def get_prep_value(self, value: Any) -> str | None:
        secret = self.to_python(value)
        return None if secret is None else secret.sealed()

    def value_to_string(self, obj: models.Model) -> str:
        """Return ciphertext, so that a dump of the database holds no secret."""
        return self.get_prep_value(self.value_from_object(obj)) or ""

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name == "isnull":
            return IsNull
        raise FieldError(f"{self.name} is encrypted: it cannot be filtered by {lookup_name!r}.")

    def get_transform(self, lookup_name: str) -> Any:
        raise FieldError(f"{self.name} is encrypted: it has no {lookup_name!r}.")

    def formfield(self, **_kwargs: Any) -> None:
        """Return no form field: forms are drawn from the provider's credential schema."""
        return None
