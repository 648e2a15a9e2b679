"""Against the sandbox over a socket: faults, rights, moved codebases, large lists."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import pytest

from psa.exceptions import (
    AuthenticationFailedError,
    BusyError,
    ClientIdRefusedError,
    InvalidStatusError,
    MovedError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitedError,
    RejectedError,
    StatusUnchangedError,
    UnavailableError,
)
from psa.providers.connectwise.provider import ConnectWiseProvider
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.providers.connectwise.tests.checker import checked
from psa.providers.connectwise.tests.conftest import make_provider
from psa.providers.http import trace_writes
from psa.types import Feature, FeatureStatus, NoteDraft, NoteKind, RecordType

SERVICE = RecordType.SERVICE
DRAFT = NoteDraft(NoteKind.ANALYSIS, "Looked at it.\nRef RF-ABCDEFGH")


def open_ticket(provider: ConnectWiseProvider) -> str:
    return next(t.id for t in provider.ticket_search().items if not t.closed)


def found(provider: ConnectWiseProvider, ticket_id: str) -> int:
    return len(provider.note_find(ticket_id, SERVICE, "RF-ABCDEFGH", NoteKind.ANALYSIS))


# Writes under fire -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "error", "stored"),
    [
        ({"kind": "drop_before"}, OutcomeUnknownError, 0),
        ({"kind": "drop_after"}, OutcomeUnknownError, 1),
        ({"kind": "garbage"}, OutcomeUnknownError, 1),
        ({"kind": "garbage", "body": "<html>maintenance</html>"}, OutcomeUnknownError, 1),
        ({"kind": "status", "status": 500}, OutcomeUnknownError, 0),
        ({"kind": "status", "status": 503}, OutcomeUnknownError, 0),
        ({"kind": "status", "status": 503, "after": True}, OutcomeUnknownError, 1),
        ({"kind": "status", "status": 504, "after": True}, OutcomeUnknownError, 1),
        ({"kind": "status", "status": 302}, MovedError, 0),
        ({"kind": "status", "status": 401}, AuthenticationFailedError, 0),
        ({"kind": "status", "status": 403}, PermissionDeniedError, 0),
        ({"kind": "status", "status": 409}, BusyError, 0),
        ({"kind": "status", "status": 429, "seconds": 7}, RateLimitedError, 0),
        ({"kind": "status", "status": 400}, RejectedError, 0),
    ],
)
def test_a_note_is_sent_once_whatever_comes_back(
    live: ConnectWiseProvider,
    sandbox: SandboxServer,
    fault: dict[str, object],
    error: type[Exception],
    stored: int,
) -> None:
    ticket_id = open_ticket(live)
    sandbox.faults.add(method="POST", path="/notes$", count=1, **fault)
    with trace_writes() as trace, pytest.raises(error) as caught:
        live.note_add(ticket_id, SERVICE, DRAFT)
    assert trace.sent
    assert found(live, ticket_id) == stored
    if isinstance(caught.value, RateLimitedError):
        assert caught.value.retry_after_s == 7


def test_a_slow_answer_ends_at_the_deadline_and_is_unknown(sandbox: SandboxServer) -> None:
    provider = make_provider(
        site=ConnectWiseProvider.site_clean(sandbox.url),
        credentials=asdict(sandbox.credentials),
        trusted_hosts=("127.0.0.1",),
        endpoint=None,
    )
    ticket_id = open_ticket(provider)
    provider.http.call_deadline_s = 0.4
    sandbox.faults.add("latency", method="POST", path="/notes$", seconds=1.0, count=1)
    started = time.monotonic()
    with pytest.raises(OutcomeUnknownError):
        provider.note_add(ticket_id, SERVICE, DRAFT)
    assert time.monotonic() - started < 0.9
    time.sleep(0.9)
    provider.http.call_deadline_s = 10
    assert found(provider, ticket_id) == 1
    provider.close()


@pytest.mark.parametrize("kind", ["drop_before", "status"])
def test_a_read_is_repeated_and_succeeds(
    live: ConnectWiseProvider, sandbox: SandboxServer, kind: str
) -> None:
    ticket_id = open_ticket(live)
    sandbox.faults.add(kind, method="GET", path=rf"/tickets/{ticket_id}$", status=503, count=2)
    assert live.ticket_get(ticket_id, SERVICE).id == ticket_id


def test_a_read_that_keeps_failing_is_unavailable(live: ConnectWiseProvider, sandbox: SandboxServer) -> None:
    ticket_id = open_ticket(live)
    sandbox.faults.add("drop_before", method="GET", path="/notes$")
    with pytest.raises(UnavailableError):
        found(live, ticket_id)


def test_a_status_change_is_judged_by_its_own_answer_when_nothing_can_be_read_after(
    live: ConnectWiseProvider, sandbox: SandboxServer
) -> None:
    ticket = live.ticket_get(open_ticket(live), SERVICE)
    wanted = next(s for s in live.statuses_for(ticket) if s.active and s.id != ticket.status.id)
    sandbox.faults.add("drop_after", method="PATCH", path="/tickets/", count=1)
    with pytest.raises(OutcomeUnknownError):
        live.status_set(ticket.id, SERVICE, wanted.id)
    assert live.ticket_get(ticket.id, SERVICE).status.id == wanted.id


# Rights ------------------------------------------------------------------------------------------


def row(name: str, add: str = "All", edit: str = "All", delete: str = "All", inquire: str = "All") -> dict:
    return {
        "moduleFunctionName": name,
        "addLevel": add,
        "editLevel": edit,
        "deleteLevel": delete,
        "inquireLevel": inquire,
    }


def test_probe_with_every_right_is_all_well(live: ConnectWiseProvider) -> None:
    result = live.probe()
    assert {item.status for item in result.features} == {FeatureStatus.OK}
    assert result.hidden_boards == ()
    assert len(result.features) == len(Feature)


def test_probe_names_what_to_grant(live: ConnectWiseProvider, sandbox: SandboxServer) -> None:
    sandbox.configure(
        security=[
            row("Service Tickets", add="My"),
            row("Table Setup", "None", "None", "None", "All"),
            row("Close Service Tickets", edit="None"),
            row("Contacts", inquire="None"),
        ]
    )
    by_feature = {item.feature: item for item in live.probe().features}
    status = {feature: item.status for feature, item in by_feature.items()}
    assert status[Feature.CONNECTION] is FeatureStatus.OK
    assert status[Feature.TICKETS] is FeatureStatus.OK
    assert status[Feature.NOTES] is FeatureStatus.LIMITED
    assert status[Feature.STATUS_CLOSE] is FeatureStatus.DENIED
    assert by_feature[Feature.STATUS_CLOSE].grant.startswith("Service Desk > Close Service Tickets: Edit All")
    assert status[Feature.CONTACTS] is FeatureStatus.DENIED
    assert status[Feature.CALLBACKS] is FeatureStatus.DENIED
    assert status[Feature.MEMBERS] is FeatureStatus.DENIED  # not in the rows, and the list was refused
    assert status[Feature.TIME_ENTRIES] is FeatureStatus.DENIED
    assert status[Feature.DOCUMENTS] is FeatureStatus.DENIED
    assert status[Feature.ARTICLES] is FeatureStatus.DENIED


def test_probe_reads_lists_where_the_rows_are_refused(
    live: ConnectWiseProvider, sandbox: SandboxServer
) -> None:
    sandbox.faults.add("status", path="/system/mySecurity$", status=403)
    sandbox.faults.add("status", path="/company/contacts$", status=403)
    by_feature = {item.feature: item for item in live.probe().features}
    assert by_feature[Feature.TICKETS].status is FeatureStatus.OK
    assert by_feature[Feature.CONTACTS].status is FeatureStatus.DENIED
    assert by_feature[Feature.NOTES].status is FeatureStatus.UNKNOWN
    assert by_feature[Feature.NOTES].grant


def test_probe_names_hidden_boards(live: ConnectWiseProvider, sandbox: SandboxServer) -> None:
    hidden = [int(board.id) for board in live.boards()][:1]
    sandbox.configure(excluded_boards=hidden)
    assert len(live.probe().hidden_boards) == 1


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"private_key": "wrong"}, AuthenticationFailedError),
        ({"public_key": "wrong"}, AuthenticationFailedError),
        ({"client_id": "00000000-0000-4000-8000-000000000000"}, ClientIdRefusedError),
        ({"client_id": ""}, ClientIdRefusedError),
        ({"company_id": "other"}, RejectedError),
    ],
)
def test_probe_with_one_wrong_credential(
    sandbox: SandboxServer, wrong: dict[str, str], error: type[Exception]
) -> None:
    provider = make_provider(
        site=ConnectWiseProvider.site_clean(sandbox.url),
        credentials={**asdict(sandbox.credentials), **wrong},
        trusted_hosts=("127.0.0.1",),
        endpoint=None,
    )
    with pytest.raises(error):
        provider.probe()
    provider.close()


def test_a_close_that_is_not_allowed_is_told_by_the_old_status(
    live: ConnectWiseProvider, sandbox: SandboxServer
) -> None:
    ticket = live.ticket_get(open_ticket(live), SERVICE)
    closed = next(s for s in live.statuses_for(ticket) if s.closed and s.active)
    sandbox.configure(
        security=[row("Service Tickets"), row("Table Setup"), row("Close Service Tickets", edit="None")]
    )
    with pytest.raises(StatusUnchangedError) as caught:
        live.status_set(ticket.id, SERVICE, closed.id)
    assert ticket.status is not None
    assert caught.value.kept == ticket.status.name


def test_notes_are_read_without_time_entries_where_all_notes_are_refused(
    live: ConnectWiseProvider, sandbox: SandboxServer
) -> None:
    ticket_id = open_ticket(live)
    live.note_add(ticket_id, SERVICE, DRAFT)
    for status in (403, 404, 405):
        sandbox.faults.add(
            "status", path="/allNotes$", status=status, count=1, body={"code": "ConnectWiseApi"}
        )
        assert DRAFT.text in [note.text for note in live.ticket_notes(ticket_id, SERVICE)]


# Moving ------------------------------------------------------------------------------------------


def test_an_upgrade_under_many_threads_is_found_by_one_lookup(
    live: ConnectWiseProvider, sandbox: SandboxServer
) -> None:
    ticket_id = open_ticket(live)
    sandbox.configure(codebase="v2026_1/")
    sandbox.gateway.requests.clear()
    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(lambda _: live.note_add(ticket_id, SERVICE, DRAFT), range(8)))) == 8
    assert live.endpoint is not None
    assert live.endpoint.base_url.endswith("/v2026_1/apis/3.0")
    assert found(live, ticket_id) == 8
    lookups = [r for r in sandbox.gateway.requests if "companyinfo" in str(r)]
    assert len(lookups) == 1


def test_an_old_server_is_spoken_to_without_a_version(
    live: ConnectWiseProvider, sandbox: SandboxServer
) -> None:
    sandbox.configure(supported_version="2022.1")
    ticket_id = open_ticket(live)
    assert live.note_add(ticket_id, SERVICE, DRAFT).id
    assert live.endpoint is not None
    assert live.endpoint.api_version == ""


# Lists -------------------------------------------------------------------------------------------


def test_a_filter_too_long_for_a_url_is_posted(live: ConnectWiseProvider, sandbox: SandboxServer) -> None:
    board = live.ticket_get(open_ticket(live), SERVICE).board
    assert board is not None
    sandbox.gateway.requests.clear()
    long = "ö" * 400
    assert live.ticket_search(long, board_id=board.id).items == ()
    assert "search" in str(sandbox.gateway.requests[-1])
    assert checked[-1] == "POST /service/tickets/search"


def test_a_status_refused_by_the_server_carries_the_valid_names(
    live: ConnectWiseProvider, sandbox: SandboxServer
) -> None:
    ticket = live.ticket_get(open_ticket(live), SERVICE)
    wanted = next(s for s in live.statuses_for(ticket) if s.active)
    body = {
        "code": "InvalidObject",
        "message": "ticket object is invalid",
        "errors": [{"code": "NotFound", "message": "gone", "resource": "ticket", "field": "status/id"}],
    }
    sandbox.faults.add("status", method="PATCH", path="/tickets/", status=400, body=body, count=1)
    with pytest.raises(InvalidStatusError) as caught:
        live.status_set(ticket.id, SERVICE, wanted.id)
    assert wanted.name in caught.value.valid_names


def test_a_status_change_mails_only_when_asked(live: ConnectWiseProvider, sandbox: SandboxServer) -> None:
    ticket = live.ticket_get(open_ticket(live), SERVICE)
    sandbox.gateway.state.mails.clear()
    for status in [s for s in live.statuses_for(ticket) if s.active]:
        live.status_set(ticket.id, SERVICE, status.id)
    for kind in NoteKind:
        live.note_add(ticket.id, SERVICE, NoteDraft(kind, "quiet"))
    assert sandbox.gateway.state.mails == []
