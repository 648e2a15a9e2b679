"""Registration rules, and signed events that really arrive."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests

from psa.providers.connectwise.sandbox.tests.conftest import Api, replace


class Receiver:
    """Takes callbacks; answers says which statuses to answer first."""

    def __init__(self) -> None:
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[int] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.received.append((self.path, dict(self.headers), body))
                self.send_response(outer.answers.pop(0) if outer.answers else 204)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook?recordId="
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.thread.join()
    made.server.server_close()


def register(api: Api, url: str, **changes: Any) -> requests.Response:
    body = {"url": url, "objectId": 1, "type": "ticket", "level": "owner", **changes}
    return api.post("/system/callbacks", body)


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"url": "nonsense"}, "InvalidField", "url"),
        ({"type": "unicorn"}, "InvalidField", "type"),
        ({"level": "territory"}, "InvalidObject", "level"),
        ({"description": "x" * 101}, "InvalidField", "description"),
    ],
)
def test_registration_is_checked(api: Api, changes: dict[str, Any], code: str, field: str) -> None:
    url = changes.pop("url", "http://127.0.0.1:9/x?id=")
    (item,) = register(api, url, **changes).json()["errors"]
    assert (item["code"], item["field"]) == (code, field)


def test_registration_is_unique_and_zero_becomes_one(api: Api) -> None:
    made = register(api, "http://127.0.0.1:9/x?id=", objectId=0)
    assert (made.status_code, made.json()["objectId"]) == (201, 1)
    (item,) = register(api, "http://127.0.0.1:9/x?id=").json()["errors"]
    assert (item["code"], item["field"]) == ("ObjectExists", "objectId")
    found = api.get("/system/callbacks", conditions='url contains "127.0.0.1"').json()
    assert [row["id"] for row in found] == [made.json()["id"]]
    assert api.call("DELETE", f"/system/callbacks/{made.json()['id']}").status_code == 204
    assert api.get("/system/callbacks").json() == []


def test_event_arrives_signed(api: Api, receiver: Receiver) -> None:
    entry = register(api, receiver.url).json()
    api.patch("/service/tickets/57001", replace("summary", "Ünï \U0001f527"))
    assert api.sandbox.wait_callbacks()
    ((path, headers, body),) = receiver.received
    event = json.loads(body)
    assert path == "/hook?recordId=57001&action=updated"
    assert (event["Action"], event["ID"], event["Type"]) == ("updated", 57001, "ticket")
    assert event["CallbackObjectRecId"] == entry["id"]
    assert json.loads(event["Entity"])["summary"] == "Ünï \U0001f527"
    assert json.loads(event["Entity"])["recordType"] == "ServiceTicket"
    answer = requests.get(event["Metadata"]["key_url"], timeout=5).json()
    key = hashlib.sha256(answer["signing_key"].encode()).digest()
    expected = base64.b64encode(hmac.new(key, body, hashlib.sha256).digest()).decode()
    assert headers["x-content-signature"] == expected


def test_create_note_and_delete_are_told(api: Api, receiver: Receiver) -> None:
    register(api, receiver.url)
    ticket = api.post("/service/tickets", {"summary": "x", "company": {"id": 2}}).json()
    note = {"text": "x", "internalAnalysisFlag": True}
    api.post(f"/service/tickets/{ticket['id']}/notes", note)
    api.call("DELETE", f"/service/tickets/{ticket['id']}")
    assert api.sandbox.wait_callbacks()
    events = {json.loads(body)["Action"]: json.loads(body) for _, _, body in receiver.received}
    assert events.keys() == {"added", "updated", "deleted"}
    assert events["deleted"]["Entity"] is None


def test_level_board_filters(api: Api, receiver: Receiver) -> None:
    register(api, receiver.url, level="board", objectId=3)
    for ticket in api.sandbox.tickets()[:6]:
        api.patch(f"/service/tickets/{ticket['id']}", replace("poNumber", "1"))
    assert api.sandbox.wait_callbacks()
    entities = [json.loads(json.loads(body)["Entity"]) for _, _, body in receiver.received]
    assert {entity["board"]["id"] for entity in entities} == {3}


@pytest.mark.parametrize("flag", ["isSelfSuppressedFlag", "inactiveFlag"])
def test_suppressed_callback_stays_silent(api: Api, receiver: Receiver, flag: str) -> None:
    register(api, receiver.url, **{flag: True})
    api.patch("/service/tickets/57001", replace("poNumber", "1"))
    assert api.sandbox.wait_callbacks()
    assert receiver.received == []


def test_self_suppression_lets_others_through(api: Api, receiver: Receiver) -> None:
    register(api, receiver.url, isSelfSuppressedFlag=True)
    keys = api.call("POST", "/system/members/cdiaz/tokens").json()
    api.login(keys["publicKey"], keys["privateKey"])
    api.patch("/service/tickets/57001", replace("poNumber", "1"))
    assert api.sandbox.wait_callbacks()
    assert json.loads(receiver.received[0][2])["MemberId"] == "cdiaz"


def test_skip_callback_mutes_one_write(api: Api, receiver: Receiver) -> None:
    register(api, receiver.url)
    api.patch("/service/tickets/57001", replace("poNumber", "1"), replace("skipCallback", True))
    assert api.sandbox.wait_callbacks()
    assert receiver.received == []


def test_some_statuses_are_tried_again(api: Api, receiver: Receiver) -> None:
    api.sandbox.configure(callback_retry_s=[0.05, 0.1])
    register(api, receiver.url)
    receiver.answers = [409, 429, 404, 204]
    api.patch("/service/tickets/57001", replace("poNumber", "1"))
    assert api.sandbox.wait_callbacks()
    assert [d["status"] for d in api.sandbox.deliveries] == [409, 429, 404]
    assert len({body for _, _, body in receiver.received}) == 1


def test_other_failures_lose_the_event(api: Api, receiver: Receiver) -> None:
    register(api, receiver.url)
    receiver.answers = [500]
    api.patch("/service/tickets/57001", replace("poNumber", "1"))
    assert api.sandbox.wait_callbacks()
    assert [d["status"] for d in api.control("GET", "callbacks").json()] == [500]


def test_key_is_not_given_to_strangers(api: Api) -> None:
    url = f"{api.sandbox.url}/v4_6_release/system/callbackkey/index.rails"
    assert requests.get(url, params={"companyName": "acme_msp", "id": "x"}, timeout=5).status_code == 404
