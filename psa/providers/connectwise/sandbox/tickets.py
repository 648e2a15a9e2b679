"""Rules of service and project tickets: defaults, statuses of the own board, closing, follow-up mails.

Source: docs/connectwise/quick-reference.md#tickets
"""

from __future__ import annotations

from typing import Any

from psa.providers.connectwise.reference import JsonObject
from psa.providers.connectwise.sandbox.behaviour import Behaviour, Call
from psa.providers.connectwise.sandbox.errors import Item
from psa.providers.connectwise.sandbox.notes import add_initial_notes
from psa.providers.connectwise.sandbox.security import may_close
from psa.providers.connectwise.sandbox.state import State
from psa.providers.connectwise.sandbox.store import Record
from psa.providers.connectwise.sandbox.ticket_defaults import (
    FLAGS,
    add_owner,
    default_board,
    default_of,
    default_status,
    fill_customer,
    merge_custom_fields,
    recipients,
    set_sla_goals,
)
from psa.providers.connectwise.sandbox.validation import BodySchema, Context

BOARD_FIELDS = {
    "status": ("ServiceStatusReference", "service/boards/statuses"),
    "type": ("ServiceTypeReference", "service/boards/types"),
    "subType": ("ServiceSubTypeReference", "service/boards/subtypes"),
    "item": ("ServiceItemReference", "service/boards/items"),
    "team": ("ServiceTeamReference", "service/boards/teams"),
}
"""Fields whose records belong to the ticket's board."""

SERVER_FIELDS = (
    "closedFlag",
    "closedDate",
    "closedBy",
    "resources",
    "hasChildTicket",
    "isInSla",
    "hasMergedChildTicketFlag",
    "mergedParentTicket",
    "respondByGoalUTC",
    "resplanGoalUTC",
    "resolutionGoalUTC",
    "slaStatus",
    "actualHours",
    "recordType",
)
"""Fields that follow from others; a body may carry them, but they keep the server's value."""


class TicketBehaviour(Behaviour):
    """Both kinds of tickets; project tickets lie on project boards and have a phase."""

    deferred = frozenset(BOARD_FIELDS)
    actions = frozenset(
        {"processNotifications", "skipCallback", "contactEmailLookup", "initialDescriptionFrom"}
    )
    callback = "ticket"

    def __init__(self, *, project: bool) -> None:
        self.project = project

    def visible(self, state: State, record: Record) -> bool:
        return not state.is_hidden(record.data)

    def prepare(
        self,
        call: Call,
        schema: BodySchema,
        data: JsonObject,
        parents: tuple[int, ...],
        context: Context,
    ) -> None:
        state = call.state
        for name in SERVER_FIELDS:
            data.pop(name, None)
        for name, value in FLAGS.items():
            if name in schema.fields:
                data.setdefault(name, value)
        if "recordType" in schema.fields:
            data["recordType"] = "ServiceTicket"
        if "board" not in data:
            data["board"] = default_board(state, project=self.project)
        self._fill_from_phase(call, data)
        self._check_board(call, data, context)
        self._resolve_on_board(call, data, set(BOARD_FIELDS), context)
        fill_customer(state, schema, data, ("site", "contact"))
        for name, ref, table in (
            ("priority", "PriorityReference", "service/priorities"),
            ("source", "ServiceSourceReference", "service/sources"),
            ("sla", "SLAReference", "service/SLAs"),
        ):
            if name in schema.fields and name not in data:
                data[name] = default_of(state, ref, table)
        board = state.store.table("service/boards").rows[data["board"]["id"]].data
        for name in ("location", "department"):
            data.setdefault(name, board[name])
        add_owner(state, data)
        merge_custom_fields(state, data)
        set_sla_goals(state, schema, data, state.now())
        follow_status(call, data, None)

    def change(
        self,
        call: Call,
        schema: BodySchema,
        old: Record,
        data: JsonObject,
        touched: set[str],
        context: Context,
    ) -> None:
        for name in SERVER_FIELDS:
            if name in old.data:
                data[name] = old.data[name]
            else:
                data.pop(name, None)
        for name in ("board", "status", "company", "priority"):
            if name not in data:
                if name in touched:
                    context.refuse("MissingRequiredField", f"{name} is required.", name)
                data[name] = old.data[name]
        self._check_board(call, data, context)
        moved = data["board"]["id"] != old.data["board"]["id"]
        if moved:
            # Type, item and team cannot follow to another board, but a status must be chosen.
            for name in BOARD_FIELDS.keys() - touched - {"status"}:
                data.pop(name, None)
        stale = {"status"} if moved else set()
        self._resolve_on_board(call, data, (touched | stale) & BOARD_FIELDS.keys(), context, old)
        if context.problems:
            return
        if data["company"]["id"] != old.data["company"]["id"]:
            for name in {"site", "contact"} - touched:
                data.pop(name, None)
            fill_customer(call.state, schema, data, ("site", "contact"))
        elif touched & {"site", "contact"}:
            fill_customer(call.state, schema, data, ())
        if "owner" in touched:
            add_owner(call.state, data)
        if closes(call.state, data) and not closes(call.state, old.data) and not may_close(call.state):
            data["status"] = old.data["status"]
        follow_status(call, data, old.data)

    def created(self, call: Call, record: Record) -> None:
        add_initial_notes(call, record)
        self._mail_status(call, record.data)
        log_change(call, record, "added")
        call.publish("ticket", "added", record)

    def changed(self, call: Call, old: Record, new: Record) -> None:
        if new.data["status"]["id"] != old.data["status"]["id"]:
            self._mail_status(call, new.data)
        log_change(call, new, "updated")
        call.publish("ticket", "updated", new)

    def deleted(self, call: Call, record: Record) -> None:
        prefix = "project" if self.project else "service"
        for name in (f"{prefix}/tickets/notes", f"{prefix}/tickets/tasks"):
            table = call.state.store.table(name)
            for child in table.of((record.id,)):
                table.remove(child)
        call.state.attached.pop(record.id, None)
        log_change(call, record, "deleted")
        call.publish("ticket", "deleted", record)

    def _check_board(self, call: Call, data: JsonObject, context: Context) -> None:
        board = call.state.store.table("service/boards").rows[data["board"]["id"]].data
        if bool(board.get("projectFlag")) != self.project:
            kind = "project" if self.project else "service"
            context.refuse("InvalidField", f"{board['name']} is no {kind} board.", "board/id")

    def _fill_from_phase(self, call: Call, data: JsonObject) -> None:
        if not self.project or "phase" not in data:
            return
        state = call.state
        data.setdefault(
            "project",
            state.references.expand(
                "ProjectReference", next(iter(state.store.table("lookup/ProjectReference").rows.values()))
            ),
        )
        if "company" not in data:
            own = state.store.table("company/companies")
            data["company"] = state.references.expand("CompanyReference", next(iter(own.rows.values())))

    def _resolve_on_board(
        self,
        call: Call,
        data: JsonObject,
        names: set[str],
        context: Context,
        old: Record | None = None,
    ) -> None:
        board_id = data["board"]["id"]
        for name in BOARD_FIELDS:
            if name in names and name in data:
                resolve_on_board(call.state, data, name, board_id, context.problems, old)
        if "status" not in data:
            data["status"] = default_status(call.state, board_id)

    def _mail_status(self, call: Call, data: JsonObject) -> None:
        """A status with a template mails the contact, unless processNotifications is false."""
        state = call.state
        status = state.store.table("service/boards/statuses").rows[data["status"]["id"]].data
        template = status.get("emailTemplate")
        if template and call.sent.get("processNotifications") is not False:
            state.mail("status", data, recipients(data), template=template["name"], status=status["name"])


