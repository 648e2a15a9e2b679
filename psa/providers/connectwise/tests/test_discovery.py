"""Finding the API: what companyinfo may answer, and that no credential and no foreign host is involved."""

from __future__ import annotations

from typing import Any

import pytest
import responses

from psa.exceptions import (
    AuthenticationFailedError,
    ClientIdRefusedError,
    MovedError,
    ProviderError,
    RejectedError,
    UnavailableError,
)
from psa.providers.connectwise.tests.conftest import BASE, make_provider
from psa.types import Endpoint, NoteDraft, NoteKind, RecordType

INFO = "https://na.myconnectwise.net/login/companyinfo/acme"
SERVICE = RecordType.SERVICE
DRAFT = NoteDraft(NoteKind.ANALYSIS, "text")
FULL = {
    "CompanyName": "Acme",
    "Codebase": "v2025_1/",
    "VersionCode": "v2025.1",
    "VersionNumber": "v2025.1.104218",
    "CompanyID": "acme",
    "IsCloud": "True",
    "SiteUrl": "evil.example",
}


@responses.activate
def test_the_cloud_is_found_and_the_answer_names_no_host() -> None:
    responses.add("GET", INFO, json=FULL)
    provider = make_provider(endpoint=None)
    assert provider.discover() == Endpoint("na.myconnectwise.net", BASE, "v2025.1.104218", "2025.16")


@responses.activate
def test_discovery_happens_on_first_use_and_once() -> None:
    responses.add("GET", INFO, json=FULL)
    responses.add("GET", f"{BASE}/service/tickets/1", json={"id": 1})
    provider = make_provider(endpoint=None)
    assert provider.endpoint is None
    for _ in range(3):
        provider.ticket_get("1", SERVICE)
    assert [call.request.url for call in responses.calls].count(INFO) == 1
    assert provider.endpoint is not None


@responses.activate
def test_a_site_is_cut_when_it_comes_unclean() -> None:
    responses.add("GET", INFO, json=FULL)
    provider = make_provider(endpoint=None, site="https://NA.myconnectwise.net/v4_6_release/x")
    assert provider.discover().site == "na.myconnectwise.net"


@pytest.mark.parametrize(
    ("answer", "error", "fields"),
    [
        ({"body": "null"}, RejectedError, {"company_id"}),
        ({"status": 404}, RejectedError, {"company_id"}),
        ({"status": 404, "json": {"Message": "no"}}, RejectedError, {"company_id"}),
        ({"status": 404, "body": "<html>404</html>"}, RejectedError, {"site", "company_id"}),
        ({"body": "<html>Welcome</html>"}, RejectedError, {"site"}),
        ({"body": "hello"}, RejectedError, {"site"}),
        ({"json": ["list"]}, RejectedError, {"site"}),
        ({"status": 302, "headers": {"Location": "https://evil.example"}}, RejectedError, {"site"}),
        ({"status": 401}, RejectedError, {"site"}),
        ({"status": 403, "body": "<html>no</html>"}, RejectedError, {"site"}),
        ({"body": ""}, UnavailableError, None),
        ({"status": 500}, UnavailableError, None),
        ({"status": 503, "body": "<html>upgrade</html>"}, MovedError, None),
        ({"json": {"Codebase": "../"}}, UnavailableError, None),
        ({"json": {"Codebase": "//evil.example/"}}, UnavailableError, None),
        ({"json": {}}, UnavailableError, None),
        ({"json": {"Codebase": 5}}, UnavailableError, None),
    ],
)
@responses.activate
def test_what_a_wrong_answer_means_for_a_new_connection(
    answer: dict[str, Any], error: type[ProviderError], fields: set[str] | None
) -> None:
    responses.add("GET", INFO, **answer)
    with pytest.raises(error) as caught:
        make_provider(endpoint=None).discover()
    assert caught.value.message.endswith(".")
    if fields is not None:
        assert set(caught.value.fields) == fields  # type: ignore[attr-defined]


@pytest.mark.parametrize("answer", [{"body": "<html>x</html>"}, {"status": 302}, {"body": "hello"}])
@responses.activate
def test_a_wrong_page_of_a_known_server_is_an_upgrade(answer: dict[str, Any]) -> None:
    responses.add("GET", INFO, **answer)
    with pytest.raises(MovedError):
        make_provider().discover()


# Moved codebase ----------------------------------------------------------------------------------

NEW = BASE.replace("v2025_1", "v2025_2")
GONE: list[dict[str, Any]] = [
    {"status": 404, "json": {"code": "ConnectWiseApi", "message": "The endpoint does not exist."}},
    {"status": 400, "body": "Cannot route. Codebase/company is invalid."},
]


