"""Owns the PSAs of a run: one ConnectWise sandbox process each, and what is asked of it over HTTP."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import requests

from bench.chaos.programs import Program
from bench.chaos.verdict import StoredNote

PAGE_ROWS = 1000


class Sandbox:
    """One running sandbox. Its process can be stopped and continued like a server that hangs."""

    def __init__(self, number: int, folder: Path, latency_ms: float) -> None:
        arguments = ["manage.py", "connectwise_sandbox", "--port", "0", "--latency-ms", str(latency_ms)]
        self._program = Program(f"sandbox-{number}", arguments, folder)
        self.url = ""
        self.keys: dict[str, str] = {}
        self._http = requests.Session()
        self._http.trust_env = False

    def ready(self) -> None:
        """Wait until it listens. Raises: RuntimeError."""
        keys = json.loads(self._program.wait_line(lambda line: line.startswith("{")))
        self.url = keys.pop("url")
        self.keys = keys
        self._http.auth = (f"{keys['company_id']}+{keys['public_key']}", keys["private_key"])
        self._http.headers.update({"clientId": keys["client_id"], "Accept": "application/json"})

    @property
    def api_url(self) -> str:
        """Return the base of every call."""
        return f"{self.url}/v4_6_release/apis/3.0"

    def close(self) -> None:
        """End the process; what it stored is gone."""
        self._http.close()
        self._program.kill()

    def hang(self) -> None:
        """Stop the process in the middle of whatever it does; its sockets stay open and silent."""
        self._program.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Continue a process that hangs; it works off what arrived meanwhile."""
        self._program.signal(signal.SIGCONT)

    def faults_set(self, faults: list[dict[str, Any]]) -> None:
        """Replace all faults."""
        self._control("DELETE", "faults")
        for fault in faults:
            self._control("POST", "faults", fault)

    def requests_seen(self) -> list[dict[str, Any]]:
        """Return the calls it got, oldest first, each with status and fault."""
        found: list[dict[str, Any]] = self._control("GET", "requests")
        return found

    def tickets_create(self, count: int) -> list[str]:
        """Return the ids of new tickets, which hold no note yet."""
        example = self._get("/service/tickets", {"pageSize": "1", "conditions": "closedFlag = false"})[0]
        made = []
        for number in range(1, count + 1):
            body = {
                "summary": f"Fire test, ticket {number}",
                "company": {"id": example["company"]["id"]},
                "board": {"id": example["board"]["id"]},
            }
            answer = self._http.post(f"{self.api_url}/service/tickets", json=body, timeout=30)
            answer.raise_for_status()
            made.append(str(answer.json()["id"]))
        return made

    def notes(self, ticket_id: str) -> list[StoredNote]:
        """Return every note of a ticket, paged, by id."""
        found: list[StoredNote] = []
        page = 1
        while True:
            rows = self._get(
                f"/service/tickets/{ticket_id}/notes",
                {"pageSize": str(PAGE_ROWS), "page": str(page), "orderBy": "id"},
            )
            found += [
                StoredNote(
                    id=int(row["id"]),
                    text=row["text"],
                    customer_visible=bool(row["resolutionFlag"] or row["detailDescriptionFlag"]),
                )
                for row in rows
            ]
            if len(rows) < PAGE_ROWS:
                return sorted(found, key=lambda note: note.id)
            page += 1

    def ticket_text(self, ticket_id: str) -> str:
        """Return everything the ticket record itself says, as one text."""
        return json.dumps(self._get(f"/service/tickets/{ticket_id}", {}), ensure_ascii=False)

    def _get(self, path: str, params: dict[str, str]) -> Any:
        answer = self._http.get(f"{self.api_url}{path}", params=params, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def _control(self, method: str, name: str, body: Any = None) -> Any:
        answer = self._http.request(method, f"{self.url}/_sandbox/{name}", json=body, timeout=60)
        answer.raise_for_status()
        return answer.json() if answer.content else None


def sandboxes_start(count: int, folder: Path, latency_ms: float) -> list[Sandbox]:
    """Return running sandboxes; all are started before the first is waited for."""
    started: list[Sandbox] = []
    try:
        for number in range(1, count + 1):
            started.append(Sandbox(number, folder, latency_ms))
        for sandbox in started:
            sandbox.ready()
    except BaseException:
        for sandbox in started:
            sandbox.close()
        raise
    return started
