"""Faults on demand and the rest of the control API."""

from __future__ import annotations

import time

import pytest
import requests

from psa.providers.connectwise.sandbox.tests.conftest import Api

NOTE = {"text": "x", "internalAnalysisFlag": True}
PATH = "/service/tickets/57001/notes"


def test_drop_before_does_nothing(api: Api) -> None:
    before = len(api.sandbox.notes(57001))
    fault = {"method": "POST", "path": "/notes$", "kind": "drop_before", "count": 1}
    assert api.control("POST", "faults", fault).status_code == 200
    with pytest.raises(requests.ConnectionError):
        api.post(PATH, NOTE)
    assert len(api.sandbox.notes(57001)) == before
    assert api.post(PATH, NOTE).status_code == 201


def test_drop_after_does_the_work(api: Api) -> None:
    before = len(api.sandbox.notes(57001))
    api.sandbox.faults.add("drop_after", path="/notes$", count=1)
    with pytest.raises(requests.ConnectionError):
        api.post(PATH, NOTE)
    assert len(api.sandbox.notes(57001)) == before + 1
    assert api.sandbox.requests[-1]["fault"] == "drop_after"


@pytest.mark.parametrize(("status", "code"), [(401, "ConnectWiseApi"), (403, "Security"), (404, "NotFound")])
def test_status_in_its_usual_shape(api: Api, status: int, code: str) -> None:
    before = len(api.sandbox.notes(57001))
    api.sandbox.faults.add("status", method="POST", status=status)
    answer = api.post(PATH, NOTE)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert len(api.sandbox.notes(57001)) == before


def test_rate_limit(api: Api) -> None:
    api.sandbox.faults.add("status", status=429, seconds=7, count=1)
    answer = api.get("/service/tickets")
    assert answer.headers["Retry-After"] == "7"
    assert answer.json()["error"] == "ConnectWiseAPI"


@pytest.mark.parametrize("status", [502, 503])
def test_proxy_errors_are_html(api: Api, status: int) -> None:
    api.sandbox.faults.add("status", status=status)
    answer = api.get("/service/tickets")
    assert answer.status_code == status
    assert answer.text.startswith("<html>")


def test_status_after_the_work(api: Api) -> None:
    before = len(api.sandbox.notes(57001))
    api.sandbox.faults.add("status", status=500, after=True, body={"code": "x"}, count=1)
    assert api.post(PATH, NOTE).json() == {"code": "x"}
    assert len(api.sandbox.notes(57001)) == before + 1


def test_garbage_is_a_success_that_cannot_be_read(api: Api) -> None:
    before = len(api.sandbox.notes(57001))
    api.sandbox.faults.add("garbage", method="POST", count=1)
    answer = api.post(PATH, NOTE)
    assert answer.status_code == 201
    with pytest.raises(requests.JSONDecodeError):
        answer.json()
    assert len(api.sandbox.notes(57001)) == before + 1


def test_latency(api: Api) -> None:
    api.sandbox.faults.add("latency", seconds=0.2, count=1)
    started = time.monotonic()
    api.get("/system/info")
    assert time.monotonic() - started >= 0.2


def test_probability_is_repeatable(api: Api) -> None:
    def run() -> list[int]:
        api.sandbox.faults.clear()
        api.sandbox.faults.add("status", status=503, probability=0.5)
        return [api.get("/system/info").status_code for _ in range(12)]

    first = run()
    assert set(first) == {200, 503}
    assert run() == first


def test_path_may_start_below_the_api(api: Api) -> None:
    api.sandbox.faults.add("status", path="^/system/info$", status=503)
    assert api.get("/system/info").status_code == 503
    assert api.get("/system/info/members").status_code == 200


def test_faults_can_be_cleared(api: Api) -> None:
    api.sandbox.faults.add("status", status=503)
    assert api.control("DELETE", "faults").status_code == 204
    assert api.get("/system/info").status_code == 200


@pytest.mark.parametrize(
    "fault", [{}, {"kind": "explode"}, {"kind": "status", "path": "("}, {"kind": "status", "x": 1}]
)
def test_bad_fault_is_refused(api: Api, fault: dict[str, object]) -> None:
    assert api.control("POST", "faults", fault).status_code == 400


def test_request_log_hides_the_keys(api: Api) -> None:
    api.call("GET", "/service/tickets", params={"pageSize": 1})
    entry = api.control("GET", "requests").json()[-1]
    assert entry["method"] == "GET"
    assert entry["path"].endswith("/service/tickets")
    assert (entry["query"], entry["status"]) == ("pageSize=1", 200)
    assert entry["headers"]["authorization"] == "(redacted)"
    assert entry["headers"]["clientid"] == api.sandbox.credentials.client_id
    api.control("DELETE", "requests")
    assert api.sandbox.requests == []


def test_reset_brings_everything_back(api: Api) -> None:
    before = api.get("/service/tickets", pageSize=100).json()
    api.call("DELETE", "/service/tickets/57001")
    api.sandbox.faults.add("status", status=503)
    assert api.control("POST", "reset").status_code == 204
    assert api.get("/service/tickets", pageSize=100).json() == before


def test_unknown_setting_is_refused(api: Api) -> None:
    assert api.control("POST", "settings", {"colour": 1}).status_code == 400
    assert api.control("GET", "nonsense").status_code == 404
