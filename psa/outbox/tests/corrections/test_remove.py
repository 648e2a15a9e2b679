"""A note can be taken off its ticket, and what is gone stays gone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from psa import selectors, services
from psa.exceptions import (
    OutcomeUnknownError,
)
from psa.models import AuditEntry, Delivery, TicketLink
from psa.outbox.tests.conftest import sent
from psa.outbox.tests.corrections.seen import DONE_ALL_THE_SAME, NOTE, UNCLEAR, Run, Stored, verbs
from psa.provider_pool import provider_for
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import RecordType, Scope


def test_a_removed_note_is_gone_and_counts_as_not_posted(
    internal: Delivery, tenant: Any, link: TicketLink, scope: Scope, stored: Stored
) -> None:
    args = (tenant, link.pk, "session:1", internal.text_hash)
    assert selectors.note_posted(*args) is not None
    gone = services.note_remove(tenant, internal.pk, scope=scope).delivery
    assert (stored(), gone.state, gone.discard_reason) == (
        [],
        "discarded",
        "Removed from the ticket by Erin Example.",
    )
    assert (selectors.note_posted(*args), gone.unit.state) == (None, "discarded")
    entry = AuditEntry.objects.get(verb="note.removed")
    assert ("Step one." in entry.facts["before"], entry.facts["after"]) == (True, None)


def test_removing_what_is_gone_is_what_was_wanted(
    shown: Delivery, tenant: Any, scope: Scope, sandbox: SandboxServer
) -> None:
    provider_for(shown.connection).note_remove("57050", RecordType.SERVICE, shown.external_id)
    deletes = len(sent(sandbox, "DELETE"))
    result = services.note_remove(tenant, shown.pk, scope=scope)
    assert "not on the ticket any more" in (result.notice or "")
    assert (result.delivery.state, len(sent(sandbox, "DELETE"))) == ("discarded", deletes)
    assert verbs() == ["note.removed"]


@pytest.mark.parametrize("fault", [fault for fault in DONE_ALL_THE_SAME if fault["kind"] != "garbage"])
def test_a_removal_whose_answer_is_lost_is_looked_up(
    shown: Delivery, tenant: Any, scope: Scope, stored: Stored, sandbox: SandboxServer, fault: dict[str, Any]
) -> None:
    sandbox.faults.add(method="DELETE", path=NOTE, count=1, **fault)
    assert services.note_remove(tenant, shown.pk, scope=scope).delivery.state == "discarded"
    assert stored() == []


@pytest.mark.parametrize("fault", UNCLEAR)
def test_an_unclear_removal_may_be_repeated(
    shown: Delivery, tenant: Any, scope: Scope, stored: Stored, sandbox: SandboxServer, fault: dict[str, Any]
) -> None:
    sandbox.faults.add(method="DELETE", path=NOTE, count=1, **fault)
    with pytest.raises(OutcomeUnknownError):
        services.note_remove(tenant, shown.pk, scope=scope)
    shown.refresh_from_db()
    assert (shown.state, shown.problem["code"]) == ("delivered", "correction-unknown")
    services.note_remove(tenant, shown.pk, scope=scope)
    assert (stored(), verbs()) == ([], ["note.remove-unknown", "note.removed"])


def test_a_removal_that_was_answered_but_not_made_is_refused(
    shown: Delivery, tenant: Any, scope: Scope, stored: Stored, sandbox: SandboxServer
) -> None:
    sandbox.faults.add(method="DELETE", path=NOTE, kind="status", status=204)
    result = services.note_remove(tenant, shown.pk, scope=scope)
    assert "kept the note" in (result.notice or "")
    assert (result.delivery.state, len(stored())) == ("delivered", 1)


def test_a_role_that_may_not_remove_is_told_the_level(
    shown: Delivery, tenant: Any, scope: Scope, sandbox: SandboxServer
) -> None:
    levels = {"addLevel": "All", "editLevel": "All", "inquireLevel": "All"}
    sandbox.configure(security=[{"moduleFunctionName": "Service Tickets", **levels}])
    result = services.note_remove(tenant, shown.pk, scope=scope)
    assert "Service Desk > Service Tickets: Delete All" in (result.notice or "")
    assert result.replacement is not None


def test_a_removed_note_is_not_looked_at_again(
    shown: Delivery, tenant: Any, scope: Scope, run: Run, sandbox: SandboxServer
) -> None:
    Delivery.objects.filter(pk=shown.pk).update(recheck_at=timezone.now() - timedelta(seconds=1))
    services.note_remove(tenant, shown.pk, scope=scope)
    before = len(sandbox.requests)
    run()
    assert len(sandbox.requests) == before
