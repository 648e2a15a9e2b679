"""Owns the reference data: members, boards, companies, contacts, devices of a ticket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from psa.exceptions import NotFoundError, RejectedError
from psa.providers.connectwise import customer_mapping, mapping
from psa.providers.connectwise.conditions import all_of, any_of, contains, is_id
from psa.providers.connectwise.paging import PAGE_MAX_ROWS
from psa.providers.connectwise.parts import ConnectWisePart, at, ticket_path
from psa.types import Agreement, Board, Company, Configuration, Contact, Member, Page, RecordType

QUERY_MAX_WORDS = 6
"""Words of a name that are looked for; each adds a filter."""


class LookupOperations(ConnectWisePart):
    """Reads that change seldom."""

    def members(self) -> list[Member]:
        # The slim list only: the full member record carries pay, addresses and tokens.
        return self.api.full_list("/system/info/members", mapping.member, operation="members")

    def boards(self) -> list[Board]:
        return self.api.full_list("/service/boards", mapping.board, operation="boards")

    def companies(self, query: str = "", *, page: int = 1, page_size: int = 50) -> Page[Company]:
        text = " ".join(query.split())[:200]
        found = self.api.page(
            "/company/companies",
            customer_mapping.company,
            operation="companies",
            conditions=any_of(contains("name", text), contains("identifier", text)) if text else "",
            order_by="name asc",
            page=max(page, 1),
            page_size=min(max(page_size, 1), 1000),
        )
        return replace(found, items=tuple(c for c in found.items if c.raw.get("deletedFlag") is not True))

    def contacts(
        self, query: str = "", *, company_id: str = "", page: int = 1, page_size: int = 50
    ) -> Page[Contact]:
        words = query.split()[:QUERY_MAX_WORDS]
        names = [any_of(contains("firstName", w[:60]), contains("lastName", w[:60])) for w in words]
        try:
            company = is_id("company/id", company_id) if company_id else ""
        except ValueError as exc:
            sentence = "There is no such company."
            raise RejectedError(sentence, fields={"company": [sentence]}, operation="contacts") from exc
        return self.api.page(
            "/company/contacts",
            customer_mapping.contact,
            operation="contacts",
            conditions=all_of(company, *names) if company or names else "",
            order_by="lastName asc",
            page=max(page, 1),
            page_size=min(max(page_size, 1), 1000),
        )

    def agreements_of(self, company_id: str) -> list[Agreement]:
        try:
            conditions = is_id("company/id", company_id)
        except ValueError as exc:
            raise NotFoundError(f"There is no company {str(company_id)[:40]!r}.") from exc
        found = self.api.page(
            "/finance/agreements",
            customer_mapping.agreement,
            operation="agreements_of",
            conditions=conditions,
            order_by="id desc",
            page_size=PAGE_MAX_ROWS,
        )
        return list(found.items)

    def configurations_of(self, ticket_id: str, record_type: RecordType) -> Sequence[Configuration]:
        return self.api.full_list(
            f"{ticket_path(ticket_id, record_type)}/configurations",
            customer_mapping.configuration,
            operation=at("configurations_of", record_type),
        )
