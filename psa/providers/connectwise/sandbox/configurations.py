"""Configurations (devices): attached to tickets, written in bulk, moved to another type."""

from __future__ import annotations

import json
from typing import Any

from psa.providers.connectwise.reference import JsonObject
from psa.providers.connectwise.sandbox import errors
from psa.providers.connectwise.sandbox.behaviour import Call, CallbackBehaviour
from psa.providers.connectwise.sandbox.errors import ApiError, Item
from psa.providers.connectwise.sandbox.resources import (
    answer_record,
    behaviour_of,
    create,
    filtered,
    find,
    list_answer,
    patch,
    replace,
)
from psa.providers.connectwise.sandbox.state import State
from psa.providers.connectwise.sandbox.store import Record, join_json, to_json
from psa.providers.connectwise.sandbox.validation import BodySchema, Context, body_schema
from psa.providers.connectwise.sandbox.wire import Response

TABLE = "company/configurations"
SCHEMA = "Company.Configuration"


class ConfigurationBehaviour(CallbackBehaviour):
    """New configurations are active and get the default status."""

    def __init__(self) -> None:
        super().__init__("configuration")

    def prepare(
        self,
        call: Call,
        schema: BodySchema,
        data: JsonObject,
        parents: tuple[int, ...],
        context: Context,
    ) -> None:
        data.setdefault("activeFlag", True)
        if "status" not in data:
            rows = call.state.store.table("company/configurations/statuses").rows.values()
            chosen = next((r for r in rows if r.data.get("defaultFlag")), None)
            if chosen is not None:
                ref = "ConfigurationStatusReference"
                data["status"] = call.state.references.expand(ref, chosen)


def _ticket(call: Call) -> Record:
    table = "project/tickets" if call.operation.path.startswith("/project/") else "service/tickets"
    return find(call, table, call.params["parentId"])


def _link(state: State, ticket: Record, configuration: Record) -> Record:
    shown = state.references.expand("ConfigurationReference", configuration)
    return Record(configuration.id, shown, (ticket.id,))


def _links(call: Call) -> list[Record]:
    ticket = _ticket(call)
    rows = call.state.store.table(TABLE).rows
    ids = call.state.attached.get(ticket.id, [])
    return [_link(call.state, ticket, rows[i]) for i in sorted(ids) if i in rows]


def list_attached(call: Call) -> Response:
    return list_answer(call, "ConfigurationReference", _links(call))


def count_attached(call: Call) -> Response:
    rows = filtered(call, "ConfigurationReference", _links(call), dict(call.query))
    return Response(200, to_json({"count": len(rows)}))


def _attached(call: Call) -> tuple[Record, Record]:
    ticket = _ticket(call)
    for link in _links(call):
        if str(link.id) == call.params["id"]:
            return ticket, link
    raise errors.record_missing("Configuration", call.params["id"])


def read_attached(call: Call) -> Response:
    return answer_record(call, _attached(call)[1].data)


def attach(call: Call) -> Response:
    """Attach by id; a second time is refused."""
    with call.state.store.lock:
        ticket = _ticket(call)
        schema = body_schema("ConfigurationReference")
        context = Context(call.state.references)
        given = call.body.get("id") if isinstance(call.body, dict) else None
        if type(given) is not int:
            context.refuse("MissingRequiredField", "id is required.", "id")
        else:
            schema.clean(call.body, context)
        if context.problems:
            raise errors.invalid("configurationReference", context.problems)
        configuration = call.state.store.table(TABLE).get(given or 0)
        if configuration is None:
            item = Item("NotFound", f"Configuration {given} was not found.", "id")
            raise errors.invalid("configurationReference", [item])
        ids = call.state.attached.setdefault(ticket.id, [])
        if configuration.id in ids:
            item = Item("ObjectExists", f"Configuration {given} is attached already.", "id")
            raise errors.invalid("configurationReference", [item])
        ids.append(configuration.id)
        call.publish("ticket", "updated", ticket)
    return Response(201, to_json(_link(call.state, ticket, configuration).data))


def detach(call: Call) -> Response:
    with call.state.store.lock:
        ticket, link = _attached(call)
        call.state.attached[ticket.id].remove(link.id)
        call.publish("ticket", "updated", ticket)
    return Response(204)


def change_type(call: Call) -> Response:
    """A PATCH that may carry a new type; the answers of the old type's questions go."""
    with call.state.store.lock:
        table = call.state.store.table(TABLE)
        old = find(call, TABLE, call.params["id"])
        new = patch(call, table, old, body_schema(SCHEMA), call.body)
        if new.data["type"]["id"] != old.data["type"]["id"]:
            new = table.put(new, {k: v for k, v in new.data.items() if k != "questions"})
    return answer_record(call, new.data)


def _bodies(call: Call) -> list[Any]:
    if not isinstance(call.body, list) or not call.body:
        item = Item("InvalidObject", "The body must be an array of configurations.", "")
        raise errors.invalid("configuration", [item])
    return call.body


def _failure(index: int, error: ApiError) -> JsonObject:
    document: JsonObject = json.loads(error.body)
    document = {k: v for k, v in document.items() if v is not None}
    return {"success": False, "originalIndex": index, "statusCode": error.status, "error": document}


def bulk_create(call: Call) -> Response:
    """The reference gives the records themselves as the answer of a bulk write."""
    with call.state.store.lock:
        table = call.state.store.table(TABLE)
        rows = [create(call, table, body, ()) for body in _bodies(call)]
    return _bulk_answer(call, rows)


def bulk_replace(call: Call) -> Response:
    with call.state.store.lock:
        table = call.state.store.table(TABLE)
        schema = body_schema(SCHEMA)
        bodies = _bodies(call)
        olds = [find(call, TABLE, str(b.get("id") if isinstance(b, dict) else b)) for b in bodies]
        rows = [replace(call, table, o, schema, b) for o, b in zip(olds, bodies, strict=True)]
    return _bulk_answer(call, rows)


def _bulk_answer(call: Call, rows: list[Record]) -> Response:
    """One record is answered bare, as the reference has it; several as an array."""
    if len(rows) == 1:
        return Response(call.operation.status, rows[0].as_json())
    return Response(call.operation.status, join_json(row.as_json() for row in rows))


def bulk_delete(call: Call) -> Response:
    """Takes an array of ids, or of objects with an id; tells the result of each."""
    results: list[JsonObject] = []
    with call.state.store.lock:
        table = call.state.store.table(TABLE)
        for index, given in enumerate(_bodies(call)):
            record_id = given.get("id") if isinstance(given, dict) else given
            try:
                record = find(call, TABLE, str(record_id))
            except ApiError as error:
                results.append(_failure(index, error))
                continue
            table.remove(record)
            behaviour_of(TABLE).deleted(call, record)
            done = {"success": True, "originalIndex": index, "statusCode": 204}
            results.append({**done, "data": {"id": record.id}})
    return Response(call.operation.status, to_json({"payload": results}))
