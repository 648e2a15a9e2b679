"""Owns the database's clock: leases and due times of several hosts are compared on one clock only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import DateTimeField, F, Func, IntegerField, Value
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


class SecondsSince(Func):
    """Whole seconds from a column's moment to `now`, never negative; for an UPDATE of many rows.

    Django subtracts moments on every database, but makes seconds of the difference on none that has no type
    for it.
    """

    output_field = IntegerField()

    def __init__(self, column: str, now: datetime) -> None:
        super().__init__(Value(now, output_field=DateTimeField()), F(column))

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> tuple[str, Any]:
        """Return the SQL of PostgreSQL."""
        template = "GREATEST(FLOOR(EXTRACT(EPOCH FROM (%(expressions)s)))::integer, 0)"
        return super().as_sql(compiler, connection, template=template, arg_joiner=" - ", **extra)

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> tuple[str, Any]:
        """Return the SQL of SQLite, whose moments are texts."""
        template = "MAX(CAST((JULIANDAY(%(expressions)s)) * 86400 AS INTEGER), 0)"
        joiner = ") - JULIANDAY("
        return super().as_sql(compiler, connection, template=template, arg_joiner=joiner, **extra)
