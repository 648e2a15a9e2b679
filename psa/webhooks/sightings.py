"""Owns what was heard and seen of tickets: marking changed ones, telling what changed once they are read."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce

from psa.conf import psa_settings
from psa.models import Connection, MemberMapping, TicketSighting
from psa.signals import bulk_changed, ticket_changed
from psa.types import Ticket, TicketDetails

log = logging.getLogger("psa.webhooks")

NEW_FOR = timedelta(hours=1)
"""A ticket first seen this long after its creation, by the PSA's clock, counts as created."""


class Heard(Enum):
    """What we heard of a ticket."""

    CHANGED = "changed"
    GONE = "gone"
    OURS = "ours"
    """We changed it ourselves: nothing is to be read, but what is cached of it is old."""


def tickets_mark(connection: Connection, heard: Mapping[str, Heard], now: datetime) -> None:
    """Write down what was heard of tickets, in the caller's transaction; those that changed become due."""
    if not heard:
        return
    known = set(
        TicketSighting.objects.filter(connection=connection, ticket_id__in=heard).values_list(
            "ticket_id", flat=True
        )
    )
    TicketSighting.objects.bulk_create(
        [
            TicketSighting(tenant_id=connection.tenant_id, connection=connection, ticket_id=number)
            for number in sorted(set(heard) - known)
        ],
        ignore_conflicts=True,
    )
    by_kind: dict[Heard, list[str]] = defaultdict(list)
    for number, what in heard.items():
        by_kind[what].append(number)
    changes: dict[Heard, dict[str, Any]] = {
        Heard.CHANGED: {"changed_at": Coalesce(F("changed_at"), now), "gone_at": None},
        Heard.GONE: {"changed_at": None, "gone_at": now},
        Heard.OURS: {},
    }
    for what, numbers in by_kind.items():
        rows = TicketSighting.objects.filter(connection=connection, ticket_id__in=numbers)
        rows.update(changes=F("changes") + 1, **changes[what])
    for number in by_kind[Heard.GONE]:
        _tell(connection, number, None, {"gone"}, ())


def tickets_saw(
    connection: Connection,
    tickets: Iterable[Ticket],
    asked: Mapping[str, int],
    now: datetime,
    details: Mapping[str, TicketDetails] | None = None,
) -> int:
    """Store tickets as they were read, tell what changed, and return how many had changed.

    Shape: asked are the ids that were asked for, with the count of changes heard of until then. One that is
        not among the tickets was deleted, or is hidden from us; one we heard of meanwhile is read again.
    """
    found = {ticket.id: ticket for ticket in tickets}
    missing = [number for number in asked if number not in found]
    with transaction.atomic():
        rows = {
            row.ticket_id: row
            for row in TicketSighting.objects.select_for_update()
            .filter(connection=connection, ticket_id__in=[*found, *missing])
            .order_by("pk")
        }
        for number in found:
            if number not in rows:
                rows[number], _made = TicketSighting.objects.get_or_create(
                    connection=connection, ticket_id=number, defaults={"tenant_id": connection.tenant_id}
                )
        fresh = [(rows[number], ticket) for number, ticket in found.items() if _is_news(rows[number], ticket)]
        bulk = _bulk(connection, len(fresh), now)
        users = _users(connection, [ticket for _, ticket in fresh])
        for row, ticket in fresh:
            what = changed(row.seen, ticket, now)
            row.seen = _facts(ticket)
            row.record_type = ticket.record_type.value
            row.updated_at = ticket.updated_at
            row.changed_at = _still_due(row, asked)
            row.changes += 1
            row.read_at, row.gone_at = now, None
            row.save()
            if bulk:
                what &= {"closed"}
            if what:
                assigned = [users[name.casefold()] for name in ticket.assigned if name.casefold() in users]
                known = (details or {}).get(ticket.id)
                _tell(connection, ticket.id, ticket, what, tuple(dict.fromkeys(assigned)), known)
        told = {row.ticket_id for row, _ in fresh}
        same = [rows[number] for number in found if number not in told]
        for row in same:
            row.read_at, row.changed_at = now, _still_due(row, asked)
        TicketSighting.objects.bulk_update(same, ["read_at", "changed_at"], batch_size=100)
        gone = [number for number in missing if number in rows]
        TicketSighting.objects.filter(connection=connection, ticket_id__in=gone).update(
            read_at=now, changed_at=None, gone_at=now, changes=F("changes") + 1
        )
        for number in gone:
            _tell(connection, number, None, {"gone"}, ())
    return len(fresh)


