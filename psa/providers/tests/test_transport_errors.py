"""Every failure there is below us becomes one of ours: by loop over requests, urllib3 and http.client."""

from __future__ import annotations

import http.client
import inspect
import socket
import ssl
from types import ModuleType

import pytest
import requests.exceptions
import responses
import urllib3.exceptions
import urllib3.response

from psa.exceptions import (
    CertificateError,
    ConnectFailedError,
    HostNotAllowedError,
    OutcomeUnknownError,
    UnavailableError,
)
from psa.providers.http import HttpClient, trace_writes
from psa.providers.transport import Call
from psa.providers.transport_errors import TRANSPORT_FAILURES, CallFacts, error_for

URL = "https://psa.example/x"


def classes(module: ModuleType) -> list[type[Exception]]:
    found = [
        item
        for _, item in inspect.getmembers(module, inspect.isclass)
        if issubclass(item, Exception)
        and not issubclass(item, Warning)
        and item.__module__ == module.__name__
    ]
    assert len(found) > 8
    return found


LOWER = [
    *classes(requests.exceptions),
    *classes(urllib3.exceptions),
    *classes(http.client),
    TimeoutError,
    socket.gaierror,
    ConnectionResetError,
    ConnectionRefusedError,
    BrokenPipeError,
    ssl.SSLError,
    ssl.SSLCertVerificationError,
    OSError,
    UnicodeEncodeError,
]


SPECIAL: dict[type[Exception], Exception] = {
    http.client.IncompleteRead: http.client.IncompleteRead(b"ab", 5),
    urllib3.exceptions.IncompleteRead: urllib3.exceptions.IncompleteRead(2, 5),
    urllib3.exceptions.InvalidChunkLength: urllib3.exceptions.InvalidChunkLength(
        urllib3.response.HTTPResponse(b""), b"zz"
    ),
}
"""Failures whose text needs what their constructor was given."""


@pytest.mark.parametrize("kind", LOWER, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_lower_failure_is_caught_and_mapped(kind: type[Exception]) -> None:
    assert issubclass(kind, TRANSPORT_FAILURES)
    exc = SPECIAL.get(kind) or kind.__new__(kind)
    for write in (False, True):
        sent = Call(0, 1)
        sent.dialed = sent.sent = True
        error = error_for(exc, sent, CallFacts("POST", URL, "test", write, "id"))
        assert type(error) is (OutcomeUnknownError if write else UnavailableError)
        unsent = Call(0, 1)
        unsent.dialed = True
        error = error_for(exc, unsent, CallFacts("POST", URL, "test", write, "id"))
        assert isinstance(error, ConnectFailedError)
        assert error.message.endswith(".")


NOTHING_LEFT = [
    (requests.exceptions.ConnectTimeout(), ConnectFailedError),
    (requests.exceptions.SSLError(), CertificateError),
    (requests.exceptions.InvalidURL(), ConnectFailedError),
    (
        requests.exceptions.ConnectionError(
            urllib3.exceptions.MaxRetryError(
                None,  # type: ignore[arg-type]
                "/",
                urllib3.exceptions.NameResolutionError("h", None, socket.gaierror(-2, "no")),  # type: ignore[arg-type]
            )
        ),
        ConnectFailedError,
    ),
]
SOMETHING_LEFT = [
    requests.exceptions.ConnectionError(),
    requests.exceptions.ConnectionError(
        urllib3.exceptions.ProtocolError("aborted", http.client.RemoteDisconnected("gone"))
    ),
    requests.exceptions.ReadTimeout(),
    requests.exceptions.ChunkedEncodingError(),
    requests.exceptions.ContentDecodingError(),
    requests.exceptions.RetryError(),
    requests.exceptions.RequestException(),
]


@pytest.mark.parametrize(("exc", "kind"), NOTHING_LEFT, ids=lambda v: type(v).__name__)
@responses.activate
def test_without_a_socket_the_type_tells_that_nothing_left(exc: Exception, kind: type[Exception]) -> None:
    responses.add("POST", URL, body=exc)
    with trace_writes() as trace, pytest.raises(kind):
        HttpClient().send("POST", URL, operation="test", write=True)
    assert not trace.sent


@pytest.mark.parametrize("exc", SOMETHING_LEFT, ids=lambda exc: type(exc).__name__)
@responses.activate
def test_what_is_not_certain_is_unknown_for_a_write(exc: Exception) -> None:
    responses.add("POST", URL, body=exc)
    with trace_writes() as trace, pytest.raises(OutcomeUnknownError):
        HttpClient().send("POST", URL, operation="test", write=True)
    assert trace.sent
    assert len(responses.calls) == 1


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "ftp://psa.example/",
        "file:///etc/passwd",
        "https://",
        "http://[::1",
        "https://*.x/",
    ],
)
@pytest.mark.parametrize("write", [False, True])
def test_an_address_that_is_none_sends_nothing(url: str, write: bool) -> None:
    http_client = HttpClient(connect_timeout_s=0.2, call_deadline_s=0.5)
    with trace_writes() as trace, pytest.raises(ConnectFailedError) as caught:
        http_client.send("GET", url, operation="test", write=write)
    assert not isinstance(caught.value, HostNotAllowedError)
    assert not trace.sent


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "café😀"])
def test_a_header_that_cannot_be_sent_sends_nothing(value: str) -> None:
    http_client = HttpClient(trusted_hosts=("127.0.0.1",), connect_timeout_s=0.2, call_deadline_s=1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        with trace_writes() as trace, pytest.raises(ConnectFailedError):
            http_client.send("POST", url, operation="test", write=True, headers={"clientId": value})
    assert not trace.sent
    http_client.close()
