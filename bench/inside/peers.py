"""Owns how somebody reads the same context with pyconnectwise: call after call, as its pages show."""

from __future__ import annotations

from collections.abc import Callable


def pyconnectwise_context(url: str, keys: dict[str, str], ticket_id: int) -> Callable[[], None] | None:
    """Return a function that reads what our context holds; None where pyconnectwise is not installed.

    The library has no call for current service levels: it makes one call less than we do.
    """
    try:
        from pyconnectwise import ConnectWiseManageAPIClient
    except ImportError:
        return None

    class Client(ConnectWiseManageAPIClient):
        def _get_url(self) -> str:
            # The library speaks https only; the sandbox of the bench does not.
            return f"{url}/v4_6_release/apis/3.0"

    client = Client(
        keys["company_id"],
        url.partition("://")[2],
        keys["client_id"],
        keys["public_key"],
        keys["private_key"],
        codebase="v4_6_release/",
    )

    def read() -> None:
        tickets = client.service.tickets.id(ticket_id)
        ticket = tickets.get()
        tickets.all_notes.get(params={"pageSize": 1000})
        attached = tickets.configurations.get()
        company = client.company.companies.id(ticket.company.id)
        company.get()
        company.sites.id(ticket.site.id).get()
        client.company.contacts.id(ticket.contact.id).get()
        for device in attached:
            client.company.configurations.id(device.id).get()
        client.service.knowledge_base_articles.get(params={"conditions": 'title contains "outlook"'})

    return read
