"""Small tables that records refer to: places, units, roles; a few rows for every other reference."""

from __future__ import annotations

from psa.providers.connectwise.reference import JsonObject, load_reference
from psa.providers.connectwise.sandbox.references import TABLES
from psa.providers.connectwise.sandbox.seed.planting import Planter

NAMES: dict[str, tuple[str, ...]] = {
    "SecurityRoleReference": ("Admin", "Technician", "ResolutionFlow Integration"),
    "TimeZoneSetupReference": ("US Eastern", "US Central", "US Pacific"),
    "WorkRoleReference": ("Engineer", "Senior Engineer", "Project Manager"),
    "WorkTypeReference": ("Remote", "On-Site", "After Hours"),
    "StructureReference": ("Corporate", "Location", "Department"),
    "ServiceLocationReference": ("Remote", "On-Site", "In-House"),
    "CalendarReference": ("Business Hours", "24x7"),
    "ProjectReference": ("Office 365 Migration", "Branch Office Rollout"),
    "ProjectPhaseReference": ("Discovery", "Implementation", "Handover"),
    "NotificationRecipientReference": ("Assigned Resources", "Contact", "Email Address"),
    "ServiceEmailTemplateReference": ("Ticket Closed", "Ticket Acknowledged"),
    "StatusIndicatorReference": ("Green", "Yellow", "Red"),
    "AgreementReference": ("Managed Services Gold", "Managed Services Silver"),
    "ManufacturerReference": ("Dell", "HP", "Cisco", "Lenovo"),
    "MarketDescriptionReference": ("Healthcare", "Legal", "Finance", "Manufacturing"),
    "BillingTermsReference": ("Net 30", "Due on Receipt"),
    "TaxCodeReference": ("Taxable", "Exempt"),
    "CorporateStructureLevelReference": ("Company", "Location"),
    "SkillCategoryReference": ("Networking", "Desktop"),
    "SkillReference": ("Firewall", "Windows"),
    "ServiceTemplateReference": ("New Hire", "Server Reboot"),
    "GroupReference": ("Newsletter", "Maintenance Notices"),
    "ServiceCodeReference": ("Check", "Call Back"),
}

COUNTRIES = (("US", "United States"), ("CA", "Canada"), ("GB", "United Kingdom"))
STATES = (("FL", "Florida"), ("GA", "Georgia"), ("NC", "North Carolina"))

LOCATIONS = ("Tampa Office", "Atlanta Office")
DEPARTMENTS = ("Professional Services", "Managed Services", "Admin")

TICKET_FIELDS = (
    (1, "Root Cause", "Text", "EntryField"),
    (2, "Onsite Needed", "Checkbox", "Option"),
)
"""Custom fields of tickets: id, caption, type, entry method."""


def fill_lookups(planter: Planter) -> None:
    for number, name in enumerate(LOCATIONS, start=11):
        planter.add("system/info/locations", {"name": name, "location_flag": True}, number)
    for number, name in enumerate(DEPARTMENTS, start=10):
        row = {"name": name, "identifier": name.split()[0]}
        planter.add("system/info/departments", row, number)
    for schema in sorted(load_reference().schemas):
        if schema.endswith("Reference") and schema not in TABLES:
            _fill_lookup(planter, schema)
    for number, caption, kind, method in TICKET_FIELDS:
        field: JsonObject = {"caption": caption, "type": kind, "entryMethod": method, "numberOfDecimals": 0}
        planter.bare("lookup/ticketCustomFields", field, number)


def _fill_lookup(planter: Planter, schema: str) -> None:
    table = f"lookup/{schema}"
    if schema == "CountryReference":
        rows = [{"identifier": i, "name": n} for i, n in COUNTRIES]
    elif schema == "StateReference":
        rows = [{"identifier": i, "name": n} for i, n in STATES]
    elif schema == "CurrencyReference":
        rows = [_currency()]
    else:
        label = schema.removesuffix("Reference")
        names = NAMES.get(schema, (f"{label} 1", f"{label} 2"))
        rows = [_lookup_row(schema, name) for name in names]
    for row in rows:
        planter.bare(table, row)


def _currency() -> JsonObject:
    return {
        "symbol": "$",
        "currencyCode": "USD",
        "decimalSeparator": ".",
        "numberOfDecimals": 2,
        "thousandsSeparator": ",",
        "negativeParenthesesFlag": False,
        "displaySymbolFlag": False,
        "currencyIdentifier": "Base",
        "displayIdFlag": False,
        "rightAlign": False,
        "name": "US Dollars",
    }


def _lookup_row(schema: str, name: str) -> JsonObject:
    properties = load_reference().schema(schema)["properties"]
    row: JsonObject = {"name": name}
    if "identifier" in properties:
        row["identifier"] = name.replace(" ", "")
    for text in ("description", "summary"):
        if text in properties:
            row[text] = name
    return row
