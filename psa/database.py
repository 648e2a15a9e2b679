"""Owns the database's clock: leases and due times of several hosts are compared on one clock only."""

from __future__ import annotations

from datetime import datetime

from django.db import connection
from django.utils import timezone


def database_now() -> datetime:
    """Return the database's present time, aware UTC.

    SQLite has no clock but the host's; PostgreSQL is asked, so that hosts whose clocks differ agree.
    """
    if connection.vendor == "sqlite":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        found: datetime = cursor.fetchone()[0]
        return found
