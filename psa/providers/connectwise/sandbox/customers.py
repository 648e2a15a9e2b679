"""Companies and contacts: two faces of types and communications kept alike, merging, portal calls."""

from __future__ import annotations

from typing import Any

from psa.providers.connectwise.reference import JsonObject
from psa.providers.connectwise.sandbox import errors
from psa.providers.connectwise.sandbox.behaviour import Behaviour, Call, CallbackBehaviour
from psa.providers.connectwise.sandbox.errors import Item
from psa.providers.connectwise.sandbox.resources import answer_record, find, list_answer
from psa.providers.connectwise.sandbox.state import State
from psa.providers.connectwise.sandbox.store import Record, to_json
from psa.providers.connectwise.sandbox.validation import BodySchema, Context, body_schema
from psa.providers.connectwise.sandbox.wire import Response

COMPANIES = "company/companies"
CONTACTS = "company/contacts"
COMMUNICATIONS = "company/contacts/communications"

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)
"""A transparent PNG of one pixel: every photo and icon here."""


class CompanyBehaviour(CallbackBehaviour):
    """Identifiers are unique; types become rows of typeAssociations."""

    def __init__(self) -> None:
        super().__init__("company")

    def prepare(
        self,
        call: Call,
        schema: BodySchema,
        data: JsonObject,
        parents: tuple[int, ...],
        context: Context,
    ) -> None:
        wanted = data["identifier"].lower()
        for row in call.state.store.table(COMPANIES).rows.values():
            if row.data["identifier"].lower() == wanted:
                message = f"A company with identifier {data['identifier']} exists already."
                context.refuse("ObjectExists", message, "identifier")
        if "status" not in data:
            statuses = call.state.store.table("company/companies/statuses").rows.values()
            data["status"] = call.state.references.expand(
                "CompanyStatusReference", next(r for r in statuses if r.data.get("defaultFlag"))
            )
        for flag in ("deletedFlag", "leadFlag", "unsubscribeFlag", "isVendorFlag"):
            data.setdefault(flag, False)

    def created(self, call: Call, record: Record) -> None:
        mirror_types(call.state, record, "company", "CompanyReference")
        super().created(call, record)


class ContactBehaviour(CallbackBehaviour):
    """communicationItems and /communications show the same; typeIds become types."""

    def __init__(self) -> None:
        super().__init__("contact")

    def prepare(
        self,
        call: Call,
        schema: BodySchema,
        data: JsonObject,
        parents: tuple[int, ...],
        context: Context,
    ) -> None:
        if not data.get("firstName"):
            context.refuse("MissingRequiredField", "firstName is required.", "firstName")
        table = call.state.store.table("company/contacts/types")
        types: list[JsonObject] = data.setdefault("types", [])
        for type_id in data.pop("typeIds", ()):
            found = table.get(type_id)
            if found is None:
                context.refuse("NotFound", f"ContactType {type_id} was not found.", "typeIds")
            else:
                types.append(call.state.references.expand("ContactTypeReference", found))
        data.setdefault("inactiveFlag", False)
        complete_items(call.state, data, context)

    def change(
        self,
        call: Call,
        schema: BodySchema,
        old: Record,
        data: JsonObject,
        touched: set[str],
        context: Context,
    ) -> None:
        complete_items(call.state, data, context)

    def created(self, call: Call, record: Record) -> None:
        mirror_types(call.state, record, "contact", "ContactReference")
        mirror_items(call.state, record)
        super().created(call, record)

    def changed(self, call: Call, old: Record, new: Record) -> None:
        mirror_items(call.state, new)
        super().changed(call, old, new)


def complete_items(state: State, data: JsonObject, context: Context) -> None:
    """Give new communication items an id and the kind that their type implies."""
    used = [i["id"] for i in data.get("communicationItems", ()) if "id" in i]
    rows = state.store.table(COMMUNICATIONS).rows
    following = max([*used, *rows, 0]) + 1
    for number, item in enumerate(data.get("communicationItems", ())):
        if not item.get("type") or not item.get("value"):
            path = f"communicationItems/{number}"
            context.refuse("MissingRequiredField", f"{path} needs type and value.", path)
            continue
        if "id" not in item:
            item["id"] = following
            following += 1
        item.setdefault("communicationType", kind_of(state, item["type"]["id"]))
        item.setdefault("defaultFlag", False)


def kind_of(state: State, type_id: int) -> str:
    data = state.store.table("company/communicationTypes").rows[type_id].data
    return "Email" if data.get("emailFlag") else "Fax" if data.get("faxFlag") else "Phone"


def mirror_items(state: State, contact: Record) -> None:
    """Make the rows of /communications those of communicationItems."""
    table = state.store.table(COMMUNICATIONS)
    for row in table.of((contact.id,)):
        table.remove(row)
    for item in contact.data.get("communicationItems", ()):
        data = {**item, "contactId": contact.id, "_info": contact.data["_info"]}
        table.add(data, (contact.id,), item["id"])


class CommunicationBehaviour(Behaviour):
    """Writes to /communications show up in the contact."""

    def prepare(
        self,
        call: Call,
        schema: BodySchema,
        data: JsonObject,
        parents: tuple[int, ...],
        context: Context,
    ) -> None:
        data.setdefault("communicationType", kind_of(call.state, data["type"]["id"]))
        data.setdefault("defaultFlag", False)

    def created(self, call: Call, record: Record) -> None:
        self._collect(call.state, record)

    def changed(self, call: Call, old: Record, new: Record) -> None:
        self._collect(call.state, new)

    def deleted(self, call: Call, record: Record) -> None:
        self._collect(call.state, record)

    def _collect(self, state: State, row: Record) -> None:
        contacts = state.store.table(CONTACTS)
        contact = contacts.rows[row.parents[0]]
        names = body_schema("ContactCommunicationItem").fields
        items = [
            {k: v for k, v in r.data.items() if k in names}
            for r in state.store.table(COMMUNICATIONS).of(row.parents)
        ]
        contacts.put(contact, {**contact.data, "communicationItems": items})


