"""Boards: statuses with one default, copies, and what uses a set-up record."""

from __future__ import annotations

from psa.providers.connectwise.reference import JsonObject
from psa.providers.connectwise.sandbox import errors
from psa.providers.connectwise.sandbox.behaviour import Behaviour, Call
from psa.providers.connectwise.sandbox.resources import (
    answer_record,
    collection_of,
    find,
    list_answer,
    parents_of,
    stamped,
)
from psa.providers.connectwise.sandbox.store import Record
from psa.providers.connectwise.sandbox.validation import BodySchema, Context, body_schema
from psa.providers.connectwise.sandbox.wire import Response

BOARDS = "service/boards"
STATUSES = "service/boards/statuses"

COPIED = ("statuses", "types", "subtypes", "items", "teams")
"""Parts of a board that a copy gets, under new ids."""

USED_BY = {
    "service/boards": "board",
    "service/boards/statuses": "status",
    "service/boards/types": "type",
    "service/boards/subtypes": "subType",
    "service/boards/items": "item",
    "service/boards/teams": "team",
    "service/priorities": "priority",
    "service/SLAs": "sla",
}
"""Set-up table → field of a ticket that refers to it."""


class StatusBehaviour(Behaviour):
    """A board has one default status; new statuses are open, active and shown."""

    def prepare(
        self,
        call: Call,
        schema: BodySchema,
        data: JsonObject,
        parents: tuple[int, ...],
        context: Context,
    ) -> None:
        rows = call.state.store.table(STATUSES).of(parents)
        if any(r.data["name"].lower() == data["name"].lower() for r in rows):
            message = f"Status {data['name']} exists already on this board."
            context.refuse("ObjectExists", message, "name")
        defaults = {
            "displayOnBoard": True,
            "inactive": False,
            "closedStatus": False,
            "defaultFlag": False,
            "timeEntryNotAllowed": False,
            "escalationStatus": "NoEscalation",
            "sortOrder": len(rows),
        }
        for name, value in defaults.items():
            data.setdefault(name, value)

    def created(self, call: Call, record: Record) -> None:
        self._one_default(call, record)

    def changed(self, call: Call, old: Record, new: Record) -> None:
        self._one_default(call, new)

    def _one_default(self, call: Call, record: Record) -> None:
        table = call.state.store.table(STATUSES)
        if record.data.get("defaultFlag"):
            for row in table.of(record.parents):
                if row.id != record.id and row.data.get("defaultFlag"):
                    table.put(row, {**row.data, "defaultFlag": False})


def copy_board(call: Call) -> Response:
    store = call.state.store
    with store.lock:
        schema = body_schema("BoardCopy")
        context = Context(call.state.references)
        data = schema.clean(call.body, context)
        source = store.table(BOARDS).get(data.get("id", 0))
        if source is None and not context.problems:
            context.refuse("NotFound", f"Board {data['id']} was not found.", "id")
        if any(r.data["name"] == data.get("name") for r in store.table(BOARDS).rows.values()):
            context.refuse("ObjectExists", f"Board {data['name']} exists already.", "name")
        if context.problems or source is None:
            raise errors.invalid(schema.resource, context.problems)
        draft = {k: v for k, v in source.data.items() if k not in ("id", "_info")}
        draft["name"] = data["name"]
        board = store.table(BOARDS).add(stamped(call, body_schema("Board"), draft))
        reference = call.state.references.expand("BoardReference", board)
        for part in COPIED:
            table = store.table(f"{BOARDS}/{part}")
            for row in table.of((source.id,)):
                changed = {k: v for k, v in row.data.items() if k != "id"}
                if "board" in changed:
                    changed["board"] = reference
                if "boardId" in changed:
                    changed["boardId"] = board.id
                table.add(changed, (board.id,))
    return answer_record(call, board.data)


def usages(call: Call) -> Response:
    """How many tickets use a record; one row each for service and project tickets."""
    _, record, field = _used(call)
    rows: list[Record] = []
    for number, (table, users) in enumerate(_users(call, record, field).items(), start=1):
        kind = "Project Ticket" if table.startswith("project") else "Service Ticket"
        row = {"type": kind, "typeKey": kind.replace(" ", ""), "count": len(users), "id": number}
        rows.append(Record(number, row, ()))
    return list_answer(call, "Usage", rows)


def usages_list(call: Call) -> Response:
    """The tickets themselves."""
    _, record, field = _used(call)
    rows: list[Record] = []
    for table, users in _users(call, record, field).items():
        kind = "Project Ticket" if table.startswith("project") else "Service Ticket"
        for user in users:
            row = {"type": kind, "typeKey": kind.replace(" ", ""), "count": 1, "id": user.id}
            row["description"] = user.data["summary"]
            row["hyperlink"] = call.state.references.href(table, user) or ""
            rows.append(Record(user.id, row, ()))
    return list_answer(call, "Usage", rows)


def _used(call: Call) -> tuple[str, Record, str]:
    table = collection_of(call.operation.path.partition("/usages")[0])
    return table, find(call, table, call.params["id"], parents_of(call)), USED_BY[table]


def _users(call: Call, record: Record, field: str) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for table in ("service/tickets", "project/tickets"):
        rows = call.state.store.table(table).rows.values()
        users = [r for r in list(rows) if r.data.get(field, {}).get("id") == record.id]
        if users:
            found[table] = users
    return found
