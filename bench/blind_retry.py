"""Owns the clients the outbox is compared with: they POST notes and retry blindly, or not at all.

`python -m bench.blind_retry` runs both against sandboxes with the faults and the outage of the fire test.
Their process is never killed, so they have it easier than our workers.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests

from bench.chaos.environment import environment_set
from bench.chaos.options import PSA_TIMES, Options, parse
from bench.chaos.sandboxes import Sandbox, sandboxes_start
from bench.chaos.storm import Outage, faults_begin
from bench.chaos.verdict import INTERNAL, Lane, Result, count, number_of, table

TRIES = 5
FIRST_PAUSE_S = 0.5
"""Seconds before the second try; each further pause is twice as long."""
ARRIVALS_PER_S = 20.0
"""Notes that come up in a second. A client that never waits would lose all it has within one short outage."""
TICK_S = 0.1
NOTE_FLAGS = {
    "internalAnalysisFlag": True,
    "resolutionFlag": False,
    "detailDescriptionFlag": False,
    "processNotifications": False,
}


def note_post(http: requests.Session, url: str, text: str, *, tries: int, pause_s: float) -> int | None:
    """Post a note as the usual client does and return its id, None when it gave up.

    Whatever goes wrong, an answer that cannot be read included, is tried again, `tries` times in all.
    """
    timeout = (float(str(PSA_TIMES["CONNECT_TIMEOUT_S"])), float(str(PSA_TIMES["CALL_DEADLINE_S"])))
    for attempt in range(tries):
        wait_s = pause_s * 2**attempt
        try:
            answer = http.post(url, json={**NOTE_FLAGS, "text": text}, timeout=timeout)
            if answer.ok:
                return int(answer.json()["id"])
            if answer.status_code != 429 and answer.status_code < 500:
                return None
            wait_s = max(wait_s, float(answer.headers.get("Retry-After", 0)))
        except (requests.RequestException, ValueError, KeyError, TypeError):
            pass
        if attempt < tries - 1:
            time.sleep(wait_s)
    return None


class BlindClient:
    """One client: a thread per ticket, each posting its notes in order."""

    def __init__(self, lanes: dict[Lane, tuple[Sandbox, list[str]]], tries: int) -> None:
        self._lanes = lanes
        self._tries = tries
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._began = 0.0
        self.done = 0
        """Notes posted or given up."""
        self.posts = {"posted": 0, "gave up": 0}

    def run(self, outage: Outage, total: int, minutes: float) -> None:
        """Post everything, with an outage after a third."""
        self._began = time.monotonic()
        until = self._began + minutes * 60
        with ThreadPoolExecutor(len(self._lanes)) as pool:
            running = [
                pool.submit(self._lane, sandbox, lane[1], keys)
                for lane, (sandbox, keys) in self._lanes.items()
            ]
            while outage.is_running or not all(future.done() for future in running):
                if self.done >= total / 3:
                    outage.begin()
                outage.step()
                if time.monotonic() > until:
                    self._stop.set()
                time.sleep(TICK_S)
            for future in running:
                future.result()

    def _lane(self, sandbox: Sandbox, ticket_id: str, keys: list[str]) -> None:
        with requests.Session() as http:
            http.trust_env = False
            http.auth = (
                f"{sandbox.keys['company_id']}+{sandbox.keys['public_key']}",
                sandbox.keys["private_key"],
            )
            http.headers.update({"clientId": sandbox.keys["client_id"], "Accept": "application/json"})
            url = f"{sandbox.api_url}/service/tickets/{ticket_id}/notes"
            for key in keys:
                comes_up_s = int(key.rpartition(" ")[2]) / ARRIVALS_PER_S
                if self._stop.wait(max(0.0, self._began + comes_up_s - time.monotonic())):
                    return
                posted = note_post(http, url, f"{key}, {INTERNAL}.", tries=self._tries, pause_s=FIRST_PAUSE_S)
                with self._lock:
                    self.done += 1
                    self.posts["posted" if posted else "gave up"] += 1


def blind_client_run(options: Options, tries: int) -> Result:
    """Return how one client fares with as many notes, tickets and sandboxes as the fire test has."""
    name = f"blind, {tries} tries" if tries > 1 else "blind, never again"
    print(f"== {name}: {options.deliveries} notes, {options.tickets} tickets", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="chaos-blind-"))
    sandboxes: list[Sandbox] = []
    try:
        sandboxes = sandboxes_start(options.connections, folder, options.latency_ms)
        lanes = _lanes(options, sandboxes)
        faults_begin(sandboxes, options.severity)
        client = BlindClient(lanes, tries)
        started = time.monotonic()
        client.run(Outage(sandboxes, options.outage_s, options.severity), options.deliveries, options.minutes)
        wall_s = time.monotonic() - started
        for sandbox in sandboxes:
            sandbox.faults_set([])
        notes = {lane: sandbox.notes(lane[1]) for lane, (sandbox, _keys) in lanes.items()}
        expected = {lane: keys for lane, (_sandbox, keys) in lanes.items()}
        result = Result(
            name=name,
            queued=options.deliveries,
            counts=count(expected, notes, number_of),
            wall_s=wall_s,
            delivered=client.posts["posted"],
            attempts=client.posts,
            guarded=False,
        )
    finally:
        for sandbox in sandboxes:
            sandbox.close()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"  it believes: {client.posts['posted']} posted, {client.posts['gave up']} failed", flush=True)
    return result


def _lanes(options: Options, sandboxes: Sequence[Sandbox]) -> dict[Lane, tuple[Sandbox, list[str]]]:
    each = -(-options.tickets // len(sandboxes))
    places: list[tuple[Lane, Sandbox]] = [
        ((number, ticket_id), sandbox)
        for number, sandbox in enumerate(sandboxes)
        for ticket_id in sandbox.tickets_create(each)
    ][: options.tickets]
    lanes: dict[Lane, tuple[Sandbox, list[str]]] = {lane: (sandbox, []) for lane, sandbox in places}
    for note in range(options.deliveries):
        lane, _sandbox = places[note % len(places)]
        lanes[lane][1].append(f"No. {note + 1:06d}")
    return lanes


def blind_clients(options: Options) -> list[Result]:
    """Return the results of both clients, each on sandboxes of its own."""
    environment_set("sqlite://:memory:", options.times)
    return [blind_client_run(options, tries) for tries in (TRIES, 1)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print both results as a table."""
    options = parse(arguments)
    results: list[Any] = blind_clients(options)
    print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
