"""Members: engineers, a manager, one API member, one inactive, two sharing a mail address."""

from __future__ import annotations

from psa.providers.connectwise.reference import JsonObject
from psa.providers.connectwise.sandbox.seed.planting import Planter
from psa.providers.connectwise.sandbox.state import API_MEMBER_ID

DOMAIN = "acme-msp.example"

MEMBERS = (
    # id, identifier, first name, last name, title, licence
    (101, "admin", "Alice", "Monroe", "Owner", "F"),
    (102, "bkeller", "Ben", "Keller", "Service Manager", "F"),
    (103, "cdiaz", "Carmen", "Diaz", "Senior Engineer", "F"),
    (104, "dpatel", "Dev", "Patel", "Senior Engineer", "F"),
    (105, "eowens", "Erin", "Owens", "Help Desk Engineer", "F"),
    (106, "fchan", "Felix", "Chan", "Help Desk Engineer", "F"),
    (107, "gromano", "Gia", "Romano", "Help Desk Engineer", "F"),
    (108, "hsaito", "Hana", "Saito", "Network Engineer", "F"),
    (109, "iburke", "Ian", "Burke", "Security Analyst", "F"),
    (110, "jnovak", "Jana", "Novak", "Project Manager", "F"),
    (111, "kfield", "Karl", "Field", "Dispatcher", "C"),
    (112, "lmoss", "Lena", "Moss", "Help Desk Engineer", "F"),
    (113, "mfrost", "Milo", "Frost", "Contractor", "X"),
    (API_MEMBER_ID, "rfapi", "ResolutionFlow", "API", "Integration", "A"),
)

INACTIVE = {112}
SHARED_MAIL = {106, 107}
"""Members who both use the help desk's address, so no mail tells them apart."""
MOBILE_MAIL = {104}
"""Members whose default address is not the office one."""


def fill_members(planter: Planter) -> None:
    for number, name in enumerate(("Technician", "Management"), start=1):
        planter.add("system/members/types", {"name": name}, number)
    for number, identifier, first, last, title, licence in MEMBERS:
        planter.add(
            "system/members", _member(planter, number, identifier, first, last, title, licence), number
        )


def _member(
    planter: Planter, number: int, identifier: str, first: str, last: str, title: str, licence: str
) -> JsonObject:
    office = f"{identifier}@{DOMAIN}"
    if number in SHARED_MAIL:
        office = f"helpdesk@{DOMAIN}"
    location = planter.ref("SystemLocationReference", 11)
    department = planter.ref("SystemDepartmentReference", 10)
    row: JsonObject = {
        "identifier": identifier,
        "firstName": first,
        "lastName": last,
        "title": title,
        "licenseClass": licence,
        "hireDate": f"20{10 + number % 12}-04-01T00:00:00Z",
        "inactiveFlag": number in INACTIVE,
        "adminFlag": identifier == "admin",
        "defaultEmail": "Mobile" if number in MOBILE_MAIL else "Office",
        "defaultPhone": "Office",
        "officeEmail": office,
        "primaryEmail": office,
        "securityRole": planter.ref("SecurityRoleReference", 3 if licence == "A" else 2),
        "type": planter.ref("MemberTypeReference", 1),
        "structureLevel": planter.ref("StructureReference", 1),
        "defaultLocation": location,
        "defaultDepartment": department,
        "securityLocation": location,
        "serviceDefaultLocation": location,
        "serviceDefaultDepartment": department,
        "dailyCapacity": 8.0,
        "hourlyRate": 150.0,
        "requireStartAndEndTimeOnTimeEntryFlag": False,
        "excludedServiceBoardIds": [],
        "excludedProjectBoardIds": [],
        "customFields": [],
        "companyActivityTabFormat": "SummaryList",
        "invoiceTimeTabFormat": "SummaryList",
        "invoiceScreenDefaultTabFormat": "ShowInvoicingTab",
        "invoicingDisplayOptions": "RemainOnInvoicingScreen",
        "agreementInvoicingDisplayOptions": "RemainOnInvoicingScreen",
        "globalSearchDefaultTicketFilter": "OpenRecords",
        "globalSearchDefaultSort": "None",
        "phoneIntegrationType": "NONE",
    }
    if number in INACTIVE:
        row["inactiveDate"] = "2025-12-31T00:00:00Z"
    else:
        # Inactive members were seen without time zone and calendar.
        row["timeZone"] = planter.ref("TimeZoneSetupReference", 1)
        row["calendar"] = planter.ref("CalendarReference", 1)
        row["workRole"] = planter.ref("WorkRoleReference", 1)
        row["workType"] = planter.ref("WorkTypeReference", 1)
    if number in MOBILE_MAIL:
        row["mobileEmail"] = f"{first.lower()}.{last.lower()}@mail.example"
        row["primaryEmail"] = row["mobileEmail"]
    if licence == "A":
        for name in ("officeEmail", "primaryEmail"):
            row.pop(name)
    if identifier == "admin":
        row["ssoSettings"] = planter.ref("MemberSsoSettingsReference", 1)
    return row
