"""An audit entry is added and read, nothing else."""

from __future__ import annotations

import pytest

from psa.models import AuditEntry
from psa.tests.conftest import World


def test_a_stored_entry_is_not_changed(ours: World) -> None:
    entry = AuditEntry.objects.get(pk=ours.audit.pk)
    entry.actor_name = "Somebody else"
    with pytest.raises(RuntimeError):
        entry.save()
    with pytest.raises(RuntimeError):
        entry.save(update_fields=["actor_name"])
    entry.refresh_from_db()
    assert entry.actor_name == ours.owner.username


def test_an_entry_just_made_is_not_changed_either(ours: World) -> None:
    with pytest.raises(RuntimeError):
        ours.audit.save()


def test_nothing_leaves_the_audit(ours: World) -> None:
    with pytest.raises(RuntimeError):
        AuditEntry.objects.get(pk=ours.audit.pk).delete()
    with pytest.raises(RuntimeError):
        AuditEntry.objects.filter(pk=ours.audit.pk).delete()
    with pytest.raises(RuntimeError):
        AuditEntry.objects.all().delete()
    assert AuditEntry.objects.filter(pk=ours.audit.pk).exists()


def test_a_user_who_leaves_takes_no_entry_along(ours: World) -> None:
    name = ours.owner.username
    ours.owner.delete()
    entry = AuditEntry.objects.get(pk=ours.audit.pk)
    assert (entry.actor_id, entry.actor_name) == (None, name)


def test_entries_are_added_singly_and_in_bulk(ours: World) -> None:
    given = {"tenant": ours.account, "actor_name": "x", "verb": "x.y", "object_type": "x"}
    AuditEntry.objects.create(**given)
    AuditEntry.objects.bulk_create([AuditEntry(**given), AuditEntry(**given)])
    assert AuditEntry.objects.filter(verb="x.y").count() == 3
