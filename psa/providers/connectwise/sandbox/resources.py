"""The generic handlers: list, count, search, read, create, replace, change and delete of any collection."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from psa.providers.connectwise.reference import JsonObject, Operation, load_reference
from psa.providers.connectwise.sandbox import errors
from psa.providers.connectwise.sandbox.behaviour import Behaviour, Call
from psa.providers.connectwise.sandbox.conditions import (
    compile_child_conditions,
    compile_custom_field_conditions,
    compile_with,
)
from psa.providers.connectwise.sandbox.fields import select, sort_keys, sort_value
from psa.providers.connectwise.sandbox.paging import forward_link, page_link, read_paging
from psa.providers.connectwise.sandbox.patching import apply_patch
from psa.providers.connectwise.sandbox.sources import Source, source_of
from psa.providers.connectwise.sandbox.store import Record, Table, join_json, to_json
from psa.providers.connectwise.sandbox.validation import BodySchema, Context, body_schema
from psa.providers.connectwise.sandbox.wire import Response

BEHAVIOURS: dict[str, Behaviour] = {}
"""Table → its rules; filled by routing.py."""

PLAIN = Behaviour()

PARENT_FIELDS = {
    "service/boards": ("board", "boardId"),
    "service/boards/statuses": ("status",),
    "service/boards/items": ("item",),
    "service/SLAs": ("sla",),
    "service/tickets": ("ticketId", "ticket"),
    "project/tickets": ("ticketId", "ticket"),
    "company/companies": ("company",),
    "company/contacts": ("contact", "contactId"),
    "company/configurations/types": ("configurationType",),
    "company/configurations/types/questions": ("question",),
    "system/members": ("member",),
}
"""Table of the parent → fields of the child that name it, filled from the path."""


@cache
def collection_of(path: str) -> str:
    """Table or view a path template is about: literals only, without a trailing count or search."""
    literals = [s for s in path.strip("/").split("/") if not s.startswith("{")]
    if literals[-1] in ("count", "search"):
        literals.pop()
    return "/".join(literals)


@cache
def parent_tables(path: str) -> tuple[tuple[str, str], ...]:
    """(parameter, table) of each parent in a path template, outermost first."""
    segments = path.strip("/").split("/")
    found: list[tuple[str, str]] = []
    literals: list[str] = []
    for segment in segments:
        if segment.startswith("{"):
            found.append((segment[1:-1], "/".join(literals)))
        else:
            literals.append(segment)
    return tuple(f for f in found if f[0] != "id")


@cache
def label_of(table: str) -> str:
    """Name of a record of a table in "<label> 17 not found"."""
    for operation in load_reference().operations:
        if operation.method == "get" and operation.path.endswith("{id}"):
            name = record_schema(operation)
            if collection_of(operation.path) == table and name:
                return name.rsplit(".", 1)[-1]
    return "Record"


def record_schema(operation: Operation) -> str | None:
    return load_reference().schema_name(operation.response) if operation.response else None


def behaviour_of(table: str) -> Behaviour:
    return BEHAVIOURS.get(table, PLAIN)


def find(call: Call, table: str, text: str, parents: tuple[int, ...] = ()) -> Record:
    """A record by the id in the path. Raises: ApiError 404 when it is missing or hidden."""
    record = call.state.store.table(table).get(int(text)) if text.isdecimal() else None
    if record is None and call.operation.takes_identifier and not text.isdecimal():
        rows = call.state.store.table(table)
        record = rows.find("identifier", text, lambda d: str(d.get("identifier", "")))
    wrong_parent = record is not None and parents and record.parents != parents
    if record is None or wrong_parent or not behaviour_of(table).visible(call.state, record):
        raise errors.record_missing(label_of(table), text)
    return record


def parents_of(call: Call) -> tuple[int, ...]:
    """Ids of the parents named in the path, each checked to exist below the one before."""
    parents: tuple[int, ...] = ()
    for parameter, table in parent_tables(call.operation.path):
        record = find(call, table, call.params[parameter], parents)
        parents = (*parents, record.id)
    return parents


def target_of(call: Call) -> tuple[Table, Record]:
    table = call.state.store.table(collection_of(call.operation.path))
    return table, find(call, table.name, call.params["id"], parents_of(call))


def filtered(call: Call, schema: str, rows: list[Record], given: dict[str, Any]) -> list[Record]:
    """Rows that satisfy conditions, childConditions and customFieldConditions."""
    tests: list[Callable[[JsonObject], bool]] = []
    if given.get("conditions"):
        attached = call.state.attached
        virtual = {}
        if schema in ("Ticket", "ProjectTicket"):
            virtual["configuration/id"] = lambda data: attached.get(data["id"], ())
        tests.append(compile_with(schema, given["conditions"], virtual))
    if given.get("childConditions"):
        tests.append(compile_child_conditions(schema, given["childConditions"]))
    if given.get("customFieldConditions"):
        tests.append(compile_custom_field_conditions(given["customFieldConditions"]))
    for test in tests:
        rows = [row for row in rows if test(row.data)]
    return rows


def ordered(schema: str, rows: list[Record], order_by: str | None) -> list[Record]:
    for get, descending in reversed(sort_keys(schema, order_by or "")):
        rows = sorted(rows, key=lambda row: sort_value(get(row.data)), reverse=descending)
    return rows


def _schema_and_source(call: Call) -> tuple[str, Source]:
    source = source_of(collection_of(call.operation.path))
    schema = record_schema(call.operation)
    if schema is None or schema == "Count":
        schema = list_schema(collection_of(call.operation.path))
    return schema, source


@cache
def list_schema(collection: str) -> str:
    """Schema of the records of a collection, for its count."""
    for operation in load_reference().operations:
        if operation.answers_list and collection_of(operation.path) == collection:
            name = record_schema(operation)
            if name is not None:
                return name
    return {"service/SLAs/info": "SLA"}[collection]


def answer_rows(call: Call, schema: str, rows: Iterable[Record]) -> bytes:
    fields = call.query.get("fields")
    if not fields:
        return join_json(row.as_json() for row in rows)
    selection = select(schema, fields)
    return join_json(to_json(selection.apply(row.data)) for row in rows)


def answer_record(call: Call, data: JsonObject, schema: str | None = None) -> Response:
    """One record, cut down to the `fields` asked for."""
    fields = call.query.get("fields")
    name = schema or record_schema(call.operation)
    if fields and name:
        data = select(name, fields).apply(data)
    return Response(call.operation.status, to_json(data))


def list_answer(call: Call, schema: str, rows: list[Record], given: dict[str, Any] | None = None) -> Response:
    """Filter, sort, page and answer rows; given overrides the filters of the query (search)."""
    filters = call.query if given is None else given
    paging = read_paging(call.query, call.headers.get("pagination-type"))
    rows = filtered(call, schema, rows, dict(filters))
    if paging.after_id is not None:
        rows = [row for row in rows if row.id > paging.after_id][: paging.size]
        last = rows[-1].id if rows else None
        link = forward_link(_url_of(call), call.query, last)
    else:
        rows = ordered(schema, rows, filters.get("orderBy"))
        link = page_link(_url_of(call), call.query, paging, len(rows))
        start = (paging.page - 1) * paging.size
        rows = rows[start : start + paging.size]
    headers = [("Link", link)] if link else []
    return Response(200, answer_rows(call, schema, rows), headers=headers)


def _url_of(call: Call) -> str:
    path = call.operation.path
    for name, value in call.params.items():
        path = path.replace(f"{{{name}}}", value)
    return call.state.api_url + path


def handle_list(call: Call) -> Response:
    schema, source = _schema_and_source(call)
    return list_answer(call, schema, source.rows(call.state, parents_of(call)))


def handle_count(call: Call) -> Response:
    schema, source = _schema_and_source(call)
    rows = source.rows(call.state, parents_of(call))
    return Response(200, to_json({"count": len(filtered(call, schema, rows, dict(call.query)))}))


SEARCH_MEMBERS = {
    "conditions": "conditions",
    "orderby": "orderBy",
    "childconditions": "childConditions",
    "customfieldconditions": "customFieldConditions",
}


def handle_search(call: Call) -> Response:
    """A list whose filters come in the body, their names matched without case."""
    if not isinstance(call.body, dict):
        raise errors.coded(400, "InvalidObject", "The body must be an object with conditions.")
    given: dict[str, Any] = {}
    for name, value in call.body.items():
        known = SEARCH_MEMBERS.get(name.lower())
        if known is None or not (value is None or isinstance(value, str)):
            raise errors.coded(400, "InvalidObject", f"A search takes no {name} of this kind.")
        given[known] = value
    schema, source = _schema_and_source(call)
    return list_answer(call, schema, source.rows(call.state, parents_of(call)), given)


def handle_read(call: Call) -> Response:
    collection = collection_of(call.operation.path)
    source = source_of(collection)
    stored = find(call, source.table, call.params["id"], parents_of(call))
    return answer_record(call, source.show(call.state, stored).data)


def handle_create(call: Call) -> Response:
    table = call.state.store.table(collection_of(call.operation.path))
    with call.state.store.lock:
        record = create(call, table, call.body, parents_of(call))
        data = behaviour_of(table.name).create_answer(call, record)
    return Response(call.operation.status, to_json(data))


def create(call: Call, table: Table, body: Any, parents: tuple[int, ...]) -> Record:
    """Check a body and store it as a new record with all defaults and follow-ups."""
    schema = body_schema(load_reference().schema_name(call.operation.body or {}) or "")
    behaviour = behaviour_of(table.name)
    context = Context(call.state.references, deferred=behaviour.deferred)
    if isinstance(body, dict):
        body = {**body, **_parent_fields(call, schema, parents)}
    data = schema.clean(body, context)
    call.sent = _take_actions(schema, behaviour, data)
    if not context.problems:
        behaviour.prepare(call, schema, data, parents, context)
    if context.problems:
        raise errors.invalid(schema.resource, context.problems)
    record = table.add(stamped(call, schema, data), parents)
    behaviour.created(call, record)
    return table.rows.get(record.id, record)


def _parent_fields(call: Call, schema: BodySchema, parents: tuple[int, ...]) -> JsonObject:
    """Fields that the path decides, whatever the body says."""
    filled: JsonObject = {}
    tables = parent_tables(call.operation.path)
    for (_, table), parent_id in zip(tables, parents, strict=True):
        for name in PARENT_FIELDS.get(table, ()):
            if name in schema.references:
                filled[name] = {"id": parent_id}
            elif name in schema.fields and name not in schema.ignored:
                filled[name] = parent_id
    return filled


def _take_actions(schema: BodySchema, behaviour: Behaviour, data: JsonObject) -> JsonObject:
    names = (behaviour.actions | schema.write_only) & data.keys()
    return {name: data.pop(name) for name in names}


def stamped(call: Call, schema: BodySchema, data: JsonObject, old: JsonObject | None = None) -> JsonObject:
    """The data with `_info` as after a write by the caller."""
    if "_info" not in schema.kinds:
        return data
    now = call.state.now()
    info = dict((old or {}).get("_info") or {"dateEntered": now, "enteredBy": call.actor_name})
    info.update(lastUpdated=now, updatedBy=call.actor_name)
    return {**data, "_info": info}


def handle_replace(call: Call) -> Response:
    """PUT: fields left out fall back to empty or default."""
    with call.state.store.lock:
        table, old = target_of(call)
        schema = body_schema(load_reference().schema_name(call.operation.body or {}) or "")
        new = replace(call, table, old, schema, call.body)
    return answer_record(call, new.data)


def replace(call: Call, table: Table, old: Record, schema: BodySchema, body: Any) -> Record:
    behaviour = behaviour_of(table.name)
    context = Context(call.state.references, deferred=behaviour.deferred)
    if isinstance(body, dict):
        body = {**body, **_parent_fields(call, schema, old.parents)}
    data = schema.clean(body, context, update=True)
    call.sent = _take_actions(schema, behaviour, data)
    kept = {n: old.data[n] for n in ("id", *schema.ignored) if n in old.data}
    touched = set(data)
    return _store_change(call, table, old, schema, {**kept, **data}, touched, context)


def handle_patch(call: Call) -> Response:
    with call.state.store.lock:
        table, old = target_of(call)
        schema = body_schema(label_schema(call.operation))
        new = patch(call, table, old, schema, call.body)
    return answer_record(call, new.data)


def label_schema(operation: Operation) -> str:
    name = record_schema(operation)
    if name is None:
        raise errors.route_missing()
    return name


def patch(call: Call, table: Table, old: Record, schema: BodySchema, steps: Any) -> Record:
    behaviour = behaviour_of(table.name)
    context = Context(call.state.references, deferred=behaviour.deferred, coerce=True)
    data, touched = apply_patch(schema, old.data, steps, context)
    call.sent = _take_actions(schema, behaviour, data)
    schema.check_required(data, context)
    return _store_change(call, table, old, schema, data, touched, context)


def _store_change(
    call: Call,
    table: Table,
    old: Record,
    schema: BodySchema,
    data: JsonObject,
    touched: set[str],
    context: Context,
) -> Record:
    behaviour = behaviour_of(table.name)
    if not context.problems:
        behaviour.change(call, schema, old, data, touched, context)
    if context.problems:
        raise errors.invalid(schema.resource, context.problems)
    new = table.put(old, stamped(call, schema, data, old.data))
    behaviour.changed(call, old, new)
    return table.rows.get(new.id, new)


def handle_delete(call: Call) -> Response:
    with call.state.store.lock:
        table, record = target_of(call)
        table.remove(record)
        behaviour_of(table.name).deleted(call, record)
    return Response(204)
