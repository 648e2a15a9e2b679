"""The own company, and customers with sites, contacts and devices."""

from __future__ import annotations

from psa.providers.connectwise.reference import JsonObject
from psa.providers.connectwise.sandbox.seed.planting import Planter
from psa.providers.connectwise.sandbox.store import Record

CUSTOMERS = (
    # identifier, name, city, domain, market
    ("HarborDental", "Harbor Point Dental", "Tampa", "harborpointdental.example", "Healthcare"),
    ("Northfield", "Northfield Logistics", "Atlanta", "northfieldlogistics.example", "Manufacturing"),
    ("Bluestone", "Bluestone Law Group", "Orlando", "bluestonelaw.example", "Legal"),
    ("CedarCU", "Cedar Valley Credit Union", "Ocala", "cedarvalleycu.example", "Finance"),
    ("Pinecrest", "Pinecrest Academy", "Macon", "pinecrestacademy.example", "Healthcare"),
    ("Osprey", "Osprey Marine Services", "Sarasota", "ospreymarine.example", "Manufacturing"),
    ("Larkspur", "Larkspur Architects", "Savannah", "larkspurarch.example", "Legal"),
    ("Granite", "Granite Ridge Foods", "Augusta", "graniteridgefoods.example", "Manufacturing"),
    ("WillowVet", "Willow Creek Veterinary", "Lakeland", "willowcreekvet.example", "Healthcare"),
    ("Tidewater", "Tidewater Insurance", "Charlotte", "tidewaterins.example", "Finance"),
    ("Redwood", "Redwood Property Management", "Raleigh", "redwoodpm.example", "Finance"),
    ("Meridian", "Meridian Fabrication & Tool", "Durham", "meridianfab.example", "Manufacturing"),
)

PEOPLE = (
    ("Nora", "Whitfield", "Office Manager"),
    ("Owen", "Castillo", "Controller"),
    ("Priya", "Raman", "Director"),
    ("Quinn", "Abbott", "Receptionist"),
    ("Rosa", "Lindqvist", "Operations"),
    ("Samir", "Haddad", "IT Contact"),
    ("Tess", "Okafor", "Partner"),
    ("Umberto", "Gallo", "Warehouse Lead"),
)

DEVICES = (
    # suffix, type, model, operating system
    ("DC01", "Managed Server", "PowerEdge R450", "Windows Server 2022"),
    ("FW01", "Network Device", "Firepower 1010", "FTD 7.4"),
    ("WS07", "Managed Workstation", "OptiPlex 7010", "Windows 11 Pro"),
)

COMMUNICATION_TYPES = (
    (1, "Email", "emailFlag"),
    (2, "Direct", "phoneFlag"),
    (3, "Mobile", "phoneFlag"),
    (4, "Fax", "faxFlag"),
)


def fill_own_company(planter: Planter) -> None:
    """Set-up tables of companies, and the company of the MSP itself."""
    for number, name in enumerate(("Active", "Inactive", "Prospect"), start=1):
        row: JsonObject = {
            "name": name,
            "defaultFlag": number == 1,
            "inactiveFlag": number == 2,
            "notifyFlag": False,
            "disallowSavingFlag": False,
        }
        planter.add("company/companies/statuses", row, number)
    for number, name in enumerate(("Client", "Vendor", "Owner"), start=1):
        row = {"name": name, "defaultFlag": number == 1, "vendorFlag": number == 2, "serviceAlertFlag": False}
        planter.add("company/companies/types", row, number)
    for number, description, flag in COMMUNICATION_TYPES:
        row = {"description": description, "defaultFlag": number <= 2}
        row.update({f: f == flag for f in ("phoneFlag", "faxFlag", "emailFlag")})
        planter.add("company/communicationTypes", row, number)
    for number, description in enumerate(("End User", "Decision Maker"), start=1):
        planter.add("company/contacts/types", {"description": description}, number)
    for table, names in (
        ("company/contacts/departments", ("Front Office", "Finance")),
        ("company/contacts/relationships", ("Employee", "Consultant")),
        ("company/noteTypes", ("Comment", "Alert")),
        ("company/teamRoles", ("Account Manager", "Lead Engineer")),
        (
            "company/configurations/types",
            ("Managed Server", "Managed Workstation", "Network Device", "Printer"),
        ),
    ):
        for number, name in enumerate(names, start=1):
            planter.add(table, {"name": name}, number)
    for number, name in enumerate(("Active", "Retired"), start=1):
        row = {"description": name, "closedFlag": number == 2, "defaultFlag": number == 1}
        planter.add("company/configurations/statuses", row, number)
    company = planter.post(
        "/company/companies",
        {
            "identifier": planter.state.credentials.company_id[:50],
            "name": "Acme MSP",
            "addressLine1": "100 Bay Street",
            "city": "Tampa",
            "zip": "33602",
            "types": [{"id": 3}],
            "country": {"id": 1},
        },
    )
    _add_site(planter, company, "Main", "100 Bay Street", "Tampa", main=True)
    row = {
        "tier1ApprovalFlag": True,
        "tier2ApprovalFlag": False,
        "disableTimeEntryFlag": False,
        "requireTimeNoteFlag": True,
        "requireExpenseNoteFlag": False,
        "roundingFactor": 0.25,
        "invoiceStart": 1000,
        "defaultSpecialInvoiceType": "Standard",
        "internalCompany": planter.ref("CompanyReference", company),
    }
    planter.add("system/myCompany/timeExpense", row, 1)


