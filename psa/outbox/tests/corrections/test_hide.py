"""A note on its ticket can be hidden from the customer, and never blindly."""

from __future__ import annotations

from typing import Any

import pytest

from psa import services
from psa.exceptions import (
    ConflictError,
    OutcomeUnknownError,
)
from psa.models import AuditEntry, Connection, Delivery
from psa.outbox.tests.conftest import sent
from psa.outbox.tests.corrections.seen import (
    DONE_ALL_THE_SAME,
    NOTE,
    REFUSALS,
    UNCLEAR,
    Run,
    Stored,
    double,
    is_free,
    section,
    verbs,
)
from psa.provider_pool import provider_for
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import RecordType, Scope


def test_a_hidden_note_is_for_staff_alone_and_nobody_is_mailed(
    shown: Delivery, tenant: Any, scope: Scope, stored: Stored, sandbox: SandboxServer
) -> None:
    mails = len(sandbox.mails)
    result = services.note_hide(tenant, shown.pk, scope=scope)
    [note] = stored()
    assert section(note) == ["internalAnalysisFlag"]
    assert (result.delivery.kind, result.delivery.state, result.replacement) == (
        "analysis",
        "delivered",
        None,
    )
    assert len(sandbox.mails) == mails
    assert is_free(shown)


def test_who_hides_a_note_that_mailed_reads_that_the_mail_stays(
    shown: Delivery, internal: Delivery, tenant: Any, scope: Scope
) -> None:
    said = services.note_hide(tenant, shown.pk, scope=scope).notice
    assert said == "A mail already sent cannot be recalled."
    assert "mail" not in (services.note_hide(tenant, internal.pk, scope=scope).notice or "")


def test_the_audit_tells_who_hid_what(shown: Delivery, tenant: Any, scope: Scope) -> None:
    services.note_hide(tenant, shown.pk, scope=scope)
    entry = AuditEntry.objects.get(verb="note.hidden")
    assert (entry.actor_id, entry.actor_name, entry.ticket_id) == (
        scope.actor.user_id,
        "Erin Example",
        "57050",
    )
    assert (entry.kind, entry.customer_visible, entry.mailed) == ("resolution", False, False)
    assert entry.facts["mailed_before"] is True
    assert entry.facts["external_id"] == shown.external_id
    assert shown.marker in entry.facts["before"]


def test_hiding_twice_writes_once(shown: Delivery, tenant: Any, scope: Scope, sandbox: SandboxServer) -> None:
    services.note_hide(tenant, shown.pk, scope=scope)
    again = services.note_hide(tenant, shown.pk, scope=scope)
    assert "already" in (again.notice or "")
    assert len(sent(sandbox, "PATCH")) == 1
    assert [said["what"] for said in again.delivery.payload["corrections"]] == ["hidden", "hidden"]


@pytest.mark.parametrize("fault", DONE_ALL_THE_SAME)
def test_an_answer_that_is_lost_is_looked_up(
    shown: Delivery, tenant: Any, scope: Scope, stored: Stored, sandbox: SandboxServer, fault: dict[str, Any]
) -> None:
    sandbox.faults.add(method="PATCH", path=NOTE, count=1, **fault)
    services.note_hide(tenant, shown.pk, scope=scope)
    assert section(stored()[0]) == ["internalAnalysisFlag"]
    assert (verbs(), len(sent(sandbox, "PATCH"))) == (["note.hidden"], 1)


@pytest.mark.parametrize("fault", UNCLEAR)
def test_an_unclear_answer_says_so_and_the_same_again_is_safe(
    shown: Delivery, tenant: Any, scope: Scope, stored: Stored, sandbox: SandboxServer, fault: dict[str, Any]
) -> None:
    sandbox.faults.add(method="PATCH", path=NOTE, count=1, **fault)
    with pytest.raises(OutcomeUnknownError, match="again"):
        services.note_hide(tenant, shown.pk, scope=scope)
    shown.refresh_from_db()
    assert (shown.kind, shown.problem["code"]) == ("resolution", "correction-unknown")
    assert shown.payload["correcting"]["by"] == "Erin Example"
    services.note_hide(tenant, shown.pk, scope=scope)
    assert section(stored()[0]) == ["internalAnalysisFlag"]
    assert is_free(shown)
    assert (shown.problem, verbs()) == (None, ["note.hide-unknown", "note.hidden"])
    assert AuditEntry.objects.get(verb="note.hidden").facts["earlier"]["what"] == "hide"


def test_a_change_that_nobody_can_look_up_is_unknown(
    shown: Delivery, tenant: Any, scope: Scope, sandbox: SandboxServer
) -> None:
    sandbox.faults.add(method="PATCH", path=NOTE, kind="drop_after", count=1)
    sandbox.faults.add(method="GET", path=NOTE, kind="status", status=400)
    with pytest.raises(OutcomeUnknownError):
        services.note_hide(tenant, shown.pk, scope=scope)
    sandbox.faults.clear()
    assert services.note_hide(tenant, shown.pk, scope=scope).delivery.kind == "analysis"
    assert len(sent(sandbox, "PATCH")) == 1


