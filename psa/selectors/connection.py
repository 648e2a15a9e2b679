"""Owns the reads about connections, and what is asked of a PSA through them."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

from django.db.models.query import QuerySet

from psa.cache import ConnectionCache, cached, peeked
from psa.conf import psa_settings
from psa.exceptions import ConflictError, CredentialsUnreadableError, PermissionDeniedError
from psa.models import Connection, MemberMapping
from psa.models.connection import FLOWING_STATES, ConnectionState
from psa.provider_pool import provider_for
from psa.providers.base import Provider
from psa.providers.registry import provider_class
from psa.types import Board, Capability, Page, RecordType, Status, Tenant, Ticket


def provider_classes() -> list[type[Provider]]:
    """Return the configured providers, in the order of the setting."""
    paths = psa_settings().PROVIDERS
    return [provider_class(key, paths) for key in paths]


def connections(tenant: Tenant) -> QuerySet[Connection]:
    """Return a tenant's connections, deleted ones left out."""
    return Connection.objects.of(tenant)


def connection_get(tenant: Tenant, connection_id: int) -> Connection:
    """Return one connection. Raises: MissingError, also for another tenant's."""
    return Connection.objects.one_of(tenant, connection_id)


def credentials_stored(connection: Connection) -> frozenset[str] | None:
    """Return the names of a connection's stored credentials; None when they cannot be decrypted any more."""
    try:
        return frozenset(connection.credentials)
    except CredentialsUnreadableError:
        return None


def connection_flows(connection: Connection) -> bool:
    """True when the connection's queue runs."""
    return connection.deleted_at is None and connection.state in FLOWING_STATES


def tickets_search(
    tenant: Tenant,
    connection_id: int,
    *,
    query: str = "",
    board_id: str = "",
    mine_user_id: int | None = None,
    page: int = 1,
) -> Page[Ticket]:
    """Return a page of tickets, open ones first, newest change first, those of projects among them.

    Shape: a page holds as many of each kind as the provider's page does; mine_user_id keeps those of the
        member mapped to that user; board_id those of one board.
    Raises: MissingError; ConflictError `no-member-mapping`, `connection-disabled`; ProviderError.
    """
    connection = _asked(tenant, connection_id)
    identifier = ""
    if mine_user_id is not None:
        mapping = MemberMapping.objects.filter(
            connection=connection, user_id=mine_user_id, active=True
        ).first()
        if mapping is None:
            raise ConflictError("You are not mapped to a member of this PSA yet.", code="no-member-mapping")
        identifier = mapping.member_identifier
    provider = provider_for(connection)
    pages: list[Page[Ticket]] = []
    with provider.http.one_deadline():
        for kind in _kinds(tenant, connection, provider, board_id):
            try:
                pages.append(
                    provider.ticket_search(
                        query, record_type=kind, board_id=board_id, member_identifier=identifier, page=page
                    )
                )
            except PermissionDeniedError:
                # Many roles have no right to project tickets, and look for service tickets all the same.
                if not pages:
                    raise
    # By id: old API models list project tickets among the service tickets, too.
    found = list({ticket.id: ticket for one in pages for ticket in one.items}.values())
    found.sort(key=lambda ticket: ticket.updated_at or _NEVER, reverse=True)
    found.sort(key=lambda ticket: ticket.closed)
    return Page(tuple(found), page + 1 if any(one.next_page for one in pages) else None)


_NEVER = datetime.min.replace(tzinfo=UTC)


def _kinds(
    tenant: Tenant, connection: Connection, provider: Provider, board_id: str
) -> tuple[RecordType, ...]:
    """Return where tickets are looked for: on the kind of a board, else in both places."""
    if not provider.supports(Capability.PROJECT_TICKETS):
        return (RecordType.SERVICE,)
    if board_id:
        with suppress(PermissionDeniedError):
            for board in boards(tenant, connection.pk):
                if board.id == board_id:
                    return (board.record_type,)
    return (RecordType.SERVICE, RecordType.PROJECT)


def boards(tenant: Tenant, connection_id: int) -> list[Board]:
    """Return the active boards of a connection, from the cache where it has them."""
    connection = _asked(tenant, connection_id)
    found = cached(
        _store(connection),
        "boards",
        psa_settings().REFERENCE_TTL_S,
        lambda: provider_for(connection).boards(),
    )
    return [board for board in found if board.active]


def boards_known(tenant: Tenant, connection_id: int) -> list[Board]:
    """Return the active boards if the cache has them, none otherwise; the PSA is not asked."""
    found: list[Board] = peeked(_store(connection_get(tenant, connection_id)), "boards") or []
    return [board for board in found if board.active]


def statuses(tenant: Tenant, connection_id: int, board_id: str) -> list[Status]:
    """Return the active statuses of a board, from the cache where it has them."""
    connection = _asked(tenant, connection_id)
    found = cached(
        _store(connection),
        f"statuses:{board_id}",
        psa_settings().REFERENCE_TTL_S,
        lambda: provider_for(connection).statuses_of_board(board_id, RecordType.SERVICE),
    )
    return [status for status in found if status.active]


def _store(connection: Connection) -> ConnectionCache:
    return ConnectionCache(connection.pk, connection.cache_epoch)


def _asked(tenant: Tenant, connection_id: int) -> Connection:
    connection = connection_get(tenant, connection_id)
    if connection.state == ConnectionState.DISABLED:
        raise ConflictError("The connection is disabled.", code="connection-disabled")
    return connection
