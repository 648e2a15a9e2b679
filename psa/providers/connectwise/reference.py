"""The project's OpenAPI document of ConnectWise PSA, loaded once and easy to ask.

Extend it by editing the JSON file under docs/connectwise/; nothing here names an operation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

JsonObject = dict[str, Any]

PACKAGED_NAME = "reference.json"
"""Name of the file inside this package once the wheel is built."""

TREE_NAME = "docs/connectwise/connectwise-psa-resolutionflow-reference.json"
"""The one copy in the source tree; the build maps it to PACKAGED_NAME."""

METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path template.

    Shape: path "/service/tickets/{id}"; query holds the allowed parameter names as spelled;
        body and response are schemas with `$ref` inside, None where there is none.
    """

    operation_id: str
    method: str
    path: str
    summary: str
    tag: str
    path_params: tuple[str, ...]
    query: frozenset[str]
    headers: frozenset[str]
    body: JsonObject | None
    body_media_type: str | None
    """Media type of the body, None without one."""
    takes_patch: bool
    """True when the body is the array of patch steps."""
    status: int
    response: JsonObject | None
    media_type: str | None
    """Media type of the answer, None for an answer without a body."""
    takes_identifier: bool
    """True when the record's identifier may stand in place of its id."""

    @property
    def answers_list(self) -> bool:
        return self.response is not None and self.response.get("type") == "array"


@dataclass(frozen=True, slots=True)
class Match:
    """A request path found in the reference: its operation and the values of its parameters."""

    operation: Operation
    params: dict[str, str]


@dataclass(slots=True)
class _Node:
    literals: dict[str, _Node] = field(default_factory=dict)
    parameter: _Node | None = None
    operations: dict[str, Operation] = field(default_factory=dict)


class Reference:
    """Lookup over the document: operations by path, schemas by name, `$ref` resolved."""

    def __init__(self, document: JsonObject) -> None:
        self.document = document
        self.schemas: dict[str, JsonObject] = document["components"]["schemas"]
        self.operations: tuple[Operation, ...] = tuple(self._read_operations())
        self._root = _Node()
        for operation in self.operations:
            self._plant(operation)

    @property
    def version(self) -> str:
        """Release of the API the document describes, such as 2025.16."""
        return str(self.document["info"]["version"])

    def match(self, method: str, path: str) -> Match | None:
        """Find the operation for a path below `/apis/3.0`; a trailing slash is ignored."""
        found = self._walk(path)
        if found is None:
            return None
        node, values = found
        operation = node.operations.get(method.lower())
        if operation is None:
            return None
        return Match(operation, dict(zip(operation.path_params, values, strict=True)))

    def methods_at(self, path: str) -> frozenset[str]:
        """Upper-case methods offered at a path, empty when the path is unknown."""
        found = self._walk(path)
        return frozenset(m.upper() for m in found[0].operations) if found else frozenset()

    def schema(self, name: str) -> JsonObject:
        return self.schemas[name]

    def resolve(self, schema: JsonObject) -> JsonObject:
        """Follow `$ref`, and `allOf` with a single member, to the schema they name."""
        while True:
            if "$ref" in schema:
                node: Any = self.document
                for part in schema["$ref"].removeprefix("#/").split("/"):
                    node = node[part]
                schema = node
            elif len(schema.get("allOf", ())) == 1:
                schema = schema["allOf"][0]
            else:
                return schema

    @staticmethod
    def schema_name(schema: JsonObject) -> str | None:
        """Name of the schema that a `$ref` (or an array of it) points at."""
        if schema.get("type") == "array":
            schema = schema["items"]
        if len(schema.get("allOf", ())) == 1:
            schema = schema["allOf"][0]
        ref = schema.get("$ref")
        return ref.rsplit("/", 1)[1] if ref else None

    def _read_operations(self) -> Iterator[Operation]:
        for path, item in self.document["paths"].items():
            for method in METHODS:
                if method in item:
                    yield self._read_operation(method, path, item[method])

    def _read_operation(self, method: str, path: str, raw: JsonObject) -> Operation:
        parameters = [self.resolve(parameter) for parameter in raw.get("parameters", ())]

        def names(place: str) -> frozenset[str]:
            return frozenset(p["name"] for p in parameters if p["in"] == place)

        takes_patch = "$ref" in raw.get("requestBody", {})
        body = body_media_type = None
        if "requestBody" in raw:
            ((body_media_type, media),) = self.resolve(raw["requestBody"])["content"].items()
            body = media["schema"]
        status = next(code for code in raw["responses"] if code.startswith("2"))
        content = raw["responses"][status].get("content", {})
        media_type: str | None = next(iter(content), None)
        answer: JsonObject = content[media_type] if media_type else {}
        return Operation(
            operation_id=raw["operationId"],
            method=method,
            path=path,
            summary=raw["summary"],
            tag=raw["tags"][0],
            path_params=tuple(s[1:-1] for s in path.split("/") if s.startswith("{")),
            query=names("query"),
            headers=names("header"),
            body=body,
            body_media_type=body_media_type,
            takes_patch=takes_patch,
            status=int(status),
            response=answer.get("schema"),
            media_type=media_type,
            takes_identifier="x-alternate-key" in raw,
        )

    def _plant(self, operation: Operation) -> None:
        node = self._root
        for segment in operation.path.strip("/").split("/"):
            if segment.startswith("{"):
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(segment.lower(), _Node())
        node.operations[operation.method] = operation

    def _walk(self, path: str) -> tuple[_Node, list[str]] | None:
        return _descend(self._root, path.strip("/").split("/"), [])


def _descend(node: _Node, segments: list[str], values: list[str]) -> tuple[_Node, list[str]] | None:
    """Literal segments win over parameters; the other branch is tried when they lead nowhere."""
    if not segments:
        return (node, values) if node.operations else None
    head, rest = segments[0], segments[1:]
    literal = node.literals.get(head.lower())
    if literal is not None:
        found = _descend(literal, rest, values)
        if found is not None:
            return found
    if node.parameter is not None and head:
        return _descend(node.parameter, rest, [*values, head])
    return None


def _read_text() -> str:
    packaged = resources.files(__package__).joinpath(PACKAGED_NAME)
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).resolve().parents[3] / TREE_NAME).read_text(encoding="utf-8")


@cache
def load_reference() -> Reference:
    """Return the reference; read from disk on the first call only."""
    return Reference(json.loads(_read_text()))
