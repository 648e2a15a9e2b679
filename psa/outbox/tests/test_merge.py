"""A ticket merged while something waits for it: notes follow the parent, a status waits for a click."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import requests
from django.utils import timezone

from psa import selectors, services
from psa.models import Connection, Delivery, TicketLink
from psa.outbox.claim import SNAPSHOT_FRESH
from psa.outbox.tests.conftest import notes_of, sent
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Actor, NoteKind, NotePart, Scope, StatusPart

Post = Callable[..., Delivery]
Run = Callable[..., None]
PARENT = "57051"


@pytest.fixture
def merge(sandbox: SandboxServer) -> Callable[[str, str], None]:
    """Merge the first ticket into the second, as a dispatcher would in ConnectWise."""
    keys = sandbox.credentials

    def merge(child: str, parent: str) -> None:
        base = f"{sandbox.url}/v4_6_release/apis/3.0"
        http = requests.Session()
        http.auth = (f"{keys.company_id}+{keys.public_key}", keys.private_key)
        http.headers["clientId"] = keys.client_id
        board = http.get(f"{base}/service/tickets/{child}", timeout=5).json()["board"]["id"]
        statuses = http.get(f"{base}/service/boards/{board}/statuses", timeout=5).json()
        closed = next(row for row in statuses if row["closedStatus"] and not row["inactive"])
        body = {"mergeTicketIds": [int(child)], "status": {"id": closed["id"]}}
        http.post(f"{base}/service/tickets/{parent}/merge", json=body, timeout=5).raise_for_status()

    return merge


@pytest.fixture
def age() -> Callable[[TicketLink], None]:
    """Make the snapshot of a ticket so old that it is read again before a note."""

    def age(link: TicketLink) -> None:
        past = timezone.now() - SNAPSHOT_FRESH - timedelta(seconds=1)
        TicketLink.objects.filter(pk=link.pk).update(updated_at=past)

    return age


def test_notes_that_wait_go_to_the_parent_in_order(
    post: Post, run: Run, link: TicketLink, merge: Any, age: Any, ticket_id: str, sandbox: SandboxServer
) -> None:
    posted = [post(f"Note {number}") for number in range(3)]
    merge(ticket_id, PARENT)
    age(link)
    run()
    assert [row.state for row in Delivery.objects.order_by("pk")] == ["delivered"] * 3
    assert [path.rsplit("/", 2)[-2] for path in (row["path"] for row in sent(sandbox, path="/notes"))] == [
        PARENT
    ] * 3
    there = [note for note in notes_of(sandbox, PARENT) if note["ticketId"] == int(PARENT)]
    assert [row.marker in note["text"] for row, note in zip(posted, there, strict=True)] == [True] * 3
    link.refresh_from_db()
    assert link.merged_into is not None
    assert link.merged_into.ticket_id == PARENT


def test_a_status_waits_for_a_click_and_is_then_set_on_the_parent(
    tenant: Any, run: Run, link: TicketLink, actor: Actor, scope: Scope, merge: Any, age: Any, ticket_id: str
) -> None:
    parts = [NotePart(NoteKind.ANALYSIS, "Found it"), StatusPart("In Progress")]
    unit = services.unit_enqueue(tenant, link.pk, parts, actor=actor)
    merge(ticket_id, PARENT)
    age(link)
    run()
    note, status = unit.deliveries.order_by("seq")
    assert (note.state, status.state, status.problem["code"]) == ("delivered", "dead", "ticket-merged")
    assert PARENT in status.problem["text"]
    services.delivery_retry(tenant, status.pk, scope=scope)
    run()
    status.refresh_from_db()
    assert (status.state, status.external_id) == ("delivered", PARENT)


def test_a_status_alone_notices_the_merge_without_an_old_snapshot(
    tenant: Any, run: Run, link: TicketLink, actor: Actor, merge: Any, ticket_id: str, sandbox: SandboxServer
) -> None:
    unit = services.unit_enqueue(tenant, link.pk, [StatusPart("In Progress")], actor=actor)
    merge(ticket_id, PARENT)
    run()
    delivery = unit.deliveries.get()
    assert (delivery.state, delivery.problem["code"]) == ("dead", "ticket-merged")
    assert sent(sandbox, "PATCH") == []
    unit.refresh_from_db()
    assert (unit.state, unit.link.ticket_id) == ("blocked", PARENT)


def test_what_is_posted_after_the_merge_was_noticed_goes_to_the_parent_at_once(
    post: Post, run: Run, link: TicketLink, merge: Any, age: Any, ticket_id: str, sandbox: SandboxServer
) -> None:
    post("before")
    merge(ticket_id, PARENT)
    age(link)
    run()
    later = post("after")
    assert later.link.ticket_id == PARENT
    run()
    later.refresh_from_db()
    assert later.state == "delivered"


def test_a_note_already_delivered_stays_where_it_is(
    post: Post, run: Run, link: TicketLink, merge: Any, age: Any, ticket_id: str
) -> None:
    first = post("first")
    run()
    merge(ticket_id, PARENT)
    age(link)
    post("second")
    run()
    first.refresh_from_db()
    assert (first.link_id, first.state) == (link.pk, "delivered")


def test_a_note_that_may_be_on_the_merged_ticket_is_settled_there_before_anything_follows(
    post: Post, run: Run, link: TicketLink, merge: Any, age: Any, ticket_id: str, sandbox: SandboxServer
) -> None:
    sandbox.faults.add(method="POST", path=r"/notes$", kind="drop_after", count=1)
    lost, waiting = post("lost answer"), post("waiting")
    merge(ticket_id, PARENT)
    run()
    age(link)
    run()
    for row in (lost, waiting):
        row.refresh_from_db()
    assert [row.state for row in (lost, waiting)] == ["delivered", "delivered"]
    texts = [note["text"] for note in notes_of(sandbox, PARENT)]
    assert sum(lost.marker in text for text in texts) == 1
    assert sum(waiting.marker in text for text in texts) == 1


def test_a_chain_of_merges_is_followed_to_its_end(
    post: Post, run: Run, link: TicketLink, merge: Any, age: Any, ticket_id: str
) -> None:
    delivery = post("note")
    merge(ticket_id, PARENT)
    merge(PARENT, "57052")
    age(link)
    run()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.link.ticket_id) == ("delivered", "57052")


def test_the_parent_s_own_queue_goes_first(
    tenant: Any,
    connection: Connection,
    post: Post,
    run: Run,
    link: TicketLink,
    actor: Actor,
    merge: Any,
    age: Any,
    ticket_id: str,
    sandbox: SandboxServer,
) -> None:
    moving = post("moves here")
    parent = services.ticket_link(tenant, connection.pk, PARENT)
    own = services.unit_enqueue(tenant, parent.pk, [NotePart(NoteKind.ANALYSIS, "own")], actor=actor)
    merge(ticket_id, PARENT)
    age(link)
    run()
    moving.refresh_from_db()
    assert moving.state == "delivered"
    assert moving.seq > own.deliveries.get().seq


def test_a_repeated_post_is_recognised_after_the_merge(
    tenant: Any, post: Post, run: Run, link: TicketLink, merge: Any, age: Any, ticket_id: str
) -> None:
    delivery = post("the same documentation")
    merge(ticket_id, PARENT)
    age(link)
    run()
    found = selectors.note_posted(tenant, link.pk, "session:1", delivery.text_hash)
    assert found is not None
    assert found.pk == delivery.pk


def test_the_snapshot_is_fresh_after_the_ticket_was_read(
    post: Post, run: Run, link: TicketLink, age: Any, sandbox: SandboxServer
) -> None:
    TicketLink.objects.filter(pk=link.pk).update(summary="old words")
    age(link)
    post()
    run()
    link.refresh_from_db()
    assert link.summary != "old words"
    assert link.updated_at > timezone.now() - timedelta(minutes=1)
    before = len(sent(sandbox, "GET"))
    post("another")
    run()
    assert len(sent(sandbox, "GET")) == before
