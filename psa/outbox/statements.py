"""Owns the statements a worker runs many times a second, written by hand.

Composing one with the ORM takes several times as long as running it, while lanes wait for their next
delivery. All are plain SQL of both databases; states stand in them as literals, as partial indexes need.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from django.db import connection as database
from django.db import models

from psa.models import Connection, Delivery, MemberMapping, TicketLink, WorkUnit
from psa.models.connection import FLOWING_STATES
from psa.models.delivery import DUE_STATES, OPEN_STATES, DeliveryState, HeldBy, UnitState

M = TypeVar("M", bound=models.Model)


def _literals(values: Collection[str]) -> str:
    return ", ".join(f"'{value}'" for value in values)


CONNECTION, DELIVERY, LINK, UNIT = (
    model._meta.db_table for model in (Connection, Delivery, TicketLink, WorkUnit)
)
DUE = f"""d.state IN ({_literals(DUE_STATES)}) AND d.held_by = '' AND d.due_at <= %s"""
FLOWING = f"""c.deleted_at IS NULL AND c.state IN ({_literals(FLOWING_STATES)})
    AND (c.not_before IS NULL OR c.not_before <= %s)"""
LANE_IN_FLIGHT = f"""SELECT 1 FROM {DELIVERY} o
    WHERE o.link_id = d.link_id AND o.state IN ('{DeliveryState.SENDING}', '{DeliveryState.UNKNOWN}')"""
"""What nothing of the same lane overtakes."""


@contextmanager
def together() -> Iterator[None]:
    """Send what is written in this block to the database in one go, where it can take it so.

    Nothing in the block may depend on what another statement of it found. Its errors come at its end.
    """
    if database.vendor != "postgresql":
        yield
        return
    database.ensure_connection()
    with database.wrap_database_errors, database.connection.pipeline():
        yield


def connections_due(now: datetime, link_id: int | None = None) -> list[int]:
    """Return the flowing connections in which something is due, locked until the end of the transaction.

    Those that another worker is looking at are left out. link_id keeps to what is due for one ticket.
    """
    at = _time(now)
    # No key: who queues holds a lane and then points at the connection; a full lock would deadlock.
    skips = database.features.has_select_for_update_skip_locked
    sql = f"""
        SELECT c.id FROM {CONNECTION} c
        WHERE {FLOWING}
        AND EXISTS (SELECT 1 FROM {DELIVERY} d WHERE d.connection_id = c.id AND {DUE} {_lane(link_id)})
        {"FOR NO KEY UPDATE OF c SKIP LOCKED" if skips else ""}"""
    return [row[0] for row in _rows(sql, [at, at])]


def oldest_due(now: datetime) -> Delivery | None:
    """Return what has been due for longest of what could run."""
    at = _time(now)
    sql = f"""
        SELECT o.* FROM {DELIVERY} o WHERE o.id IN (
            SELECT (
                SELECT d.id FROM {DELIVERY} d WHERE d.connection_id = c.id AND {DUE} ORDER BY d.due_at LIMIT 1
            ) FROM {CONNECTION} c WHERE {FLOWING}
        ) ORDER BY o.due_at LIMIT 1"""
    return next(iter(_by_id(Delivery, sql, [at, at]).values()), None)


def in_flight(connection_ids: Sequence[int]) -> dict[int, int]:
    """Return how many deliveries of each connection are being sent, over all processes."""
    if not connection_ids:
        return {}
    sql = f"""
        SELECT connection_id, COUNT(*) FROM {DELIVERY}
        WHERE state = '{DeliveryState.SENDING}' AND connection_id IN ({_marks(connection_ids)})
        GROUP BY connection_id"""
    return dict(_rows(sql, connection_ids))


@dataclass(frozen=True, slots=True)
class Head:
    """A due delivery at the head of a free lane."""

    delivery_id: int
    link_id: int
    state: str


def heads_due(
    shares: Sequence[tuple[int, int]], now: datetime, link_id: int | None = None
) -> dict[int, list[Head]]:
    """Return what may be claimed of each connection, the longest due first.

    Shape: shares says how many of which connection.
    """
    at = _time(now)
    one = f"""
        SELECT d.connection_id, d.id, d.link_id, d.state, d.due_at
        FROM {DELIVERY} d JOIN {LINK} l ON l.id = d.link_id
        WHERE d.connection_id = %s AND {DUE} {_lane(link_id)}
        AND (l.lease_token = '' OR l.lease_expires_at < %s)
        AND NOT EXISTS ({LANE_IN_FLIGHT} AND o.id <> d.id)
        ORDER BY d.due_at, d.id LIMIT %s"""
    every = " UNION ALL ".join(f"SELECT * FROM ({one}) part{number}" for number in range(len(shares)))
    values = [value for connection_id, most in shares for value in (connection_id, at, at, most)]
    heads: dict[int, list[Head]] = {}
    for row in sorted(_rows(every, values), key=lambda row: (row[4], row[1])):
        heads.setdefault(row[0], []).append(Head(row[1], row[2], row[3]))
    return heads


def places_take(link_id: int, number: int) -> TicketLink:
    """Take the next places of a lane, lock it until the end of the transaction, and return it.

    Raises: KeyError, when there is no such lane.
    """
    sql = f"UPDATE {LINK} SET next_seq = next_seq + %s WHERE id = %s RETURNING *"
    return _by_id(TicketLink, sql, [number, link_id])[link_id]


def waits_in(link_id: int) -> bool:
    """True when something is open in a lane that whatever comes after it must wait for."""
    sql = f"""
        SELECT 1 FROM {DELIVERY} WHERE link_id = %s AND state IN ({_literals(OPEN_STATES)})
        AND held_by <> '{HeldBy.DEAD}' LIMIT 1"""
    return bool(_rows(sql, [link_id]))


def lanes_lease(link_ids: Sequence[int], token: str, now: datetime, until: datetime) -> dict[int, TicketLink]:
    """Lease those lanes that are free and return them by id."""
    sql = f"""
        UPDATE {LINK} SET lease_token = %s, lease_expires_at = %s
        WHERE id IN ({_marks(link_ids)}) AND (lease_token = '' OR lease_expires_at < %s) RETURNING *"""
    return _by_id(TicketLink, sql, [token, _time(until), *link_ids, _time(now)])


def sending_mark(delivery_ids: Collection[int]) -> dict[int, Delivery]:
    """Mark as being sent those deliveries that are still due and held by nothing; return them by id."""
    if not delivery_ids:
        return {}
    states = [state for state in DUE_STATES if state != DeliveryState.UNKNOWN]
    sql = f"""
        UPDATE {DELIVERY} SET state = '{DeliveryState.SENDING}'
        WHERE id IN ({_marks(delivery_ids)}) AND state IN ({_literals(states)}) AND held_by = ''
        RETURNING *"""
    return _by_id(Delivery, sql, delivery_ids)


def lanes_held(link_ids: Sequence[int]) -> dict[int, str]:
    """Return the lease token of each lane, locked until the end of the transaction.

    In the order of connections, so that two workers never wait for each other's.
    """
    lock = "FOR NO KEY UPDATE" if database.features.has_select_for_update else ""
    sql = f"""
        SELECT id, lease_token FROM {LINK} WHERE id IN ({_marks(link_ids)})
        ORDER BY connection_id, id {lock}"""
    return dict(_rows(sql, link_ids))


def lanes_free(link_ids: Sequence[int]) -> None:
    """Give lanes back, and let what is cached of their tickets grow old."""
    sql = f"""
        UPDATE {LINK} SET lease_token = '', lease_expires_at = NULL, cache_epoch = cache_epoch + 1
        WHERE id IN ({_marks(link_ids)})"""
    _run(sql, link_ids)


def heads_free(link_ids: Collection[int], now: datetime) -> None:
    """Let the first open delivery of each lane run if only its place held it and nothing is in flight."""
    sql = f"""
        UPDATE {DELIVERY} AS d SET held_by = '', due_at = %s
        WHERE d.held_by = '{HeldBy.EARLIER}' AND d.id IN (
            SELECT (
                SELECT h.id FROM {DELIVERY} h
                WHERE h.link_id = l.id AND h.state IN ({_literals(OPEN_STATES)})
                AND h.held_by <> '{HeldBy.DEAD}'
                ORDER BY h.seq LIMIT 1
            ) FROM {LINK} l WHERE l.id IN ({_marks(link_ids)})
        ) AND NOT EXISTS ({LANE_IN_FLIGHT})"""
    _run(sql, [_time(now), *link_ids])


def lanes_open(after: int, number: int) -> dict[int, bool]:
    """Return the next lanes in which something is open, by id, and whether one of them is stuck.

    A lane is stuck when something waits for its place and nothing is there to wait for.
    """
    sql = f"""
        SELECT d.link_id,
            SUM(CASE WHEN d.held_by = '{HeldBy.EARLIER}' THEN 1 ELSE 0 END),
            SUM(CASE WHEN d.held_by IN ('{HeldBy.EARLIER}', '{HeldBy.DEAD}') THEN 0 ELSE 1 END)
        FROM {DELIVERY} d WHERE d.state IN ({_literals(OPEN_STATES)}) AND d.link_id IN (
            SELECT DISTINCT o.link_id FROM {DELIVERY} o
            WHERE o.link_id > %s AND o.state IN ({_literals(OPEN_STATES)}) ORDER BY o.link_id LIMIT %s
        ) GROUP BY d.link_id"""
    return {link_id: bool(waits and not ahead) for link_id, waits, ahead in _rows(sql, [after, number])}


def units_settle(unit_ids: Collection[int]) -> None:
    """Store the state of each unit: blocked by one dead delivery, open by one open one, else done."""

    def has(states: Collection[str]) -> str:
        return f"MAX(CASE WHEN d.state IN ({_literals(states)}) THEN 1 ELSE 0 END) = 1"

    sql = f"""
        UPDATE {UNIT} AS u SET state = told.state FROM (
            SELECT d.unit_id, CASE
                WHEN {has([DeliveryState.DEAD])} THEN '{UnitState.BLOCKED}'
                WHEN {has(OPEN_STATES)} THEN '{UnitState.OPEN}'
                WHEN {has([DeliveryState.DELIVERED])} THEN '{UnitState.DELIVERED}'
                ELSE '{UnitState.DISCARDED}' END AS state
            FROM {DELIVERY} d WHERE d.unit_id IN ({_marks(unit_ids)}) GROUP BY d.unit_id
        ) AS told WHERE u.id = told.unit_id AND u.state <> told.state"""
    _run(sql, [*unit_ids])


def rows_of(model: type[M], ids: Collection[int]) -> dict[int, M]:
    """Return the rows with those ids, by id."""
    if not ids:
        return {}
    return _by_id(model, f"SELECT * FROM {model._meta.db_table} WHERE id IN ({_marks(ids)})", ids)


def mappings_of(user_ids: Collection[int], connection_ids: Collection[int]) -> Collection[MemberMapping]:
    """Return the active mappings of those users in those connections."""
    sql = f"""
        SELECT * FROM {MemberMapping._meta.db_table} WHERE active
        AND user_id IN ({_marks(user_ids)}) AND connection_id IN ({_marks(connection_ids)})"""
    return _by_id(MemberMapping, sql, [*user_ids, *connection_ids]).values()


def fields_write(rows: Sequence[models.Model], names: Collection[str]) -> None:
    """Write those fields of each row, as `save(update_fields=names)` does, with one statement for all."""
    if not rows:
        return
    meta = rows[0]._meta
    fields = [field for field in meta.concrete_fields if field.name in names]
    columns = ", ".join(f"{field.column} = %s" for field in fields)
    values = [
        [
            *(field.get_db_prep_save(getattr(row, field.attname), connection=database) for field in fields),
            row.pk,
        ]
        for row in rows
    ]
    with database.cursor() as cursor:
        cursor.executemany(f"UPDATE {meta.db_table} SET {columns} WHERE id = %s", values)


def rows_insert(rows: Sequence[models.Model]) -> None:
    """Store new rows of one model, as `bulk_create` does, without asking for their ids."""
    if not rows:
        return
    meta = rows[0]._meta
    fields = [field for field in meta.concrete_fields if not field.primary_key]
    values = [
        field.get_db_prep_save(field.pre_save(row, add=True), connection=database)
        for row in rows
        for field in fields
    ]
    one = f"({_marks(fields)})"
    columns = ", ".join(str(field.column) for field in fields)
    _run(f"INSERT INTO {meta.db_table} ({columns}) VALUES {', '.join([one] * len(rows))}", values)


def _lane(link_id: int | None) -> str:
    return "" if link_id is None else f"AND d.link_id = {link_id:d}"


def _marks(values: Collection[Any]) -> str:
    return ", ".join(["%s"] * len(values))


def _time(moment: datetime) -> Any:
    return database.ops.adapt_datetimefield_value(moment)


def _by_id(model: type[M], sql: str, values: Collection[Any]) -> dict[int, M]:
    return {row.pk: row for row in model._default_manager.raw(sql, [*values])}


def _rows(sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    with database.cursor() as cursor:
        cursor.execute(sql, values)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


def _run(sql: str, values: Sequence[Any]) -> None:
    with database.cursor() as cursor:
        cursor.execute(sql, values)
