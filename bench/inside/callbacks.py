"""Owns the callback row: one gunicorn, one worker that drains notes, and a sender with the right key."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client as http_client
import http.server
import json
import os
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import requests
from django.db import connection as database

from bench.stage import LABELS, Program, free_port
from psa import services
from psa.conf import psa_settings
from psa.models import CallbackSubscription, Connection, WebhookReceipt
from psa.models.callback import ReceiptState
from psa.types import Actor, NoteKind, NotePart
from resolutionflow.accounts.models import Account, User

MESSAGES = 1000
A_SECOND = 100
WARM_UP = 20
P99_BOUND_MS = 100
AT_ONCE_BOUND_S = 5.0
SENDERS = 50
"""Connections ConnectWise sends on at once."""
TICKETS = 40
NOTES = 100
PROCESSED_WITHIN_S = 60


def measure(_arguments: Sequence[str]) -> bool:
    """Print the figures and return whether they hold their bounds."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-callbacks-")))
        sandbox = stack.enter_context(
            Program(
                "sandbox",
                ["manage.py", "connectwise_sandbox", "--port", "0", "--latency-ms", "50"],
                folder,
            )
        )
        keys = sandbox.json_line()
        url = keys.pop("url")
        tenant = Account.objects.create(name="Bench", slug="bench")
        actor = Actor(User.objects.create_user("bench").pk, "Erin Example")
        connection = services.connection_create(
            tenant, actor=actor, provider="connectwise", name="Bench", site=url, credentials=keys
        )
        callback = CallbackSubscription.objects.create(
            tenant=tenant, connection=connection, type="ticket", level="owner", state="active"
        )
        port = free_port()
        command = ["-m", "gunicorn", "--no-control-socket", "--bind", f"127.0.0.1:{port}", "--threads", "8"]
        command += ["--keep-alive", "60", "--log-level", "warning", "resolutionflow.wsgi"]
        stack.enter_context(Program("gunicorn", command, folder)).listens(port)
        env = {**os.environ}
        stack.enter_context(Program("worker", ["manage.py", "psa_worker"], folder, env))
        sender = _Sender(f"http://127.0.0.1:{port}/psa/webhooks/{callback.secret_id}/", url, keys)
        _queue(tenant, connection, actor)
        for number in range(WARM_UP):
            # The first requests load what all later ones share.
            sender.send(number)
        steady = sender.steady()
        spoilt = sender.refused
        first = _processed(WARM_UP + MESSAGES) - WARM_UP
        burst_s = sender.burst()
        second = _processed(WARM_UP + 2 * MESSAGES) - WARM_UP
    p99 = statistics.quantiles(steady, n=100)[98] * 1000
    once = first == MESSAGES and second == 2 * MESSAGES and not spoilt and not sender.refused
    held = p99 < P99_BOUND_MS and burst_s <= AT_ONCE_BOUND_S and once
    print(
        f"callbacks on {LABELS[database.vendor]}: {A_SECOND} a second beside a draining worker: median "
        f"{statistics.median(steady) * 1000:.1f} ms, p99 {p99:.1f} ms (bound {P99_BOUND_MS}); "
        f"{MESSAGES} at once answered in {burst_s:.2f} s (bound {AT_ONCE_BOUND_S}); "
        f"processed {second} of {2 * MESSAGES}, refused {sender.refused} {'PASS' if held else 'FAIL'}",
        flush=True,
    )
    return held


