"""What goes over the wire for each operation, and the corners no sandbox shows."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import responses

from psa.exceptions import (
    NotFoundError,
    OutcomeUnknownError,
    ProviderError,
    RejectedError,
    UnavailableError,
)
from psa.providers.connectwise.paging import Next, next_of
from psa.providers.connectwise.provider import ConnectWiseProvider
from psa.providers.connectwise.tests.conftest import BASE, CREDENTIALS, make_provider
from psa.types import NoteDraft, NoteKind, RecordType

SERVICE, PROJECT = RecordType.SERVICE, RecordType.PROJECT
REFUSED = {"code": "ApiFindCondition", "message": "text is not a recognized name."}


def query(index: int = -1) -> dict[str, str]:
    url = responses.calls[index].request.url or ""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def sent(index: int = -1) -> Any:
    return json.loads(responses.calls[index].request.body)


# Headers -----------------------------------------------------------------------------------------


@responses.activate
def test_headers_are_exactly_what_connectwise_knows(provider: ConnectWiseProvider) -> None:
    responses.add("POST", f"{BASE}/service/tickets/1/notes", json={"id": 5})
    provider.note_add("1", SERVICE, NoteDraft(NoteKind.ANALYSIS, "text"))
    headers = dict(responses.calls[0].request.headers)
    pair = base64.b64encode(b"acme+pub1ic:pr1vate:with:colons").decode()
    assert headers.pop("User-Agent").startswith("ResolutionFlow-PSA/")
    assert headers == {
        "Accept": "application/vnd.connectwise.com+json; version=2025.16",
        "Accept-Encoding": "gzip, deflate",
        "Authorization": f"Basic {pair}",
        "Connection": "keep-alive",
        "Content-Length": str(len(responses.calls[0].request.body)),
        "Content-Type": "application/json",
        "clientId": CREDENTIALS["client_id"],
    }


# Notes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", RecordType)
@responses.activate
def test_an_analysis_note_is_internal_and_mails_nobody(
    provider: ConnectWiseProvider, place: RecordType
) -> None:
    responses.add("POST", f"{BASE}/{place.value}/tickets/7/notes", json={"id": 5}, status=201)
    provider.note_add("7", place, NoteDraft(NoteKind.ANALYSIS, "a\nb", author_member_id="12"))
    assert sent() == {
        "text": "a\nb",
        "detailDescriptionFlag": False,
        "internalAnalysisFlag": True,
        "resolutionFlag": False,
        "internalFlag": True,
        "externalFlag": False,
        "processNotifications": False,
        "member": {"id": 12},
    }


@responses.activate
def test_a_resolution_note_mails_when_asked(provider: ConnectWiseProvider) -> None:
    responses.add("POST", f"{BASE}/service/tickets/7/notes", json={"id": 5}, status=201)
    provider.note_add("7", SERVICE, NoteDraft(NoteKind.RESOLUTION, "fixed", notify=True))
    assert sent()["processNotifications"] is True
    assert sent()["resolutionFlag"] is True
    assert sent()["internalAnalysisFlag"] is False
    assert "member" not in sent()


@responses.activate
def test_a_note_the_psa_stored_in_another_section_says_so(provider: ConnectWiseProvider) -> None:
    stored = {"id": 5, "text": "x", "internalAnalysisFlag": True, "detailDescriptionFlag": True}
    responses.add("POST", f"{BASE}/service/tickets/7/notes", json=stored, status=201)
    note = provider.note_add("7", SERVICE, NoteDraft(NoteKind.ANALYSIS, "x"))
    assert note.customer_visible
    assert note.kind is NoteKind.DISCUSSION


@responses.activate
def test_a_marker_is_looked_for_by_filter_then_among_the_newest(provider: ConnectWiseProvider) -> None:
    responses.add("GET", f"{BASE}/service/tickets/7/notes", json=[])
    assert provider.note_find("7", SERVICE, "RF-ABCD2345", NoteKind.ANALYSIS) == []
    assert query(0)["conditions"] == 'text contains "RF-ABCD2345"'
    assert "conditions" not in query(1)
    assert query(1)["orderBy"] == "id desc"
    assert len(responses.calls) == 2


@responses.activate
def test_a_hit_needs_marker_section_and_no_contact(provider: ConnectWiseProvider) -> None:
    def row(number: int, **more: Any) -> dict[str, Any]:
        return {"id": number, "text": "Ref RF-ABCD2345", "internalAnalysisFlag": True, **more}

    rows = [
        row(1),
        row(2, internalAnalysisFlag=False, resolutionFlag=True),
        row(3, contact={"id": 9, "name": "Carl"}),
        row(4, text="Ref RF-OTHER"),
        row(5, detailDescriptionFlag=True),
        row(6, internalAnalysisFlag=None),
    ]
    responses.add("GET", f"{BASE}/service/tickets/7/notes", json=rows)
    found = provider.note_find("7", SERVICE, "RF-ABCD2345", NoteKind.ANALYSIS)
    assert [note.id for note in found] == ["1", "5"]
    assert found[1].customer_visible


@responses.activate
def test_a_server_that_cannot_filter_notes_is_read_newest_first(provider: ConnectWiseProvider) -> None:
    hit = {"id": 9, "text": "Ref RF-ABCD2345", "internalAnalysisFlag": True}
    old = [{"id": n, "text": "x"} for n in range(1, 4)]

    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        asked = parse_qs(urlsplit(request.url).query)
        if "conditions" in asked:
            return 400, {}, json.dumps(REFUSED)
        if asked["page"] == ["1"]:
            link = f'<{BASE.replace("api-na", "na")}/x?page=2>; rel="next", <x?page=9>; rel="last"'
            return 200, {"Link": link}, json.dumps(old)
        return 200, {}, json.dumps([hit])

    responses.add_callback("GET", f"{BASE}/service/tickets/7/notes", callback=answer)
    assert [n.id for n in provider.note_find("7", SERVICE, "RF-ABCD2345", NoteKind.ANALYSIS)] == ["9"]
    assert [query(n).get("orderBy") for n in (1, 2)] == ["id desc", "id desc"]
    assert all(urlsplit(call.request.url).netloc == "api-na.myconnectwise.net" for call in responses.calls)


@responses.activate
def test_a_server_that_cannot_sort_notes_either_is_read_whole(provider: ConnectWiseProvider) -> None:
    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        asked = parse_qs(urlsplit(request.url).query)
        if "conditions" in asked or "orderBy" in asked:
            return 400, {}, json.dumps(REFUSED)
        return 200, {}, json.dumps([{"id": 9, "text": "RF-ABCD2345", "internalAnalysisFlag": True}])

    responses.add_callback("GET", f"{BASE}/service/tickets/7/notes", callback=answer)
    assert len(provider.note_find("7", SERVICE, "RF-ABCD2345", NoteKind.ANALYSIS)) == 1


@pytest.mark.parametrize("status", [200, 403, 404, 429, 500])
@responses.activate
def test_a_look_that_could_not_read_is_never_an_empty_answer(
    provider: ConnectWiseProvider, status: int
) -> None:
    responses.add("GET", f"{BASE}/service/tickets/7/notes", body="<html>?</html>", status=status)
    with pytest.raises(ProviderError):
        provider.note_find("7", SERVICE, "RF-ABCD2345", NoteKind.ANALYSIS)


def test_a_look_without_a_marker_is_refused(provider: ConnectWiseProvider) -> None:
    with pytest.raises(UnavailableError):
        provider.note_find("7", SERVICE, " ", NoteKind.ANALYSIS)


@responses.activate
def test_all_notes_of_all_shapes_come_newest_first(provider: ConnectWiseProvider) -> None:
    rows = [
        {"id": 3, "text": "old", "dateCreated": "2026-01-01T00:00:00Z"},
        {"id": 900, "text": "time", "noteType": "TimeEntryNote", "timeStart": "2026-03-01T00:00:00Z"},
        {"id": 4, "text": "info", "_info": {"lastUpdated": "2026-02-01T00:00:00Z", "enteredBy": "ann"}},
        {"id": 5, "text": "undated"},
    ]
    responses.add("GET", f"{BASE}/service/tickets/7/allNotes", json=rows)
    notes = provider.ticket_notes("7", SERVICE)
    assert [note.text for note in notes] == ["time", "info", "old", "undated"]
    assert [note.from_time_entry for note in notes] == [True, False, False, False]
    assert notes[1].author == "ann"


# Status ------------------------------------------------------------------------------------------


def mock_ticket(place: str = "service", **more: Any) -> None:
    ticket = {
        "id": 7,
        "summary": "x",
        "board": {"id": 2, "name": "Desk"},
        "status": {"id": 20, "name": "New"},
    }
    responses.add("GET", f"{BASE}/{place}/tickets/7", json={**ticket, **more})
    statuses = [
        {"id": 21, "name": "Done", "closedStatus": True, "sortOrder": 2, "emailTemplate": {"id": 1}},
        {"id": 20, "name": "New", "sortOrder": 1, "timeEntryNotAllowed": True},
        {"id": 22, "name": "Old", "sortOrder": 3, "inactive": True},
    ]
    responses.add("GET", f"{BASE}/service/boards/2/statuses", json=statuses)


@pytest.mark.parametrize("notify", [False, True])
@pytest.mark.parametrize("place", RecordType)
@responses.activate
def test_a_status_is_patched_as_a_whole_reference(
    provider: ConnectWiseProvider, place: RecordType, notify: bool
) -> None:
    mock_ticket(place.value, **({"recordType": "ProjectTicket"} if place is PROJECT else {}))
    responses.add(
        "PATCH", f"{BASE}/{place.value}/tickets/7", json={"id": 7, "status": {"id": 21, "name": "Done"}}
    )
    provider.status_set("7", place, "21", notify=notify)
    patch = next(call.request for call in responses.calls if call.request.method == "PATCH")
    assert json.loads(patch.body) == [
        {"op": "replace", "path": "status", "value": {"id": 21}},
        {"op": "replace", "path": "processNotifications", "value": notify},
    ]
    assert [call.request.method for call in responses.calls] == ["GET", "GET", "PATCH", "GET"]


@responses.activate
def test_what_is_observed_is_what_the_second_read_says(provider: ConnectWiseProvider) -> None:
    mock_ticket()
    responses.add("PATCH", f"{BASE}/service/tickets/7", json={"id": 7, "status": {"id": 21, "name": "Done"}})
    after = provider.status_set("7", SERVICE, "21")
    assert after.status is not None
    assert after.status.id == "20"


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
@responses.activate
def test_a_second_read_that_fails_leaves_the_answer_of_the_change(
    provider: ConnectWiseProvider, status: int
) -> None:
    mock_ticket()

    def change(request: Any) -> tuple[int, dict[str, str], str]:
        responses.replace("GET", f"{BASE}/service/tickets/7", json={"code": "x"}, status=status)
        return 200, {}, json.dumps({"id": 7, "status": {"id": 21, "name": "Done"}, "closedFlag": True})

    responses.add_callback("PATCH", f"{BASE}/service/tickets/7", callback=change)
    after = provider.status_set("7", SERVICE, "21")
    assert after.status is not None
    assert after.status.id == "21"
    assert after.closed


@responses.activate
def test_an_unclear_answer_to_a_patch_is_unknown(provider: ConnectWiseProvider) -> None:
    mock_ticket()
    responses.add("PATCH", f"{BASE}/service/tickets/7", body="", status=200)
    with pytest.raises(OutcomeUnknownError):
        provider.status_set("7", SERVICE, "21")


@responses.activate
def test_statuses_tell_order_and_flags(provider: ConnectWiseProvider) -> None:
    mock_ticket()
    new, done, old = provider.statuses_of_board("2", SERVICE)
    assert [new.name, done.name, old.name] == ["New", "Done", "Old"]
    assert (done.closed, done.mails_customer, done.active) == (True, True, True)
    assert (new.time_entry_allowed, old.active) == (False, False)


@responses.activate
def test_a_project_ticket_among_the_service_tickets_is_not_found(provider: ConnectWiseProvider) -> None:
    mock_ticket(recordType="ProjectTicket")
    with pytest.raises(NotFoundError, match="project"):
        provider.ticket_get("7", SERVICE)


@responses.activate
def test_a_ticket_is_mapped(provider: ConnectWiseProvider) -> None:
    raw = {
        "id": 7,
        "summary": "Printer",
        "recordType": "ServiceTicket",
        "board": {"id": 2, "name": "Desk"},
        "status": {"id": 21, "name": "Done"},
        "company": {"id": 3, "identifier": "Acme", "name": "Acme Bakery"},
        "contact": {"id": 4, "name": "Carl"},
        "owner": {"id": 5, "identifier": "ann", "name": "Ann Ames"},
        "closedFlag": True,
        "mergedParentTicket": {"id": 6, "summary": "Other"},
        "_info": {
            "lastUpdated": "2026-04-14T16:40:00Z",
            "updatedBy": "ben",
            "dateEntered": "2026-04-13T08:00:00Z",
        },
    }
    responses.add("GET", f"{BASE}/service/tickets/7", json=raw)
    ticket = provider.ticket_get("7", SERVICE)
    assert ticket.closed
    assert ticket.status is not None
    assert ticket.status.board_id == "2"
    assert (ticket.owner, ticket.merged_into, ticket.updated_by) == ("Ann Ames", "6", "ben")
    assert ticket.company is not None
    assert ticket.company.name == "Acme Bakery"
    assert str(ticket.created_at) == "2026-04-13 08:00:00+00:00"
    assert ticket.url == (
        "https://na.myconnectwise.net/v4_6_release/services/system_io/Service/fv_sr100_request.rails"
        "?service_recid=7&companyName=acme"
    )
    assert ticket.raw["recordType"] == "ServiceTicket"


# Search ------------------------------------------------------------------------------------------


@responses.activate
def test_a_search_by_number_member_and_board(provider: ConnectWiseProvider) -> None:
    rows = [
        {"id": 1, "owner": {"id": 5, "identifier": "Ann"}},
        {"id": 2, "resources": "ben, ann"},
        {"id": 3, "resources": "annabel"},
    ]
    responses.add("GET", f"{BASE}/service/tickets", json=rows)
    found = provider.ticket_search("#123", board_id="2", member_identifier="ann", page=2, page_size=10)
    assert [t.id for t in found.items] == ["1", "2"]
    assert query() == {
        "conditions": '((id = 123) or (summary contains "#123")) and (board/id = 2) and '
        '((owner/identifier = "ann") or (resources contains "ann"))',
        "orderBy": "closedFlag asc,lastUpdated desc",
        "page": "2",
        "pageSize": "10",
    }


@responses.activate
def test_a_server_that_cannot_sort_by_change_sorts_by_number(provider: ConnectWiseProvider) -> None:
    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        if "lastUpdated" in request.url:
            return 400, {}, json.dumps(REFUSED)
        return 200, {}, '[{"id": 1}]'

    responses.add_callback("GET", f"{BASE}/project/tickets", callback=answer)
    assert len(provider.ticket_search(record_type=PROJECT).items) == 1
    assert query()["orderBy"] == "id desc"


@responses.activate
def test_a_long_search_is_posted_and_pages_by_full_pages(provider: ConnectWiseProvider) -> None:
    responses.add("POST", f"{BASE}/service/tickets/search", json=[{"id": 1}, {"id": 2}])
    found = provider.ticket_search("ö" * 400, page=3, page_size=2)
    assert found.next_page == 4
    assert query() == {"page": "3", "pageSize": "2"}
    assert set(sent()) == {"conditions", "orderBy"}
    assert responses.calls[0].request.method == "POST"


@responses.activate
def test_a_posted_search_is_a_read_and_repeated(provider: ConnectWiseProvider) -> None:
    responses.add("POST", f"{BASE}/service/tickets/search", status=503)
    responses.add("POST", f"{BASE}/service/tickets/search", json=[])
    assert provider.ticket_search("ö" * 400).items == ()


@pytest.mark.parametrize("wrong", ["x", "1 or 1=1", "-1"])
def test_a_filter_by_something_that_is_no_id_is_refused(provider: ConnectWiseProvider, wrong: str) -> None:
    with pytest.raises(RejectedError):
        provider.ticket_search(board_id=wrong)
    with pytest.raises(RejectedError):
        provider.contacts(company_id=wrong)


@responses.activate
def test_companies_and_contacts_filters(provider: ConnectWiseProvider) -> None:
    companies = [{"id": 1, "name": "A"}, {"id": 2, "name": "B", "deletedFlag": True}]
    responses.add("GET", f"{BASE}/company/companies", json=companies)
    assert [c.id for c in provider.companies('a"b').items] == ["1"]
    assert query()["conditions"] == '(name contains "a\\"b") or (identifier contains "a\\"b")'
    contact = {
        "id": 4,
        "firstName": "Carl",
        "lastName": "Cook",
        "communicationItems": [
            {"communicationType": "Email", "value": "Carl@Acme.example"},
            {"communicationType": "Email", "value": "carl@acme.example"},
            {"communicationType": "Phone", "value": "555"},
            {"communicationType": "Fax", "value": "556"},
            {"communicationType": "Email"},
            None,
        ],
    }
    responses.add("GET", f"{BASE}/company/contacts", json=[contact])
    found = provider.contacts("carl cook", company_id="3").items[0]
    assert (found.name, found.emails, found.phones) == ("Carl Cook", ("carl@acme.example",), ("555",))
    assert query()["conditions"].startswith("(company/id = 3) and ((firstName contains")


@responses.activate
def test_devices_are_named_by_their_identifier(provider: ConnectWiseProvider) -> None:
    rows = [{"id": 1, "deviceIdentifier": "ACME-PC"}, {"id": 2, "_info": {"name": "ACME-SRV"}}, {"id": 3}]
    responses.add("GET", f"{BASE}/service/tickets/7/configurations", json=rows)
    assert [d.name for d in provider.configurations_of("7", SERVICE)] == ["ACME-PC", "ACME-SRV", "#3"]


# Paging ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("link", "following"),
    [
        ("", None),
        ('<https://evil.example/x?pageSize=50&page=2>; rel="next"', Next("page", 2)),
        ('<https://h/x?page=1>; rel="prev", <https://h/x?Page=3>; rel=next', Next("page", 3)),
        ('<https://h/x?pageId=77&page=2>; rel="next"', Next("pageId", 77)),
        ('<https://h/x?conditions=a%3d%22%3c%22&page=2>; rel="next last"', Next("page", 2)),
        ('<https://h/x?page=4>; rel="last"', None),
        ('<https://h/x?page=-4>; rel="next"', None),
        ('<https://h/x?page=1e3>; rel="next"', None),
        ('<https://h/x?page=99999999999999>; rel="next"', None),
        ('<https://h/x>; rel="next"', None),
        ("garbage <<>>;;;", None),
        ('<https://[x/?page=2>; rel="next"', None),
    ],
)
def test_of_a_link_header_only_a_number_is_taken(link: str, following: Next | None) -> None:
    assert next_of(link) == following


def rows(first: int, count: int) -> list[dict[str, Any]]:
    return [{"id": n, "identifier": f"m{n}"} for n in range(first, first + count)]


@responses.activate
def test_a_whole_list_goes_forward_only_and_stays_on_our_host(provider: ConnectWiseProvider) -> None:
    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        assert request.headers["pagination-type"] == "forward-only"
        after = int(parse_qs(urlsplit(request.url).query).get("pageId", ["0"])[0])
        link = f'<https://evil.example/x?pageId={after + 1000}>; rel="next"'
        return 200, {"Link": link}, json.dumps(rows(after + 1, 1000 if after < 2000 else 5))

    responses.add_callback("GET", f"{BASE}/system/info/members", callback=answer)
    members = provider.members()
    assert len(members) == 2005
    assert len(responses.calls) == 3
    assert "page" not in query()


@pytest.mark.parametrize(
    ("sizes", "links", "count"),
    [
        ([1000, 0], ["pageId=1000", "pageId=1000"], 1000),
        ([1000, 1000], ["page=2", ""], 2000),
        ([1000], [""], 1000),
        ([0], [""], 0),
    ],
)
@responses.activate
def test_a_whole_list_ends(
    provider: ConnectWiseProvider, sizes: list[int], links: list[str], count: int
) -> None:
    for number, (size, link) in enumerate(zip(sizes, links, strict=True)):
        headers = {"Link": f'<https://h/x?{link}>; rel="next"'} if link else {}
        responses.add(
            "GET", f"{BASE}/system/info/members", json=rows(1 + 1000 * number, size), headers=headers
        )
    assert len(provider.members()) == count


@responses.activate
def test_a_list_that_goes_in_circles_is_an_error_not_a_loop(provider: ConnectWiseProvider) -> None:
    link = {"Link": '<https://h/x?pageId=1000>; rel="next"'}
    responses.add("GET", f"{BASE}/system/info/members", json=rows(1, 1000), headers=link)
    with pytest.raises(UnavailableError, match="circles"):
        provider.members()
    assert len(responses.calls) == 2


@responses.activate
def test_members_come_from_the_slim_list(provider: ConnectWiseProvider) -> None:
    raw = [
        {"id": 1, "identifier": "ann", "fullName": "Ann Ames", "defaultEmail": "Ann@MSP.example"},
        {"id": 2, "identifier": "api", "licenseClass": "A", "firstName": "Api", "inactiveFlag": True},
        {"id": 3, "identifier": "stub", "defaultEmail": "Office"},
    ]
    responses.add("GET", f"{BASE}/system/info/members", json=raw)
    ann, api, stub = provider.members()
    assert (ann.name, ann.emails, ann.active, ann.is_api) == ("Ann Ames", ("ann@msp.example",), True, False)
    assert (api.name, api.active, api.is_api) == ("Api", False, True)
    assert (stub.name, stub.emails) == ("stub", ())


def test_a_site_nobody_can_reach_is_refused_when_the_provider_is_made() -> None:
    with pytest.raises(RejectedError):
        make_provider(endpoint=None, site="two words")
