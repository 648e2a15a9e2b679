"""What a note left on its ticket a second time can be removed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from psa import services
from psa.exceptions import (
    ConflictError,
    ProviderError,
)
from psa.models import AuditEntry, Delivery, TicketLink
from psa.outbox.tests.conftest import NOTES, sent
from psa.outbox.tests.corrections.seen import NOTE, UNCLEAR, Post, Run, Stored, double, is_free, verbs
from psa.provider_pool import provider_for
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Actor, NoteKind, NotePart, RecordType, Scope


def test_the_first_note_stays_and_the_problem_goes(
    doubled: Delivery, tenant: Any, scope: Scope, stored: Stored
) -> None:
    first, second = stored()
    result = services.double_remove(tenant, doubled.pk, scope=scope)
    assert [note["id"] for note in stored()] == [first["id"]]
    assert (result.delivery.problem, result.delivery.state) == (None, "delivered")
    entry = AuditEntry.objects.get(verb="note.double-removed")
    assert entry.facts["external_id"] == str(second["id"])
    assert doubled.marker in entry.facts["before"]


def test_a_delivery_that_knew_the_second_note_knows_the_first_afterwards(
    doubled: Delivery, tenant: Any, scope: Scope, stored: Stored
) -> None:
    first, second = stored()
    Delivery.objects.filter(pk=doubled.pk).update(external_id=str(second["id"]))
    result = services.double_remove(tenant, doubled.pk, scope=scope)
    assert result.delivery.external_id == str(first["id"])


def test_other_notes_stay(
    doubled: Delivery, internal: Delivery, tenant: Any, scope: Scope, stored: Stored
) -> None:
    services.double_remove(tenant, doubled.pk, scope=scope)
    assert sum(internal.marker in note["text"] for note in stored()) == 1


def test_three_copies_become_one(doubled: Delivery, tenant: Any, scope: Scope, stored: Stored) -> None:
    double(doubled, stored)
    services.double_remove(tenant, doubled.pk, scope=scope)
    assert (len(stored()), verbs()) == (1, ["note.double-removed"] * 2)


def test_a_note_that_stands_once_loses_nothing_but_its_problem(
    shown: Delivery, tenant: Any, scope: Scope, stored: Stored, sandbox: SandboxServer
) -> None:
    problem = {"code": "duplicate", "text": "This note stands 2 times.", "remedy": "Remove the extra note."}
    Delivery.objects.filter(pk=shown.pk).update(problem=problem)
    result = services.double_remove(tenant, shown.pk, scope=scope)
    assert (result.notice, result.delivery.problem) == ("It stands on the ticket once.", None)
    assert (len(stored()), sent(sandbox, "DELETE"), verbs()) == (1, [], [])
    assert is_free(shown)


def test_a_double_of_a_note_that_is_gone_is_a_conflict(shown: Delivery, tenant: Any, scope: Scope) -> None:
    provider_for(shown.connection).note_remove("57050", RecordType.SERVICE, shown.external_id)
    with pytest.raises(ConflictError) as caught:
        services.double_remove(tenant, shown.pk, scope=scope)
    assert caught.value.code == "note-gone"


@pytest.mark.parametrize("fault", [*UNCLEAR, {"kind": "status", "status": 204}])
def test_a_double_that_may_still_be_there_keeps_its_problem(
    doubled: Delivery,
    tenant: Any,
    scope: Scope,
    stored: Stored,
    sandbox: SandboxServer,
    fault: dict[str, Any],
) -> None:
    sandbox.faults.add(method="DELETE", path=NOTE, count=1, **fault)
    with pytest.raises(ProviderError):
        services.double_remove(tenant, doubled.pk, scope=scope)
    doubled.refresh_from_db()
    assert (doubled.problem["code"], len(stored())) == ("duplicate", 2)
    result = services.double_remove(tenant, doubled.pk, scope=scope)
    assert (result.delivery.problem, len(stored())) == (None, 1)


def test_a_double_the_psa_keeps_is_not_answered_by_a_third_note(
    doubled: Delivery, tenant: Any, scope: Scope, run: Run, stored: Stored, sandbox: SandboxServer
) -> None:
    sandbox.faults.add(method="DELETE", path=NOTE, kind="status", status=403)
    with pytest.raises(ProviderError, match="Delete All"):
        services.double_remove(tenant, doubled.pk, scope=scope)
    run()
    assert (len(stored()), verbs()) == (2, ["note.double-remove-refused"])


def test_a_late_double_is_found_shown_and_removed(
    post: Post, run: Run, tenant: Any, scope: Scope, stored: Stored, sandbox: SandboxServer
) -> None:
    sandbox.faults.add(method="POST", path=NOTES, kind="drop_before", count=1)
    delivery = post("twice")
    for _ in range(4):
        run(later=True)
    double(Delivery.objects.select_related("connection", "link").get(pk=delivery.pk), stored)
    Delivery.objects.filter(pk=delivery.pk).update(recheck_at=timezone.now() - timedelta(seconds=1))
    run()
    delivery.refresh_from_db()
    assert (delivery.problem["code"], len(stored())) == ("duplicate", 2)
    services.double_remove(tenant, delivery.pk, scope=scope)
    delivery.refresh_from_db()
    assert (delivery.problem, len(stored())) == (None, 1)


def test_parts_of_a_unit_are_independent(
    tenant: Any, link: TicketLink, actor: Actor, scope: Scope, run: Run, stored: Stored
) -> None:
    parts = [NotePart(NoteKind.ANALYSIS, "for staff"), NotePart(NoteKind.RESOLUTION, "for all")]
    unit = services.unit_enqueue(tenant, link.pk, parts, actor=actor)
    run()
    analysis, resolution = unit.deliveries.order_by("seq")
    services.note_remove(tenant, resolution.pk, scope=scope)
    unit.refresh_from_db()
    assert [analysis.marker in note["text"] for note in stored()] == [True]
    assert unit.state == "delivered"
