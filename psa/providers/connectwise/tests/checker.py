"""Owns the check of every request the tests send against the facts: the OpenAPI document of ConnectWise."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from requests_toolbelt import MultipartEncoder

from psa.providers.connectwise.reference import Operation, load_reference

URL_MAX_CHARS = 2000
SEARCH_QUERY = {"page", "pageSize", "fields"}
"""Query names a `/search` takes although the official document lists none."""
EVERYWHERE = {"lastUpdated", "dateEntered"}
"""Names that may be filtered on though a record carries them in `_info`."""
SENT_HEADERS = {
    "user-agent",
    "accept",
    "accept-encoding",
    "connection",
    "authorization",
    "clientid",
    "content-type",
    "content-length",
    "pagination-type",
}
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")

checked: list[str] = []
"""What was checked so far: `METHOD /path/template`."""


def check_request(request: requests.PreparedRequest) -> None:
    """Raise AssertionError for anything the facts do not know."""
    reference = load_reference()
    url = request.url or ""
    assert len(url) <= URL_MAX_CHARS, f"URL of {len(url)} characters"
    unknown = {name.lower() for name in request.headers} - SENT_HEADERS
    assert not unknown, f"headers ConnectWise does not know: {unknown}"
    parts = urlsplit(url)
    if parts.path.startswith("/login/companyinfo/"):
        assert "Authorization" not in request.headers
        assert "clientId" not in request.headers
        checked.append("GET /login/companyinfo/{companyId}")
        return
    accept = request.headers["Accept"]
    assert re.fullmatch(r"application/vnd\.connectwise\.com\+json(; version=\d{4}\.\d+)?", accept)
    assert request.headers["Authorization"].startswith("Basic ")
    path = parts.path.split("/apis/3.0", 1)[1]
    match = reference.match(request.method or "", path)
    assert match, f"{request.method} {path} is not in the reference"
    operation = match.operation
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    allowed = operation.query | (SEARCH_QUERY if operation.path.endswith("/search") else set())
    assert set(query) <= allowed, f"{operation.path} takes no {set(query) - allowed}"
    if "pageSize" in query:
        assert 1 <= int(query["pageSize"]) <= 1000
    if request.headers.get("pagination-type"):
        assert "orderBy" not in query
        assert "page" not in query
    if isinstance(request.body, MultipartEncoder):
        _check_form(operation, request.body, request.headers)
        checked.append(f"{operation.method.upper()} {operation.path}")
        return
    body = json.loads(request.body) if request.body else None
    if body is not None:
        assert request.headers["Content-Type"] == "application/json"
    filters = {**query, **body} if operation.path.endswith("/search") and body else query
    for name in _filtered(filters.get("conditions", ""), filters.get("orderBy", "")):
        assert _has_field(operation, name), f"{operation.path} has no field {name}"
    if operation.takes_patch:
        record = _record_schema(operation)
        for step in body:
            assert set(step) <= {"op", "path", "value"}
            assert step["op"] in {"add", "replace", "remove"}
            assert step["path"] in record["properties"], step["path"]
            _check_value(record["properties"][step["path"]], step["value"], step["path"])
    elif body is not None:
        assert operation.body is not None
        _check_value(operation.body, body, "body")
    checked.append(f"{operation.method.upper()} {operation.path}")


def _check_form(operation: Operation, form: MultipartEncoder, headers: Mapping[str, str]) -> None:
    """Raise AssertionError for parts the facts do not know, and for a file the customer would see."""
    assert operation.body_media_type == "multipart/form-data"
    assert headers["Content-Type"] == form.content_type
    assert headers["Content-Length"] == str(form.len)
    known = load_reference().resolve(operation.body or {})["properties"]
    assert set(form.fields) <= set(known)
    assert form.fields["privateFlag"] == "True"


def _filtered(conditions: str, order_by: str) -> Iterator[str]:
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', conditions)
    assert bare.count('"') % 2 == 0, conditions
    for text in re.findall(r"\[([^\]]*)\]", bare):
        assert DATE.fullmatch(text), text
    yield from re.findall(r"([A-Za-z_][A-Za-z0-9_/]*)\s*(?:=|!=|<=|>=|<|>|contains\b|in\b|like\b)", bare)
    for part in filter(None, order_by.split(",")):
        name, _, direction = part.partition(" ")
        assert direction in ("", "asc", "desc")
        yield name


def _record_schema(operation: Operation) -> dict[str, Any]:
    reference = load_reference()
    schema = reference.resolve(operation.response or {})
    return reference.resolve(schema["items"]) if schema.get("type") == "array" else schema


def _has_field(operation: Operation, name: str) -> bool:
    if name in EVERYWHERE:
        return True
    schema = _record_schema(operation)
    for segment in name.split("/"):
        properties = load_reference().resolve(schema).get("properties", {})
        if segment not in properties:
            return False
        schema = properties[segment]
    return True


def _check_value(schema: dict[str, Any], value: Any, where: str) -> None:
    schema = load_reference().resolve(schema)
    kind = schema.get("type")
    kinds = {"string": str, "boolean": bool, "integer": int, "object": dict, "array": list}
    if kind in kinds:
        assert isinstance(value, kinds[kind]), f"{where} must be {kind}, is {value!r}"
    if isinstance(value, str):
        assert len(value) <= schema.get("maxLength", len(value)), where
        if schema.get("format") == "date-time":
            assert DATE.fullmatch(value), where
        assert value in schema.get("enum", [value]), where
    if isinstance(value, dict) and "properties" in schema:
        assert set(value) <= set(schema["properties"]), (
            f"{where} has no {set(value) - set(schema['properties'])}"
        )
        for name, item in value.items():
            _check_value(schema["properties"][name], item, f"{where}.{name}")
