"""One row for each collection of the reference that the other seeds left empty."""

from __future__ import annotations

from typing import Any

from psa.providers.connectwise.reference import JsonObject, load_reference
from psa.providers.connectwise.sandbox.references import table_of
from psa.providers.connectwise.sandbox.resources import (
    PARENT_FIELDS,
    collection_of,
    parent_tables,
    record_schema,
)
from psa.providers.connectwise.sandbox.routing import SPECIAL
from psa.providers.connectwise.sandbox.seed.planting import Planter, at
from psa.providers.connectwise.sandbox.sources import VIEWS
from psa.providers.connectwise.sandbox.validation import body_schema

TEXT_FIELDS = ("name", "summary", "description", "text", "notes", "contents", "value", "question")
"""Fields worth a text even where they are optional."""

CALLBACKS = "system/callbacks"
"""Stays empty: a client wants to find only what it registered itself."""


def fill_gaps(planter: Planter) -> None:
    # Parents before children: a row needs a row above it.
    for operation in sorted(load_reference().operations, key=lambda o: len(o.path_params)):
        if operation.method != "get" or not operation.answers_list:
            continue
        collection = collection_of(operation.path)
        schema = record_schema(operation)
        special = ("get", operation.path) in SPECIAL or "/usages" in operation.path
        if special or collection in VIEWS or schema is None or collection == CALLBACKS:
            continue
        parents = _first_parents(planter, operation.path)
        if parents is None or planter.state.store.table(collection).of(parents):
            continue
        row = sample(planter, schema)
        tables = parent_tables(operation.path)
        for (_, table), parent_id in zip(tables, parents, strict=True):
            row.update(_named_parent(planter, schema, table, parent_id))
        if "_info" in body_schema(schema).kinds:
            planter.add(collection, row, parents=parents)
        else:
            planter.bare(collection, row, parents=parents)


def _first_parents(planter: Planter, path: str) -> tuple[int, ...] | None:
    parents: tuple[int, ...] = ()
    for _, table in parent_tables(path):
        rows = planter.state.store.table(table).of(parents)
        if not rows:
            return None
        parents = (*parents, rows[0].id)
    return parents


def _named_parent(planter: Planter, schema: str, table: str, parent_id: int) -> JsonObject:
    compiled = body_schema(schema)
    named: JsonObject = {}
    for field in PARENT_FIELDS.get(table, ()):
        if field in compiled.references:
            named[field] = planter.ref(compiled.references[field], parent_id)
        elif field in compiled.fields:
            named[field] = parent_id
    return named


def sample(planter: Planter, schema_name: str) -> JsonObject:
    """A small valid record: required fields, a few texts, a member or code where there is one."""
    reference = load_reference()
    schema = reference.schema(schema_name)
    required = set(schema.get("required", ()))
    row: JsonObject = {}
    for name, written in schema["properties"].items():
        wanted = name in required or name in TEXT_FIELDS or name in ("member", "type", "code")
        if wanted and name not in ("id", "_info"):
            value = _sample_value(planter, name, written)
            if value is not None:
                row[name] = value
    return row


def _sample_value(planter: Planter, name: str, written: JsonObject) -> Any:
    reference = load_reference()
    target = reference.schema_name(written)
    if target is not None and target.endswith("Reference") and written.get("type") != "array":
        rows = planter.state.store.table(table_of(target)).of(())
        return planter.state.references.expand(target, rows[0]) if rows else None
    schema = reference.resolve(written)
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("format") == "date-time":
        return at(0)
    if schema.get("type") == "string":
        return f"Sample {name}"[: schema.get("maxLength", 40)]
    return {"integer": 1, "number": 1.0, "boolean": False, "array": []}.get(str(schema.get("type")))
