"""PATCH: steps of add, replace and remove applied to a copy of the record.

Strict where clients go wrong in silence: op in lower case, path in exact case, whole objects for
references. Sub-paths `x/id`, `x/identifier`, `x/name` of a reference are taken.
"""

from __future__ import annotations

from typing import Any

from psa.providers.connectwise.reference import JsonObject
from psa.providers.connectwise.sandbox import errors
from psa.providers.connectwise.sandbox.errors import Item
from psa.providers.connectwise.sandbox.validation import BodySchema, Context

OPS = ("add", "replace", "remove")
SUB_KEYS = ("id", "identifier", "name")


def apply_patch(
    schema: BodySchema, data: JsonObject, steps: Any, context: Context
) -> tuple[JsonObject, set[str]]:
    """Return the changed copy and the names of the fields touched.

    Shape: steps is the body as received. Raises: ApiError 400 for a body that is no array of steps
    or a path that does not exist; wrong values are collected in context.problems.
    """
    if not isinstance(steps, list):
        raise _refused(schema, "The body must be an array of patch operations.", "")
    changed = dict(data)
    touched: set[str] = set()
    for step in steps:
        op, path, value = _read_step(schema, step)
        touched.add(path[0])
        _apply_step(schema, changed, op, path, value, context)
    return changed, touched


def _refused(schema: BodySchema, message: str, field: str) -> errors.ApiError:
    return errors.invalid(schema.resource, [Item("InvalidField", message, field)])


def _read_step(schema: BodySchema, step: Any) -> tuple[str, list[str], Any]:
    if not isinstance(step, dict) or not isinstance(step.get("path"), str):
        raise _refused(schema, "Each patch operation is an object with op, path and value.", "path")
    op = step.get("op")
    if op not in OPS:
        raise _refused(schema, f"op must be add, replace or remove, not {op!r}.", "op")
    unknown = set(step) - {"op", "path", "value"}
    if unknown:
        raise _refused(schema, f"A patch operation has no {sorted(unknown)[0]}.", "op")
    text: str = step["path"]
    path = text.removeprefix("/").split("/")
    name = path[0]
    fixed = name in schema.ignored or name in schema.post_only
    if name not in schema.fields or fixed or not all(path):
        raise _refused(schema, f"The patch path '{text}' is not valid.", text)
    value = None if op == "remove" else step.get("value")
    return op, path, None if value == "" else value


def _apply_step(
    schema: BodySchema, data: JsonObject, op: str, path: list[str], value: Any, context: Context
) -> None:
    name = path[0]
    kind = schema.kinds[name]
    text = "/".join(path)
    if kind == "reference":
        _set_reference(schema, data, path, value, context)
    elif kind == "array" and len(path) > 1:
        _set_element(schema, data, op, path, value, context)
    elif kind == "object" and len(path) == 2:
        inner = dict(data.get(name) or {})
        inner[path[1]] = value
        data[name] = schema.fields[name](inner, name, context)
    elif len(path) > 1:
        raise _refused(schema, f"The patch path '{text}' is not valid.", text)
    elif value is None:
        data.pop(name, None)
    elif name == "customFields":
        data[name] = _merge_custom_fields(data.get(name) or [], value, context)
    else:
        data[name] = schema.fields[name](value, name, context)


def _set_reference(
    schema: BodySchema, data: JsonObject, path: list[str], value: Any, context: Context
) -> None:
    name = path[0]
    if len(path) == 2 and path[1] in SUB_KEYS:
        if isinstance(value, (dict, list)):
            raise _refused(schema, f"{path[0]}/{path[1]} takes a plain value.", "/".join(path))
        if path[1] == "id" and isinstance(value, str) and value.isdecimal():
            value = int(value)
        value = None if value is None else {path[1]: value}
    elif len(path) > 1:
        raise _refused(schema, f"The patch path '{'/'.join(path)}' is not valid.", "/".join(path))
    if value is None:
        data.pop(name, None)
        return
    if not isinstance(value, dict):
        message = f'The value of {name} must be an object such as {{"id": 1}}.'
        raise _refused(schema, message, name)
    if name in context.deferred:
        data[name] = value
    else:
        data[name] = schema.fields[name](value, name, context)


def _set_element(
    schema: BodySchema, data: JsonObject, op: str, path: list[str], value: Any, context: Context
) -> None:
    name, index_text, *rest = path
    elements: list[Any] = [dict(e) if isinstance(e, dict) else e for e in data.get(name) or []]
    text = "/".join(path)
    if index_text == "-":
        index = len(elements)
    elif index_text.isdecimal():
        index = int(index_text)
    else:
        raise _refused(schema, f"The patch path '{text}' is not valid.", text)
    appends = op == "add" and not rest and index == len(elements)
    if index >= len(elements) and not appends:
        raise _refused(schema, f"{name} has no element {index_text}.", text)
    if rest:
        if len(rest) > 1 or not isinstance(elements[index], dict):
            raise _refused(schema, f"The patch path '{text}' is not valid.", text)
        elements[index][rest[0]] = value
    elif op == "remove":
        del elements[index]
    elif op == "add":
        elements.insert(index, value)
    else:
        elements[index] = value
    data[name] = schema.fields[name](elements, name, context)


def _merge_custom_fields(stored: list[JsonObject], sent: Any, context: Context) -> list[JsonObject]:
    """Entries are matched by id; those left out keep their values."""
    merged = {entry["id"]: dict(entry) for entry in stored}
    if not isinstance(sent, list):
        context.refuse("InvalidField", "customFields must be an array.", "customFields")
        return stored
    for entry in sent:
        if not isinstance(entry, dict) or entry.get("id") not in merged:
            shown = entry.get("id") if isinstance(entry, dict) else entry
            context.refuse("NotFound", f"Custom field {shown} was not found.", "customFields/id")
        elif entry.get("value") is None:
            merged[entry["id"]].pop("value", None)
        else:
            merged[entry["id"]]["value"] = entry["value"]
    return list(merged.values())
