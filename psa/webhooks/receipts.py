"""Owns judging messages: forged ones are counted and dropped, true ones mark a ticket as changed.

A message is a hint, never a fact: what is true is read from the PSA by `changes`.
"""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection as database
from django.db import transaction
from django.db.models import F

from psa.exceptions import ProviderError, PsaError, WebhookRefusedError
from psa.models import CallbackSubscription, Connection, WebhookReceipt
from psa.models.callback import ReceiptState
from psa.provider_pool import provider_for
from psa.types import WebhookAction, WebhookEvent
from psa.webhooks.sightings import Heard, tickets_mark

log = logging.getLogger("psa.webhooks")

AT_ONCE = 500
"""Messages that are judged and written down together."""
UNJUDGED_PAUSE = timedelta(seconds=30)
"""How long messages of a connection wait whose signing key could not be had."""
UNJUDGED_MAX = timedelta(hours=6)
"""A message older than this that could never be judged is dropped; polling has seen its ticket since."""
KEPT_BYTES = 2_000
"""What is kept of a rejected message."""


@dataclass(frozen=True, slots=True)
class _Judged:
    receipt: WebhookReceipt
    state: ReceiptState
    outcome: str
    event: WebhookEvent | None = None
    dedupe_key: str = ""


_paused: dict[int, datetime] = {}
"""Connection → until when its messages wait, in this process."""


def receipts_process(now: datetime) -> int:
    """Judge the messages that wait, the oldest first, and return how many were dealt with."""
    for pk in [pk for pk, until in _paused.items() if until <= now]:
        del _paused[pk]
    waiting = list(
        WebhookReceipt.objects.filter(state=ReceiptState.RECEIVED)
        .exclude(subscription__connection_id__in=_paused)
        .select_related("subscription__connection")
        .order_by("id")[:AT_ONCE]
    )
    by_subscription: dict[int, list[WebhookReceipt]] = defaultdict(list)
    for receipt in waiting:
        by_subscription[receipt.subscription_id].append(receipt)
    return sum(_process(receipts, now) for receipts in by_subscription.values())


def receipt_replay(receipt: WebhookReceipt, now: datetime) -> WebhookReceipt:
    """Judge a message again, as if it had come now, and return it; its signature must still hold."""
    judged = _judge(receipt, receipt.subscription.connection)
    if judged.state is ReceiptState.PROCESSED:
        # Told once more on purpose: that it was known before does not count.
        _write([judged], receipt.subscription, now, again=True)
    else:
        WebhookReceipt.objects.filter(pk=receipt.pk).update(outcome=judged.outcome[:200], processed_at=now)
    receipt.refresh_from_db()
    return receipt


def _process(receipts: Sequence[WebhookReceipt], now: datetime) -> int:
    subscription = receipts[0].subscription
    connection = subscription.connection
    judged: list[_Judged] = []
    for receipt in receipts:
        try:
            judged.append(_judge(receipt, connection))
        except ProviderError as exc:
            if receipt.received_at > now - UNJUDGED_MAX:
                log.warning("messages of connection %s wait: %s", connection.pk, exc)
                _paused[connection.pk] = now + UNJUDGED_PAUSE
                break
            judged.append(
                _Judged(receipt, ReceiptState.REJECTED, "The signing key could not be had for hours.")
            )
    _write(judged, subscription, now)
    return len(judged)


def _judge(receipt: WebhookReceipt, connection: Connection) -> _Judged:
    """Return what a message is. Raises: ProviderError, when that cannot be told now."""
    if connection.deleted_at is not None:
        return _Judged(receipt, ReceiptState.REJECTED, "The connection was deleted.")
    body = bytes(receipt.body)
    try:
        event = provider_for(connection).webhook_read(body, receipt.signature)
    except WebhookRefusedError as exc:
        return _Judged(receipt, ReceiptState.REJECTED, f"{exc.code}: {exc.message}")
    except ProviderError:
        raise
    except PsaError as exc:
        return _Judged(receipt, ReceiptState.REJECTED, str(exc))
    except Exception as exc:
        # Whatever a message does to the provider, the next one must be judged.
        log.exception("a message of connection %s cannot be judged", connection.pk)
        return _Judged(receipt, ReceiptState.REJECTED, f"It cannot be judged ({type(exc).__name__}).")
    key = event.message_id or hashlib.sha256(body).hexdigest()
    return _Judged(receipt, ReceiptState.PROCESSED, "", event, key[:80])


