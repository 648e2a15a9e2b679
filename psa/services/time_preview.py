"""Owns the preview of a time entry: whose it is, what prints on the invoice, what stands against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import ROUND_CEILING, Decimal
from typing import Any

from psa import selectors
from psa.exceptions import PsaError
from psa.models import MemberMapping, TicketLink
from psa.outbox.time_entry import HELD, time_draft, time_hours
from psa.provider_pool import provider_for
from psa.providers.registry import UnknownProviderError
from psa.types import PartPreview, RecordType


def time_preview(link: TicketLink, payload: Mapping[str, Any]) -> PartPreview:
    """Return what a time entry would do. Asks the PSA; where that cannot tell, a remark says so.

    Shape: text is what the customer may read, internal_text what staff read beside it.
    """
    engineer = payload["engineer"]
    mapping = MemberMapping.objects.filter(
        connection=link.connection, user_id=engineer["id"], active=True
    ).first()
    notes = ["Prints on the invoice."] if payload["notes"] else []
    if mapping is None:
        notes.append(f"{engineer['name']} is mapped to no member: it waits until somebody maps them.")
    if payload["hold"]:
        notes.append(HELD["text"])
    hours = Decimal(str(time_hours(payload)))
    preview = PartPreview(
        kind="time",
        part=1,
        parts=1,
        text=payload["notes"],
        visible_to="customer" if payload["notes"] else "staff",
        mails=(),
        author=mapping.member_name if mapping else engineer["name"],
        author_kind="member",
        notes=tuple(notes),
        internal_text=payload["internal_notes"],
        hours=hours,
    )
    if mapping is None:
        return preview
    try:
        choices = selectors.time_choices(link.tenant, link.pk, engineer["id"])
        provider = provider_for(link.connection)
        ticket = provider.ticket_get(link.ticket_id, RecordType(link.record_type))
        objections = provider.time_check(ticket, time_draft(payload, mapping.member_id))
    except (PsaError, UnknownProviderError):
        unknown = "The PSA cannot be asked right now; it has the last word."
        return replace(preview, notes=(*preview.notes, unknown))
    billed = None
    if choices.rounding_hours:
        billed = (hours / choices.rounding_hours).to_integral_value(ROUND_CEILING) * choices.rounding_hours
    return replace(preview, billed_hours=billed, objections=tuple(objections))
