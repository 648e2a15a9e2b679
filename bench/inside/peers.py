"""Owns how somebody reads the same context with pyconnectwise: call after call, as its pages show."""

from __future__ import annotations

from collections.abc import Callable


def pyconnectwise_context(url: str, keys: dict[str, str], ticket_id: int) -> Callable[[], None] | None:
    """Return a function that reads what our context holds; None where pyconnectwise is not installed.

    Shape: url may be plain http: the library writes https in front of its host, which is put right here.
    """
    try:
        from pyconnectwise import ConnectWiseManageAPIClient
    except ImportError:
        return None
    client = ConnectWiseManageAPIClient(
        keys["company_id"],
        url.partition("://")[2],
        keys["client_id"],
        keys["public_key"],
        keys["private_key"],
    )
    base = f"{url}/v4_6_release/apis/3.0"
    client._get_url = lambda: base  # type: ignore[method-assign]

    def read() -> None:
        ticket = client.service.tickets.id(ticket_id).get()
        tickets = client.service.tickets.id(ticket_id)
        tickets.all_notes.get(params={"pageSize": 1000})
        attached = tickets.configurations.get()
        client.service.tickets.calculate_sla.get(params={"conditions": f"id = {ticket_id}"})
        client.company.companies.id(ticket.company.id).get()
        client.company.companies.id(ticket.company.id).sites.id(ticket.site.id).get()
        client.company.contacts.id(ticket.contact.id).get()
        for device in attached:
            client.company.configurations.id(device.id).get()
        client.service.knowledge_base_articles.get(params={"conditions": 'title contains "outlook"'})

    return read
