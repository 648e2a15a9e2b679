"""A note through the provider, without a database, against the same POST on a bare pooled session.

Both write to the sandbox in a process of its own, in turn, so that a noisy machine slows both alike.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import requests

from psa.providers.connectwise.provider import ConnectWiseProvider
from psa.providers.http import HttpClient
from psa.types import ConnectionConfig, NoteDraft, NoteKind, RecordType

BOUND = 1.15
ROUNDS = 40
NOTES_A_ROUND = 25
TICKET = "57050"

_SERVE = """
import json, sys
from psa.providers.connectwise.sandbox.server import SandboxServer
with SandboxServer(port=0) as sandbox:
    keys = sandbox.credentials
    print(json.dumps({"url": sandbox.url, "company_id": keys.company_id, "public_key": keys.public_key,
                      "private_key": keys.private_key, "client_id": keys.client_id}), flush=True)
    sys.stdin.read()
"""


def run() -> bool:
    """Print the ratio of the medians and return whether it holds the bound."""
    server = subprocess.Popen(
        [sys.executable, "-c", _SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        keys = json.loads(server.stdout.readline())
        bare, ours = _bare(keys), _ours(keys)
        for write in (bare, ours):
            _seconds(write)
        pairs = [(_seconds(bare), _seconds(ours)) for _ in range(ROUNDS)]
    finally:
        server.terminate()
        server.wait()
    ratio = statistics.median(mine / plain for plain, mine in pairs)
    plain_ms = statistics.median(plain for plain, _ in pairs) / NOTES_A_ROUND * 1000
    ours_ms = statistics.median(mine for _, mine in pairs) / NOTES_A_ROUND * 1000
    verdict = "PASS" if ratio <= BOUND else "FAIL"
    print(
        f"note through the provider: {ours_ms:.3f} ms, bare pooled session: {plain_ms:.3f} ms, "
        f"ratio {ratio:.3f} (bound {BOUND}) {verdict}"
    )
    return ratio <= BOUND


def _seconds(write: Callable[[], None]) -> float:
    started = time.perf_counter()
    for _ in range(NOTES_A_ROUND):
        write()
    return time.perf_counter() - started


def _bare(keys: dict[str, str]) -> Callable[[], None]:
    http = requests.Session()
    http.trust_env = False
    http.auth = (f"{keys['company_id']}+{keys['public_key']}", keys["private_key"])
    http.headers.update({"clientId": keys["client_id"], "Accept": "application/json"})
    url = f"{keys['url']}/v4_6_release/apis/3.0/service/tickets/{TICKET}/notes"
    body = {
        "text": "Measured.",
        "internalAnalysisFlag": True,
        "resolutionFlag": False,
        "detailDescriptionFlag": False,
        "internalFlag": True,
        "externalFlag": False,
        "processNotifications": False,
    }

    def write() -> None:
        answer = http.post(url, json=body, timeout=(5, 30))
        answer.raise_for_status()
        answer.json()

    return write


def _ours(keys: dict[str, str]) -> Callable[[], None]:
    credentials = {name: keys[name] for name in ("company_id", "public_key", "private_key", "client_id")}
    config = ConnectionConfig("bench", keys["url"], credentials, trusted_hosts=("127.0.0.1",))
    provider = ConnectWiseProvider(config, HttpClient(trusted_hosts=("127.0.0.1",)), _NoCache())
    provider.discover()
    draft = NoteDraft(NoteKind.ANALYSIS, "Measured.")

    def write() -> None:
        provider.note_add(TICKET, RecordType.SERVICE, draft)

    return write


class _NoCache:
    """A cache that keeps nothing."""

    def get(self, key: str, default: object = None) -> object:
        return default

    def set(self, key: str, value: object, timeout: float | None = None) -> None:
        return None

    def delete(self, key: str) -> None:
        return None


if __name__ == "__main__":
    sys.exit(0 if run() else 1)
