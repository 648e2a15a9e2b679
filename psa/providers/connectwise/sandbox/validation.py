"""Bodies against their schemas, by checks compiled once per schema.

A check takes a JSON value and returns it as it will be stored: nulls dropped, references expanded.
What is wrong is collected, so that one refusal names every field. jsonschema does the same a hundred
times slower, which would be the main cost of a call.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from psa.providers.connectwise.reference import JsonObject, load_reference
from psa.providers.connectwise.sandbox.errors import Item
from psa.providers.connectwise.sandbox.references import References, is_reference

DATE_TIME = re.compile(r"^\d{4}-(0\d|1[0-2])-([0-2]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ$")
"""The one form taken in bodies; fractions of a second and offsets are refused."""

UUID = re.compile(r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")

INT32 = 2**31


@dataclass(slots=True)
class Context:
    """State of one check: what is wrong so far, and how references are found.

    deferred: top-level reference fields left as written, because their scope (the board of a ticket)
        is known only after the others. coerce: True in a PATCH, where numbers may come as text.
    """

    references: References
    problems: list[Item] = field(default_factory=list)
    deferred: frozenset[str] = frozenset()
    coerce: bool = False

    def refuse(self, code: str, message: str, path: str) -> None:
        self.problems.append(Item(code, message, path))


Check = Callable[[Any, str, Context], Any]


@dataclass(frozen=True, slots=True)
class BodySchema:
    """Compiled schema of a record; resource is its name in error bodies."""

    name: str
    resource: str
    label: str
    """Name in "<label> 17 not found"."""
    fields: dict[str, Check]
    kinds: dict[str, str]
    """Field → reference, object, array, scalar or any."""
    references: dict[str, str]
    """Field → reference schema."""
    required: tuple[str, ...]
    required_on_update: tuple[str, ...]
    ignored: frozenset[str]
    """Fields the server sets itself: taken in a body, never stored from it."""
    post_only: frozenset[str]
    write_only: frozenset[str]
    one_true_of: tuple[tuple[str, ...], ...]

    def clean(self, body: Any, context: Context, *, update: bool = False) -> JsonObject:
        """Check a POST or PUT body; look at context.problems before using the result."""
        if not isinstance(body, dict):
            context.refuse("InvalidObject", "The body must be a JSON object.", "")
            return {}
        cleaned: JsonObject = {}
        for name, value in body.items():
            if name in self.ignored:
                continue
            check = self.fields.get(name)
            if check is None:
                context.refuse("InvalidField", f"{self.label} has no field {name}.", name)
            elif value is not None:
                if name in context.deferred:
                    check = _check_reference_shape
                cleaned[name] = check(value, name, context)
        self.check_required(cleaned, context, update=update)
        return cleaned

    def check_required(self, data: JsonObject, context: Context, *, update: bool = False) -> None:
        failed = {item.field.split("/")[0] for item in context.problems}
        names = self.required + (self.required_on_update if update else ())
        for name in names:
            value = data.get(name)
            blank = value is None or (isinstance(value, str) and not value.strip())
            if blank and name not in failed and name not in self.ignored:
                context.refuse("MissingRequiredField", f"{name} is required.", name)
        for flags in self.one_true_of:
            if not any(data.get(flag) for flag in flags):
                message = f"Choose where it belongs: one of {', '.join(flags)} must be true."
                context.refuse("InvalidObject", message, flags[0])


@cache
def body_schema(name: str) -> BodySchema:
    """Compile a schema of the reference; cached."""
    reference = load_reference()
    raw = reference.schema(name)
    properties: dict[str, JsonObject] = raw.get("properties", {})
    last = name.rsplit(".", 1)[-1]
    resource = last[0].lower() + last[1:] if not last.isupper() else last.lower()
    references = {
        field_name: ref
        for field_name, written in properties.items()
        if written.get("type") != "array"
        and (ref := reference.schema_name(written)) is not None
        and is_reference(ref)
    }
    groups = {
        tuple(p["x-at-least-one-true-of"]) for p in properties.values() if "x-at-least-one-true-of" in p
    }
    if "x-at-least-one-true-of" in raw:
        groups.add(tuple(raw["x-at-least-one-true-of"]))

    def having(mark: str) -> frozenset[str]:
        return frozenset(n for n, p in properties.items() if p.get(mark))

    return BodySchema(
        name=name,
        resource=resource,
        label=last,
        fields={n: _compile(p) for n, p in properties.items()},
        kinds={n: _kind_of(n, p, references) for n, p in properties.items()},
        references=references,
        required=tuple(raw.get("required", ())),
        required_on_update=tuple(n for n in properties if n in having("x-required-on-update")),
        ignored=having("readOnly") | having("x-server-assigned"),
        post_only=having("x-post-only"),
        write_only=having("writeOnly"),
        one_true_of=tuple(sorted(groups)),
    )


def _kind_of(name: str, written: JsonObject, references: dict[str, str]) -> str:
    if name in references:
        return "reference"
    kind = load_reference().resolve(written).get("type", "any")
    return kind if kind in ("array", "object", "any") else "scalar"


def _compile(written: JsonObject) -> Check:
    reference = load_reference()
    schema = reference.resolve(written)
    name = reference.schema_name(written) if written.get("type") != "array" else None
    if is_reference(name) and name is not None:
        return _reference_check(name)
    kind = schema.get("type")
    if kind == "object":
        return _object_check(name) if name else _check_info
    if kind == "array":
        return _array_check(_compile(schema["items"]))
    if kind == "integer":
        return _check_integer
    if kind == "number":
        return _check_number
    if kind == "boolean":
        return _check_boolean
    if kind == "string":
        return _string_check(schema)
    return _check_any


def _reference_check(ref_schema: str) -> Check:
    def check(value: Any, path: str, context: Context) -> Any:
        known = len(context.problems)
        _check_reference_shape(value, path, context)
        if len(context.problems) > known:
            return None
        return context.references.resolve(ref_schema, value, path, context.problems)

    return check


def _check_reference_shape(value: Any, path: str, context: Context) -> Any:
    if not isinstance(value, dict):
        context.refuse("InvalidField", f'{path} must be an object such as {{"id": 1}}.', path)
    elif not any(
        value.get(k) not in (None, "")
        for k in ("id", "identifier", "name", "deviceIdentifier", "currencyCode")
    ):
        context.refuse("InvalidField", f"{path} names no record by id, identifier or name.", path)
    elif value.get("id") is not None and type(value["id"]) is not int:
        context.refuse("InvalidField", f"{path}/id must be a whole number.", f"{path}/id")
    return value


def _object_check(schema_name: str) -> Check:
    def check(value: Any, path: str, context: Context) -> Any:
        if not isinstance(value, dict):
            context.refuse("InvalidField", f"{path} must be an object.", path)
            return value
        fields = body_schema(schema_name).fields
        cleaned: JsonObject = {}
        for name, inner in value.items():
            inner_check = fields.get(name)
            inner_path = f"{path}/{name}"
            if inner_check is None:
                context.refuse("InvalidField", f"{inner_path} is not a field.", inner_path)
            elif inner is not None and name != "_info":
                cleaned[name] = inner_check(inner, inner_path, context)
        return cleaned

    return check


def _array_check(item: Check) -> Check:
    def check(value: Any, path: str, context: Context) -> Any:
        if not isinstance(value, list):
            context.refuse("InvalidField", f"{path} must be an array.", path)
            return value
        return [item(v, f"{path}/{i}", context) for i, v in enumerate(value) if v is not None]

    return check


def _string_check(schema: JsonObject) -> Check:
    longest = schema.get("maxLength")
    enum = frozenset(schema["enum"]) if "enum" in schema else None
    form = schema.get("format")

    def check(value: Any, path: str, context: Context) -> Any:
        if not isinstance(value, str):
            context.refuse("InvalidField", f"{path} must be text.", path)
        elif longest is not None and len(value) > longest:
            context.refuse("InvalidField", f"{path} may have at most {longest} characters.", path)
        elif enum is not None and value not in enum:
            words = ", ".join(sorted(enum))
            context.refuse("InvalidField", f"{path} must be one of {words}.", path)
        elif form == "date-time" and not DATE_TIME.match(value):
            context.refuse("InvalidField", f"Unsupported format applied to {path}.", path)
        elif form == "uuid" and not UUID.match(value):
            context.refuse("InvalidField", f"{path} must be a GUID.", path)
        return value

    return check


def _check_integer(value: Any, path: str, context: Context) -> Any:
    if context.coerce and isinstance(value, str) and re.fullmatch(r"-?\d+", value.strip()):
        value = int(value)
    if type(value) is not int or not -INT32 <= value < INT32:
        context.refuse("InvalidField", f"{path} must be a whole number.", path)
    return value


def _check_number(value: Any, path: str, context: Context) -> Any:
    if context.coerce and isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            value = None
    if type(value) not in (int, float):
        context.refuse("InvalidField", f"{path} must be a number.", path)
    return value


def _check_boolean(value: Any, path: str, context: Context) -> Any:
    if context.coerce and isinstance(value, str) and value.lower() in ("true", "false"):
        value = value.lower() == "true"
    if type(value) is not bool:
        context.refuse("InvalidField", f"{path} must be true or false.", path)
    return value


def _check_any(value: Any, path: str, context: Context) -> Any:
    return value


def _check_info(value: Any, path: str, context: Context) -> Any:
    """Free-form facts (`_info`) come back in PUT bodies; they are the server's own."""
    return None
