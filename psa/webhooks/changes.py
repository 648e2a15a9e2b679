"""Owns learning of changes: messages judged, changed tickets read again, polls, callbacks kept registered.

One thread has the database; the PSAs are asked on threads of their own, one at a time for each connection,
so that a slow one holds up nobody else.
"""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, transaction
from django.db.models import Min, Q
from django.utils import timezone

from psa.conf import psa_settings
from psa.database import database_now
from psa.exceptions import ProviderError, PsaError, RateLimitedError
from psa.models import CallbackSubscription, Connection, PeriodicJob, TicketSighting
from psa.models.callback import SubscriptionState
from psa.models.connection import FLOWING_STATES, ConnectionState
from psa.outbox.claim import due
from psa.provider_pool import provider_for
from psa.providers.base import Provider
from psa.types import Capability, Configuration, Note, Ticket, TicketDetails
from psa.webhooks import subscriptions
from psa.webhooks.receipts import receipts_process
from psa.webhooks.sightings import Heard, changed, tickets_mark, tickets_saw

log = logging.getLogger("psa.webhooks")

AT_ONCE = 8
"""Connections that are asked side by side."""
READ_MAX = 100
"""Tickets that are read by one call."""
POLL_MAX = 500
"""Changed tickets one poll takes of each kind; more follow at once."""
POLL_OVERLAP = timedelta(seconds=2)
"""A poll begins a little before the newest change it has seen: the PSA's clock tells whole seconds."""
DETAILED = frozenset({"created", "assigned", "board", "type"})
"""Changes of which somebody is told with more than the ticket itself."""
DETAILS_MAX = 20
"""Tickets whose notes and devices are read at once."""
READ_TOO_SOON = timedelta(seconds=5)
"""A ticket that was read so soon after its last change may have changed again in the same second."""
WRITES_FIRST = timedelta(seconds=10)
"""How long reading waits for notes that are due."""
LEASE = timedelta(seconds=90)
PAUSE = timedelta(seconds=60)
"""How long a connection whose PSA does not answer is left alone by reads."""
ASK_DEADLINE_S = 20.0
LOOK_EVERY_S = 2.0
"""How often polls and callbacks are looked for; changed tickets at each step."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a connection's PSA is to be asked."""

    connection: Connection
    provider: Provider = field(repr=False)
    ids: Mapping[str, int] = field(default_factory=dict)
    """Tickets to be read again, with the count of changes heard of until now."""
    seen: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What was seen of them last."""
    since: datetime | None = None
    """Ask for what changed since; None leaves that out."""
    callbacks: Sequence[CallbackSubscription] = ()


@dataclass
class Told:
    """What it answered."""

    ask: Ask
    read: Sequence[Ticket] | None = None
    details: dict[str, TicketDetails] = field(default_factory=dict)
    polled: Sequence[Ticket] | None = None
    compared: Sequence[subscriptions.Compared] | None = None
    error: PsaError | None = None


class Changes:
    """Call `step` again and again in the thread that owns the database; `close` at the end."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="psa-changes")
        self._at_once = at_once
        self._done: queue.SimpleQueue[Told] = queue.SimpleQueue()
        self._busy: set[int] = set()
        self._look_at = 0.0

    def step(self) -> bool:
        """Do what is to be done now; return whether there was anything."""
        judged = _judge()
        finished = self._collect()
        begun = self._begin()
        return bool(judged or finished or begun)

    @property
    def working(self) -> bool:
        """True while a PSA is being asked."""
        return bool(self._busy)

    def settle(self, within_s: float) -> None:
        """Step until nothing is left to be done, at most so long."""
        until = time.monotonic() + within_s
        while time.monotonic() < until and (self.step() or self.working):
            time.sleep(0.01)

    def close(self) -> None:
        """Wait for what is being asked, and write it down."""
        self._pool.shutdown(wait=True)
        self._collect()

    def _collect(self) -> int:
        count = 0
        while True:
            try:
                told = self._done.get_nowait()
            except queue.Empty:
                return count
            count += 1
            self._busy.discard(told.ask.connection.pk)
            connection = told.ask.connection
            try:
                finish(told, database_now())
            except DatabaseError:
                raise
            except Exception:
                # A mistake of ours: the other connections go on, and this PSA is not asked over and over.
                log.exception("what connection %s told could not be written down", connection.pk)
                _rest(connection, database_now())
            finally:
                _release(connection.pk, database_now())

    def _begin(self) -> int:
        free = self._at_once - len(self._busy)
        if free <= 0:
            return 0
        now = database_now()
        look = time.monotonic() >= self._look_at
        if look:
            self._look_at = time.monotonic() + LOOK_EVERY_S
        begun = 0
        for pk in _waiting(now, look=look):
            if begun >= free:
                break
            if pk in self._busy or plan(pk, now) is None or not _claim(pk, now):
                continue
            # Once more: another worker may have done it between the two.
            job = plan(pk, now)
            if job is None:
                _release(pk, now)
                continue
            if job.since is not None:
                following = now + _poll_every(job.connection)
                Connection.objects.filter(pk=pk).update(next_poll_at=following)
            self._busy.add(pk)
            begun += 1
            self._pool.submit(self._ask, job)
        return begun

    def _ask(self, job: Ask) -> None:
        try:
            told = ask(job)
        except Exception as exc:
            log.exception("asking connection %s failed unexpectedly", job.connection.pk)
            told = Told(job, error=ProviderError(f"It failed unexpectedly ({type(exc).__name__})."))
        self._done.put(told)


