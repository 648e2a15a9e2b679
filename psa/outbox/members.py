"""Owns the list of a PSA's members as last read, and the daily look at who is new or gone."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from psa.cache import ConnectionCache
from psa.conf import psa_settings
from psa.exceptions import PsaError
from psa.models import Connection, MemberMapping, MemberReview
from psa.models.member_review import MemberChange
from psa.outbox.claim import flowing
from psa.provider_pool import provider_for
from psa.providers.registry import UnknownProviderError
from psa.types import Capability, Member

log = logging.getLogger("psa.outbox")

REVIEW_EVERY = timedelta(days=1)
REVIEW_AGAIN = timedelta(hours=1)
"""When the look is repeated if the members could not be read."""
SPREAD = timedelta(hours=1)
"""Up to so much is added to each wait, so that the looks of many connections do not meet."""
RUN_BUDGET_S = 30.0
"""Seconds after which a run begins no further look: other periodic jobs wait for their turn."""
NEWS_MAX = 200
"""Changes kept until a person looks, the newest ones."""

_CACHE_NAME = "members"


def members_of(connection: Connection, *, refresh: bool = False) -> list[Member]:
    """Return all members of a connection, inactive and API members included, without the vendor's records.

    From the cache where it has them; refresh reads them again. The whole list has one deadline.
    Raises: ProviderError; UnsupportedOperationError; CredentialsUnreadableError; UnknownProviderError.
    """
    found = None if refresh else members_known(connection)
    if found is not None:
        return found
    provider = provider_for(connection)
    provider.require(Capability.MEMBERS)
    with provider.http.one_deadline():
        # As plain tuples: the records of 5,000 members are ten times as large, in memory and in the cache.
        rows = [(m.id, m.identifier, m.name, m.emails, m.active, m.is_api) for m in provider.members()]
    _store(connection).set(_CACHE_NAME, rows, psa_settings().REFERENCE_TTL_S)
    return [Member(*row) for row in rows]


def members_known(connection: Connection) -> list[Member] | None:
    """Return the members if they are in the cache, else None. Asks no PSA."""
    rows = _store(connection).get(_CACHE_NAME)
    return None if rows is None else [Member(*row) for row in rows]


def is_person(member: Member) -> bool:
    """True for a member somebody can be mapped to: active, and no API member."""
    return member.active and not member.is_api


def members_review(now: datetime, keep_going: Callable[[], bool] = lambda: True) -> None:
    """Look at the members of connections whose turn it is, once a day for each that works.

    The first look only notes who is there; later ones tell what changed. keep_going is asked before each.
    """
    _plan(now)
    stop_at = time.monotonic() + RUN_BUDGET_S
    working = Connection.objects.filter(flowing(now))
    due = MemberReview.objects.filter(due_at__lte=now, connection__in=working).order_by("due_at")
    for review in due.select_related("connection"):
        if time.monotonic() > stop_at or not keep_going():
            return
        claimed = MemberReview.objects.filter(pk=review.pk, due_at=review.due_at)
        if claimed.update(due_at=now + REVIEW_AGAIN):
            _review(review.connection, now)


def news_of(known: Mapping[str, str], members: Iterable[Member], now: datetime) -> list[dict[str, str]]:
    """Return what changed since `known` was noted, by name."""
    listed = {member.id: member for member in members}

    def entry(member_id: str, name: str, change: MemberChange) -> dict[str, str]:
        return {"id": member_id, "name": name, "change": change.value, "at": now.isoformat()}

    found = [
        entry(member.id, member.name, MemberChange.NEW)
        for member in listed.values()
        if is_person(member) and member.id not in known
    ]
    for member_id, name in known.items():
        member = listed.get(member_id)
        if member is None:
            found.append(entry(member_id, name, MemberChange.LEFT))
        elif not is_person(member):
            found.append(entry(member_id, member.name, MemberChange.INACTIVE))
    return sorted(found, key=lambda row: (row["change"], row["name"].casefold(), row["id"]))


def _plan(now: datetime) -> None:
    """Give each connection without a row its first turn, within the hour."""
    missing = Connection.objects.live().filter(member_review=None)
    rows = [
        MemberReview(tenant_id=row.tenant_id, connection=row, due_at=_later(now, timedelta(0)))
        for row in missing.only("pk", "tenant_id")
    ]
    MemberReview.objects.bulk_create(rows, ignore_conflicts=True)


def _review(connection: Connection, now: datetime) -> None:
    try:
        members = members_of(connection, refresh=True)
    except (PsaError, UnknownProviderError) as exc:
        log.info("the members of connection %s could not be read: %s", connection.pk, exc)
        return
    if not members:
        # There is at least the member whose keys we use: an empty list tells nothing about anybody.
        return
    people = {member.id: member.name for member in members if is_person(member)}
    with transaction.atomic():
        review = MemberReview.objects.select_for_update().get(connection=connection)
        values: dict[str, Any] = {
            "due_at": _later(now, REVIEW_EVERY),
            "checked_at": now,
            "known": people,
        }
        if review.checked_at is not None:
            values["news"] = [*news_of(review.known, members, now), *review.news][:NEWS_MAX]
        MemberReview.objects.filter(pk=review.pk).update(**values)
        _mark(connection, people, now)


def _mark(connection: Connection, people: Mapping[str, str], now: datetime) -> None:
    """Mark the mappings whose member is gone, unmark those whose member is back, end those without a user."""
    mapped = MemberMapping.objects.filter(connection=connection, active=True)
    mapped.filter(user=None).update(active=False, closed_at=now)
    # The few that are mapped, not all that are there: the query stays short.
    there = [member_id for member_id in mapped.values_list("member_id", flat=True) if member_id in people]
    mapped.filter(member_left_at=None).exclude(member_id__in=there).update(member_left_at=now)
    mapped.filter(member_left_at__isnull=False, member_id__in=there).update(member_left_at=None)


def _later(now: datetime, wait: timedelta) -> datetime:
    # Not a secret: only spreads the load.
    return now + wait + random.random() * SPREAD  # noqa: S311


def _store(connection: Connection) -> ConnectionCache:
    return ConnectionCache(connection.pk, connection.cache_epoch)
