"""Owns whether the statuses that rules name can still be set: read again a board at a time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from django.db.models import Q

from psa.cache import ConnectionCache, cached
from psa.conf import psa_settings
from psa.exceptions import NotFoundError, PsaError
from psa.models import Connection, StatusRule
from psa.outbox.claim import flowing
from psa.outbox.members import REVIEW_AGAIN, REVIEW_EVERY, RUN_BUDGET_S
from psa.provider_pool import provider_for
from psa.providers.registry import UnknownProviderError
from psa.types import RecordType, Status

log = logging.getLogger("psa.outbox")


def statuses_of(connection: Connection, board_id: str, *, refresh: bool = False) -> list[Status]:
    """Return the statuses of a board, inactive ones included, from the cache where it has them.

    Raises: NotFoundError (no such board, or it is hidden from us); other ProviderError;
        CredentialsUnreadableError; UnknownProviderError.
    """
    store = ConnectionCache(connection.pk, connection.cache_epoch)
    name = f"statuses:{board_id}"
    if refresh:
        store.delete(name)
    return cached(
        store,
        name,
        psa_settings().REFERENCE_TTL_S,
        lambda: provider_for(connection).statuses_of_board(board_id, RecordType.SERVICE),
    )


def facts_of(status: Status) -> dict[str, Any]:
    """Return what a rule stores of its status."""
    return {
        "status_id": status.id,
        "status_name": status.name[:100],
        "valid": status.active,
        "no_time_entries": not status.time_entry_allowed,
        "mails_customer": status.mails_customer,
        "closes": status.closed,
    }


def board_refresh(connection: Connection, board_id: str, now: datetime) -> None:
    """Read the statuses of a board again and store what they mean for its rules.

    A board that is gone makes its rules invalid, but only when the same keys can read something else.
    Raises: as `statuses_of`, except for a board that is gone.
    """
    try:
        found: Iterable[Status] = statuses_of(connection, board_id, refresh=True)
    except NotFoundError:
        provider_for(connection).check_access()
        found = ()
    by_id = {status.id: status for status in found}
    for rule in StatusRule.objects.filter(connection=connection, board_id=board_id):
        status = by_id.get(rule.status_id)
        values = facts_of(status) if status else {"valid": False}
        StatusRule.objects.filter(pk=rule.pk, status_id=rule.status_id).update(**values, checked_at=now)


def status_rules_review(now: datetime, keep_going: Callable[[], bool] = lambda: True) -> None:
    """Look once a day whether the statuses of rules can still be set, for connections that work.

    keep_going is asked before each board.
    """
    stop_at = time.monotonic() + RUN_BUDGET_S
    old = Q(checked_at=None) | Q(checked_at__lte=now - REVIEW_EVERY)
    due = StatusRule.objects.filter(old, connection__in=Connection.objects.filter(flowing(now)))
    places = due.order_by("connection_id", "board_id").values_list("connection_id", "board_id").distinct()
    for connection_id, board_id in places:
        if time.monotonic() > stop_at or not keep_going():
            return
        rules = StatusRule.objects.filter(old, connection_id=connection_id, board_id=board_id)
        # Claimed by one UPDATE, and due again within the hour if the board cannot be read.
        if rules.update(checked_at=now - REVIEW_EVERY + REVIEW_AGAIN):
            _review(Connection.objects.get(pk=connection_id), board_id, now)


def _review(connection: Connection, board_id: str, now: datetime) -> None:
    try:
        board_refresh(connection, board_id, now)
    except (PsaError, UnknownProviderError) as exc:
        log.info("the board %s of connection %s could not be read: %s", board_id, connection.pk, exc)
