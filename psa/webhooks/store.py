"""Owns storing messages as they come: those that arrive at the same moment share one transaction."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from psa.models import WebhookReceipt


@dataclass
class _Waiting:
    """A message of one thread, until whoever stores says what became of it."""

    receipt: WebhookReceipt
    done: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None


_waiting: list[_Waiting] = []
_waiting_lock = threading.Lock()
_storing = threading.Lock()
"""Held by the one thread of this process that stores for all that wait."""


def receipt_store(receipt: WebhookReceipt) -> None:
    """Store a message; return once it is committed.

    Raises: DatabaseError, and nothing was stored.
    """
    mine = _Waiting(receipt)
    with _waiting_lock:
        _waiting.append(mine)
    # While another thread stores, this one waits for its turn, and then often finds its message stored.
    with _storing:
        if not mine.done.is_set():
            _store()
    if mine.error is not None:
        raise mine.error


def _store() -> None:
    with _waiting_lock:
        batch = _waiting[:]
        _waiting.clear()
    try:
        WebhookReceipt.objects.bulk_create([one.receipt for one in batch])
    except Exception as exc:
        for one in batch:
            one.error = exc
        raise
    finally:
        for one in batch:
            one.done.set()
