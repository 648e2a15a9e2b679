"""Actions on tickets that are more than a write of fields: merge, attach, convert, copy, SLA minutes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from psa.providers.connectwise.reference import JsonObject
from psa.providers.connectwise.sandbox import documents, errors, time_entries
from psa.providers.connectwise.sandbox.behaviour import Call
from psa.providers.connectwise.sandbox.errors import Item
from psa.providers.connectwise.sandbox.notes import SECTIONS, all_notes, notes_with_children
from psa.providers.connectwise.sandbox.resources import (
    answer_record,
    filtered,
    find,
    list_answer,
    stamped,
)
from psa.providers.connectwise.sandbox.sources import source_of
from psa.providers.connectwise.sandbox.store import Record, to_json
from psa.providers.connectwise.sandbox.ticket_defaults import default_board, default_status
from psa.providers.connectwise.sandbox.tickets import follow_status, log_change, resolve_on_board
from psa.providers.connectwise.sandbox.validation import Context, body_schema
from psa.providers.connectwise.sandbox.wire import Response

SERVICE = "service/tickets"
PROJECT = "project/tickets"


def _clean(call: Call, schema_name: str, deferred: frozenset[str] = frozenset()) -> JsonObject:
    schema = body_schema(schema_name)
    context = Context(call.state.references, deferred=deferred)
    data = schema.clean(call.body, context)
    if context.problems:
        raise errors.invalid(schema.resource, context.problems)
    return data


def _success(call: Call, message: str) -> Response:
    return Response(call.operation.status, to_json({"success": True, "message": message}))


def _others(call: Call, ids: list[int], field: str) -> list[Record]:
    """Service tickets named in a body. Raises: ApiError 400 for one that is missing."""
    table = call.state.store.table(SERVICE)
    missing = [i for i in ids if i not in table.rows]
    if missing or not ids:
        shown = missing[0] if missing else "(none)"
        item = Item("NotFound", f"Ticket {shown} was not found.", field)
        raise errors.invalid("ticket", [item])
    return [table.rows[i] for i in ids]


def _put(call: Call, record: Record, changes: JsonObject) -> Record:
    """Store changed fields of a service ticket and tell the callbacks."""
    table = call.state.store.table(SERVICE)
    data = {**record.data, **changes}
    follow_status(call, data, record.data)
    new = table.put(record, stamped(call, body_schema("Ticket"), data, record.data))
    log_change(call, new, "updated")
    call.publish("ticket", "updated", new)
    return new


def merge_tickets(call: Call) -> Response:
    with call.state.store.lock:
        target = find(call, SERVICE, call.params["parentId"])
        data = _clean(call, "TicketMerge", frozenset({"status"}))
        others = _others(call, data["mergeTicketIds"], "mergeTicketIds")
        if target in others:
            item = Item("InvalidField", "A ticket cannot be merged into itself.", "mergeTicketIds")
            raise errors.invalid("ticketMerge", [item])
        reference = call.state.references.expand("TicketReference", target)
        problems: list[Item] = []
        statuses: list[Any] = []
        for other in others:
            draft = {"status": data["status"]}
            resolve_on_board(call.state, draft, "status", other.data["board"]["id"], problems)
            statuses.append(draft["status"])
        if problems:
            raise errors.invalid("ticketMerge", problems)
        for other, status in zip(others, statuses, strict=True):
            _put(call, other, {"status": status, "mergedParentTicket": reference})
        _put(call, target, {"hasMergedChildTicketFlag": True})
    return _success(call, f"{len(others)} tickets merged into {target.id}")


def attach_children(call: Call) -> Response:
    with call.state.store.lock:
        parent = find(call, SERVICE, call.params["parentId"])
        data = _clean(call, "TicketBundle")
        children = _others(call, data.get("childTicketIds") or [], "childTicketIds")
        if parent in children:
            item = Item("InvalidField", "A ticket cannot be its own child.", "childTicketIds")
            raise errors.invalid("ticketBundle", [item])
        for child in children:
            _put(call, child, {"parentTicketId": parent.id})
        _put(call, parent, {"hasChildTicket": True})
    return _success(call, f"{len(children)} tickets attached to {parent.id}")


def copy_ticket(call: Call) -> Response:
    """A new ticket with the fields of another one; notes and closing stay behind."""
    with call.state.store.lock:
        original = find(call, SERVICE, call.params["id"])
        left = ("id", "_info", "closedDate", "closedBy", "mergedParentTicket", "parentTicketId")
        data = {k: v for k, v in original.data.items() if k not in left}
        data.update(hasChildTicket=False, hasMergedChildTicketFlag=False)
        data["status"] = default_status(call.state, data["board"]["id"])
        follow_status(call, data, None)
        schema = body_schema("Ticket")
        record = call.state.store.table(SERVICE).add(stamped(call, schema, data))
        log_change(call, record, "added")
        call.publish("ticket", "added", record)
    return answer_record(call, record.data)


def convert_to_project(call: Call) -> Response:
    """Move a service ticket, with its id and notes, to a project phase."""
    with call.state.store.lock:
        ticket = find(call, SERVICE, call.params["parentId"])
        data = _clean(call, "ConvertToProject")
        extra = _placement(data)
        extra["isIssueFlag"] = data.get("recordType") == "ProjectIssue"
        lookups = call.state.store.table("lookup/ProjectReference").rows.values()
        first = next(iter(lookups))
        extra.setdefault("project", call.state.references.expand("ProjectReference", first))
        _move(call, ticket, SERVICE, PROJECT, "ProjectTicket", extra)
    return _success(call, f"Ticket {ticket.id} converted")


def convert_from_project(call: Call) -> Response:
    """Move a project ticket to the service desk, or make an issue of it."""
    with call.state.store.lock:
        ticket = find(call, PROJECT, call.params["parentId"])
        data = _clean(call, "ConvertItem")
        if data["recordType"] == "ServiceTicket":
            _move(call, ticket, PROJECT, SERVICE, "Ticket", {"recordType": "ServiceTicket"})
        else:
            changed = {**ticket.data, **_placement(data)}
            changed["isIssueFlag"] = data["recordType"] == "ProjectIssue"
            schema = body_schema("ProjectTicket")
            table = call.state.store.table(PROJECT)
            new = table.put(ticket, stamped(call, schema, changed, ticket.data))
            call.publish("ticket", "updated", new)
    return _success(call, f"Ticket {ticket.id} converted")


def _placement(data: JsonObject) -> JsonObject:
    """Where in a project a converted ticket goes."""
    names = ("project", "phase", "wbsCode")
    return {name: data[name] for name in names if name in data}


def _move(call: Call, ticket: Record, source: str, target: str, schema_name: str, extra: JsonObject) -> None:
    store = call.state.store
    schema = body_schema(schema_name)
    board_bound = {"board", "status", "type", "subType", "item", "team"}
    data = {k: v for k, v in ticket.data.items() if k in schema.fields and k not in board_bound}
    data["board"] = default_board(call.state, project=target == PROJECT)
    data["status"] = default_status(call.state, data["board"]["id"])
    data.update(extra)
    follow_status(call, data, None)
    store.table(source).remove(ticket)
    moved = store.table(target).add(stamped(call, schema, data, ticket.data), record_id=ticket.id)
    note_fields = body_schema("TicketNote" if target == PROJECT else "ServiceNote").fields
    for note in store.table(f"{source}/notes").of((ticket.id,)):
        store.table(f"{source}/notes").remove(note)
        kept = {k: v for k, v in note.data.items() if k in note_fields}
        store.table(f"{target}/notes").add(kept, (ticket.id,), note.id)
    time_entries.entries_move(call.state, ticket.id, target)
    documents.files_move(call.state, ticket.id, target)
    log_change(call, moved, "updated")
    call.publish("ticket", "updated", moved)


def mark_note_as(call: Call) -> Response:
    """Move a project note to the sections that are true in the body."""
    with call.state.store.lock:
        note = find(call, f"{PROJECT}/notes", call.params["id"])
        data = _clean(call, "ProjectTicketNote")
        flags = {flag: bool(data.get(flag, False)) for flag in SECTIONS}
        if not any(flags.values()):
            item = Item("InvalidObject", f"One of {', '.join(SECTIONS)} must be true.", SECTIONS[0])
            raise errors.invalid("ticketNote", [item])
        table = call.state.store.table(f"{PROJECT}/notes")
        schema = body_schema("TicketNote")
        table.put(note, stamped(call, schema, {**note.data, **flags}, note.data))
    return Response(200)


def list_all_notes(call: Call) -> Response:
    project = call.operation.path.startswith("/project/")
    ticket = find(call, PROJECT if project else SERVICE, call.params["parentId"])
    schema = "ProjectTicketNote" if project else "ServiceTicketNote"
    return list_answer(call, schema, all_notes(call.state, ticket))


def list_notes(call: Call) -> Response:
    ticket = find(call, SERVICE, call.params["parentId"])
    return list_answer(call, "ServiceNote", notes_with_children(call.state, ticket))


def count_notes(call: Call) -> Response:
    ticket = find(call, SERVICE, call.params["parentId"])
    rows = filtered(call, "ServiceNote", notes_with_children(call.state, ticket), dict(call.query))
    return Response(200, to_json({"count": len(rows)}))


def calculate_sla(call: Call) -> Response:
    """The ticket list with minutes counted up to this moment."""
    rows = source_of(SERVICE).rows(call.state, ())
    now = datetime.now(UTC)
    return list_answer(call, "Ticket", [_with_minutes(row, now) for row in rows])


def _with_minutes(row: Record, now: datetime) -> Record:
    entered = datetime.fromisoformat(row.data["_info"]["dateEntered"])
    minutes = min(int((now - entered).total_seconds() // 60), 2**31 - 1)
    computed = {"respondMinutes": minutes, "resPlanMinutes": minutes, "resolveMinutes": minutes}
    goal = row.data.get("resolutionGoalUTC")
    if goal:
        computed["isInSla"] = row.data["closedFlag"] or now <= datetime.fromisoformat(goal)
    return Record(row.id, {**row.data, **computed}, row.parents)


def clear_change_log(call: Call) -> Response:
    with call.state.store.lock:
        table = call.state.store.table("service/tickets/changelogs")
        for row in table.of(()):
            table.remove(row)
    return Response(204)