@pytest.mark.parametrize("gone", GONE)
@responses.activate
def test_a_moved_codebase_is_found_and_the_call_repeated_once(gone: dict[str, Any]) -> None:
    provider = make_provider()
    responses.add("GET", f"{BASE}/service/tickets/1", **gone)
    responses.add("POST", f"{BASE}/service/tickets/1/notes", **gone)
    responses.add("GET", INFO, json={**FULL, "Codebase": "v2025_2/"})
    responses.add("GET", f"{NEW}/service/tickets/1", json={"id": 1})
    responses.add("POST", f"{NEW}/service/tickets/1/notes", json={"id": 5, "internalAnalysisFlag": True})
    assert provider.note_add("1", SERVICE, DRAFT).id == "5"
    assert provider.endpoint is not None
    assert provider.endpoint.base_url == NEW
    assert provider.ticket_get("1", SERVICE).id == "1"
    assert [call.request.method for call in responses.calls] == ["POST", "GET", "POST", "GET"]


@responses.activate
def test_a_call_that_is_misrouted_again_is_not_repeated_forever() -> None:
    provider = make_provider()
    for base in (BASE, NEW):
        responses.add("POST", f"{base}/service/tickets/1/notes", **GONE[0])
    responses.add("GET", INFO, json={**FULL, "Codebase": "v2025_2/"})
    with pytest.raises(MovedError):
        provider.note_add("1", SERVICE, DRAFT)
    assert len(responses.calls) == 3


@responses.activate
def test_an_unchanged_codebase_is_asked_for_once_in_a_while() -> None:
    provider = make_provider()
    responses.add("GET", f"{BASE}/service/tickets/1", **GONE[0])
    responses.add("GET", INFO, json=FULL)
    for _ in range(3):
        with pytest.raises(MovedError):
            provider.ticket_get("1", SERVICE)
    assert [call.request.url for call in responses.calls].count(INFO) == 1


@responses.activate
def test_a_lookup_that_fails_leaves_the_first_error() -> None:
    provider = make_provider()
    responses.add("GET", f"{BASE}/service/tickets/1", **GONE[1])
    responses.add("GET", INFO, status=500)
    with pytest.raises(MovedError):
        provider.ticket_get("1", SERVICE)


# API version -------------------------------------------------------------------------------------

OLD = {"code": "ConnectWiseApi", "message": "Request /x does not support API version 2025.16."}


@pytest.mark.parametrize("status", [400, 404, 406, 415])
@responses.activate
def test_an_unknown_version_is_asked_for_once_and_remembered(status: int) -> None:
    provider = make_provider()

    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        if "version" in request.headers["Accept"]:
            return status, {}, '{"code":"ConnectWiseApi","message":"No API version 2025.16 at /x"}'
        return 201, {}, '{"id": 5}'

    responses.add_callback("POST", f"{BASE}/service/tickets/1/notes", callback=answer)
    for _ in range(2):
        assert provider.note_add("1", SERVICE, DRAFT).id == "5"
    accepts = [call.request.headers["Accept"] for call in responses.calls]
    plain = "application/vnd.connectwise.com+json"
    assert accepts == [f"{plain}; version=2025.16", plain, plain]
    assert provider.endpoint is not None
    assert provider.endpoint.api_version == ""


@responses.activate
def test_the_remembered_version_survives_a_new_discovery_of_the_same_codebase() -> None:
    responses.add("GET", INFO, json=FULL)
    provider = make_provider(endpoint=Endpoint("na.myconnectwise.net", BASE, "x", ""))
    assert provider.discover().api_version == ""
    responses.replace("GET", INFO, json={**FULL, "Codebase": "v2026_1/"})
    assert provider.discover().api_version == "2025.16"


# What the first login tells ----------------------------------------------------------------------


@responses.activate
def test_probe_with_a_routing_refusal_names_client_id_and_company() -> None:
    responses.add("GET", INFO, json=FULL)
    for path in ("/system/myMembers/info", "/service/tickets/count"):
        responses.add("GET", f"{BASE}{path}", **GONE[1])
    with pytest.raises(ClientIdRefusedError, match=r"client ID.*company ID"):
        make_provider().probe()


@responses.activate
def test_probe_with_missing_endpoints_everywhere_means_wrong_keys() -> None:
    responses.add("GET", INFO, json=FULL)
    for path in ("/system/myMembers/info", "/service/tickets/count"):
        responses.add("GET", f"{BASE}{path}", **GONE[0])
    with pytest.raises(AuthenticationFailedError, match="company ID"):
        make_provider().probe()


@responses.activate
def test_access_is_there_when_only_the_member_read_is_missing() -> None:
    responses.add("GET", INFO, json=FULL)
    responses.add("GET", f"{BASE}/system/myMembers/info", **GONE[0])
    responses.add("GET", f"{BASE}/service/tickets/count", json={"count": 3})
    assert make_provider().check_access() is None
