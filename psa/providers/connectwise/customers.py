"""Owns what is read about the customer of a ticket: company, site, contact, agreement, devices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from psa.exceptions import NotFoundError
from psa.providers.connectwise import customer_mapping
from psa.providers.connectwise.conditions import as_id, one_of
from psa.providers.connectwise.paging import PAGE_MAX_ROWS
from psa.providers.connectwise.parts import ConnectWisePart
from psa.types import Agreement, Company, Configuration, Contact, Raw, Site

T = TypeVar("T")

PASSWORD_FIELDS = frozenset({"questions", "notes", "vendorNotes"})
"""Parts of a device's record where passwords are kept: never handed on."""


class CustomerOperations(ConnectWisePart):
    """Single records of a customer, and devices by their ids."""

    def company_get(self, company_id: str) -> Company:
        return self._one("/company/companies", company_id, customer_mapping.company, "company_get")

    def contact_get(self, contact_id: str) -> Contact:
        return self._one("/company/contacts", contact_id, customer_mapping.contact, "contact_get")

    def agreement_get(self, agreement_id: str) -> Agreement:
        return self._one("/finance/agreements", agreement_id, customer_mapping.agreement, "agreement_get")

    def site_get(self, company_id: str, site_id: str) -> Site:
        path = f"/company/companies/{_known_id(company_id)}/sites"
        return self._one(path, site_id, customer_mapping.site, "site_get")

    def configurations_get(self, ids: Sequence[str]) -> list[Configuration]:
        if not ids:
            return []
        found = self.api.page(
            "/company/configurations",
            lambda raw: customer_mapping.configuration(_without_passwords(raw)),
            operation="configurations_get",
            conditions=one_of("id", [_known_id(one) for one in ids[:PAGE_MAX_ROWS]]),
            page_size=PAGE_MAX_ROWS,
        )
        place = {one: number for number, one in enumerate(ids)}
        return sorted(found.items, key=lambda device: place.get(device.id, len(place)))

    def _one(self, path: str, own_id: str, parse: Callable[[Raw], T], operation: str) -> T:
        return self.api.get(f"{path}/{_known_id(own_id)}", parse, operation=operation)


def _known_id(own_id: str) -> int:
    """Return an id for a path. Raises: NotFoundError for one that no record can have."""
    try:
        return as_id(own_id)
    except ValueError as exc:
        raise NotFoundError(f"There is no record {str(own_id)[:40]!r}.") from exc


def _without_passwords(raw: Raw) -> Raw:
    return {name: value for name, value in raw.items() if name not in PASSWORD_FIELDS}
