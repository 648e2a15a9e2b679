"""Files against the sandbox over a socket: the private flag, faults, limits, rights, what is cut off."""

from __future__ import annotations

import io
import re

import pytest
import responses

from psa.exceptions import (
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RejectedError,
    UnavailableError,
)
from psa.providers.connectwise.documents import MEGABYTE
from psa.providers.connectwise.provider import ConnectWiseProvider
from psa.providers.connectwise.sandbox.security import full_rows
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.providers.connectwise.tests.conftest import BASE
from psa.providers.http import trace_writes
from psa.types import DocumentDraft, Feature, FeatureStatus, RecordType, Ticket

SERVICE = RecordType.SERVICE
CONTENT = b"<p>Checked the fuser.</p>" * 9_000


def file(content: bytes = CONTENT, marker: str = "RF-ABCDEFGH") -> DocumentDraft:
    return DocumentDraft(
        "session-7.html", f"Session 7 · Ref {marker}", "text/html", len(content), lambda: io.BytesIO(content)
    )


def open_ticket(provider: ConnectWiseProvider) -> Ticket:
    return next(ticket for ticket in provider.ticket_search().items if not ticket.closed)


def limit_is(sandbox: SandboxServer, figure: int | None) -> None:
    table = sandbox.store.table("system/fileuploadsettings")
    table.put(table.rows[1], {**table.rows[1].data, "globalFileSizeLimit": figure})


def test_file_is_private_for_those_who_read_the_form_and_the_answer(
    live: ConnectWiseProvider, sandbox: SandboxServer
) -> None:
    ticket = open_ticket(live)
    made = live.document_upload(ticket.id, SERVICE, file())
    [post] = [row for row in sandbox.requests if row["method"] == "POST"]
    flag = re.search(r'name="privateFlag"\s+(\w+)', post["body"])
    assert flag
    assert flag[1] == "True"
    stored, content = sandbox.files(int(ticket.id))[-1]
    assert (stored["publicFlag"], stored["fileName"], content) == (False, "session-7.html", CONTENT)
    assert not made.customer_visible


@responses.activate
@pytest.mark.parametrize("said", [{"publicFlag": True}, {}], ids=["public", "nothing said"])
def test_file_that_is_not_said_to_be_private_is_a_leak(
    provider: ConnectWiseProvider, said: dict[str, bool]
) -> None:
    responses.get(f"{BASE}/system/fileuploadsettings/", json=[])
    responses.post(f"{BASE}/system/documents", status=201, json={"id": 9, "title": "x", **said})
    assert provider.document_upload("57001", SERVICE, file()).customer_visible


@pytest.mark.parametrize(
    ("fault", "stored"),
    [
        ({"kind": "drop_before"}, 0),
        ({"kind": "drop_after"}, 1),
        ({"kind": "status", "status": 503}, 0),
        ({"kind": "status", "status": 500, "after": True}, 1),
        ({"kind": "garbage"}, 1),
    ],
)
def test_upload_is_sent_once_and_looked_up(
    live: ConnectWiseProvider, sandbox: SandboxServer, fault: dict[str, object], stored: int
) -> None:
    ticket = open_ticket(live)
    live.document_max_bytes()
    sandbox.faults.add(**fault, method="POST", path="/system/documents$", count=1)  # type: ignore[arg-type]
    with trace_writes() as trace, pytest.raises(OutcomeUnknownError):
        live.document_upload(ticket.id, SERVICE, file())
    assert trace.sent
    posts = [row for row in sandbox.requests if row["method"] == "POST"]
    assert len(posts) == 1
    assert len(live.document_find(ticket.id, SERVICE, "RF-ABCDEFGH")) == stored


def test_upload_to_an_old_codebase_is_sent_again_from_its_first_byte(
    live: ConnectWiseProvider, sandbox: SandboxServer
) -> None:
    ticket = open_ticket(live)
    live.document_max_bytes()
    sandbox.configure(codebase="v2026_1")
    live.document_upload(ticket.id, SERVICE, file())
    assert sandbox.files(int(ticket.id))[-1][1] == CONTENT


@responses.activate
@pytest.mark.parametrize(
    "body",
    ["<html><h1>413 Request Entity Too Large</h1></html>", '{"code": "x", "message": "Too large"}', ""],
)
def test_file_a_proxy_finds_too_large_is_refused(provider: ConnectWiseProvider, body: str) -> None:
    responses.get(f"{BASE}/system/fileuploadsettings/", json=[])
    responses.post(f"{BASE}/system/documents", status=413, body=body)
    with pytest.raises(RejectedError):
        provider.document_upload("57001", SERVICE, file())


@pytest.mark.parametrize(
    ("figure", "most"),
    [(20, 20 * MEGABYTE), (26_214_400, 26_214_400), (0, None), (None, None), (-1, None)],
)
def test_limit_is_read_as_megabytes_or_bytes(
    live: ConnectWiseProvider, sandbox: SandboxServer, figure: int | None, most: int | None
) -> None:
    limit_is(sandbox, figure)
    assert live.document_max_bytes() == most


def test_limit_that_may_not_be_read_keeps_nothing_back(
    live: ConnectWiseProvider, sandbox: SandboxServer
) -> None:
    sandbox.faults.add("status", method="GET", path="/fileuploadsettings", status=403)
    assert live.document_max_bytes() is None
    assert live.document_max_bytes() is None
    asked = [row for row in sandbox.requests if "fileuploadsettings" in row["path"]]
    assert len(asked) == 1, "the answer is remembered"
    live.document_upload(open_ticket(live).id, SERVICE, file())


def test_a_missing_right_names_its_row(live: ConnectWiseProvider, sandbox: SandboxServer) -> None:
    ticket = open_ticket(live)
    rows = full_rows(sandbox.gateway.state.member().data)
    for row in rows:
        if row["moduleFunctionName"] == "Manage Attachments":
            row["addLevel"] = "None"
    sandbox.gateway.state.settings.security = rows
    with pytest.raises(PermissionDeniedError) as caught:
        live.document_upload(ticket.id, SERVICE, file())
    assert caught.value.feature == Feature.DOCUMENTS
    assert "Manage Attachments: Add All" in caught.value.grant
    probed = {one.feature: one.status for one in live.probe().features}
    assert probed[Feature.DOCUMENTS] is FeatureStatus.DENIED


def test_download_that_breaks_off_is_told(live: ConnectWiseProvider, sandbox: SandboxServer) -> None:
    with pytest.raises(NotFoundError):
        live.document_open("4711")
    made = live.document_upload(
        open_ticket(live).id, SERVICE, file(CONTENT * 140)
    )  # more than the sockets hold
    found = live.document_open(made.id)
    assert next(found.blocks)
    sandbox._listener.close_connections()
    with pytest.raises(UnavailableError):
        list(found.blocks)
    found.close()


def test_download_that_nobody_reads_frees_its_socket(live: ConnectWiseProvider) -> None:
    made = live.document_upload(open_ticket(live).id, SERVICE, file())
    for _ in range(30):
        live.document_open(made.id).close()
    found = live.document_open(made.id)
    assert b"".join(found.blocks) == CONTENT
