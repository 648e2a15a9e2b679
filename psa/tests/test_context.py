"""The context of a ticket, against the sandbox: two rounds, named gaps, the last known answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest
from django.core.cache import cache

from psa import selectors, services
from psa.exceptions import ConflictError, MissingError, ProviderError
from psa.models import Connection, TicketLink, TicketSighting
from psa.provider_pool import providers_close
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Actor, PastWork, RecordType, TicketContext
from resolutionflow.accounts.models import Account
from resolutionflow.sessions import past_work

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

TICKET = "57001"
SETTLED = {"callback_retry_s": []}


@pytest.fixture
def sandbox(sandbox: SandboxServer) -> Iterator[SandboxServer]:
    cache.clear()
    yield sandbox
    providers_close()


@pytest.fixture
def connection(sandbox: SandboxServer) -> Connection:
    account = Account.objects.create(name="Acme", slug="acme")
    made = services.connection_create(
        account,
        actor=Actor(None, "Setup"),
        provider="connectwise",
        name="Sandbox",
        site=sandbox.url,
        credentials=asdict(sandbox.credentials),
    )
    sandbox.requests.clear()
    return made


def read(connection: Connection, ticket_id: str = TICKET, **asked: Any) -> TicketContext:
    return selectors.ticket_context(connection.tenant, connection.pk, ticket_id, **asked)


def paths(sandbox: SandboxServer) -> list[str]:
    """What was asked since the connection was made, without the connection's own probe."""
    return [row["path"].partition("/apis/3.0")[2] for row in sandbox.requests]


@pytest.fixture
def forget_requests(connection: Connection, sandbox: SandboxServer) -> int:
    """Return how many requests setting up took."""
    return len(sandbox.requests)


def test_everything_around_a_ticket_is_there(connection: Connection, sandbox: SandboxServer) -> None:
    found = read(connection)
    ticket = sandbox.ticket(int(TICKET))
    assert found.ticket.summary == ticket["summary"]
    assert found.provider == "ConnectWise PSA"
    assert {note.id for note in found.notes} == {str(row["id"]) for row in sandbox.all_notes(int(TICKET))}
    assert any(note.from_time_entry for note in found.notes)
    moments = [note.created_at for note in found.notes if note.created_at]
    assert moments == sorted(moments, reverse=True)
    assert found.company
    assert found.company.name == ticket["company"]["name"]
    assert found.contact
    assert found.contact.emails
    assert found.site
    assert found.site.address
    assert found.sla
    assert found.sla.name == "Standard SLA"
    assert [device.type for device in found.devices] == ["Managed Server"]
    assert found.devices[0].serial_number
    assert found.articles[0].title == "Outlook asks for the password again and again"
    assert found.problems == ()
    assert (found.away, found.notices) == ("", ())
    assert {"ticket", "notes", "devices", "sla", "company"} <= set(found.told)


def test_it_takes_two_rounds_and_then_none(
    connection: Connection, sandbox: SandboxServer, forget_requests: int
) -> None:
    read(connection)
    asked = paths(sandbox)[forget_requests:]
    assert len(asked) == 9, asked
    assert len(set(asked)) == 9, "nothing is asked twice"
    read(connection)
    assert len(paths(sandbox)) == forget_requests + 9, "all of it is in the cache"


def test_two_rounds_cost_two_round_trips(connection: Connection, sandbox: SandboxServer) -> None:
    read(connection, "57003")  # opens the sockets
    sandbox.configure(latency_ms=200)
    started = time.monotonic()
    read(connection)
    assert time.monotonic() - started < 3 * 0.2, "reads of a round wait side by side"


def test_a_write_of_ours_makes_it_new_but_not_its_customer(
    connection: Connection, sandbox: SandboxServer, forget_requests: int
) -> None:
    link = services.ticket_link(connection.tenant, connection.pk, TICKET, RecordType.SERVICE)
    read(connection)
    before = len(paths(sandbox))
    TicketLink.objects.filter(pk=link.pk).update(cache_epoch=link.cache_epoch + 1)
    read(connection)
    again = paths(sandbox)[before:]
    assert sorted(path.rpartition("/")[2] for path in again) == [
        TICKET,
        "allNotes",
        "calculateSla",
        "configurations",
    ]


def test_a_change_we_heard_of_makes_it_new(connection: Connection, sandbox: SandboxServer) -> None:
    read(connection)
    before = len(paths(sandbox))
    TicketSighting.objects.create(
        tenant=connection.tenant, connection=connection, ticket_id=TICKET, changes=1
    )
    read(connection)
    assert len(paths(sandbox)) == before + 4