@pytest.mark.parametrize("status", REFUSALS)
def test_what_the_psa_refuses_to_hide_is_followed_by_a_note_that_asks_to_ignore_it(
    shown: Delivery,
    tenant: Any,
    scope: Scope,
    run: Run,
    stored: Stored,
    sandbox: SandboxServer,
    status: int,
) -> None:
    mails = len(sandbox.mails)
    sandbox.faults.add(method="PATCH", path=NOTE, kind="status", status=status)
    result = services.note_hide(tenant, shown.pk, scope=scope)
    assert result.notice is not None
    assert "A note that asks to ignore it was queued instead." in result.notice
    assert result.replacement is not None
    run()
    first, second = stored()
    moment = f"{shown.delivered_at:%Y-%m-%d %H:%M} UTC"
    assert f"Please ignore the note of {moment}: it was posted by mistake." in second["text"]
    assert section(first) == section(second) == ["resolutionFlag"]
    assert (result.replacement.supersedes_id, len(sandbox.mails)) == (shown.pk, mails)
    assert verbs() == ["note.hide-refused"]
    assert is_free(shown)


def test_a_refusal_names_what_to_grant(
    shown: Delivery, tenant: Any, scope: Scope, sandbox: SandboxServer
) -> None:
    sandbox.faults.add(method="PATCH", path=NOTE, kind="status", status=403)
    notice = services.note_hide(tenant, shown.pk, scope=scope).notice
    assert "Service Desk > Service Tickets" in (notice or "")
    assert Connection.objects.get().features[0].get("refused") is None


def test_asking_twice_for_what_is_refused_queues_one_note(
    shown: Delivery, tenant: Any, scope: Scope, sandbox: SandboxServer, run: Run, stored: Stored
) -> None:
    sandbox.faults.add(method="PATCH", path=NOTE, kind="status", status=403)
    first = services.note_hide(tenant, shown.pk, scope=scope).replacement
    run()
    second = services.note_hide(tenant, shown.pk, scope=scope).replacement
    run()
    assert (first == second, len(stored())) == (True, 2)


def test_the_note_that_asks_to_ignore_another_is_no_double_of_it(
    shown: Delivery, tenant: Any, scope: Scope, sandbox: SandboxServer, run: Run, stored: Stored
) -> None:
    sandbox.faults.add(method="PATCH", path=NOTE, kind="status", status=403)
    services.note_hide(tenant, shown.pk, scope=scope)
    run()
    assert [shown.marker in note["text"] for note in stored()] == [True, False]


def test_an_internal_note_that_the_psa_showed_can_be_hidden(
    internal: Delivery, tenant: Any, scope: Scope, stored: Stored
) -> None:
    problem = {"code": "shown-to-customer", "text": "The customer sees it.", "remedy": "Hide it."}
    Delivery.objects.filter(pk=internal.pk).update(problem=problem)
    provider: Any = provider_for(internal.connection)
    step = {"op": "replace", "path": "detailDescriptionFlag", "value": True}
    path = f"/service/tickets/57050/notes/{internal.external_id}"
    provider.api.call("PATCH", path, operation="test", write=True, json=[step])
    assert len(section(stored()[0])) == 2
    services.note_hide(tenant, internal.pk, scope=scope)
    internal.refresh_from_db()
    assert (section(stored()[0]), internal.problem) == (["internalAnalysisFlag"], None)


def test_hiding_takes_the_double_along(shown: Delivery, tenant: Any, scope: Scope, stored: Stored) -> None:
    double(shown, stored)
    services.note_hide(tenant, shown.pk, scope=scope)
    assert [section(note) for note in stored()] == [["internalAnalysisFlag"]] * 2
    assert verbs() == ["note.hidden", "note.hidden"]


def test_a_note_whose_marker_was_taken_out_is_hidden_all_the_same(
    shown: Delivery, tenant: Any, scope: Scope
) -> None:
    provider = provider_for(shown.connection)
    provider.note_change("57050", RecordType.SERVICE, shown.external_id, text="no marker")
    services.note_hide(tenant, shown.pk, scope=scope)
    assert not provider.note_get("57050", RecordType.SERVICE, shown.external_id).customer_visible


def test_a_note_that_is_gone_cannot_be_hidden(shown: Delivery, tenant: Any, scope: Scope) -> None:
    provider_for(shown.connection).note_remove("57050", RecordType.SERVICE, shown.external_id)
    with pytest.raises(ConflictError) as caught:
        services.note_hide(tenant, shown.pk, scope=scope)
    assert caught.value.code == "note-gone"
    assert is_free(shown)