class _Sender:
    """Sends messages as ConnectWise does: signed, each with an id of its own."""

    def __init__(self, address: str, url: str, keys: dict[str, str]) -> None:
        self._address = address
        self._company = keys["company_id"]
        self._url = url
        self._key_url, self._key = self._find_key(keys)
        self.refused = 0
        self._local = threading.local()

    def _find_key(self, keys: dict[str, str]) -> tuple[str, str]:
        """Return where the signing key of the sandbox is, and the key, by having it call us once."""
        received: list[dict[str, object]] = []

        class Once(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                received.append(json.loads(self.rfile.read(length)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return None

        listener = http.server.HTTPServer(("127.0.0.1", 0), Once)
        thread = threading.Thread(target=listener.handle_request)
        thread.start()
        auth = (f"{keys['company_id']}+{keys['public_key']}", keys["private_key"])
        headers = {"clientId": keys["client_id"]}
        api = f"{self._url}/v4_6_release/apis/3.0"
        body = {
            "url": f"http://127.0.0.1:{listener.server_port}/?id=",
            "objectId": 1,
            "type": "ticket",
            "level": "owner",
        }
        made = requests.post(
            f"{api}/system/callbacks", json=body, auth=auth, headers=headers, timeout=10
        ).json()
        steps = [{"op": "replace", "path": "summary", "value": "Changed"}]
        requests.patch(f"{api}/service/tickets/57060", json=steps, auth=auth, headers=headers, timeout=10)
        thread.join(20)
        listener.server_close()
        requests.delete(f"{api}/system/callbacks/{made['id']}", auth=auth, headers=headers, timeout=10)
        key_url = str(received[0]["Metadata"]["key_url"])  # type: ignore[index]
        return key_url, str(requests.get(key_url, timeout=10).json()["signing_key"])

    def send(self, number: int) -> float:
        """Send one message and return how long its answer took."""
        # Not requests: on a machine of two cores the sender would take what is to be measured.
        http = getattr(self._local, "http", None)
        if http is None:
            address = urlsplit(self._address)
            http = self._local.http = http_client.HTTPConnection(
                str(address.hostname), address.port, timeout=30
            )
        body, signed = self._message(number)
        started = time.perf_counter()
        http.request(
            "POST",
            f"{urlsplit(self._address).path}?recordId={number}&action=updated",
            body,
            {"x-content-signature": signed, "Content-Type": "application/json"},
        )
        answer = http.getresponse()
        answer.read()
        seconds = time.perf_counter() - started
        if answer.status != 204:
            self.refused += 1
        return seconds

    def _message(self, number: int) -> tuple[bytes, str]:
        body = json.dumps(
            {
                "Action": "updated",
                "CompanyId": self._company,
                "Entity": None,
                "ID": 57001 + number % 60,
                "MemberId": "bkeller",
                "MessageId": str(uuid.uuid4()),
                "Metadata": {"key_url": self._key_url},
                "Type": "ticket",
            }
        ).encode()
        hashed = hashlib.sha256(self._key.encode()).digest()
        return body, base64.b64encode(hmac.new(hashed, body, hashlib.sha256).digest()).decode()

    def steady(self) -> list[float]:
        """Send so many a second, each at its own moment, and return how long each answer took."""
        took: list[float] = []
        start = time.perf_counter() + 0.5

        def send(lane: int) -> None:
            for number in range(lane, MESSAGES, SENDERS):
                time.sleep(max(start + number / A_SECOND - time.perf_counter(), 0))
                took.append(self.send(number))

        _together(send)
        return took

    def burst(self) -> float:
        """Send all at once and return when the last one was answered."""
        started = time.perf_counter()

        def send(lane: int) -> None:
            for number in range(lane, MESSAGES, SENDERS):
                self.send(number)

        _together(send)
        return time.perf_counter() - started


def _together(run: object) -> None:
    threads = [threading.Thread(target=run, args=(lane,)) for lane in range(SENDERS)]  # type: ignore[arg-type]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _queue(tenant: Account, connection: Connection, actor: Actor) -> None:
    """Queue more notes than the worker delivers while messages arrive."""
    assert psa_settings().MAX_WRITES_IN_FLIGHT
    links = [services.ticket_link(tenant, connection.pk, str(57001 + number)) for number in range(TICKETS)]
    for number in range(NOTES):
        for link in links:
            part = NotePart(NoteKind.ANALYSIS, f"Note {number}. Restarted the print spooler.")
            services.unit_enqueue(tenant, link.pk, [part], actor=actor, origin=f"session:{link.pk}")


def _processed(wanted: int) -> int:
    """Wait until so many messages were processed, and return how many were, each once."""
    until = time.monotonic() + PROCESSED_WITHIN_S
    while time.monotonic() < until:
        found = WebhookReceipt.objects.filter(state=ReceiptState.PROCESSED)
        if found.count() >= wanted:
            break
        time.sleep(0.2)
    rows = WebhookReceipt.objects.filter(state=ReceiptState.PROCESSED)
    return rows.values("dedupe_key").distinct().count()
