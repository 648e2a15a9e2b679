"""Owns what goes wrong on purpose: faults of the PSAs and their outage. Killing workers is `fleet`'s."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from bench.chaos.sandboxes import Sandbox

NOTE_CALLS = "/notes$"
"""Reading and writing notes: everything a delivery and its looks consist of."""

SHARES: tuple[tuple[float, dict[str, Any]], ...] = (
    (0.10, {"kind": "drop_before"}),
    (0.10, {"kind": "drop_after"}),
    (0.05, {"kind": "status", "status": 429, "seconds": 1}),
    (0.025, {"kind": "status", "status": 503, "seconds": 1, "body": "Service Unavailable"}),
    (0.025, {"kind": "status", "status": 503}),
    (0.03, {"kind": "garbage"}),
)
"""Share of all note calls, and what happens to them.

Half of the 503 are a busy gateway's, with `Retry-After`; the others are the page of an upgrade, which stops
the connection until a probe finds it well.
"""

TOTAL: list[dict[str, Any]] = [{"kind": "drop_before"}]
"""Nobody gets an answer, whatever is called."""


def faults(severity: float = 1.0, turn: int = 0) -> list[dict[str, Any]]:
    """Return the standing faults, each share times severity.

    The sandbox rolls for one rule after the other and takes the first that hits, so each probability is the
    share of those calls that are left. Every sandbox rolls the same numbers; another turn puts the rules in
    another order, so that not all have the same luck.
    """
    place = turn % len(SHARES)
    rules = []
    left = 1.0
    for full_share, rule in (*SHARES[place:], *SHARES[:place]):
        share = full_share * severity
        rules.append({**rule, "path": NOTE_CALLS, "probability": share / left})
        left -= share
    return rules


def faults_begin(sandboxes: Sequence[Sandbox], severity: float, turn: int = 0) -> None:
    """Set the standing faults of all sandboxes."""
    for number, sandbox in enumerate(sandboxes):
        sandbox.faults_set(faults(severity, turn + number))


class Outage:
    """A total outage of all PSAs, in two halves: they hang with open sockets, then they drop every call.

    Hanging is the harder half: what was sent meanwhile is carried out when the server goes on, after its
    sender has given up. Call `step` again and again; it never waits.
    """

    def __init__(self, sandboxes: Sequence[Sandbox], length_s: float, severity: float) -> None:
        self._sandboxes = sandboxes
        self._severity = severity
        self._length_s = length_s
        self._began: float | None = None
        self._phase = "before" if length_s > 0 else "over"

    @property
    def is_running(self) -> bool:
        """True from the first second of the outage to its last."""
        return self._phase in ("hanging", "dropping")

    def begin(self) -> None:
        """Let the outage begin, once."""
        if self._phase != "before":
            return
        self._began = time.monotonic()
        self._phase = "hanging"
        for sandbox in self._sandboxes:
            sandbox.hang()

    def step(self) -> None:
        """Move on to the next half, or end the outage, when its time has come."""
        if self._began is None:
            return
        passed_s = time.monotonic() - self._began
        if self._phase == "hanging" and passed_s >= self._length_s / 2:
            self._phase = "dropping"
            for sandbox in self._sandboxes:
                sandbox.go_on()
            for sandbox in self._sandboxes:
                sandbox.faults_set(TOTAL)
        elif self._phase == "dropping" and passed_s >= self._length_s:
            self._phase = "over"
            faults_begin(self._sandboxes, self._severity, turn=len(SHARES) // 2)
