"""Refusals in the shapes the real API uses; raise one anywhere below the gateway.

A new shape is a function here and a row in tests/test_errors.py.
Source: docs/connectwise/quick-reference.md#errors
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

JSON_TYPE = "application/json; charset=utf-8"
TEXT_TYPE = "text/plain; charset=utf-8"
HTML_TYPE = "text/html; charset=utf-8"

CANNOT_ROUTE = b"Cannot route. Codebase/company is invalid. Check the address and the clientId header."


@dataclass(frozen=True, slots=True)
class Item:
    """One reason inside a refused body, as `errors[]` shows it."""

    code: str
    message: str
    field: str


class ApiError(Exception):
    """An answer with an error status; body is what goes over the wire."""

    def __init__(
        self,
        status: int,
        body: bytes,
        content_type: str = JSON_TYPE,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(f"{status} {body[:200]!r}")
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers


def _json(status: int, document: dict[str, Any], headers: tuple[tuple[str, str], ...] = ()) -> ApiError:
    return ApiError(status, json.dumps(document, ensure_ascii=False).encode(), JSON_TYPE, headers)


def coded(status: int, code: str, message: str) -> ApiError:
    return _json(status, {"code": code, "message": message, "errors": None})


def invalid(resource: str, items: Iterable[Item]) -> ApiError:
    """400 for a body that was understood and refused; names each field."""
    errors = [{"code": i.code, "message": i.message, "resource": resource, "field": i.field} for i in items]
    message = f"{resource} object is invalid"
    return _json(400, {"code": "InvalidObject", "message": message, "errors": errors})


def bad_condition(message: str) -> ApiError:
    return coded(400, "ApiFindCondition", message)


def not_recognized(name: str) -> ApiError:
    return bad_condition(f"{name} is not a recognized name.")


def record_missing(what: str, record_id: object) -> ApiError:
    return coded(404, "NotFound", f"{what} {record_id} not found")


def route_missing() -> ApiError:
    return coded(404, "ConnectWiseApi", "The endpoint does not exist.")


def method_refused(allowed: Iterable[str]) -> ApiError:
    body = {"code": "ConnectWiseApi", "message": "The endpoint does not offer this method."}
    return _json(405, body, (("Allow", ", ".join(sorted(allowed))),))


def unauthorized() -> ApiError:
    return _json(401, {"code": "ConnectWiseApi", "message": "UserNotAuthenticated"})


def forbidden(function: str) -> ApiError:
    return coded(403, "Security", f"The permission for this action is missing: {function}.")


def cannot_route() -> ApiError:
    return ApiError(400, CANNOT_ROUTE, TEXT_TYPE)


def unsupported_version(path: str, version: str) -> ApiError:
    return coded(400, "ConnectWiseApi", f"Request {path} does not support API version {version}.")


def wrong_media_type(received: str, wanted: str = "application/json") -> ApiError:
    return coded(415, "UnsupportedMediaType", f"Send {wanted} instead of {received or 'nothing'}.")


def too_long() -> ApiError:
    return ApiError(414, b"The request URI is too long.", TEXT_TYPE)


def rate_limited(seconds: int) -> ApiError:
    body = {"error": "ConnectWiseAPI", "message": f"Too many requests. Wait {seconds} seconds."}
    return _json(429, body, (("Retry-After", str(seconds)),))


def html_page(status: int, title: str) -> ApiError:
    page = f"<html><head><title>{status} {title}</title></head><body><h1>{title}</h1></body></html>"
    return ApiError(status, page.encode(), HTML_TYPE)


def by_status(status: int, retry_after_s: int | None = None) -> ApiError:
    """The usual shape of a status; used by injected faults."""
    if status == 401:
        return unauthorized()
    if status == 403:
        return forbidden("Service Tickets")
    if status == 404:
        return coded(404, "NotFound", "The record was not found")
    if status == 429:
        return rate_limited(retry_after_s or 1)
    if status in (502, 503, 504):
        title = {502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}[status]
        error = html_page(status, title)
        if retry_after_s is not None:
            error.headers = (("Retry-After", str(retry_after_s)),)
        return error
    if status >= 500:
        return ApiError(status, b"Execution timeout expired while the request ran.", TEXT_TYPE)
    if 300 <= status < 400:
        return ApiError(status, b"", TEXT_TYPE, (("Location", "/maintenance.html"),))
    return coded(status, "ConnectWiseApi", f"The request was refused with status {status}.")