def _write(
    judged: Sequence[_Judged], subscription: CallbackSubscription, now: datetime, *, again: bool = False
) -> None:
    """Write down what a callback's messages are, count them, and mark their tickets, in one transaction."""
    if not judged:
        return
    with transaction.atomic():
        connection = subscription.connection
        # One at a time: two workers with the same messages must not both find them new.
        CallbackSubscription.objects.select_for_update().filter(pk=subscription.pk).first()
        still = ReceiptState.values if again else [ReceiptState.RECEIVED]
        open_ids = set(
            WebhookReceipt.objects.filter(
                pk__in=[one.receipt.pk for one in judged], state__in=still
            ).values_list("pk", flat=True)
        )
        keys = {one.dedupe_key for one in judged if one.dedupe_key}
        known = set(
            WebhookReceipt.objects.filter(
                subscription=subscription, state=ReceiptState.PROCESSED, dedupe_key__in=keys
            ).values_list("dedupe_key", flat=True)
        )
        rows: list[WebhookReceipt] = []
        heard: dict[str, Heard] = {}
        for one in judged:
            if one.receipt.pk not in open_ids:
                continue
            state, outcome = one.state, one.outcome
            if one.event is not None and not again:
                if one.dedupe_key in known:
                    state, outcome = ReceiptState.DUPLICATE, "The same message came before."
                known.add(one.dedupe_key)
            if one.event is not None and state is ReceiptState.PROCESSED:
                outcome = _hear(one.event, connection, heard)
            row = one.receipt
            row.state, row.outcome = state, outcome[:200]
            row.verified = state is not ReceiptState.REJECTED
            row.dedupe_key = one.dedupe_key if state is not ReceiptState.REJECTED else ""
            row.processed_at = now
            if state is ReceiptState.REJECTED:
                row.body = bytes(row.body)[:KEPT_BYTES]
            rows.append(row)
        _update(rows)
        if rows:
            _count(subscription, rows)
        tickets_mark(connection, heard, now)


def _update(rows: Sequence[WebhookReceipt]) -> None:
    """Write rows down one by one in one round: `bulk_update` takes ten times as long to build its SQL."""
    for row in rows:
        if row.state == ReceiptState.REJECTED:
            WebhookReceipt.objects.filter(pk=row.pk).update(body=row.body)
    table = WebhookReceipt._meta
    fields = [
        field
        for field in table.concrete_fields
        if field.name in ("state", "outcome", "verified", "dedupe_key", "processed_at")
    ]
    assignments = ", ".join(f"{field.column} = %s" for field in fields)
    values = [
        [*(field.get_db_prep_save(getattr(row, field.name), database) for field in fields), row.pk]
        for row in rows
    ]
    # Table and columns are names of ours; what came from outside is a value.
    statement = f"UPDATE {table.db_table} SET {assignments} WHERE id = %s"  # noqa: S608
    with database.cursor() as cursor:
        cursor.executemany(statement, values)


def _hear(event: WebhookEvent, connection: Connection, heard: dict[str, Heard]) -> str:
    """Note what a message means for its ticket, and return that in words."""
    if event.type not in ("", "ticket"):
        return f"Nothing is done with a {event.type}."
    own = connection.member_identifier
    if own and event.member.casefold() == own.casefold():
        # What we change is known already; only what others see of it may be cached.
        heard.setdefault(event.record_id, Heard.OURS)
        return f"Our own change of ticket {event.record_id}."
    if event.action is WebhookAction.DELETED:
        heard[event.record_id] = Heard.GONE
        return f"Ticket {event.record_id} was deleted."
    heard[event.record_id] = Heard.CHANGED
    return f"Ticket {event.record_id} was {event.action}."


def _count(subscription: CallbackSubscription, rows: Sequence[WebhookReceipt]) -> None:
    """Bring a callback's health up to date."""
    newest = max(row.received_at for row in rows)
    rejected = sum(row.state == ReceiptState.REJECTED for row in rows)
    CallbackSubscription.objects.filter(pk=subscription.pk).update(
        last_received_at=newest,
        verified=F("verified") + len(rows) - rejected,
        rejected=F("rejected") + rejected,
    )
