"""The blind client does what such clients do, so that its figures are a fair comparison."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from bench.blind_retry import note_post
from bench.chaos.storm import SHARES, faults
from psa.providers.connectwise.sandbox.faults import Faults
from psa.providers.connectwise.sandbox.server import SandboxServer

TICKET = 57050
TEXT = "No. 000001, staff only."


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


@pytest.fixture
def sandbox(running: SandboxServer) -> SandboxServer:
    running.reset()
    return running


def posted(sandbox: SandboxServer, tries: int) -> int | None:
    keys = sandbox.credentials
    with requests.Session() as http:
        http.trust_env = False
        http.auth = (f"{keys.company_id}+{keys.public_key}", keys.private_key)
        http.headers["clientId"] = keys.client_id
        url = f"{sandbox.api_url}/service/tickets/{TICKET}/notes"
        return note_post(http, url, TEXT, tries=tries, pause_s=0.0)


def times_stored(sandbox: SandboxServer) -> int:
    return sum(note["text"] == TEXT for note in sandbox.notes(TICKET))


def test_without_faults_a_note_is_posted_once(sandbox: SandboxServer) -> None:
    assert posted(sandbox, tries=5) is not None
    assert times_stored(sandbox) == 1


def test_a_lost_answer_makes_it_post_twice(sandbox: SandboxServer) -> None:
    sandbox.faults.add("drop_after", method="POST", path="/notes$", count=1)
    assert posted(sandbox, tries=5) is not None
    assert times_stored(sandbox) == 2


def test_a_lost_request_is_lost_without_retries(sandbox: SandboxServer) -> None:
    sandbox.faults.add("drop_before", method="POST", path="/notes$", count=1)
    assert posted(sandbox, tries=1) is None
    assert times_stored(sandbox) == 0


def test_it_gives_up_after_its_tries(sandbox: SandboxServer) -> None:
    sandbox.faults.add("status", method="POST", path="/notes$", status=503)
    assert posted(sandbox, tries=3) is None
    assert len([row for row in sandbox.requests if row["method"] == "POST"]) == 3


def test_a_refusal_is_not_tried_again(sandbox: SandboxServer) -> None:
    sandbox.faults.add("status", method="POST", path="/notes$", status=404)
    assert posted(sandbox, tries=3) is None
    assert len([row for row in sandbox.requests if row["method"] == "POST"]) == 1


@pytest.mark.parametrize("turn", [0, 1, 4])
def test_faults_hit_the_shares_of_calls_that_are_promised(turn: int) -> None:
    rules = Faults()
    for rule in faults(turn=turn):
        rules.add(**rule)
    calls = 20_000
    kinds = [rules.take("POST", "/service/tickets/1/notes")[1] for _ in range(calls)]
    for share, wanted in SHARES:
        hits = sum(
            found is not None
            and found.kind == wanted["kind"]
            and found.status == wanted.get("status", 500)
            and found.body == wanted.get("body")
            for found in kinds
        )
        assert hits / calls == pytest.approx(share, abs=0.006)


def test_faults_leave_other_calls_alone() -> None:
    rules = Faults()
    for rule in faults():
        rules.add(**rule)
    assert all(rules.take("GET", "/service/tickets/1")[1] is None for _ in range(200))
