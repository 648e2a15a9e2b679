"""Each recorded answer, read and written: which error it becomes and what that error knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import responses

from psa import exceptions
from psa.exceptions import (
    ClientIdRefusedError,
    MovedError,
    OutcomeUnknownError,
    PermissionDeniedError,
    ProviderError,
    UnavailableError,
)
from psa.providers.connectwise.errors import ROWS, error_for
from psa.providers.connectwise.permissions import OPERATION_FEATURES, feature_of, grant_for
from psa.providers.connectwise.provider import ConnectWiseProvider
from psa.providers.connectwise.tests.conftest import BASE, CREDENTIALS, make_provider
from psa.providers.http import Answer
from psa.types import NoteDraft, NoteKind, RecordType

FIXTURES = sorted((Path(__file__).parent / "fixtures" / "answers").glob("*.json"))
INFO = "https://na.myconnectwise.net/login/companyinfo/acme"
SERVICE = RecordType.SERVICE


def load(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(path.read_text())
    if "json" in data:
        data["body"] = json.dumps(data["json"])
    return data


def mock(method: str, url: str, data: dict[str, Any]) -> None:
    responses.add(
        method,
        url,
        body=data["body"].encode(),
        status=data["status"],
        content_type=data["content_type"],
        headers=data["headers"],
    )


def same_codebase() -> None:
    responses.add("GET", INFO, json={"Codebase": "v2025_1/", "VersionNumber": "v2025.1"})


def note_add(provider: ConnectWiseProvider) -> None:
    provider.note_add("1", SERVICE, NoteDraft(NoteKind.ANALYSIS, "text"))


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
@responses.activate
def test_an_answer_to_a_read(path: Path, provider: ConnectWiseProvider) -> None:
    data = load(path)
    same_codebase()
    mock("GET", f"{BASE}/service/tickets/1", data)
    with pytest.raises(ProviderError) as caught:
        provider.ticket_get("1", SERVICE)
    assert type(caught.value).__name__ == data["read"]
    check(caught.value, data)


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
@responses.activate
def test_an_answer_to_a_write(path: Path, provider: ConnectWiseProvider) -> None:
    data = load(path)
    same_codebase()
    mock("POST", f"{BASE}/service/tickets/1/notes", data)
    with pytest.raises(ProviderError) as caught:
        note_add(provider)
    assert type(caught.value).__name__ == data["write"]
    check(caught.value, data)
    posts = [call for call in responses.calls if call.request.method == "POST"]
    assert len(posts) == 1


@pytest.mark.parametrize("path", [p for p in FIXTURES if p.stem.startswith("200")], ids=lambda p: p.stem)
@responses.activate
def test_an_unreadable_list(path: Path, provider: ConnectWiseProvider) -> None:
    data = load(path)
    mock("GET", f"{BASE}/service/boards", data)
    with pytest.raises((UnavailableError, MovedError)):
        provider.boards()


def check(error: ProviderError, data: dict[str, Any]) -> None:
    assert error.status == data["status"]
    assert error.operation
    assert error.request_id
    assert error.message.endswith((".", "!", "?"))
    shown = f"{error}{error.vendor_text}{error!r}"
    for secret in CREDENTIALS.values():
        assert secret not in shown or secret == "acme"
    assert "\r" not in error.vendor_text
    assert "\n" not in error.vendor_text
    for name, value in data.get("expect", {}).items():
        if name == "moved":
            if isinstance(error, OutcomeUnknownError):
                assert error.moved is value
        elif name == "fields":
            assert {key: list(words) for key, words in error.fields.items()} == value  # type: ignore[attr-defined]
        else:
            assert getattr(error, name) == value


def test_every_row_of_the_table_is_reached_by_a_fixture() -> None:
    from psa.providers.connectwise.errors import read_refusal

    reached = set()
    for path in FIXTURES:
        data = load(path)
        headers = {"Content-Type": data["content_type"], **data["headers"]}
        refusal = read_refusal(Answer(data["status"], headers, data["body"].encode(), "r", 0.1))
        for write in (False, True):
            reached.add(next(n for n, row in enumerate(ROWS) if row.fits(refusal, write)))
    assert reached == set(range(len(ROWS)))


@pytest.mark.parametrize("write", [False, True])
def test_no_answer_falls_through(write: bool) -> None:
    for status in range(100, 600):
        for body in (b"", b"{}", b"[]", b"text", b"<html>", b"\xff\xfe\x00", b"null"):
            error = error_for(Answer(status, {}, body, "r", 0.1), operation="note_add", write=write)
            unclear = isinstance(error, OutcomeUnknownError)
            if status >= 500 or status < 300:
                assert unclear is write, (status, body)
            assert write or not unclear


def test_every_status_there_is_decides_something_for_a_write() -> None:
    for status in (0, 99, 600, 999):
        error = error_for(Answer(status, {}, b"", "r", 0.1), operation="note_add", write=True)
        assert isinstance(error, OutcomeUnknownError)


@responses.activate
def test_a_refused_permission_names_feature_and_grant(provider: ConnectWiseProvider) -> None:
    refusal = {"code": "Security", "message": "no"}
    responses.add("POST", f"{BASE}/service/tickets/1/notes", json=refusal, status=403)
    responses.add("POST", f"{BASE}/project/tickets/1/notes", json=refusal, status=403)
    with pytest.raises(PermissionDeniedError) as caught:
        note_add(provider)
    assert caught.value.feature == "notes"
    assert caught.value.grant == "Service Desk > Service Tickets: Add All, Edit All, Inquire All"
    with pytest.raises(PermissionDeniedError) as caught:
        provider.note_add("1", RecordType.PROJECT, NoteDraft(NoteKind.ANALYSIS, "text"))
    assert caught.value.feature == "project_tickets"
    assert caught.value.grant.startswith("Project > Project Tickets:")


def test_every_operation_has_a_grant() -> None:
    for operation in OPERATION_FEATURES:
        for name in (operation, f"{operation}@project"):
            assert grant_for(feature_of(name))


@responses.activate
def test_the_keys_never_come_back_in_an_error(provider: ConnectWiseProvider) -> None:
    echoed = f"Bad header clientId: {CREDENTIALS['client_id']}, private key={CREDENTIALS['private_key']}"
    body = {"code": "InvalidObject", "message": echoed, "errors": [{"message": echoed, "field": "text"}]}
    responses.add("POST", f"{BASE}/service/tickets/1/notes", json=body, status=422)
    with pytest.raises(ProviderError) as caught:
        note_add(provider)
    shown = f"{caught.value} {caught.value.vendor_text} {caught.value.fields}"  # type: ignore[attr-defined]
    assert CREDENTIALS["client_id"] not in shown
    assert CREDENTIALS["private_key"] not in shown


@responses.activate
def test_a_missing_client_id_is_named_when_routing_fails() -> None:
    provider = make_provider(credentials={**CREDENTIALS, "client_id": ""})
    same_codebase()
    responses.add(
        "GET", f"{BASE}/service/tickets/1", body="Cannot route. Codebase/company is invalid.", status=400
    )
    with pytest.raises(ClientIdRefusedError, match="client ID"):
        provider.ticket_get("1", SERVICE)
    assert "clientId" not in responses.calls[0].request.headers


@responses.activate
def test_a_mistake_of_ours_after_a_write_is_unknown(
    provider: ConnectWiseProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("psa.providers.connectwise.mapping.note", broken)
    responses.add("POST", f"{BASE}/service/tickets/1/notes", json={"id": 5}, status=201)
    with pytest.raises(OutcomeUnknownError):
        note_add(provider)


def test_every_error_the_table_makes_is_of_our_tree() -> None:
    names = {load(path)[kind] for path in FIXTURES for kind in ("read", "write")}
    for name in names:
        assert issubclass(getattr(exceptions, name), ProviderError)
