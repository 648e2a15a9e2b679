"""What a ticket gets without being asked: flags, address and contact, SLA goals, default records."""

from __future__ import annotations

from datetime import datetime, timedelta

from psa.providers.connectwise.reference import JsonObject
from psa.providers.connectwise.sandbox.state import State
from psa.providers.connectwise.sandbox.store import utc_text
from psa.providers.connectwise.sandbox.validation import BodySchema

FLAGS = {
    "customerUpdatedFlag": False,
    "automaticEmailContactFlag": False,
    "automaticEmailResourceFlag": False,
    "automaticEmailCcFlag": False,
    "allowAllClientsPortalView": False,
    "requestForChangeFlag": False,
    "approved": True,
    "hasChildTicket": False,
    "hasMergedChildTicketFlag": False,
    "isInSla": True,
    "isIssueFlag": False,
    "lagNonworkingDaysFlag": False,
    "estimatedExpenseCost": 0.0,
    "estimatedExpenseRevenue": 0.0,
    "estimatedProductCost": 0.0,
    "estimatedProductRevenue": 0.0,
    "estimatedTimeCost": 0.0,
    "estimatedTimeRevenue": 0.0,
    "actualHours": 0.0,
    "severity": "Medium",
    "impact": "Medium",
    "subBillingMethod": "ActualRates",
    "billTime": "NoDefault",
    "billExpenses": "NoDefault",
    "billProducts": "NoDefault",
}


def fill_customer(state: State, schema: BodySchema, data: JsonObject, missing: tuple[str, ...]) -> None:
    """Copy address and reachability of the site and the contact; choose the main ones if missing."""
    company = data.get("company")
    if company is None:
        return
    sites = state.store.table("company/companies/sites")
    if "site" in missing and "site" not in data:
        for row in sites.of((company["id"],))[:1]:
            data["site"] = state.references.expand("SiteReference", row)
    if "contact" in missing and "contact" not in data:
        stored = state.store.table("company/companies").rows[company["id"]].data
        if "defaultContact" in stored:
            data["contact"] = stored["defaultContact"]
    for name in ("contactName", "contactPhoneNumber", "contactEmailAddress"):
        data.pop(name, None)
    site = sites.get(data.get("site", {}).get("id", 0))
    if site is not None:
        data["siteName"] = site.data["name"]
        for name in ("addressLine1", "addressLine2", "city", "zip"):
            if name in site.data:
                data[name] = site.data[name]
    contact = state.store.table("company/contacts").get(data.get("contact", {}).get("id", 0))
    if contact is not None:
        data["contactName"] = data["contact"]["name"]
        for item in contact.data.get("communicationItems", ()):
            if item.get("defaultFlag"):
                mail = item.get("communicationType") == "Email"
                name = "contactEmailAddress" if mail else "contactPhoneNumber"
                data[name] = item["value"][: 250 if mail else 20]


def merge_custom_fields(state: State, data: JsonObject) -> None:
    """List every definition, with the value sent for it."""
    definitions = state.store.table("lookup/ticketCustomFields").rows.values()
    sent = {f.get("id"): f.get("value") for f in data.get("customFields") or ()}
    fields: list[JsonObject] = []
    for definition in definitions:
        entry = dict(definition.data)
        if sent.get(entry["id"]) is not None:
            entry["value"] = sent[entry["id"]]
        fields.append(entry)
    if fields:
        data["customFields"] = fields


def set_sla_goals(state: State, schema: BodySchema, data: JsonObject, entered: str) -> None:
    if "sla" not in schema.fields or "sla" not in data:
        return
    sla = state.store.table("service/SLAs").rows[data["sla"]["id"]].data
    start = datetime.fromisoformat(entered)
    for goal, hours in (
        ("respondByGoalUTC", "respondHours"),
        ("resplanGoalUTC", "planWithin"),
        ("resolutionGoalUTC", "resolutionHours"),
    ):
        data[goal] = utc_text(start + timedelta(hours=float(sla.get(hours, 8))))
    data["slaStatus"] = f"Respond by {data['respondByGoalUTC']}"


def default_board(state: State, *, project: bool) -> JsonObject:
    boards = state.store.table("service/boards").rows.values()
    first = next(
        b for b in boards if bool(b.data.get("projectFlag")) is project and not b.data.get("inactiveFlag")
    )
    return state.references.expand("BoardReference", first)


def default_status(state: State, board_id: int) -> JsonObject:
    rows = state.store.table("service/boards/statuses").of((board_id,))
    chosen = next((r for r in rows if r.data.get("defaultFlag")), rows[0])
    return state.references.expand("ServiceStatusReference", chosen)


def default_of(state: State, ref: str, table: str) -> JsonObject:
    rows = list(state.store.table(table).rows.values())
    chosen = next((r for r in rows if r.data.get("defaultFlag")), rows[0])
    return state.references.expand(ref, chosen)


def recipients(ticket: JsonObject) -> list[str]:
    """Who a mail about a ticket reaches."""
    found = [ticket["contactEmailAddress"]] if ticket.get("contactEmailAddress") else []
    if ticket.get("automaticEmailCcFlag") and ticket.get("automaticEmailCc"):
        found += [a.strip() for a in ticket["automaticEmailCc"].split(";") if a.strip()]
    return found


def add_owner(state: State, data: JsonObject) -> None:
    """The owner is one of the assigned members, whose identifiers resources joins by commas."""
    owner = data.get("owner")
    if owner is None:
        return
    member = state.store.table("system/members").rows[owner["id"]].data
    names = [name.strip() for name in data.get("resources", "").split(",") if name.strip()]
    if member["identifier"] not in names:
        data["resources"] = ", ".join([*names, member["identifier"]])
