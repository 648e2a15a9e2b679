"""Keys, codebase, versions, routes and the shapes of refusals outside the body."""

from __future__ import annotations

import pytest
import requests

from psa.providers.connectwise.sandbox.tests.conftest import Api


def test_company_info_needs_no_keys(api: Api) -> None:
    answer = requests.get(f"{api.sandbox.url}/login/companyinfo/acme_msp", timeout=5).json()
    assert answer["Codebase"] == "v4_6_release/"
    assert answer.keys() == {
        "CompanyName", "Codebase", "VersionCode", "VersionNumber", "CompanyID", "IsCloud", "SiteUrl",
    }  # fmt: skip


def test_unknown_company_is_null(api: Api) -> None:
    answer = requests.get(f"{api.sandbox.url}/login/companyinfo/other", timeout=5)
    assert (answer.status_code, answer.json()) == (200, None)


def test_wrong_keys(api: Api) -> None:
    api.login(api.sandbox.credentials.public_key, "wrong")
    answer = api.get("/service/tickets")
    assert answer.status_code == 401
    assert answer.json() == {"code": "ConnectWiseApi", "message": "UserNotAuthenticated"}
    api.http.headers["Authorization"] = "Bearer x"
    assert api.get("/service/tickets").status_code == 401


def test_wrong_client_id_is_plain_text(api: Api) -> None:
    for value in (None, "00000000-0000-0000-0000-000000000000"):
        answer = api.call("GET", "/service/tickets", headers={"clientId": value})
        assert answer.status_code == 400
        assert answer.text.startswith("Cannot route. Codebase/company is invalid")


def test_other_company_is_not_found(api: Api) -> None:
    answer = requests.get(
        f"{api.sandbox.api_url}/service/tickets",
        auth=("other+x", "y"),
        headers={"clientId": api.sandbox.credentials.client_id},
        timeout=5,
    )
    assert answer.status_code == 404


def test_headers_of_an_answer(api: Api) -> None:
    headers = api.get("/system/info").headers
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert headers["api-current-version"] == "2025.16"
    assert headers["Cache-Control"] == "no-cache"
    assert headers["x-cw-request-id"]


VENDOR = "application/vnd.connectwise.com+json"


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/json", 200),
        ("*/*", 200),
        (VENDOR, 200),
        (f"{VENDOR}; version=2025.16", 200),
        (f"{VENDOR}; version=2022.1", 200),
        (f"{VENDOR}; version=2025.17", 400),
        (f"{VENDOR}; version=2031.1, application/json", 400),
        (f"application/json, {VENDOR}; version=2031.1", 200),
        (f"{VENDOR}; version=new", 400),
    ],
)
def test_version_negotiation(api: Api, accept: str, status: int) -> None:
    answer = api.call("GET", "/system/info", headers={"Accept": accept})
    assert answer.status_code == status
    if status == 400:
        assert answer.json()["code"] == "ConnectWiseApi"


def test_older_server_refuses_the_release(api: Api) -> None:
    api.sandbox.configure(supported_version="2024.3")
    headers = {"Accept": f"{VENDOR}; version=2025.16"}
    assert api.call("GET", "/system/info", headers=headers).status_code == 400


def test_moved_codebase(api: Api) -> None:
    old = api.sandbox.api_url
    api.control("POST", "settings", {"codebase": "v2025_1"})
    answer = api.http.get(f"{old}/service/tickets", timeout=5)
    assert (answer.status_code, answer.json()["code"]) == (404, "ConnectWiseApi")
    assert api.get("/service/tickets").status_code == 200
    info = requests.get(f"{api.sandbox.url}/login/companyinfo/acme_msp", timeout=5).json()
    assert info["Codebase"] == "v2025_1/"


def test_doubled_path_cannot_be_routed(api: Api) -> None:
    answer = api.http.get(f"{api.sandbox.url}/x/v4_6_release/apis/3.0/service/tickets", timeout=5)
    assert (answer.status_code, answer.headers["Content-Type"][:10]) == (400, "text/plain")


def test_unknown_route_and_record_and_method(api: Api) -> None:
    assert api.get("/service/unicorns").json()["code"] == "ConnectWiseApi"
    missing = api.get("/service/tickets/57919")
    assert missing.status_code == 404
    assert missing.json()["message"] == "Ticket 57919 not found"
    refused = api.call("DELETE", "/service/tickets")
    assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, POST")


def test_trailing_slash_is_taken(api: Api) -> None:
    assert api.get("/system/members/").status_code == 200


def test_member_is_found_by_identifier(api: Api) -> None:
    assert api.get("/system/members/bkeller").json()["id"] == 102
    assert api.get("/system/info/members/bkeller").json()["fullName"] == "Ben Keller"


def test_members_have_real_mail_fields(api: Api) -> None:
    members = {row["identifier"]: row for row in api.get("/system/members").json()}
    slim = {row["identifier"]: row for row in api.get("/system/info/members").json()}
    assert len(members) == len(slim) == 14
    assert not any("emailAddress" in row for row in members.values())
    assert members["dpatel"]["defaultEmail"] == "Mobile"
    assert slim["dpatel"]["defaultEmail"] == members["dpatel"]["mobileEmail"]
    assert members["fchan"]["primaryEmail"] == members["gromano"]["primaryEmail"]
    assert [i for i, row in members.items() if row["inactiveFlag"]] == ["lmoss"]
    assert [i for i, row in members.items() if row["licenseClass"] == "A"] == ["rfapi"]
    assert not {"hourlyRate", "homeEmail", "token"} & slim["bkeller"].keys()


def test_own_member_and_rights(api: Api) -> None:
    assert api.get("/system/myMembers").json()["identifier"] == "rfapi"
    rows = api.get("/system/mySecurity", pageSize=100).json()
    assert {"Service Tickets", "Table Setup"} <= {row["moduleFunctionName"] for row in rows}
    less = [{"moduleFunctionName": "Service Tickets", "inquireLevel": "My"}]
    api.control("POST", "settings", {"security": less})
    (row,) = api.get("/system/mySecurity").json()
    assert (row["inquireLevel"], row["editLevel"]) == ("My", "None")
    assert api.get("/company/contacts").json()["code"] == "Security"


def test_token_acts_as_the_member(api: Api) -> None:
    keys = api.call("POST", "/system/members/cdiaz/tokens").json()
    api.login(keys["publicKey"], keys["privateKey"])
    note = api.post("/service/tickets/57001/notes", {"text": "x", "internalAnalysisFlag": True}).json()
    assert note["member"]["identifier"] == "cdiaz"