def changes_once(within_s: float = 10.0) -> None:
    """Do everything that is to be done once, for a fleet's task."""
    changes = Changes()
    try:
        changes.settle(within_s)
    finally:
        changes.close()


def _judge() -> int:
    """Judge the messages that wait; a mistake of ours in it does not keep tickets from being read."""
    try:
        return receipts_process(database_now())
    except DatabaseError:
        raise
    except Exception:
        log.exception("messages could not be judged")
        return 0


# What is to be done -------------------------------------------------------------------------------


def _due_sightings(now: datetime) -> Q:
    rested = now - timedelta(seconds=psa_settings().REREAD_AFTER_S)
    return Q(changed_at__isnull=False) & (Q(read_at=None) | Q(read_at__lte=rested))


def _due_callbacks(now: datetime) -> Q:
    open_ones = ~Q(state=SubscriptionState.REMOVED) | ~Q(external_id="")
    # One that is asleep with its connection needs no looking after.
    asleep = Q(state=SubscriptionState.PAUSED, connection__state=ConnectionState.DISABLED)
    return open_ones & (~asleep | Q(next_check_at=None)) & (Q(next_check_at=None) | Q(next_check_at__lte=now))


def _reads(now: datetime) -> Q:
    """Connections that may be read in the background."""
    return Q(state__in=FLOWING_STATES, deleted_at=None) & (
        Q(reads_not_before=None) | Q(reads_not_before__lte=now)
    )


def _waiting(now: datetime, *, look: bool) -> list[int]:
    """Return connections with something to be done, those whose tickets wait for longest first."""
    readable = Connection.objects.filter(_reads(now))
    changed = (
        TicketSighting.objects.filter(_due_sightings(now), connection__in=readable)
        .order_by()
        .values("connection_id")
        .annotate(first=Min("changed_at"))
        .order_by("first")
    )
    found = [row["connection_id"] for row in changed]
    if look:
        polls = readable.filter(Q(next_poll_at=None) | Q(next_poll_at__lte=now))
        found += polls.values_list("pk", flat=True)
        found += (
            CallbackSubscription.objects.filter(_due_callbacks(now), connection__deleted_at=None)
            .order_by()
            .values_list("connection_id", flat=True)
            .distinct()
        )
    return list(dict.fromkeys(found))


