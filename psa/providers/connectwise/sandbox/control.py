"""The control API below /_sandbox: faults, request log, mails, settings, reset. No authentication.

Described for users in docs/connectwise/sandbox.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol

from psa.providers.connectwise.sandbox.faults import NAMES, Faults
from psa.providers.connectwise.sandbox.gateway import Gateway
from psa.providers.connectwise.sandbox.state import Settings
from psa.providers.connectwise.sandbox.store import to_json
from psa.providers.connectwise.sandbox.wire import Request, Response

PREFIX = "/_sandbox/"


class Controlled(Protocol):
    """What the control API needs of the server."""

    gateway: Gateway

    def reset(self) -> None: ...

    def configure(self, **changes: Any) -> Settings: ...


class BadControlError(Exception):
    """A control call that was not understood; its text is the answer."""


def serve_control(server: Controlled, request: Request) -> Response:
    name = request.path[len(PREFIX) :].strip("/")
    handlers: dict[tuple[str, str], Callable[[Controlled, Any], Any]] = {
        ("POST", "faults"): _add_fault,
        ("GET", "faults"): lambda s, _: [fault.as_dict() for fault in s.gateway.faults.all()],
        ("DELETE", "faults"): lambda s, _: s.gateway.faults.clear(),
        ("GET", "requests"): lambda s, _: list(s.gateway.requests),
        ("DELETE", "requests"): lambda s, _: s.gateway.requests.clear(),
        ("GET", "mails"): lambda s, _: s.gateway.state.mails,
        ("DELETE", "mails"): lambda s, _: s.gateway.state.mails.clear(),
        ("GET", "callbacks"): lambda s, _: s.gateway.state.deliveries,
        ("GET", "settings"): lambda s, _: s.gateway.state.settings.as_dict(),
        ("POST", "settings"): _configure,
        ("POST", "reset"): lambda s, _: s.reset(),
    }
    handler = handlers.get((request.method, name))
    if handler is None:
        known = ", ".join(f"{method} {path}" for method, path in handlers)
        return Response(404, to_json({"message": f"Known: {known}"}))
    try:
        body = json.loads(request.body) if request.body else {}
        answer = handler(server, body)
    except (BadControlError, ValueError, TypeError) as error:
        return Response(400, to_json({"message": str(error)}))
    return Response(204) if answer is None else Response(200, to_json(answer))


def _add_fault(server: Controlled, body: Any) -> Any:
    return add_fault(server.gateway.faults, body)


def add_fault(faults: Faults, body: Any) -> Any:
    if not isinstance(body, dict) or "kind" not in body:
        raise BadControlError("A fault is an object with at least a kind.")
    unknown = set(body) - NAMES
    if unknown:
        raise BadControlError(f"A fault has no {sorted(unknown)[0]}.")
    given = {name: value for name, value in body.items() if value is not None}
    return faults.add(given.pop("kind"), **given).as_dict()


def _configure(server: Controlled, body: Any) -> Any:
    if not isinstance(body, dict):
        raise BadControlError("Settings are an object.")
    return server.configure(**body).as_dict()
