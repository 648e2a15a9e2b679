"""Owns how services take turns on what hangs on a connection: its mappings, its status rules."""

from __future__ import annotations

from django.db.models import F

from psa.models import Connection


def connection_lock(connection_id: int) -> None:
    """Hold a connection's row until the end of the transaction, on every database; the first statement in it.

    Workers read past it: a claim skips a connection that is held for these few milliseconds.
    """
    Connection.objects.filter(pk=connection_id).update(cache_epoch=F("cache_epoch"))