def plan(connection_id: int, now: datetime) -> Ask | None:
    """Return what to ask a connection's PSA now, None for nothing."""
    connection = Connection.objects.filter(pk=connection_id).first()
    if connection is None or connection.deleted_at is not None:
        return None
    try:
        provider = provider_for(connection)
    except PsaError as exc:
        log.warning("connection %s cannot be asked: %s", connection_id, exc)
        _rest(connection, now)
        return None
    callbacks: list[CallbackSubscription] = []
    if provider.supports(Capability.CALLBACKS) and connection.state != ConnectionState.BROKEN:
        callbacks = list(CallbackSubscription.objects.filter(_due_callbacks(now), connection=connection))
        if not psa_settings().BASE_URL:
            callbacks = [one for one in callbacks if one.state == SubscriptionState.REMOVED]
    readable = (
        provider.supports(Capability.CHANGES)
        and Connection.objects.filter(_reads(now), pk=connection_id).exists()
    )
    rows: list[TicketSighting] = []
    since: datetime | None = None
    if readable:
        rows = _rows(connection, now)
        if connection.next_poll_at is None or connection.next_poll_at <= now:
            since = _poll_since(connection, now)
    if not (rows or since or callbacks):
        return None
    ids = {row.ticket_id: row.changes for row in rows}
    seen = {row.ticket_id: row.seen for row in rows}
    return Ask(connection, provider, ids, seen, since, callbacks)


def _rows(connection: Connection, now: datetime) -> list[TicketSighting]:
    """Return the changed tickets to be read now, the longest waiting first; notes that are due go first."""
    waiting = TicketSighting.objects.filter(_due_sightings(now), connection=connection).order_by("changed_at")
    if due(now).filter(connection=connection).exists():
        waiting = waiting.filter(changed_at__lte=now - WRITES_FIRST)
    return list(waiting[:READ_MAX])


def _poll_since(connection: Connection, now: datetime) -> datetime | None:
    """Return since when changes are asked for; None for a connection that begins to be polled only now."""
    if connection.poll_cursor is None:
        following = now + _poll_every(connection)
        Connection.objects.filter(pk=connection.pk).update(poll_cursor=now, next_poll_at=following)
        return None
    return connection.poll_cursor - POLL_OVERLAP


def _poll_every(connection: Connection) -> timedelta:
    current = psa_settings()
    active = CallbackSubscription.objects.filter(connection=connection, state=SubscriptionState.ACTIVE)
    return timedelta(seconds=current.POLL_BESIDE_CALLBACKS_S if active.exists() else current.POLL_EVERY_S)


# Asking and writing down --------------------------------------------------------------------------


def ask(job: Ask) -> Told:
    """Ask the PSA over HTTP; no database. What failed ends the rest."""
    told = Told(job)
    try:
        with job.provider.http.one_deadline(ASK_DEADLINE_S):
            if job.ids:
                told.read = job.provider.tickets_get(list(job.ids))
                told.details = _details(job, told.read)
            if job.since is not None:
                told.polled = job.provider.tickets_changed_since(job.since, limit=POLL_MAX)
            if job.callbacks:
                told.compared = subscriptions.compare(job.provider, job.connection, job.callbacks)
    except PsaError as exc:
        told.error = exc
    return told


def _details(job: Ask, tickets: Sequence[Ticket]) -> dict[str, TicketDetails]:
    """Return what else is read of the tickets somebody is told of; what cannot be read is left out."""
    now = timezone.now()
    wanted = [one for one in tickets if changed(job.seen.get(one.id, {}), one, now) & DETAILED]
    return {ticket.id: _details_of(job.provider, ticket) for ticket in wanted[:DETAILS_MAX]}


