"""Owns what every provider must tell around a ticket. A provider's tests subclass `ContextContract`."""

from __future__ import annotations

import pytest

from psa.exceptions import NotFoundError
from psa.providers.tests.contract import World
from psa.types import Capability, RecordType


class ContextContract:
    """Subclass it, and provide the fixture `world` of `ProviderContract`."""

    def test_a_ticket_names_its_customer_and_its_people(self, world: World) -> None:
        ticket = world.ticket(RecordType.SERVICE)
        assert ticket.company
        company = world.provider.company_get(ticket.company.id)
        assert (company.id, company.name) == (ticket.company.id, ticket.company.name)
        assert ticket.assigned
        assert ticket.contact
        contact = world.provider.contact_get(ticket.contact.id)
        assert contact.name == ticket.contact.name
        assert contact.emails
        assert ticket.site
        site = world.provider.site_get(ticket.company.id, ticket.site.id)
        assert (site.name, bool(site.address)) == (ticket.site.name, True)

    def test_devices_of_a_ticket_are_told_in_full(self, world: World) -> None:
        found = world.provider.ticket_search(page_size=50).items
        for ticket in found:
            devices = world.provider.configurations_of(ticket.id, RecordType.SERVICE)
            if devices:
                break
        full = world.provider.configurations_get([device.id for device in devices])
        assert [device.id for device in full] == [device.id for device in devices]
        assert all(device.name and device.type and device.serial_number for device in full)
        assert world.provider.configurations_get([]) == []
        assert world.provider.configurations_get(["99999999"]) == []

    def test_the_service_level_tells_until_when(self, world: World) -> None:
        sla = world.provider.sla_of(world.tickets[RecordType.SERVICE], RecordType.SERVICE)
        assert sla
        assert sla.name
        assert sla.respond_by
        assert sla.resolve_by
        assert sla.respond_by < sla.resolve_by
        assert isinstance(sla.kept, bool)
        assert world.provider.sla_of("99999999", RecordType.SERVICE) is None

    def test_articles_are_found_by_some_words_and_the_best_is_first(self, world: World) -> None:
        found = world.provider.articles_search(["printer", "zebra"])
        assert "printer" in found[0].title.casefold()
        assert found[0].resolution
        assert world.provider.articles_search(["zebra"]) == []
        assert world.provider.articles_search([]) == []
        assert len(world.provider.articles_search(["the", "printer", "a"], limit=1)) == 1

    def test_an_agreement_can_be_read(self, world: World) -> None:
        ticket = world.ticket(RecordType.SERVICE)
        assert ticket.company
        listed = world.provider.agreements_of(ticket.company.id)
        assert world.provider.agreement_get(listed[0].id).name == listed[0].name

    def test_what_is_not_there_is_not_found(self, world: World) -> None:
        for unknown in ("99999999", "nobody"):
            for call in (
                world.provider.company_get,
                world.provider.contact_get,
                world.provider.agreement_get,
                lambda one: world.provider.site_get("2", one),
            ):
                with pytest.raises(NotFoundError):
                    call(unknown)

    def test_declares_what_a_context_needs(self, world: World) -> None:
        assert world.provider.supports(Capability.SLA)
        assert world.provider.supports(Capability.ARTICLES)
