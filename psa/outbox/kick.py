"""Owns telling a fleet that a lane has work. Embedded workers need no telling: they look by themselves."""

from __future__ import annotations

import logging
import time

from django.db import transaction

from psa.conf import psa_settings

log = logging.getLogger("psa.outbox")

BROKER_PAUSE_S = 15.0
"""After a failure the broker is left alone for so long: people who post must not wait for it each time."""

_paused_until = 0.0


def lane_kick(link_id: int) -> None:
    """Tell the fleet, after the caller's transaction is through, that a lane may have work.

    Never fails: the work is in the database, and a kick that is lost is caught up by the sweep.
    """
    if psa_settings().ENGINE == "celery":
        transaction.on_commit(lambda: _kick(link_id))


def _kick(link_id: int) -> None:
    global _paused_until
    if time.monotonic() < _paused_until:
        return
    from psa.outbox.celery import lane_work

    try:
        lane_work.apply_async((link_id,), retry=False)
    except Exception as exc:  # noqa: BLE001  whatever the broker's client raises: the work is stored
        _paused_until = time.monotonic() + BROKER_PAUSE_S
        log.warning("the broker cannot be reached (%s); the sweep catches up", type(exc).__name__)
