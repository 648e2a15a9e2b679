"""Owns what a date in a filter means: the whole day, in the zone of the person."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from django.utils import timezone


def day_start(day: date) -> datetime:
    """Return the moment a day begins."""
    return timezone.make_aware(datetime.combine(day, time()))


def day_end(day: date) -> datetime:
    """Return the moment after a day."""
    return day_start(day + timedelta(days=1)) if day < date.max else timezone.make_aware(datetime.max)