def _still_due(row: TicketSighting, asked: Mapping[str, int]) -> datetime | None:
    """Return since when a ticket is to be read again: what we heard of after asking was not in the answer."""
    return None if asked.get(row.ticket_id) == row.changes else row.changed_at


def _is_news(row: TicketSighting, ticket: Ticket) -> bool:
    """Return whether a ticket is other than what was seen of it; a change within the same second counts."""
    return not row.seen or row.updated_at != ticket.updated_at or row.seen != _facts(ticket)


def _facts(ticket: Ticket) -> dict[str, Any]:
    return {
        "summary": ticket.summary[:255],
        "board": ticket.board.id if ticket.board else "",
        "type": "/".join((ticket.type, ticket.subtype, ticket.item)),
        "status": ticket.status.id if ticket.status else "",
        "assigned": sorted(name.casefold() for name in ticket.assigned),
        "closed": ticket.closed,
    }


def changed(old: Mapping[str, Any], ticket: Ticket, now: datetime) -> set[str]:
    """Return what changed since a ticket was `TicketSighting.seen`.

    Shape: of `created`, `assigned`, `board`, `type`, `closed`, `reopened`; empty for an update of nothing
        that matters, and for the first sight of a ticket that is not new.
    """
    new = _facts(ticket)
    if not old:
        made = ticket.created_at
        updated = ticket.updated_at or now
        is_new = made is not None and updated - made <= NEW_FOR and now - made <= timedelta(days=1)
        return {"created"} if is_new else set()
    what = {name for name in ("board", "type") if new[name] != old.get(name)}
    if set(new["assigned"]) - set(old.get("assigned", ())):
        what.add("assigned")
    if new["closed"] != bool(old.get("closed")):
        what.add("closed" if new["closed"] else "reopened")
    return what


def _bulk(connection: Connection, arriving: int, now: datetime) -> bool:
    """Return whether so many tickets changed lately that nothing is made of each, and write that down."""
    most, within_s = psa_settings().BULK_CHANGE
    since = now - timedelta(seconds=within_s)
    lately = TicketSighting.objects.filter(connection=connection).filter(
        Q(read_at__gte=since, updated_at__gte=since) | Q(changed_at__isnull=False)
    )
    number = max(lately[: most * 50].count(), arriving)
    if number <= most:
        return False
    Connection.objects.filter(pk=connection.pk).update(bulk_change={"at": now.isoformat(), "tickets": number})
    _send(bulk_changed, connection=connection, tickets=number, since=since)
    return True


def _users(connection: Connection, tickets: Sequence[Ticket]) -> dict[str, int]:
    """Return the users mapped to the members of tickets, by the member's identifier, folded."""
    if not any(ticket.assigned for ticket in tickets):
        return {}
    mapped = MemberMapping.objects.filter(connection=connection, active=True, user__isnull=False)
    return {
        identifier.casefold(): user_id
        for identifier, user_id in mapped.values_list("member_identifier", "user_id")
        if identifier
    }


def _tell(
    connection: Connection,
    ticket_id: str,
    ticket: Ticket | None,
    what: set[str],
    user_ids: tuple[int, ...],
    details: TicketDetails | None = None,
) -> None:
    _send(
        ticket_changed,
        connection=connection,
        ticket_id=ticket_id,
        ticket=ticket,
        what=frozenset(what),
        user_ids=user_ids,
        details=details or TicketDetails(),
    )


def _send(signal: Any, **facts: Any) -> None:
    """Tell the host in a savepoint: what it makes of it is stored with what was seen, or not at all."""
    try:
        with transaction.atomic():
            signal.send(sender=TicketSighting, **facts)
    except Exception:
        log.exception("a listener failed; what was seen of the ticket stays")
