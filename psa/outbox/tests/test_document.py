"""Files on their way: once, whole, for staff alone, and never holding up the rest of their unit."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone

from psa import services
from psa.exceptions import ConflictError, InvalidInputError, OutcomeUnknownError
from psa.models import AuditEntry, Delivery, FileBlock, TicketLink, WorkUnit
from psa.outbox import document
from psa.outbox.document import BLOCK_BYTES, StoredFile, file_name_clean
from psa.outbox.recheck import duplicate_problem
from psa.provider_pool import providers_close
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Actor, DocumentPart, NoteKind, NotePart, Scope, StatusPart
from resolutionflow.accounts.models import Account

# Lanes read the file in their own threads, so the rows must be committed.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

CONTENT = b"<p>Swapped the fuser.</p>" * 30_000
"""750 kB: three blocks."""


def file(content: bytes = CONTENT, name: str = "session-1.html", **changes: Any) -> DocumentPart:
    facts: dict[str, Any] = {
        "file_name": name,
        "title": "Session 1",
        "media_type": "text/html",
        "size": len(content),
        "open": lambda: io.BytesIO(content),
    }
    return DocumentPart(**facts | changes)


def whole(**changes: Any) -> list[Any]:
    # In another order than they are delivered in: the file comes last.
    return [file(**changes), StatusPart("In Progress"), NotePart(NoteKind.ANALYSIS, "Swapped the fuser.")]


def states(unit: WorkUnit) -> dict[str, str]:
    return dict(Delivery.objects.filter(unit=unit).order_by("seq").values_list("kind", "state"))


def attached(sandbox: SandboxServer, link: TicketLink) -> list[tuple[dict[str, Any], bytes]]:
    """Return our files on the ticket, oldest first."""
    return [found for found in sandbox.files(int(link.ticket_id)) if "Ref RF-" in found[0]["title"]]


DONE = {"analysis": "delivered", "status": "delivered", "document": "delivered"}


def test_file_is_attached_once_for_staff_alone_after_note_and_status(
    tenant: Account, actor: Actor, link: TicketLink, sandbox: SandboxServer, run: Callable[..., None]
) -> None:
    unit = services.unit_enqueue(tenant, link.pk, whole(), actor=actor)
    assert [row.kind for row in unit.posted] == ["analysis", "status", "document"]
    assert FileBlock.objects.count() == 3
    run()
    assert states(unit) == DONE
    [(stored, content)] = attached(sandbox, link)
    assert content == CONTENT
    delivery = Delivery.objects.get(unit=unit, kind="document")
    assert (stored["title"], stored["fileName"]) == (f"Session 1 · {delivery.marker}", "session-1.html")
    assert stored["publicFlag"] is False
    assert (delivery.external_id, delivery.author_kind) == (str(stored["id"]), "api_member")
    audit = AuditEntry.objects.get(verb="document.attached")
    assert (audit.facts["after"], audit.facts["size"]) == ("session-1.html", len(CONTENT))
    assert (audit.customer_visible, audit.mailed) == (False, False)
    assert WorkUnit.objects.get(pk=unit.pk).state == "delivered"


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "drop_before"},
        {"kind": "drop_after"},
        {"kind": "garbage"},
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 500, "after": True},
    ],
)
def test_an_unclear_answer_is_looked_up_and_the_file_is_there_once(
    tenant: Account,
    actor: Actor,
    link: TicketLink,
    sandbox: SandboxServer,
    run: Callable[..., None],
    fault: dict[str, Any],
) -> None:
    unit = services.unit_enqueue(tenant, link.pk, whole(), actor=actor)
    sandbox.faults.add(method="POST", path="/system/documents$", count=1, **fault)
    for _ in range(4):
        run(later=True)
    assert states(unit) == DONE
    [(_stored, content)] = attached(sandbox, link)
    assert content == CONTENT


@pytest.mark.parametrize(
    ("fault", "code"),
    [({"status": 403}, "psa-permission"), ({"status": 413}, "psa-refused"), ({"status": 400}, "psa-refused")],
)
def test_a_refused_file_needs_a_person_and_leaves_note_and_status_done(
    tenant: Account,
    actor: Actor,
    scope: Scope,
    link: TicketLink,
    sandbox: SandboxServer,
    run: Callable[..., None],
    fault: dict[str, Any],
    code: str,
) -> None:
    sandbox.faults.add("status", method="POST", path="/system/documents$", **fault)
    unit = services.unit_enqueue(tenant, link.pk, whole(), actor=actor)
    run()
    assert states(unit) == {**DONE, "document": "dead"}
    delivery = Delivery.objects.get(unit=unit, kind="document")
    assert (delivery.problem or {})["code"] == code
    sandbox.faults.clear()
    services.delivery_retry(tenant, delivery.pk, scope=scope)
    run()
    [(_stored, content)] = attached(sandbox, link)
    assert content == CONTENT


def test_file_over_the_limit_of_the_psa_is_not_sent(
    tenant: Account, actor: Actor, link: TicketLink, sandbox: SandboxServer, run: Callable[..., None]
) -> None:
    table = sandbox.store.table("system/fileuploadsettings")
    table.put(table.rows[1], {**table.rows[1].data, "globalFileSizeLimit": 20_000})
    [preview] = services.unit_preview(tenant, link.pk, [file()], actor=actor)
    assert "20,000 bytes" in preview.notes[0]
    unit = services.unit_enqueue(tenant, link.pk, [file()], actor=actor)
    run()
    problem = Delivery.objects.get(unit=unit).problem or {}
    assert (problem["code"], problem["remedy"]) == ("psa-refused", "Discard it to leave the file out.")
    assert not [row for row in sandbox.requests if row["method"] == "POST"]


def test_file_the_customer_can_see_is_a_loud_problem(
    tenant: Account,
    actor: Actor,
    link: TicketLink,
    run: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "psa.providers.connectwise.sandbox.documents._flag", lambda _text: False
    )  # a server that ignores privateFlag
    unit = services.unit_enqueue(tenant, link.pk, [file()], actor=actor)
    run()
    delivery = Delivery.objects.get(unit=unit)
    assert (delivery.state, (delivery.problem or {})["code"]) == ("delivered", "shown-to-customer")
    assert AuditEntry.objects.get(verb="document.attached").customer_visible


def test_preview_says_name_size_and_readers(tenant: Account, actor: Actor, link: TicketLink) -> None:
    [preview] = services.unit_preview(tenant, link.pk, [file(name='C:\\temp\\a/b"🖨️.html')], actor=actor)
    assert (preview.kind, preview.text, preview.size) == ("document", "b.html", len(CONTENT))
    assert (preview.visible_to, preview.mails, preview.notes) == ("staff", (), ())
    assert not FileBlock.objects.exists()


@pytest.mark.parametrize(
    ("part", "code"),
    [
        (file(b""), "empty-file"),
        (file(size=104_857_601), "file-too-large"),
        (file(size=len(CONTENT) + 1), "file-changed"),
        (file(size=len(CONTENT) - 1), "file-changed"),
    ],
)
def test_files_that_cannot_be_attached_are_refused_and_nothing_is_stored(
    tenant: Account, actor: Actor, link: TicketLink, part: DocumentPart, code: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        services.unit_enqueue(tenant, link.pk, [NotePart(NoteKind.ANALYSIS, "x"), part], actor=actor)
    assert caught.value.code == code
    assert "file" in caught.value.fields
    assert not Delivery.objects.exists()
    assert not FileBlock.objects.exists()


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("session-7.html", "session-7.html"),
        ("../../etc/passwd", "passwd"),
        ("a\\b:c*?.txt", "b c.txt"),
        ('say "hi" 🖨️.pdf', "say hi.pdf"),
        ("Bericht für Ümit.html", "Bericht für Ümit.html"),
        ("日報.html", "日報.html"),
        ("a\r\nContent-Type: x.html", "a Content-Type x.html"),
        ("x" * 300 + ".html", "x" * 115 + ".html"),
        ("...", "file"),
        ("", "file"),
        ("🖨️", "file"),
        ("🖨️.html", "file.html"),
        ("con.html", "_con.html"),
        ("control.html", "control.html"),
    ],
)
def test_names_are_made_safe(raw: str, clean: str) -> None:
    assert file_name_clean(raw) == clean


def test_stored_file_reads_as_it_was(tenant: Account, actor: Actor, link: TicketLink) -> None:
    content = bytes(range(256)) * 3000
    unit = services.unit_enqueue(tenant, link.pk, [file(content)], actor=actor)
    stored = StoredFile(unit.posted[0].pk)
    pieces = []
    while piece := stored.read(100_000):
        pieces.append(piece)
    assert b"".join(pieces) == content
    assert max(map(len, pieces)) <= BLOCK_BYTES


def test_long_upload_keeps_its_lease_and_ends_when_somebody_else_has_it(
    tenant: Account, actor: Actor, link: TicketLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(document.time, "monotonic", lambda: clock[0])
    TicketLink.objects.update(lease_token="mine", lease_expires_at="2026-01-01T00:00:00Z")
    claim: Any = type("C", (), {"claimed_at": 1000.0, "link_id": link.pk, "token": "mine"})
    lease = document._Lease(claim, answer_within_s=130.0)

    def left_s() -> float:
        link.refresh_from_db()
        assert link.lease_expires_at
        return (link.lease_expires_at - timezone.now()).total_seconds()

    lease.renew(1000)
    assert left_s() < 0, "not yet"
    clock[0] += 6
    lease.renew(1000)
    assert 40 < left_s() <= 45
    lease.renew(0)
    assert 170 < left_s() <= 175, "until the PSA must have answered"
    TicketLink.objects.update(lease_token="another's")
    lease.renew(1000)
    clock[0] += 6
    with pytest.raises(OutcomeUnknownError):
        lease.renew(1000)


def test_psa_that_stores_a_file_slowly_is_waited_for_under_the_lease(
    tenant: Account,
    actor: Actor,
    link: TicketLink,
    sandbox: SandboxServer,
    run: Callable[..., None],
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.PSA = {**settings.PSA, "CONNECT_TIMEOUT_S": 0.2, "CALL_DEADLINE_S": 0.5, "LEASE_S": 1.0}
    providers_close()
    monkeypatch.setattr(document, "STORED_BYTES_S", len(CONTENT) / 3)
    sandbox.faults.add("latency", method="POST", path="/system/documents$", seconds=2.0, count=1)
    unit = services.unit_enqueue(tenant, link.pk, [file()], actor=actor)
    run()
    assert states(unit) == {"document": "delivered"}
    assert len(attached(sandbox, link)) == 1
    assert [row["path"] for row in sandbox.requests if row["method"] == "POST"] == [
        "/v4_6_release/apis/3.0/system/documents"
    ]
    providers_close()


def test_only_notes_can_be_edited_and_a_discarded_file_is_not_sent(
    tenant: Account, actor: Actor, scope: Scope, link: TicketLink, sandbox: SandboxServer, run: Any
) -> None:
    unit = services.unit_enqueue(tenant, link.pk, whole(), actor=actor)
    delivery = unit.posted[-1]
    with pytest.raises(InvalidInputError):
        services.delivery_edit(tenant, delivery.pk, scope=scope, text="x")
    services.delivery_discard(tenant, delivery.pk, scope=scope)
    run()
    assert states(unit) == {**DONE, "document": "discarded"}
    assert attached(sandbox, link) == []
    with pytest.raises(ConflictError):
        services.delivery_retry(tenant, delivery.pk, scope=scope)


def test_a_file_attached_twice_is_told_as_one() -> None:
    assert duplicate_problem("document", 2)["text"] == "This file stands 2 times on the ticket."


def test_file_sent_twice_is_counted_once_more(
    tenant: Account, actor: Actor, link: TicketLink, sandbox: SandboxServer, run: Callable[..., None]
) -> None:
    unit = services.unit_enqueue(tenant, link.pk, [file()], actor=actor)
    sandbox.faults.add("drop_before", method="POST", path="/system/documents$", count=1)
    for _ in range(4):
        run(later=True)
    delivery = Delivery.objects.get(unit=unit)
    assert (delivery.state, delivery.sends) == ("delivered", 2)
    [(stored, content)] = attached(sandbox, link)
    # The first one was committed late.
    number = sandbox.store.table("system/documents").add(dict(stored)).id
    sandbox.gateway.state.files[number] = ("Ticket", int(link.ticket_id), content)
    Delivery.objects.update(recheck_at=F("created_at") - timedelta(days=1))
    run()
    delivery.refresh_from_db()
    assert (delivery.problem or {})["code"] == "duplicate"
