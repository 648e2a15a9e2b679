"""The client above the sockets: repeats, redirects, log lines, traces."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest
import responses

from psa.exceptions import OutcomeUnknownError, ProviderError, UnavailableError
from psa.providers.http import HttpClient, mark_write_sent, trace_writes
from psa.providers.tests.servers import answering, reply, serving

URL = "https://psa.example/v1/apis/3.0/service/tickets"


@pytest.fixture
def http(monkeypatch: pytest.MonkeyPatch) -> HttpClient:
    monkeypatch.setattr("psa.providers.retry.FIRST_WAIT_S", 0.001)
    return HttpClient()


def get(http: HttpClient, **more: Any) -> Any:
    return http.send("GET", URL, operation="test", write=False, **more)


@responses.activate
def test_a_read_is_repeated_twice_at_most(http: HttpClient) -> None:
    for status in (503, 502, 504, 200):
        responses.add("GET", URL, status=status)
    assert get(http).status == 504
    assert len(responses.calls) == 3


@responses.activate
def test_a_read_that_recovers_succeeds(http: HttpClient) -> None:
    responses.add("GET", URL, body=ConnectionResetError())
    responses.add("GET", URL, json={"a": 1})
    assert get(http).json() == {"a": 1}


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@responses.activate
def test_a_write_is_never_repeated(http: HttpClient, status: int) -> None:
    responses.add("POST", URL, status=status, headers={"Retry-After": "0"})
    assert http.send("POST", URL, operation="test", write=True, json={}).status == status
    assert len(responses.calls) == 1


@responses.activate
def test_a_redirect_is_returned_not_followed(http: HttpClient) -> None:
    responses.add("GET", URL, status=302, headers={"Location": "https://evil.example/"})
    answer = get(http)
    assert (answer.status, answer.headers["location"]) == (302, "https://evil.example/")
    assert len(responses.calls) == 1


def test_a_redirect_with_a_large_body_and_a_broken_target_is_returned() -> None:
    http = HttpClient(trusted_hosts=("127.0.0.1",), call_deadline_s=2)
    moved = reply(b"x" * 1000, "301 Moved", b"Location: http://[bad\r\n")
    with serving(answering(moved)) as server:
        answer = http.send("POST", server.url, operation="test", write=True)
    assert (answer.status, len(answer.body)) == (301, 1000)
    http.close()


@responses.activate
def test_json_and_query_are_encoded(http: HttpClient) -> None:
    responses.add("POST", URL, json={})
    params = {"conditions": 'a = "b & c + d%"', "page": 1}
    http.send("POST", URL, operation="test", write=False, json={"text": "ä😀"}, params=params)
    request = responses.calls[0].request
    assert request.url == f"{URL}?conditions=a+%3D+%22b+%26+c+%2B+d%25%22&page=1"
    assert request.body == b'{"text": "\\u00e4\\ud83d\\ude00"}'
    assert request.headers["Content-Type"] == "application/json"


@responses.activate
def test_log_lines_tell_everything_but_secrets(http: HttpClient, caplog: pytest.LogCaptureFixture) -> None:
    responses.add("POST", re.compile(".*psa.example/"), json={"private": "bodyofanswer"})
    with caplog.at_level(logging.DEBUG, logger="psa.http"):
        http.send(
            "POST",
            URL.replace("https://", "https://user:hunter2@"),
            operation="note_add",
            write=True,
            json={"text": "bodytext"},
            params={"conditions": "queryvalue"},
            headers={"Authorization": "Basic c2VjcmV0", "clientId": "client-secret"},
        )
    (record,) = [r for r in caplog.records if r.name == "psa.http"]
    facts = record.psa_call  # type: ignore[attr-defined]
    assert facts["method"] == "POST"
    assert facts["host"] == "psa.example"
    assert facts["path"] == "/v1/apis/3.0/service/tickets"
    assert facts["status"] == 200
    assert facts["operation"] == "note_add"
    assert facts["request_id"]
    assert isinstance(facts["ms"], int)
    shown = record.getMessage() + repr(record.__dict__)
    for secret in ("hunter2", "bodytext", "queryvalue", "c2VjcmV0", "client-secret", "bodyofanswer"):
        assert secret not in shown


@responses.activate
def test_errors_carry_the_request_id_of_the_log(http: HttpClient, caplog: pytest.LogCaptureFixture) -> None:
    responses.add("POST", URL, body=ConnectionResetError("Basic c2VjcmV0MTIzNA=="))
    with caplog.at_level(logging.INFO, logger="psa.http"), pytest.raises(OutcomeUnknownError) as caught:
        http.send("POST", URL, operation="note_add", write=True)
    assert caught.value.request_id == caplog.records[-1].psa_call["request_id"]  # type: ignore[attr-defined]
    assert str(caught.value).startswith(f"[{caught.value.request_id}] ")
    assert caught.value.operation == "note_add"
    assert caught.value.__cause__ is not None
    assert "c2VjcmV0" not in caught.value.vendor_text


@responses.activate
def test_only_writes_are_traced_and_all_traces_see_them(http: HttpClient) -> None:
    responses.add("GET", URL, json={})
    responses.add("POST", URL, json={})
    with trace_writes() as outer:
        get(http)
        http.send("POST", URL, operation="search", write=False)
        assert not outer.sent
        with trace_writes() as inner:
            http.send("POST", URL, operation="test", write=True)
        assert inner.sent
        assert outer.sent
        with trace_writes() as later:
            pass
        assert not later.sent
    mark_write_sent()  # outside any trace: nothing to mark, nothing breaks


def test_an_answer_that_is_no_json_is_a_value_error() -> None:
    http = HttpClient(trusted_hosts=("127.0.0.1",), call_deadline_s=2)
    for body in (b"", b"{", b"\xff\xfe\xfd", b"[" * 100_000):
        with serving(answering(reply(body))) as server:
            answer = http.send("GET", server.url, operation="test", write=False)
            with pytest.raises(ValueError):
                answer.json()
    http.close()


def test_every_error_of_the_client_is_a_provider_error() -> None:
    assert issubclass(UnavailableError, ProviderError)
    http = HttpClient(trusted_hosts=("127.0.0.1",), call_deadline_s=0.3)
    with serving(lambda sock: None) as server, pytest.raises(ProviderError):
        http.send("GET", server.url, operation="test", write=False)
    http.close()
