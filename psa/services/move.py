"""Owns the rule for moving a connection: it must lead to the same tickets as before."""

from __future__ import annotations

from psa.exceptions import ConflictError, NotFoundError
from psa.models import Connection, TicketLink
from psa.provider_pool import config_for, provider_build
from psa.providers.base import Provider
from psa.types import RecordType

SAMPLE = 5
"""Linked tickets read at the new place. Five with the same number, summary and age are no coincidence."""


def require_same_company(
    connection: Connection, cls: type[Provider], site: str, credentials: dict[str, str]
) -> None:
    """Return when the newest linked tickets are the same ones at the new place.

    Raises: ConflictError `other-company`; ProviderError when they cannot be read.
    """
    config = config_for(key="new", provider=cls.key, site=site, credentials=credentials)
    provider = provider_build(config, cls.key)
    try:
        provider.discover()
        for link in TicketLink.objects.filter(connection=connection).order_by("-id")[:SAMPLE]:
            try:
                ticket = provider.ticket_get(link.ticket_id, RecordType(link.record_type))
                same = ticket.summary[:255] == link.summary and ticket.created_at == link.ticket_created_at
            except NotFoundError:
                same = False
            if not same:
                raise ConflictError(
                    f"Ticket {link.ticket_id} is another one there, or is not there: "
                    "this is not the same company. Create a new connection instead.",
                    code="other-company",
                )
    finally:
        provider.close()
