"""What customers have contracted for: a running agreement each, and one that has ended."""

from __future__ import annotations

from psa.providers.connectwise.reference import JsonObject
from psa.providers.connectwise.sandbox.seed.planting import Planter

AGREEMENTS = "finance/agreements"


def fill_agreements(planter: Planter) -> None:
    companies = [row for row in planter.state.store.table("company/companies").of(()) if row.id > 1]
    for company in companies:
        _add(planter, company.id, "Managed Services", "Active", end=None)
        _add(planter, company.id, "Block Hours 2025", "Expired", end="2025-12-31T00:00:00Z")


def _add(planter: Planter, company_id: int, name: str, status: str, *, end: str | None) -> None:
    contacts = planter.state.store.table("company/contacts").of(())
    contact = next(row for row in contacts if row.data["company"]["id"] == company_id)
    row: JsonObject = {
        "name": name,
        "type": planter.ref("AgreementTypeReference", 1),
        "company": planter.ref("CompanyReference", company_id),
        "contact": planter.ref("ContactReference", contact),
        "startDate": "2025-01-01T00:00:00Z",
        "noEndingDateFlag": end is None,
        "cancelledFlag": False,
        "billTime": "NoDefault",
        "agreementStatus": status,
    }
    planter.add(AGREEMENTS, row if end is None else {**row, "endDate": end})