def fill_customers(planter: Planter) -> None:
    for index, (identifier, name, city, domain, market) in enumerate(CUSTOMERS):
        company = planter.post(
            "/company/companies",
            {
                "identifier": identifier,
                "name": name,
                "city": city,
                "types": [{"id": 1}],
                "addressLine1": f"{200 + index * 7} Commerce Way",
                "zip": f"3{index:02d}04",
                "phoneNumber": f"81355501{index:02d}",
                "website": f"www.{domain}",
                "territory": {"id": 11},
                "market": {"name": market},
                "country": {"id": 1},
            },
            hours=index - 2000,
        )
        site = _add_site(planter, company, "Main", f"{200 + index * 7} Commerce Way", city, main=True)
        if index % 2 == 0:
            _add_site(planter, company, "Branch", f"{12 + index} Depot Road", city, main=False)
        _add_contacts(planter, company, site, index, domain)
        _add_devices(planter, company, site, index, identifier)


def _add_site(planter: Planter, company: Record, name: str, street: str, city: str, *, main: bool) -> Record:
    row: JsonObject = {
        "name": name,
        "addressLine1": street,
        "city": city,
        "zip": "33602",
        "country": planter.ref("CountryReference", 1),
        "stateReference": planter.ref("StateReference", 1),
        "company": planter.ref("CompanyReference", company),
        "inactiveFlag": False,
        "primaryAddressFlag": main,
        "defaultShippingFlag": main,
        "defaultBillingFlag": main,
        "defaultMailingFlag": main,
    }
    return planter.add("company/companies/sites", row, parents=(company.id,))


def _add_contacts(planter: Planter, company: Record, site: Record, index: int, domain: str) -> None:
    chosen = [PEOPLE[(index + offset) % len(PEOPLE)] for offset in range(3)]
    for number, (first, last, title) in enumerate(chosen):
        items = [
            {
                "type": {"id": 1},
                "value": f"{first.lower()}.{last.lower()}@{domain}",
                "defaultFlag": True,
                "domain": f"@{domain}",
            },
            {"type": {"id": 2}, "value": f"813555{index:02d}{number:02d}", "defaultFlag": True},
        ]
        contact = planter.post(
            "/company/contacts",
            {
                "firstName": first,
                "lastName": last,
                "title": title,
                "company": {"id": company.id},
                "site": {"id": site.id},
                "communicationItems": items,
                "defaultFlag": number == 0,
                "typeIds": [1 + number % 2],
                "defaultPhoneType": "Direct",
                "defaultPhoneNbr": f"813555{index:02d}{number:02d}",
            },
            hours=index - 1900,
        )
        if number == 0:
            companies = planter.state.store.table("company/companies")
            reference = planter.ref("ContactReference", contact)
            stored = companies.rows[company.id]
            companies.put(stored, {**stored.data, "defaultContact": reference})


def _add_devices(planter: Planter, company: Record, site: Record, index: int, identifier: str) -> None:
    for number, (suffix, kind, model, system) in enumerate(DEVICES):
        name = f"{identifier.upper()[:8]}-{suffix}"
        planter.post(
            "/company/configurations",
            {
                "name": name,
                "type": {"name": kind},
                "company": {"id": company.id},
                "site": {"id": site.id},
                "deviceIdentifier": f"dev-{index:02d}{number:02d}",
                "serialNumber": f"SN{index:02d}{number:02d}7QX",
                "modelNumber": model,
                "ipAddress": f"10.{10 + index}.0.{10 + number}",
                "osType": system,
                "macAddress": f"00-1A-4B-{index:02d}-{number:02d}-7F",
                "installationDate": "2024-06-01T00:00:00Z",
                "manufacturer": {"id": 1 + number},
                "lastLoginName": "administrator",
            },
            hours=index - 1800,
        )
