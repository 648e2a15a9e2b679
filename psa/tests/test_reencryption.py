"""The stored keys of one connection move to the newest encryption key, those of others stay."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from psa import crypto, services
from psa.models import AuditEntry, Connection, MemberMapping
from psa.services import Reencrypted
from psa.tests.conftest import OWN_SECRET, SECRET, World

OLD = "dGVzdHMtb25seS10ZXN0cy1vbmx5LXRlc3RzLW9ubHk="
NEW = "b3RoZXIta2V5LW90aGVyLWtleS1vdGhlci1rZXktMDE="


def reencrypt(world: World) -> Reencrypted:
    return services.connection_reencrypt(world.account, world.connection.pk, actor=world.actor)


def key_ids(world: World) -> list[str]:
    """Return under which keys the connection's and its member's secrets are."""
    connection = Connection.objects.get(pk=world.connection.pk)
    mapping = MemberMapping.objects.get(pk=world.mapping.pk)
    return [crypto.key_id_of(row.sealed()) for row in (connection.credentials, mapping.own_credentials)]


def entries() -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(verb="connection.reencrypted"))


def test_own_secrets_and_those_of_members_move(ours: World, theirs: World, keys: Callable[..., None]) -> None:
    keys(NEW, OLD)
    assert reencrypt(ours) == Reencrypted(rewritten=2, current=0, unreadable=0)
    assert key_ids(ours) == [crypto.key_id(NEW)] * 2
    assert key_ids(theirs) == [crypto.key_id(OLD)] * 2
    assert dict(Connection.objects.get(pk=ours.connection.pk).credentials) == {"api_key": SECRET}
    assert dict(MemberMapping.objects.get(pk=ours.mapping.pk).own_credentials) == {"private_key": OWN_SECRET}


def test_audit_tells_who_and_how_many(ours: World, keys: Callable[..., None]) -> None:
    keys(NEW, OLD)
    reencrypt(ours)
    reencrypt(ours)
    [entry] = entries()
    assert (entry.actor, entry.connection, entry.object_id) == (
        ours.owner,
        ours.connection,
        str(ours.connection.pk),
    )
    assert entry.facts == {"secrets": 2, "unreadable": 0}


def test_nothing_is_done_and_noted_where_all_is_new(ours: World) -> None:
    assert reencrypt(ours) == Reencrypted(rewritten=0, current=2, unreadable=0)
    assert entries() == []


@pytest.mark.parametrize("readable", [True, False])
def test_unreadable_ones_stay_and_are_counted(ours: World, keys: Callable[..., None], readable: bool) -> None:
    if readable:
        keys(NEW, OLD)
        MemberMapping.objects.update(own_credentials={"private_key": "x"})
        keys(NEW)
    else:
        keys(NEW)
    before = Connection.objects.get(pk=ours.connection.pk).credentials.sealed()
    found = reencrypt(ours)
    assert found == Reencrypted(rewritten=0, current=int(readable), unreadable=2 - int(readable))
    assert Connection.objects.get(pk=ours.connection.pk).credentials.sealed() == before
    assert entries() == []
