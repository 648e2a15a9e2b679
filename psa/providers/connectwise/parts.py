"""Owns what the operation groups of this provider share: the client and the paths of tickets."""

from __future__ import annotations

from psa.exceptions import MovedError, NotFoundError, PermissionDeniedError, RejectedError
from psa.providers.base import Cache, Provider
from psa.providers.connectwise.client import ConnectWiseClient
from psa.providers.connectwise.conditions import as_id
from psa.providers.http import HttpClient
from psa.types import ConnectionConfig, RecordType

NOT_TOLD = (MovedError, NotFoundError, PermissionDeniedError, RejectedError)
"""Refusals of a side read: it tells nothing, and ConnectWise itself has the last word."""


class ConnectWisePart(Provider):
    """A group of operations; `provider.ConnectWiseProvider` puts the groups together."""

    def __init__(self, config: ConnectionConfig, http: HttpClient, cache: Cache) -> None:
        super().__init__(config, http, cache)
        self.api = ConnectWiseClient(config, http)


def ticket_path(ticket_id: str, record_type: RecordType) -> str:
    """Return the path of a ticket. Raises: NotFoundError for an id that no ticket can have."""
    try:
        return f"/{record_type.value}/tickets/{as_id(ticket_id)}"
    except ValueError as exc:
        raise NotFoundError(f"There is no ticket {str(ticket_id)[:40]!r}.") from exc


def at(operation: str, record_type: RecordType) -> str:
    """Return an operation's name in logs and permission tables: project tickets have rights of their own."""
    return f"{operation}@project" if record_type is RecordType.PROJECT else operation