def resolve_on_board(
    state: State,
    data: JsonObject,
    name: str,
    board_id: int,
    problems: list[Item],
    old: Record | None = None,
) -> None:
    """Replace a written reference by a record of the board; equal names elsewhere do not count."""
    ref, table_name = BOARD_FIELDS[name]
    written = data[name]
    rows = state.store.table(table_name).of((board_id,))
    if written.get("id"):
        found = next((r for r in rows if r.id == written["id"]), None)
    else:
        wanted = str(written.get("name", "")).lower()
        found = next((r for r in rows if r.data["name"].lower() == wanted), None)
    kept = old is not None and found is not None and old.data.get(name, {}).get("id") == found.id
    retired = found is not None and bool(found.data.get("inactive") or found.data.get("inactiveFlag"))
    if found is None or (retired and not kept):
        label = ref.removeprefix("Service").removesuffix("Reference")
        shown = written.get("name") or written.get("id")
        reason = "is inactive" if found else "was not found"
        message = f"{label} {shown} {reason} on board {board_id}."
        problems.append(Item("NotFound", message, f"{name}/name"))
        return
    data[name] = state.references.expand(ref, found)


def closes(state: State, data: JsonObject) -> bool:
    status = state.store.table("service/boards/statuses").get(data["status"]["id"])
    return status is not None and bool(status.data.get("closedStatus"))


def follow_status(call: Call, data: JsonObject, old: JsonObject | None) -> None:
    """closedFlag, closedDate and closedBy mirror the status; nothing else closes a ticket."""
    closed = closes(call.state, data)
    data["closedFlag"] = closed
    if not closed:
        data.pop("closedDate", None)
        data.pop("closedBy", None)
    elif old is None or not old.get("closedFlag"):
        data["closedDate"] = call.state.now()
        data["closedBy"] = call.actor_name


def log_change(call: Call, record: Record, action: str) -> None:
    """Add a row to the ticket change log."""
    data = record.data
    row: dict[str, Any] = {
        "action": action,
        "ticketNumber": record.id,
        "summary": data["summary"],
        "boardId": data["board"]["id"],
        "boardName": data["board"]["name"],
        "status": data["status"]["name"],
        "companyIdentifier": data["company"]["id"],
        "companyName": data["company"]["name"],
        "closedFlag": data["closedFlag"],
        "recordType": data.get("recordType", "ProjectTicket"),
        "_info": {"lastUpdated": call.state.now(), "updatedBy": call.actor_name},
    }
    call.state.store.table("service/tickets/changelogs").add(row)
