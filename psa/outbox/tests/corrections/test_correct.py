"""A note on its ticket can get another text; readers, author and marker stay."""

from __future__ import annotations

from typing import Any

import pytest

from psa import services
from psa.exceptions import (
    InvalidInputError,
)
from psa.models import AuditEntry, Connection, Delivery, MemberMapping
from psa.outbox.tests.corrections.seen import NOTE, Post, Run, Stored, section, verbs
from psa.provider_pool import provider_for
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import RecordType, Scope


def test_a_corrected_note_keeps_author_line_marker_and_readers(
    shown: Delivery, tenant: Any, scope: Scope, stored: Stored, sandbox: SandboxServer
) -> None:
    mails = len(sandbox.mails)
    result = services.note_correct(tenant, shown.pk, scope=scope, text="The printer works again.\r\n")
    [note] = stored()
    assert note["text"] == f"Posted by Erin Example\n\nThe printer works again.\n\n{shown.marker}"
    assert section(note) == ["resolutionFlag"]
    assert result.delivery.payload["text"] == "The printer works again."
    assert (result.delivery.text_hash, result.notice, len(sandbox.mails)) == (shown.text_hash, None, mails)


def test_a_note_in_a_members_own_name_gets_no_author_line(
    post: Post,
    run: Run,
    tenant: Any,
    connection: Connection,
    scope: Scope,
    stored: Stored,
) -> None:
    MemberMapping.objects.create(
        tenant=tenant,
        connection=connection,
        user_id=scope.actor.user_id,
        user_name="Erin",
        member_id="105",
        member_identifier="eowens",
        member_name="Erin Owens",
    )
    delivery = post("first")
    run()
    services.note_correct(tenant, delivery.pk, scope=scope, text="second")
    [note] = stored()
    assert (note["text"], note["member"]["identifier"]) == (f"second\n\n{delivery.marker}", "eowens")


def test_the_audit_has_both_texts_without_their_secrets(shown: Delivery, tenant: Any, scope: Scope) -> None:
    provider = provider_for(shown.connection)
    old = f"password: hunter2hunter2\n\n{shown.marker}"
    provider.note_change("57050", RecordType.SERVICE, shown.external_id, text=old)
    services.note_correct(tenant, shown.pk, scope=scope, text="Ask us for the password: s3cret99")
    facts = AuditEntry.objects.get(verb="note.corrected").facts
    assert "hunter2" not in str(facts)
    assert "s3cret99" not in str(facts)
    assert "password: [redacted]" in facts["before"]
    assert "Ask us for the password: [redacted]" in facts["after"]


def test_a_text_somebody_changed_in_the_psa_is_told_and_kept(
    shown: Delivery, tenant: Any, scope: Scope
) -> None:
    provider = provider_for(shown.connection)
    provider.note_change("57050", RecordType.SERVICE, shown.external_id, text=f"By hand.\n{shown.marker}")
    notice = services.note_correct(tenant, shown.pk, scope=scope, text="new").notice
    assert "changed it in the PSA" in (notice or "")
    assert "By hand." in AuditEntry.objects.get(verb="note.corrected").facts["before"]


def test_a_pasted_marker_is_not_doubled(shown: Delivery, tenant: Any, scope: Scope, stored: Stored) -> None:
    services.note_correct(tenant, shown.pk, scope=scope, text=f"new\n\n{shown.marker}\n")
    assert stored()[0]["text"].count(shown.marker) == 1


@pytest.mark.parametrize(
    ("text", "code"), [("", "empty-text"), (" \n", "empty-text"), ("x" * 15_000, "text-too-long")]
)
def test_an_impossible_text_is_refused_before_anything_leaves(
    shown: Delivery, tenant: Any, scope: Scope, sandbox: SandboxServer, text: str, code: str
) -> None:
    before = len(sandbox.requests)
    with pytest.raises(InvalidInputError) as caught:
        services.note_correct(tenant, shown.pk, scope=scope, text=text)
    assert (caught.value.code, len(sandbox.requests)) == (code, before)


def test_only_the_part_asked_for_is_corrected(
    post: Post, run: Run, tenant: Any, scope: Scope, stored: Stored, settings: Any
) -> None:
    settings.PSA = {**settings.PSA, "NOTE_MAX_CHARS": 400}
    first = post("\n".join(f"line {number} of a long note" for number in range(8)))
    assert first.parts == 2
    run()
    last = Delivery.objects.get(unit=first.unit_id, part=2)
    services.note_correct(tenant, last.pk, scope=scope, text="The end.")
    texts = [note["text"] for note in stored()]
    assert "line 0" in texts[0]
    assert texts[1] == f"Posted by Erin Example\n\n(2/2)\nThe end.\n\n{last.marker}"


def test_a_refused_correction_is_posted_beside_the_old_text(
    shown: Delivery, tenant: Any, scope: Scope, run: Run, stored: Stored, sandbox: SandboxServer
) -> None:
    sandbox.faults.add(method="PATCH", path=NOTE, kind="status", status=405)
    services.note_correct(tenant, shown.pk, scope=scope, text="The printer works again.")
    run()
    assert "UTC: it is replaced by this one.\n\nThe printer works again.\n" in stored()[1]["text"]
    shown.refresh_from_db()
    assert shown.payload["text"] == "The admin password is on the sticker."
    assert verbs() == ["note.correct-refused"]
