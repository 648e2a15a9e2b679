"""Field names as they appear in conditions, orderBy and fields: found without case, refused if unknown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

from psa.providers.connectwise.reference import JsonObject, load_reference
from psa.providers.connectwise.sandbox import errors

INFO_FIELDS = {
    "lastupdated": ("lastUpdated", "date"),
    "updatedby": ("updatedBy", "string"),
    "dateentered": ("dateEntered", "date"),
    "enteredby": ("enteredBy", "string"),
}
"""Facts that sit in `_info` yet can be filtered and sorted as if they were fields of the record."""

NOT_FILTERABLE = {
    ("ServiceTicketNote", "noteType"),
    ("ProjectTicketNote", "noteType"),
    ("Ticket", "configurations"),
}

Getter = Callable[[JsonObject], Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A field found in a schema.

    Shape: path ("status", "name"); kind is integer, number, boolean, string, date, any,
        object (a reference or nested record) or array.
    """

    path: tuple[str, ...]
    kind: str
    enum: frozenset[str] | None = None
    item_schema: str | None = None

    @property
    def text(self) -> str:
        return "/".join(self.path)

    def getter(self) -> Getter:
        if len(self.path) == 1:
            name = self.path[0]
            return lambda data: data.get(name)
        first, *rest = self.path

        def get(data: JsonObject) -> Any:
            value = data.get(first)
            for name in rest:
                if value is None:
                    return None
                value = value.get(name)
            return value

        return get


def _kind(schema: JsonObject) -> str:
    if schema.get("format") == "date-time":
        return "date"
    return str(schema.get("type", "any"))


@cache
def _members(schema_name: str) -> dict[str, tuple[str, JsonObject]]:
    """Lower-case name → (name as spelled, schema as written in the reference)."""
    properties = load_reference().schema(schema_name).get("properties", {})
    return {name.lower(): (name, schema) for name, schema in properties.items()}


@lru_cache(maxsize=4096)
def find_field(schema_name: str, text: str) -> Field:
    """Resolve `board/name` against a schema. Raises: ApiError 400 ApiFindCondition."""
    reference = load_reference()
    path: list[str] = []
    current: str | None = schema_name
    found = Field((), "object")
    for part in text.strip().split("/"):
        if path == ["_info"]:
            return Field(("_info", part), INFO_FIELDS.get(part.lower(), (part, "string"))[1])
        members = _members(current) if current else {}
        if part.lower() not in members:
            if not path and part.lower() in INFO_FIELDS and "_info" in members:
                name, kind = INFO_FIELDS[part.lower()]
                return Field(("_info", name), kind)
            raise errors.not_recognized(text)
        name, written = members[part.lower()]
        schema = reference.resolve(written)
        path.append(name)
        kind = _kind(schema)
        item = reference.schema_name(written) if kind == "array" else None
        enum = frozenset(e.lower() for e in schema["enum"]) if "enum" in schema else None
        found = Field(tuple(path), kind, enum, item)
        current = reference.schema_name(written) if kind == "object" else None
    return found


def filterable(schema_name: str, text: str) -> Field:
    """As find_field, without the fields that ConnectWise lists but refuses to filter by."""
    field_found = find_field(schema_name, text)
    written = load_reference().schema(schema_name)["properties"].get(field_found.path[0], {})
    refused = (schema_name, field_found.path[0]) in NOT_FILTERABLE
    if refused or field_found.kind == "array" or written.get("writeOnly"):
        raise errors.not_recognized(text)
    return field_found


@dataclass(slots=True)
class Selection:
    """A parsed `fields` parameter: wanted members, each with its own selection or whole."""

    members: dict[str, Selection | None] = field(default_factory=dict)

    def add(self, path: tuple[str, ...]) -> None:
        if len(path) == 1:
            self.members[path[0]] = None
            return
        inner = self.members.setdefault(path[0], Selection())
        if inner is not None:
            inner.add(path[1:])

    def apply(self, data: JsonObject) -> JsonObject:
        picked: JsonObject = {}
        for name, inner in self.members.items():
            if name not in data:
                continue
            value = data[name]
            if inner is None:
                picked[name] = value
            elif isinstance(value, list):
                picked[name] = [inner.apply(item) for item in value]
            else:
                picked[name] = inner.apply(value)
        return picked


@lru_cache(maxsize=1024)
def select(schema_name: str, text: str) -> Selection:
    """Parse `id,status/name,_info`; `*` gives ids only. Raises: ApiError 400 for an unknown name."""
    selection = Selection()
    for part in text.split(","):
        name = part.strip()
        if name == "*":
            selection.add(("id",))
        elif name:
            selection.add(_selected_path(schema_name, name))
    return selection


def _selected_path(schema_name: str, name: str) -> tuple[str, ...]:
    head, _, rest = name.partition("/")
    found = find_field(schema_name, head)
    if rest and found.item_schema:
        return (*found.path, *_selected_path(found.item_schema, rest))
    return find_field(schema_name, name).path


@lru_cache(maxsize=1024)
def sort_keys(schema_name: str, text: str) -> tuple[tuple[Getter, bool], ...]:
    """Parse `summary desc, id`; returns getters with True where descending."""
    keys: list[tuple[Getter, bool]] = []
    for part in text.split(","):
        words = part.split()
        if not words:
            continue
        direction = words[1].lower() if len(words) > 1 else "asc"
        if len(words) > 2 or direction not in ("asc", "desc"):
            raise errors.bad_condition(f"orderBy takes a field and asc or desc, not {part.strip()!r}.")
        keys.append((filterable(schema_name, words[0]).getter(), direction == "desc"))
    return tuple(keys)


def sort_value(value: Any) -> tuple[int, Any]:
    """Order for mixed rows: empty ones first, text without case."""
    if value is None:
        return (0, "")
    if isinstance(value, str):
        return (1, value.lower())
    return (1, str(value)) if isinstance(value, dict) else (1, value)
