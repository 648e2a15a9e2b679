"""From a request to an answer: codebase, keys, version, route, query, body, handler; faults around it."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections import deque
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote

from psa.providers.connectwise.reference import Match, Operation, load_reference
from psa.providers.connectwise.sandbox import errors
from psa.providers.connectwise.sandbox.behaviour import Call
from psa.providers.connectwise.sandbox.callbacks import signing_key_answer
from psa.providers.connectwise.sandbox.documents import FORM, read_form
from psa.providers.connectwise.sandbox.errors import ApiError
from psa.providers.connectwise.sandbox.faults import Fault, Faults
from psa.providers.connectwise.sandbox.identity import (
    api_version,
    authenticate,
    check_version,
    company_info,
)
from psa.providers.connectwise.sandbox.routing import Handler, handler_of
from psa.providers.connectwise.sandbox.security import check_access
from psa.providers.connectwise.sandbox.state import State
from psa.providers.connectwise.sandbox.wire import Request, Response

MAX_URL = 10_000
"""Characters of path and query; longer ones are refused with 414."""

KEPT_REQUESTS = 20_000

LOGGED_BODY = 100_000
"""Characters of a body that the request log keeps."""

KNOWN_CODEBASE = re.compile(r"^/(v\d+_\d+(?:_release)?)/apis/3\.0(?=/|$)", re.IGNORECASE)

PAGED = frozenset({"fields", "page", "pageSize", "pageId"})
"""Query parameters that a search takes though the reference lists none."""


class Gateway:
    """Serves everything but the control API. The state is replaced as a whole by a reset."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.faults = Faults()
        self.requests: deque[dict[str, Any]] = deque(maxlen=KEPT_REQUESTS)
        self._handlers: dict[str, Handler | None] = {
            operation.operation_id: handler_of(operation) for operation in load_reference().operations
        }
        self._query_names: dict[str, dict[str, str]] = {}

    def serve(self, request: Request) -> Response:
        """Answer one request, with the faults that match it, and log it."""
        entry = self._log(request)
        delay_s, fault = self.faults.take(request.method, request.path)
        delay_s += self.state.settings.latency_ms / 1000
        if delay_s:
            time.sleep(delay_s)
        response = self._with_fault(request, fault)
        entry["status"] = None if response.drop else response.status
        entry["fault"] = fault.kind if fault else None
        return response

    def _with_fault(self, request: Request, fault: Fault | None) -> Response:
        if fault is None:
            return self._finish(self._answer(request))
        if fault.kind == "drop_before":
            return Response(0, drop=True)
        if fault.kind == "status":
            if fault.after:
                self._answer(request)
            return self._finish(fault.answer())
        response = self._answer(request)
        if fault.kind == "drop_after":
            return Response(0, drop=True)
        return self._finish(fault.spoil(response))

    def _log(self, request: Request) -> dict[str, Any]:
        headers = dict(request.headers)
        if "authorization" in headers:
            headers["authorization"] = "(redacted)"
        entry: dict[str, Any] = {
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "headers": headers,
            "body": request.body[:LOGGED_BODY].decode("utf-8", "replace"),
            "at": time.time(),
            "status": None,
            "fault": None,
        }
        self.requests.append(entry)
        return entry

    def _finish(self, response: Response) -> Response:
        response.headers += [
            ("Cache-Control", "no-cache"),
            ("api-current-version", api_version()),
            ("x-cw-request-id", str(uuid.uuid4())),
        ]
        return response

    def _answer(self, request: Request) -> Response:
        try:
            return self._route(request)
        except RecursionError:
            error = errors.bad_condition("The condition is nested too deeply.")
        except ApiError as refused:
            error = refused
        return Response(error.status, error.body, error.content_type, list(error.headers))

    def _route(self, request: Request) -> Response:
        path = request.path
        if len(request.target) > MAX_URL:
            raise errors.too_long()
        if path.lower().startswith("/login/companyinfo/"):
            if request.method != "GET":
                raise errors.method_refused(["GET"])
            return company_info(self.state, path[len("/login/companyinfo/") :].strip("/"))
        if path.lower().endswith("/system/callbackkey/index.rails"):
            return signing_key_answer(self.state, request.query)
        tail = self._below_codebase(path)
        member = authenticate(self.state, request.headers)
        check_version(self.state, request.headers.get("accept", ""), path)
        match = load_reference().match(request.method, tail)
        if match is None:
            allowed = load_reference().methods_at(tail)
            raise errors.method_refused(allowed) if allowed else errors.route_missing()
        operation = match.operation
        check_access(self.state, operation.method, operation.path)
        handler = self._handlers[operation.operation_id]
        if handler is None:
            raise errors.coded(501, "ConnectWiseApi", "The sandbox does not serve this operation.")
        call = Call(
            state=self.state,
            operation=operation,
            params={name: unquote(value) for name, value in match.params.items()},
            query=self._read_query(operation, request.query),
            headers=request.headers,
            body=_read_body(operation, match, request),
            actor=member,
        )
        return handler(call)

    def _below_codebase(self, path: str) -> str:
        """The path behind /{codebase}apis/3.0; other codebases are misrouted as on the real host."""
        prefix = f"/{self.state.settings.codebase}apis/3.0"
        if path.lower().startswith(prefix.lower()) and path[len(prefix) :][:1] in ("/", ""):
            return path[len(prefix) :]
        if KNOWN_CODEBASE.match(path):
            raise errors.route_missing()
        raise errors.cannot_route()

    def _read_query(self, operation: Operation, text: str) -> dict[str, str]:
        """Query parameters by their proper names; names are matched without case."""
        if not text:
            return {}
        names = self._query_names.get(operation.operation_id)
        if names is None:
            allowed = operation.query | (PAGED if operation.path.endswith("/search") else frozenset())
            names = {name.lower(): name for name in allowed}
            self._query_names[operation.operation_id] = names
        query: dict[str, str] = {}
        for name, value in parse_qsl(text, keep_blank_values=True):
            known = names.get(name.lower())
            if known is None:
                raise errors.coded(400, "ConnectWiseApi", f"{name} is no parameter of this endpoint.")
            query[known] = value
        return query


def _read_body(operation: Operation, match: Match, request: Request) -> Any:
    wants_body = operation.body is not None or operation.operation_id in BODY_WITHOUT_SCHEMA
    if not wants_body:
        return None
    content_type = request.headers.get("content-type", "")
    if operation.body_media_type == FORM:
        return read_form(request.body, content_type)
    media_type = content_type.split(";")[0].strip().lower()
    vendor = media_type.startswith("application/vnd.connectwise.com") and media_type.endswith("+json")
    if media_type != "application/json" and not vendor:
        raise errors.wrong_media_type(content_type)
    try:
        return json.loads(request.body.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as exc:
        raise errors.coded(400, "InvalidJson", "The body is not valid JSON.") from exc


BODY_WITHOUT_SCHEMA = frozenset({"deleteCompanyConfigurationsBulk"})
"""Operations whose body the reference does not describe."""


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


Serve = Callable[[Request], Response]
