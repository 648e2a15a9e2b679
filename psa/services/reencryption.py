"""Owns moving the secrets of one connection to the newest encryption key; `psa_rotate_keys` moves all."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from django.db import transaction

from psa.key_rotation import RowResult, keys_rotate
from psa.models import AuditEntry
from psa.selectors.connection import connection_get
from psa.types import Actor, Tenant


@dataclass(frozen=True, slots=True)
class Reencrypted:
    """What became of the stored secrets of a connection: its own, and those of its members."""

    rewritten: int
    """Under the newest key now."""
    current: int
    """Under it already."""
    unreadable: int
    """No configured key decrypts them; they stay as they are."""


def connection_reencrypt(tenant: Tenant, connection_id: int, *, actor: Actor) -> Reencrypted:
    """Encrypt what is stored of a connection's keys under the newest encryption key; nothing else changes.

    Raises: MissingError.
    """
    connection = connection_get(tenant, connection_id)
    with transaction.atomic():
        found = Counter(row.result for row in keys_rotate(connection_id=connection.pk))
        done = Reencrypted(
            rewritten=found[RowResult.REWRITTEN],
            current=found[RowResult.CURRENT],
            unreadable=found[RowResult.UNREADABLE],
        )
        if done.rewritten:
            AuditEntry.objects.create(
                tenant_id=connection.tenant_id,
                connection=connection,
                actor_id=actor.user_id,
                actor_name=actor.name,
                verb="connection.reencrypted",
                object_type="connection",
                object_id=str(connection.pk),
                facts={"secrets": done.rewritten, "unreadable": done.unreadable},
            )
    return done