def _details_of(provider: Provider, ticket: Ticket) -> TicketDetails:
    notes: list[Note] = []
    devices: Sequence[Configuration] = ()
    with suppress(ProviderError):
        if provider.supports(Capability.NOTES):
            notes = provider.ticket_notes(ticket.id, ticket.record_type)
        if provider.supports(Capability.CONFIGURATIONS):
            devices = provider.configurations_of(ticket.id, ticket.record_type)
    return TicketDetails.of(notes, devices)


def finish(told: Told, now: datetime) -> None:
    """Write down what a PSA answered."""
    connection = told.ask.connection
    if told.read is not None:
        tickets_saw(connection, told.read, told.ask.ids, now, told.details)
    if told.polled is not None:
        _polled(connection, told.polled, now)
    if told.compared is not None:
        subscriptions.store(told.compared, now)
    if told.error is None:
        return
    if told.ask.callbacks and told.compared is None and isinstance(told.error, ProviderError):
        values = subscriptions.failed(told.error)
        subscriptions.store([subscriptions.Compared(one, dict(values)) for one in told.ask.callbacks], now)
    if told.ask.ids or told.ask.since:
        _rest(connection, now, told.error)
        if told.ask.since is not None and told.polled is None:
            # What was not asked is asked once reads go on.
            Connection.objects.filter(pk=connection.pk).update(next_poll_at=now)


def _polled(connection: Connection, tickets: Sequence[Ticket], now: datetime) -> None:
    """Mark what changed since it was seen last; it is read like what a message told."""
    moments = [ticket.updated_at for ticket in tickets if ticket.updated_at is not None]
    known = {
        row.ticket_id: row
        for row in TicketSighting.objects.filter(
            connection=connection, ticket_id__in=[ticket.id for ticket in tickets], read_at__isnull=False
        )
    }
    news = [ticket.id for ticket in tickets if _is_news(known.get(ticket.id), ticket)]
    with transaction.atomic():
        tickets_mark(connection, dict.fromkeys(news, Heard.CHANGED), now)
    if not moments:
        return
    newest = max(moments)
    if len(tickets) >= POLL_MAX:
        # A second with more changes than a poll takes must not be asked for over and over again.
        stuck = connection.poll_cursor is not None and newest <= connection.poll_cursor
        newest = newest + POLL_OVERLAP + timedelta(seconds=1) if stuck else newest
        Connection.objects.filter(pk=connection.pk).update(next_poll_at=now)
    Connection.objects.filter(pk=connection.pk).update(poll_cursor=newest)


def _is_news(row: TicketSighting | None, ticket: Ticket) -> bool:
    """Return whether a ticket may have changed since it was read: its clock tells whole seconds only."""
    if row is None or row.read_at is None or row.updated_at is None or row.updated_at != ticket.updated_at:
        return True
    return row.read_at - row.updated_at < READ_TOO_SOON


def _rest(connection: Connection, now: datetime, error: PsaError | None = None) -> None:
    """Leave a connection alone for a while; deliveries are not held up by that."""
    wait = PAUSE
    if isinstance(error, RateLimitedError) and error.retry_after_s:
        wait = max(wait, timedelta(seconds=error.retry_after_s))
    Connection.objects.filter(pk=connection.pk).update(reads_not_before=now + wait)


# Claims -------------------------------------------------------------------------------------------


def _name(connection_id: int) -> str:
    return f"changes:{connection_id}"


def _claim(connection_id: int, now: datetime) -> bool:
    """Take a connection for this process; True when nobody else has it."""
    name = _name(connection_id)
    _row, made = PeriodicJob.objects.get_or_create(name=name, defaults={"due_at": now + LEASE})
    if made:
        return True
    return bool(PeriodicJob.objects.filter(name=name, due_at__lte=now).update(due_at=now + LEASE))


def _release(connection_id: int, now: datetime) -> None:
    PeriodicJob.objects.filter(name=_name(connection_id)).update(due_at=now, last_run_at=now)