def test_refresh_asks_for_everything(connection: Connection, sandbox: SandboxServer) -> None:
    link = services.ticket_link(connection.tenant, connection.pk, TICKET, RecordType.SERVICE)
    read(connection)
    before = len(paths(sandbox))
    found = read(connection, refresh=True)
    assert len(paths(sandbox)) == before + 9
    link.refresh_from_db()
    assert link.cache_epoch == 1, "other processes ask again, too"
    assert found.away == ""


def test_fifty_callers_cost_the_calls_of_one(
    connection: Connection, sandbox: SandboxServer, forget_requests: int
) -> None:
    sandbox.configure(latency_ms=50)
    reading = selectors.context._Reading(connection, refresh=False)
    reading._places = lambda *_: [RecordType.SERVICE]  # type: ignore[method-assign]
    reading._version = lambda *_: "0.0"  # type: ignore[method-assign]
    reading._remember = lambda *_: None  # type: ignore[method-assign]
    found: list[TicketContext] = []
    threads = [
        threading.Thread(target=lambda: found.append(reading.context(TICKET, None))) for _ in range(50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 50
    assert len(paths(sandbox)) - forget_requests == 9


# What cannot be read ----------------------------------------------------------------------------


def test_parts_the_role_may_not_read_are_named(connection: Connection, sandbox: SandboxServer) -> None:
    for path in ("/company/companies/", "calculateSla", "knowledgeBase"):
        sandbox.faults.add("status", path=path, status=403, body={"code": "Security", "message": "no right"})
    found = read(connection)
    named = {problem.part: problem for problem in found.problems}
    assert set(named) == {"company", "site", "sla", "articles"}
    assert {problem.code for problem in found.problems} == {"permission"}
    assert named["company"].remedy == "Grant Companies > Company Maintenance: Inquire All."
    assert found.ticket.id == TICKET
    assert found.company is None
    assert found.contact


def test_notes_are_read_without_those_of_time_where_the_role_says_so(
    connection: Connection, sandbox: SandboxServer
) -> None:
    sandbox.faults.add(
        "status", path="allNotes", status=403, body={"code": "Security", "message": "no right"}
    )
    found = read(connection)
    assert len(found.notes) == len(sandbox.notes(int(TICKET)))
    assert not any(note.from_time_entry for note in found.notes)
    assert found.problems == ()


def test_the_last_known_context_stands_in_while_the_psa_is_away(
    connection: Connection, sandbox: SandboxServer, settings: Any
) -> None:
    settings.PSA = {**settings.PSA, "CONTEXT_TTL_S": 0.01, "CUSTOMER_TTL_S": 0.01, "ARTICLES_TTL_S": 0.01}
    first = read(connection)
    time.sleep(0.05)
    sandbox.faults.add("status", path=".", status=503)
    found = read(connection)
    assert found.ticket == first.ticket
    assert found.notes == first.notes
    assert found.company == first.company
    assert found.fetched_at == first.fetched_at
    assert found.away
    assert {problem.code for problem in found.problems} == {"old"}
    with pytest.raises(ProviderError):
        read(connection, "57005")


def test_nobody_waits_for_a_psa_that_is_known_to_be_away(
    connection: Connection, sandbox: SandboxServer, settings: Any
) -> None:
    settings.PSA = {**settings.PSA, "CONTEXT_TTL_S": 0.01, "CUSTOMER_TTL_S": 0.01, "ARTICLES_TTL_S": 0.01}
    read(connection)
    time.sleep(0.05)
    Connection.objects.update(state="degraded")
    before = len(paths(sandbox))
    found = read(connection)
    assert len(paths(sandbox)) == before
    assert found.away
    assert read(connection, "57005").away == "", "what is not known is asked for all the same"


def test_one_part_that_hangs_holds_up_nothing_for_long(
    connection: Connection, sandbox: SandboxServer, settings: Any
) -> None:
    settings.PSA = {**settings.PSA, "CONTEXT_DEADLINE_S": 0.5}
    sandbox.faults.add("latency", path="allNotes", seconds=3)
    started = time.monotonic()
    found = read(connection)
    assert time.monotonic() - started < 2
    assert [problem.part for problem in found.problems] == ["notes"]
    assert found.company


# Odd tickets ------------------------------------------------------------------------------------


def test_a_merged_ticket_is_followed(connection: Connection, sandbox: SandboxServer) -> None:
    first = sandbox.ticket(57001)
    table = sandbox.store.table("service/tickets")
    row = table.rows[57001]
    table.put(row, {**first, "mergedParentTicket": {"id": 57005, "summary": "x"}})
    found = read(connection)
    assert found.ticket.id == "57005"
    assert [notice.code for notice in found.notices if notice.code == "merged"] == ["merged"]
    assert "57001 was merged into 57005" in found.notices[0].text


def test_a_ticket_of_a_project_is_found_without_being_told(connection: Connection) -> None:
    found = read(connection, "57061")
    assert found.ticket.record_type is RecordType.PROJECT
    assert found.sla is None
    assert found.notes
    assert not any(problem.part == "sla" for problem in found.problems)


def test_a_closed_ticket_says_so(connection: Connection) -> None:
    found = read(connection, "57004")
    assert [notice.text for notice in found.notices] == ["Ticket 57004 is closed (Closed)."]


def test_a_bare_ticket_with_odd_records_is_read(connection: Connection, sandbox: SandboxServer) -> None:
    table = sandbox.store.table("service/tickets")
    row = table.rows[57001]
    kept = ("id", "summary", "board", "status", "_info", "recordType")
    table.put(row, {**{name: row.data[name] for name in kept}, "surprise": {"from": "a newer API"}})
    devices = sandbox.store.table("company/configurations")
    for device in list(devices.rows.values()):
        devices.put(device, {k: v for k, v in device.data.items() if k not in ("name", "deviceIdentifier")})
    notes = sandbox.store.table("service/tickets/notes")
    note = notes.of((57001,))[0]
    odd = "<b>bold</b> **md** \r\nline " + "x" * 100_000
    notes.put(note, {**note.data, "text": odd, "dateCreated": "2026-01-05T09:00:00"})
    found = read(connection)
    assert (found.company, found.contact, found.site, found.agreement) == (None, None, None, None)
    assert found.devices[0].name.startswith("#")
    long = next(note for note in found.notes if len(note.text) > 100_000)
    assert long.text.startswith("<b>bold</b> **md** \nline ")
    assert long.created_at


def test_five_hundred_notes_are_all_there(connection: Connection, sandbox: SandboxServer) -> None:
    notes = sandbox.store.table("service/tickets/notes")
    like = notes.of((57001,))[0].data
    for number in range(500):
        notes.add({**like, "text": f"note {number}"}, (57001,))
    assert len(read(connection).notes) >= 500


@pytest.mark.parametrize("wrong", ["99999999", "0", "abc", "1" * 50, "12\x0034", "-5"])
def test_a_number_no_ticket_has_is_missing(connection: Connection, wrong: str) -> None:
    with pytest.raises(MissingError) as caught:
        read(connection, wrong)
    assert caught.value.code == "ticket-not-found"


def test_another_tenants_connection_is_missing_and_a_disabled_one_is_a_conflict(
    connection: Connection,
) -> None:
    other = Account.objects.create(name="Other", slug="other")
    with pytest.raises(MissingError):
        selectors.ticket_context(other, connection.pk, TICKET)
    Connection.objects.update(state="disabled")
    with pytest.raises(ConflictError):
        read(connection)


# Links ------------------------------------------------------------------------------------------


def test_a_link_keeps_customer_and_devices(connection: Connection) -> None:
    link = services.ticket_link(connection.tenant, connection.pk, TICKET, RecordType.SERVICE)
    found = selectors.link_context(connection.tenant, link.pk)
    link.refresh_from_db()
    assert found.company
    assert link.company_id == found.company.id
    assert link.devices == [{"id": found.devices[0].id, "name": found.devices[0].name}]


def test_a_merged_link_shows_its_parent(connection: Connection) -> None:
    link = services.ticket_link(connection.tenant, connection.pk, TICKET, RecordType.SERVICE)
    parent = services.ticket_link(connection.tenant, connection.pk, "57005", RecordType.SERVICE)
    TicketLink.objects.filter(pk=link.pk).update(merged_into=parent)
    found = selectors.link_context(connection.tenant, link.pk)
    assert found.ticket.id == "57005"
    assert found.notices[0].code == "merged"


def test_a_host_without_earlier_work_has_none(connection: Connection, settings: Any) -> None:
    settings.PSA = {**settings.PSA, "PAST_WORK": ""}
    assert read(connection).past == ()


def test_earlier_work_of_the_host_is_asked_for(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def told(*given: Any) -> list[PastWork]:
        asked.append(given)
        return [
            PastWork("1", "this one", "resolved", None, ticket_id=TICKET),
            PastWork("2", "that one", "resolved", None, ticket_id="57013"),
        ]

    monkeypatch.setattr(past_work, "past_work", told)
    found = read(connection)
    assert [one.title for one in found.past] == ["that one"], "not the ticket itself"
    assert found.company
    assert asked == [
        (connection.tenant, connection.pk, found.company.id, [device.id for device in found.devices])
    ]