def mirror_types(state: State, record: Record, field: str, ref: str) -> None:
    """Enter the types of a new company or contact as type associations."""
    collection = COMPANIES if field == "company" else CONTACTS
    table = state.store.table(f"{collection}/typeAssociations")
    for kind in record.data.get("types", ()):
        row = {"type": kind, field: state.references.expand(ref, record)}
        table.add({**row, "_info": record.data["_info"]}, (record.id,))


class AssociationBehaviour(Behaviour):
    """Writes to typeAssociations show up in the types of the company or contact."""

    def created(self, call: Call, record: Record) -> None:
        self._collect(call.state, record)

    def changed(self, call: Call, old: Record, new: Record) -> None:
        self._collect(call.state, new)

    def deleted(self, call: Call, record: Record) -> None:
        self._collect(call.state, record)

    def _collect(self, state: State, row: Record) -> None:
        collection = COMPANIES if "company" in row.data else CONTACTS
        owners = state.store.table(collection)
        owner = owners.rows[row.parents[0]]
        rows = state.store.table(f"{collection}/typeAssociations").of(row.parents)
        owners.put(owner, {**owner.data, "types": [r.data["type"] for r in rows]})


def default_company(call: Call) -> Response:
    statuses = call.state.store.table("company/companies/statuses").rows.values()
    chosen = next(r for r in statuses if r.data.get("defaultFlag"))
    data: JsonObject = {"identifier": "", "name": ""}
    data["status"] = call.state.references.expand("CompanyStatusReference", chosen)
    data.update(deletedFlag=False, leadFlag=False, unsubscribeFlag=False)
    return answer_record(call, data)


def default_contact(call: Call) -> Response:
    """The default contact of companyId, or an empty draft."""
    company_id = call.query.get("companyId", "")
    if not company_id:
        return answer_record(call, {"inactiveFlag": False, "types": []})
    company = find(call, COMPANIES, company_id)
    chosen = company.data.get("defaultContact", {}).get("id", 0)
    return answer_record(call, find(call, CONTACTS, str(chosen)).data)


def merge_company(call: Call) -> Response:
    """Tickets, contacts, configurations and sites go to the other company; this one is deleted."""
    with call.state.store.lock:
        source = find(call, COMPANIES, call.params["id"])
        schema = body_schema("CompanyMerge")
        context = Context(call.state.references)
        data = schema.clean(call.body, context)
        target = call.state.store.table(COMPANIES).get(data.get("toCompanyId", 0))
        if target is None or target is source:
            context.refuse("NotFound", "toCompanyId names no other company.", "toCompanyId")
        if context.problems or target is None:
            raise errors.invalid(schema.resource, context.problems)
        reference = call.state.references.expand("CompanyReference", target)
        for name in ("service/tickets", "project/tickets", CONTACTS, "company/configurations"):
            table = call.state.store.table(name)
            for row in list(table.rows.values()):
                if row.data.get("company", {}).get("id") == source.id:
                    table.put(row, {**row.data, "company": reference})
        call.state.store.table(COMPANIES).remove(source)
        call.publish("company", "deleted", source)
    return Response(call.operation.status, to_json({"success": True, "message": "Merged"}))


def image(call: Call) -> Response:
    """Photo of a contact or member, icon of a priority."""
    table = call.operation.path.strip("/").split("/{")[0]
    find(call, table, call.params["id"])
    return Response(
        200,
        PIXEL,
        "application/octet-stream",
        [("Content-Disposition", f'attachment; filename="{call.params["id"]}.png"')],
    )


def portal_security(call: Call) -> Response:
    contact = find(call, CONTACTS, call.params["id"])
    names = ("Tickets", "Invoices", "Configurations")
    rows: list[Record] = []
    for number, name in enumerate(names, start=1):
        enabled = not contact.data.get("disablePortalLoginFlag", False)
        rows.append(Record(number, {"identifier": name, "enabled": enabled}, (contact.id,)))
    return list_answer(call, "PortalSecurity", rows)


def _contact_by_mail(state: State, address: str) -> Record | None:
    for contact in state.store.table(CONTACTS).rows.values():
        for item in contact.data.get("communicationItems", ()):
            if item.get("value", "").lower() == address.lower():
                return contact
    return None


def _clean(call: Call, name: str) -> JsonObject:
    schema = body_schema(name)
    context = Context(call.state.references)
    data = schema.clean(call.body, context)
    if context.problems:
        raise errors.invalid(schema.resource, context.problems)
    return data


def request_password(call: Call) -> Response:
    data = _clean(call, "RequestPasswordRequest")
    if _contact_by_mail(call.state, data["email"]) is None:
        item = Item("NotFound", "No contact has this address.", "email")
        raise errors.invalid("requestPasswordRequest", [item])
    return Response(204)


def validate_portal(call: Call) -> Response:
    """Every password but an empty one is right for a known address."""
    data = _clean(call, "ValidatePortalRequest")
    contact = _contact_by_mail(call.state, data["email"])
    answer: dict[str, Any] = {"success": contact is not None}
    if contact is not None:
        answer["contactId"] = contact.id
    return Response(call.operation.status, to_json(answer))
