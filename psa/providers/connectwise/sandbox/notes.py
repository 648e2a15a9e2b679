"""Rules of ticket notes: sections, authors, mails, and the view of all notes.

Source: docs/connectwise/quick-reference.md#notes
"""

from __future__ import annotations

from psa.providers.connectwise.reference import JsonObject
from psa.providers.connectwise.sandbox.behaviour import Behaviour, Call
from psa.providers.connectwise.sandbox.state import State
from psa.providers.connectwise.sandbox.store import Record
from psa.providers.connectwise.sandbox.validation import BodySchema, Context

SECTIONS = ("detailDescriptionFlag", "internalAnalysisFlag", "resolutionFlag")

INITIAL = {
    "initialDescription": "detailDescriptionFlag",
    "initialInternalAnalysis": "internalAnalysisFlag",
    "initialResolution": "resolutionFlag",
}
"""Fields of a new ticket that become notes, and the section of each."""


class NoteBehaviour(Behaviour):
    """Notes of service tickets (ServiceNote) and of project tickets (TicketNote)."""

    actions = frozenset({"processNotifications", "internalFlag", "externalFlag"})

    def __init__(self, ticket_table: str) -> None:
        self.ticket_table = ticket_table

    def prepare(
        self,
        call: Call,
        schema: BodySchema,
        data: JsonObject,
        parents: tuple[int, ...],
        context: Context,
    ) -> None:
        fill_note(call.state, schema, data, call.actor, context)

    def change(
        self,
        call: Call,
        schema: BodySchema,
        old: Record,
        data: JsonObject,
        touched: set[str],
        context: Context,
    ) -> None:
        for name in ("ticketId", "dateCreated", "createdBy"):
            if name in old.data:
                data[name] = old.data[name]
        fill_note(call.state, schema, data, call.actor, context)

    def created(self, call: Call, record: Record) -> None:
        ticket = self._touch(call, record)
        if record.data.get("customerUpdatedFlag"):
            table = call.state.store.table(self.ticket_table)
            ticket = table.put(ticket, {**ticket.data, "customerUpdatedFlag": True})
        if call.sent.get("processNotifications") is True:
            mail_note(call.state, ticket.data, record.data)
        call.publish("ticket", "updated", ticket)

    def changed(self, call: Call, old: Record, new: Record) -> None:
        call.publish("ticket", "updated", self._touch(call, new))

    def deleted(self, call: Call, record: Record) -> None:
        call.publish("ticket", "updated", self._touch(call, record))

    def create_answer(self, call: Call, record: Record) -> JsonObject:
        """The create echoes internalFlag and externalFlag; no later read shows them."""
        names = ("internalFlag", "externalFlag")
        echoed: JsonObject = {name: call.sent[name] for name in names if name in call.sent}
        return {**record.data, **echoed}

    def _touch(self, call: Call, note: Record) -> Record:
        """A change of a note counts as a change of its ticket."""
        table = call.state.store.table(self.ticket_table)
        ticket = table.rows[note.parents[0]]
        info = {**ticket.data["_info"], "lastUpdated": call.state.now(), "updatedBy": call.actor_name}
        return table.put(ticket, {**ticket.data, "_info": info})


def fill_note(state: State, schema: BodySchema, data: JsonObject, actor: Record, context: Context) -> None:
    """Defaults of a note; refuses one without text or section."""
    if not str(data.get("text", "")).strip():
        context.refuse("MissingRequiredField", "text is required.", "text")
    if not schema.one_true_of and not any(data.get(flag) for flag in SECTIONS):
        message = f"Choose where to show the note: one of {', '.join(SECTIONS)} must be true."
        context.refuse("InvalidObject", message, SECTIONS[0])
    for flag in (*SECTIONS, "issueFlag", "customerUpdatedFlag"):
        data.setdefault(flag, False)
    if "member" not in data and "contact" not in data:
        data["member"] = state.references.expand("MemberReference", actor)
    if "dateCreated" in schema.fields:
        data.setdefault("dateCreated", state.now())
        data.setdefault("createdBy", actor.data["identifier"])


def mail_note(state: State, ticket: JsonObject, note: JsonObject) -> None:
    """processNotifications mails the contact even when the note is internal."""
    address = ticket.get("contactEmailAddress")
    sections = [flag for flag in SECTIONS if note.get(flag)]
    state.mail("note", ticket, [address] if address else [], noteId=note["id"], sections=sections)


def add_initial_notes(call: Call, ticket: Record) -> None:
    """Turn initialDescription and its sisters into notes of the new ticket."""
    project = "phase" in ticket.data
    table = call.state.store.table("project/tickets/notes" if project else "service/tickets/notes")
    for name, flag in INITIAL.items():
        text = call.sent.get(name)
        if not text:
            continue
        note: JsonObject = {"ticketId": ticket.id, "text": text}
        note.update({section: section == flag for section in SECTIONS})
        note.update(issueFlag=name == "initialDescription", customerUpdatedFlag=False)
        note["member"] = call.state.references.expand("MemberReference", call.actor)
        if not project:
            note.update(dateCreated=call.state.now(), createdBy=call.actor_name)
        note["_info"] = {"lastUpdated": call.state.now(), "updatedBy": call.actor_name}
        table.add(note, (ticket.id,))


def all_notes(state: State, ticket: Record) -> list[Record]:
    """Every note of a ticket in the read-only shape, time entry notes included."""
    project = "phase" in ticket.data
    prefix = "project" if project else "service"
    reference = state.references.expand("TicketReference", ticket)
    rows: list[Record] = []
    for note in state.store.table(f"{prefix}/tickets/notes").of((ticket.id,)):
        shown = note.derived.get("allNotes")
        if shown is None:
            shown = note.derived["allNotes"] = _general_shape(note, reference, project)
        rows.append(shown)
    rows += state.store.table("timeNotes").of((ticket.id,))
    return sorted(rows, key=lambda row: row.id)


def _general_shape(note: Record, ticket: JsonObject, project: bool) -> Record:
    data = note.data
    shown: JsonObject = {
        "id": note.id,
        "noteType": "TicketNote",
        "ticket": ticket,
        "text": data["text"],
        "bundledFlag": False,
        "mergedFlag": False,
        "issueFlag": data.get("issueFlag", False),
    }
    if not project:
        shown.update(isMarkdownFlag=False, createdByParentFlag=False)
    for name in (*SECTIONS, "member", "contact", "_info"):
        if name in data:
            shown[name] = data[name]
    author = data.get("member") or data.get("contact")
    if author:
        shown["originalAuthor"] = author["name"]
    return Record(note.id, shown, note.parents)


def notes_with_children(state: State, ticket: Record) -> list[Record]:
    """Notes of a service ticket and of the tickets attached below it."""
    table = state.store.table("service/tickets/notes")
    rows = table.of((ticket.id,))
    if ticket.data.get("hasChildTicket") or ticket.data.get("hasMergedChildTicketFlag"):
        for other in state.store.table("service/tickets").of(()):
            merged_into = other.data.get("mergedParentTicket", {}).get("id")
            if ticket.id in (other.data.get("parentTicketId"), merged_into):
                rows += table.of((other.id,))
    return rows
