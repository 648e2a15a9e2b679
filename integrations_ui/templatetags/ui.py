"""Owns the filters of our templates."""

from __future__ import annotations

from datetime import datetime, timedelta

from django import template
from django.contrib.humanize.templatetags.humanize import naturaltime
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

RECENT = timedelta(hours=24)
"""What happened within this time is told by its age, what is older by its date."""


@register.filter
def moment(value: datetime | None) -> SafeString | str:
    """Return a `<time>` in the person's zone, "5 minutes ago" or "1 Mar 2026, 21:00", titled by the date."""
    if value is None:
        return ""
    local = timezone.localtime(value)
    full = date_format(local, "j M Y, H:i")
    recent = abs(timezone.now() - value) < RECENT
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        local.isoformat(timespec="seconds"),
        full,
        naturaltime(value) if recent else full,
    )
