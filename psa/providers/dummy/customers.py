"""Owns what the dummy PSA tells around a ticket: customer, service level, knowledge base."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import TypeVar

from psa.exceptions import NotFoundError
from psa.providers.base import Provider
from psa.providers.dummy.server import DummyServer
from psa.providers.dummy.time_entries import AGREEMENTS
from psa.types import Agreement, Article, Company, Configuration, Contact, RecordType, Site, Sla

T = TypeVar("T")

RESPOND_WITHIN = timedelta(hours=1)
RESOLVE_WITHIN = timedelta(hours=8)


class DummyCustomers(Provider):
    """Single records of a customer, and what belongs to a ticket."""

    server: DummyServer
    _reading: Callable[[str], AbstractContextManager[None]]

    def company_get(self, company_id: str) -> Company:
        with self._reading("company_get"):
            return _one(self.server.companies, company_id)

    def contact_get(self, contact_id: str) -> Contact:
        with self._reading("contact_get"):
            return _one(self.server.contacts, contact_id)

    def site_get(self, company_id: str, site_id: str) -> Site:
        with self._reading("site_get"):
            return _one(self.server.sites, site_id)

    def agreement_get(self, agreement_id: str) -> Agreement:
        with self._reading("agreement_get"):
            return _one({one.id: one for one in AGREEMENTS}, agreement_id)

    def configurations_get(self, ids: Sequence[str]) -> list[Configuration]:
        with self._reading("configurations_get"):
            known = {device.id: device for devices in self.server.devices.values() for device in devices}
            return [known[one] for one in ids if one in known]

    def sla_of(self, ticket_id: str, record_type: RecordType) -> Sla | None:
        with self._reading("sla_of"):
            ticket = self.server.tickets.get((record_type, str(ticket_id)))
            if ticket is None or ticket.created_at is None or record_type is RecordType.PROJECT:
                return None
            return Sla(
                "Standard",
                kept=True,
                respond_by=ticket.created_at + RESPOND_WITHIN,
                resolve_by=ticket.created_at + RESOLVE_WITHIN,
            )

    def articles_search(self, words: Sequence[str], *, limit: int = 5) -> list[Article]:
        wanted = [word.casefold() for word in words]

        def hits(article: Article) -> int:
            said = f"{article.title} {article.issue}".casefold()
            return sum(word in said for word in wanted)

        with self._reading("articles_search"):
            found = [article for article in self.server.articles if hits(article)]
            return sorted(found, key=hits, reverse=True)[:limit]


def _one(records: Mapping[str, T], own_id: str) -> T:
    if str(own_id) not in records:
        raise NotFoundError(f"There is no record {str(own_id)[:40]}.", status=404)
    return records[str(own_id)]
