"""Tickets of both kinds are found by one search, against the sandbox over a socket."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from psa import selectors, services
from psa.exceptions import PermissionDeniedError
from psa.models import Connection
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Actor, RecordType
from resolutionflow.accounts.models import Account


@pytest.fixture
def connection(db: None, sandbox: SandboxServer) -> Connection:
    account = Account.objects.create(name="Acme", slug="acme")
    return services.connection_create(
        account,
        actor=Actor(None, "Setup"),
        provider="connectwise",
        name="Sandbox",
        site=sandbox.url,
        credentials=asdict(sandbox.credentials),
    )


def kinds(connection: Connection, **asked: object) -> list[tuple[str, RecordType]]:
    page = selectors.tickets_search(connection.tenant, connection.pk, **asked)  # type: ignore[arg-type]
    return [(ticket.id, ticket.record_type) for ticket in page.items]


def test_tickets_of_projects_are_among_the_others(connection: Connection) -> None:
    page = selectors.tickets_search(connection.tenant, connection.pk)
    found = [ticket.record_type for ticket in page.items]
    assert {*found} == {RecordType.SERVICE, RecordType.PROJECT}
    closed = [ticket.closed for ticket in page.items]
    assert closed == sorted(closed), "open ones first"
    changed = [ticket.updated_at for ticket in page.items if not ticket.closed and ticket.updated_at]
    assert changed == sorted(changed, reverse=True), "newest change first"
    assert page.next_page == 2
    later = selectors.tickets_search(connection.tenant, connection.pk, page=2)
    ids = [ticket.id for one in (page, later) for ticket in one.items]
    assert len(ids) == len(set(ids)) == 68
    assert later.next_page is None


def test_a_number_is_found_whatever_its_kind(connection: Connection) -> None:
    assert kinds(connection, query="57062") == [("57062", RecordType.PROJECT)]
    assert kinds(connection, query="57002") == [("57002", RecordType.SERVICE)]


def test_a_board_has_one_kind_of_ticket(connection: Connection, sandbox: SandboxServer) -> None:
    assert {kind for _, kind in kinds(connection, board_id="4")} == {RecordType.PROJECT}
    assert {kind for _, kind in kinds(connection, board_id="1")} == {RecordType.SERVICE}
    asked = [row["path"] for row in sandbox.requests if row["path"].endswith("/tickets")]
    assert len(asked) == 2, "each only where its board is"


def test_a_role_without_project_tickets_finds_the_others(
    connection: Connection, sandbox: SandboxServer
) -> None:
    sandbox.faults.add("status", method="GET", path="/project/tickets$", status=403)
    assert {kind for _, kind in kinds(connection)} == {RecordType.SERVICE}
    sandbox.faults.add("status", method="GET", path="/service/tickets$", status=403)
    with pytest.raises(PermissionDeniedError):
        kinds(connection)
