"""Faults on demand: calls that match are dropped, delayed, refused or answered with rubbish.

Shape of a fault: {"method"?, "path"?, "kind", "status"?, "seconds"?, "count"?, "probability"?, "body"?,
"after"?}; path is a regular expression over the path, whole or below apis/3.0.
"""

from __future__ import annotations

import json
import random
import re
import threading
from dataclasses import dataclass
from typing import Any

from psa.providers.connectwise.sandbox.errors import HTML_TYPE, JSON_TYPE, by_status
from psa.providers.connectwise.sandbox.wire import Response

KINDS = ("drop_before", "drop_after", "status", "latency", "garbage")

NAMES = frozenset({"method", "path", "kind", "status", "seconds", "count", "probability", "body", "after"})


@dataclass(slots=True)
class Fault:
    """One rule. count is how many calls it still hits, None for all."""

    kind: str
    method: str | None = None
    path: str = ""
    status: int = 500
    seconds: float | None = None
    count: int | None = None
    probability: float = 1.0
    body: Any = None
    after: bool = False
    """True: the work is done before the status is answered."""

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in sorted(NAMES)}

    def answer(self) -> Response:
        """The answer of a status fault, in the shape that status really has."""
        wait_s = None if self.seconds is None else max(1, round(self.seconds))
        error = by_status(self.status, wait_s)
        response = Response(self.status, error.body, error.content_type, list(error.headers))
        if isinstance(self.body, str):
            response.body, response.content_type = self.body.encode(), HTML_TYPE
        elif self.body is not None:
            response.body, response.content_type = json.dumps(self.body).encode(), JSON_TYPE
        return response

    def spoil(self, response: Response) -> Response:
        """A success whose body cannot be read: cut JSON, or text given as body."""
        body = response.body[: len(response.body) // 2]
        content_type = response.content_type
        if isinstance(self.body, str):
            body, content_type = self.body.encode(), HTML_TYPE
        return Response(response.status, body or b"<html>", content_type)


class Faults:
    """The rules in force; the first that matches a call is used, latency adds up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[Fault] = []
        self._random = random.Random(1)  # noqa: S311 - repeatable, guards nothing

    def add(
        self,
        kind: str,
        *,
        method: str | None = None,
        path: str = "",
        status: int = 500,
        seconds: float | None = None,
        count: int | None = None,
        probability: float = 1.0,
        body: Any = None,
        after: bool = False,
    ) -> Fault:
        """Add a rule and return it. Raises: ValueError for an unknown kind or a bad regex."""
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}.")
        try:
            re.compile(path)
        except re.error as exc:
            raise ValueError(f"path is no regular expression: {exc}.") from exc
        method = method.upper() if method and method != "*" else None
        fault = Fault(kind, method, path, int(status), seconds, count, probability, body, after)
        with self._lock:
            self._rules.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()
            self._random.seed(1)

    def all(self) -> list[Fault]:
        with self._lock:
            return list(self._rules)

    def take(self, method: str, path: str) -> tuple[float, Fault | None]:
        """Seconds to wait, and the rule that decides about this call; uses up its count."""
        if not self._rules:
            return 0.0, None
        delay_s = 0.0
        chosen: Fault | None = None
        with self._lock:
            for rule in self._rules:
                if rule.kind != "latency" and chosen is not None:
                    continue
                if not self._hits(rule, method, path):
                    continue
                if rule.count is not None:
                    rule.count -= 1
                if rule.kind == "latency":
                    delay_s += rule.seconds or 0.0
                else:
                    chosen = rule
        return delay_s, chosen

    def _hits(self, rule: Fault, method: str, path: str) -> bool:
        if rule.count is not None and rule.count <= 0:
            return False
        if rule.method is not None and rule.method != method:
            return False
        below = path.partition("/apis/3.0")[2]
        if rule.path and not (re.search(rule.path, path) or re.search(rule.path, below)):
            return False
        return rule.probability >= 1 or self._random.random() < rule.probability
