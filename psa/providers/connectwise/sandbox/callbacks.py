"""Callbacks: rules of registration, and the thread that posts signed events to the registered URLs.

Source: docs/connectwise/quick-reference.md#callbacks
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import queue
import threading
import uuid
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from psa.providers.connectwise.reference import JsonObject, load_reference
from psa.providers.connectwise.sandbox import errors
from psa.providers.connectwise.sandbox.behaviour import Behaviour, Call
from psa.providers.connectwise.sandbox.state import Event, State
from psa.providers.connectwise.sandbox.store import Record, to_json, utc_now
from psa.providers.connectwise.sandbox.validation import BodySchema, Context
from psa.providers.connectwise.sandbox.wire import Response

TABLE = "system/callbacks"

RETRIED = (404, 409, 419, 429)
"""Answers after which a callback is posted again; any other failure loses the event."""

WORKERS = 4

LEVEL_FIELDS = {
    "board": "board",
    "project": "project",
    "phase": "phase",
    "status": "status",
    "type": "type",
    "company": "company",
    "territory": "territory",
    "location": "defaultLocation",
    "securityrole": "securityRole",
}
"""Level → reference field whose id must equal objectId."""

ENTITY_FIELDS = (
    "id",
    "summary",
    "recordType",
    "isIssueFlag",
    "board",
    "status",
    "company",
    "contact",
    "type",
    "owner",
    "priority",
    "project",
    "phase",
    "closedFlag",
    "resources",
    "identifier",
    "name",
    "firstName",
    "lastName",
    "deviceIdentifier",
    "_info",
)
"""What the Entity of an event holds: a summary, not the record."""


@cache
def levels_by_type() -> dict[str, list[str]]:
    schema = load_reference().schema("CallbackEntry")["properties"]["level"]
    levels: dict[str, list[str]] = (
        load_reference().resolve(schema).get("x-levels-by-type") or schema["x-levels-by-type"]
    )
    return levels


class CallbackBehaviourRules(Behaviour):
    """Registrations: absolute URL, known type, level of that type, no doubles."""

    def prepare(
        self,
        call: Call,
        schema: BodySchema,
        data: JsonObject,
        parents: tuple[int, ...],
        context: Context,
    ) -> None:
        self._check(call, data, 0, context)
        data.setdefault("payloadVersion", "3.0.0")
        for flag in ("inactiveFlag", "isSoapCallbackFlag", "isSelfSuppressedFlag"):
            data.setdefault(flag, False)
        data["memberId"] = call.actor.id

    def change(
        self,
        call: Call,
        schema: BodySchema,
        old: Record,
        data: JsonObject,
        touched: set[str],
        context: Context,
    ) -> None:
        self._check(call, data, old.id, context)

    def _check(self, call: Call, data: JsonObject, own_id: int, context: Context) -> None:
        url = urlsplit(data["url"])
        if url.scheme not in ("http", "https") or not url.hostname or " " in data["url"]:
            context.refuse("InvalidField", "url must be an absolute http or https URL.", "url")
        levels = levels_by_type().get(data["type"])
        if levels is None:
            context.refuse("InvalidField", f"{data['type']} is no callback type.", "type")
        elif levels and data["level"] not in levels:
            message = f"Callbacks of type {data['type']} have no level {data['level']}."
            context.refuse("InvalidObject", message, "level")
        if data["level"] == "owner" and data["objectId"] == 0:
            data["objectId"] = 1
        same = ("url", "type", "level", "objectId")
        for row in call.state.store.table(TABLE).rows.values():
            if row.id != own_id and all(row.data.get(n) == data.get(n) for n in same):
                context.refuse("ObjectExists", "This callback is registered already.", "objectId")


def matches(entry: JsonObject, event: Event) -> bool:
    """True when a registered callback waits for this event."""
    if entry["type"] != event.type or entry.get("inactiveFlag"):
        return False
    if entry.get("isSelfSuppressedFlag") and entry.get("memberId") == event.actor["id"]:
        return False
    level, wanted = entry["level"], entry["objectId"]
    if level == "owner":
        return True
    if level == event.type:
        return bool(event.record_id == wanted)
    reference = event.data.get(LEVEL_FIELDS.get(level, ""), {})
    return bool(reference.get("id") == wanted)


def signature(signing_key: str, body: bytes) -> str:
    """Value of x-content-signature for the exact bytes sent."""
    key = hashlib.sha256(signing_key.encode()).digest()
    return base64.b64encode(hmac.new(key, body, hashlib.sha256).digest()).decode()


def payload(state: State, entry: Record, event: Event) -> bytes:
    """Body of a callback; Entity is JSON inside a string, null after a deletion."""
    entity = None
    if event.action != "deleted":
        picked = {n: event.data[n] for n in ENTITY_FIELDS if n in event.data}
        # Links inside Entity were seen with a doubled slash behind the codebase.
        entity = json.dumps(picked, ensure_ascii=False).replace("/apis/3.0", "//apis/3.0")
    company = state.credentials.company_id
    key_path = f"{state.settings.codebase}system/callbackkey/index.rails"
    body: dict[str, Any] = {
        "Action": event.action,
        "CallbackObjectRecId": entry.id,
        "CompanyId": company,
        "Entity": entity,
        "FromUrl": state.site_url.partition("://")[2],
        "ID": event.record_id,
        "MemberId": event.actor["identifier"],
        "MessageId": str(uuid.uuid4()),
        "Metadata": {
            "key_url": f"{state.site_url}/{key_path}?companyName={company}&id={state.signing_key_id}"
        },
        "PartnerId": "00000000-0000-0000-0000-000000000001",
        "ProductInstanceId": "00000000-0000-0000-0000-000000000002",
        "Type": event.type,
    }
    return to_json(body)


def signing_key_answer(state: State, query: str) -> Response:
    """The key under Metadata.key_url, open to everyone who knows company and key id."""
    asked = parse_qs(query)
    company = asked.get("companyName", [""])[0].lower()
    if company != state.credentials.company_id.lower() or asked.get("id") != [state.signing_key_id]:
        raise errors.coded(404, "NotFound", "The key was not found")
    return Response(200, to_json({"signing_key": state.signing_key}))


class CallbackSender:
    """Posts events from background threads, so that no API call waits for a receiver."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[State, str, bytes, int] | None] = queue.SimpleQueue()
        self._pending = 0
        self._idle = threading.Condition()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        for number in range(WORKERS):
            name = f"sandbox-callbacks-{number}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        for _ in self._threads:
            self._jobs.put(None)

    def publish(self, state: State, event: Event) -> None:
        """Queue the event for every callback that waits for it."""
        entries = list(state.store.table(TABLE).rows.values())
        for entry in entries:
            if matches(entry.data, event):
                url = f"{entry.data['url']}{event.record_id}&action={event.action}"
                self._enqueue(state, url, payload(state, entry, event), 0)

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until nothing is queued or retried; False when that takes too long."""
        with self._idle:
            return self._idle.wait_for(lambda: self._pending == 0, timeout_s)

    def _enqueue(self, state: State, url: str, body: bytes, attempt: int) -> None:
        with self._idle:
            self._pending += 1
        self._jobs.put((state, url, body, attempt))

    def _done(self) -> None:
        with self._idle:
            self._pending -= 1
            self._idle.notify_all()

    def _work(self) -> None:
        with requests.Session() as http:
            http.trust_env = False
            while (job := self._jobs.get()) is not None:
                state, url, body, attempt = job
                status = self._post(http, state, url, body)
                state.deliveries.append(
                    {"url": url, "attempt": attempt + 1, "status": status, "at": utc_now()}
                )
                waits = state.settings.callback_retry_s
                if status in RETRIED and attempt < len(waits):
                    timer = threading.Timer(waits[attempt], self._jobs.put, [(state, url, body, attempt + 1)])
                    timer.daemon = True
                    timer.start()
                else:
                    self._done()

    def _post(self, http: requests.Session, state: State, url: str, body: bytes) -> int | None:
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "x-content-signature": signature(state.signing_key, body),
        }
        try:
            answer = http.post(
                url,
                data=body,
                headers=headers,
                timeout=state.settings.callback_timeout_s,
                allow_redirects=False,
            )
        except requests.RequestException:
            return None
        return answer.status_code
