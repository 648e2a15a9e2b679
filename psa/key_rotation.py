"""Owns the move of stored secrets to the newest encryption key: live, row by row, resumable.

Columns are found on the models, so a new `EncryptedJSONField` needs no line here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from django.apps import apps
from django.db import models
from django.db.models.functions import Cast

from psa import crypto
from psa.exceptions import CredentialsUnreadableError
from psa.fields import EncryptedJSONField, Secret
from psa.models import Connection

PAGE = 200
"""Rows read at once. Each is written by an UPDATE of its own, so no lock is held longer than a row needs."""


class RowResult(Enum):
    """What became of one stored secret."""

    REWRITTEN = auto()
    """Under the newest key now; in a dry run: would be."""
    CURRENT = auto()
    """Under the newest key already, by us earlier or by somebody in the meantime."""
    GONE = auto()
    """Deleted or emptied in the meantime."""
    UNREADABLE = auto()
    """No configured key decrypts it; it stays as it is."""


@dataclass(frozen=True, slots=True)
class RotatedRow:
    """One stored secret after its turn. Holds no part of the value."""

    model: str
    """`psa.Connection`."""
    field: str
    pk: Any
    key_id: str
    """Key the row named before its turn; empty when it has no form this app writes."""
    result: RowResult


def encrypted_columns() -> list[tuple[type[models.Model], str]]:
    """Return every encrypted column of this app as (model, field name)."""
    return [
        (model, field.name)
        for model in apps.get_app_config("psa").get_models()
        for field in model._meta.local_concrete_fields
        if isinstance(field, EncryptedJSONField)
    ]


def keys_rotate(*, connection_id: int | None = None, dry_run: bool = False) -> Iterator[RotatedRow]:
    """Move every stored secret to the newest key and yield each row after its turn.

    connection_id keeps to the secrets of one connection: its own, and those of its members.
    Broken off, it goes on where it stopped: what is under the newest key is only checked. A row that changes
    meanwhile is never overwritten. Rows are visited in the order of their primary key.
    Raises: ImproperlyConfigured, when no usable key is configured.
    """
    newest = crypto.newest_key_id()
    for model, field in encrypted_columns():
        last: Any = None
        while page := _page(model, field, last, connection_id):
            for pk, stored in page:
                result = _rotate(model, field, pk, stored, newest, dry_run=dry_run)
                yield RotatedRow(model._meta.label, field, pk, _named_key(stored), result)
            last = page[-1][0]


def _rows(model: type[models.Model], field: str) -> models.QuerySet[Any]:
    """Return the rows that hold a secret, the ciphertext as plain text in `_stored`."""
    rows: models.QuerySet[Any] = model._base_manager.filter(**{f"{field}__isnull": False})
    found: models.QuerySet[Any] = rows.annotate(_stored=Cast(field, models.TextField()))
    return found


def _page(
    model: type[models.Model], field: str, last: Any, connection_id: int | None
) -> list[tuple[Any, str]]:
    rows = _rows(model, field).order_by("pk")
    if connection_id is not None:
        rows = rows.filter(**{"pk" if model is Connection else "connection_id": connection_id})
    if last is not None:
        rows = rows.filter(pk__gt=last)
    return list(rows.values_list("pk", "_stored")[:PAGE])


def _rotate(
    model: type[models.Model], field: str, pk: Any, stored: str, newest: str, *, dry_run: bool
) -> RowResult:
    while True:
        try:
            plain = crypto.decrypt(stored)
        except CredentialsUnreadableError:
            return RowResult.UNREADABLE
        if crypto.key_id_of(stored) == newest:
            return RowResult.CURRENT
        if dry_run:
            return RowResult.REWRITTEN
        # Only if the ciphertext is still the one we read: a person may have stored new keys just now.
        unchanged = _rows(model, field).filter(pk=pk, _stored=stored)
        if unchanged.update(**{field: Secret(sealed=crypto.encrypt(plain))}):
            return RowResult.REWRITTEN
        again = _rows(model, field).filter(pk=pk).values_list("_stored", flat=True).first()
        if again is None:
            return RowResult.GONE
        stored = again


def _named_key(stored: str) -> str:
    """Return the key id a row names, or nothing where that part could be anything else."""
    found = crypto.key_id_of(stored)
    return found if re.fullmatch(r"[0-9a-f]{8}", found) else ""
