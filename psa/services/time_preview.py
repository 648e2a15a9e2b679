"""Owns the preview of time entries: whose they are, what prints on the invoice, what stands against them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import ROUND_CEILING, Decimal
from typing import Any

from psa.exceptions import PsaError
from psa.models import MemberMapping, TicketLink
from psa.outbox.time_entry import HELD, time_draft, time_hours
from psa.provider_pool import provider_for
from psa.providers.registry import UnknownProviderError
from psa.selectors.ticket import time_choices
from psa.types import PartPreview, RecordType

_UNKNOWN = "The PSA cannot be asked right now; it has the last word."


def time_previews(link: TicketLink, payloads: Sequence[Mapping[str, Any]]) -> list[PartPreview]:
    """Return what time entries would do. Asks the PSA; where that cannot tell, a remark says so.

    All of it within one deadline, however many engineers there are, and the ticket is read once.
    Shape: text is what the customer may read, internal_text what staff read beside it.
    """
    if not payloads:
        return []
    engineers = {payload["engineer"]["id"] for payload in payloads} - {None}
    mapped = MemberMapping.objects.filter(connection=link.connection, user_id__in=engineers, active=True)
    members = {row.user_id: row for row in mapped}
    previews = [_preview(payload, members.get(payload["engineer"]["id"])) for payload in payloads]
    asked = [place for place, payload in enumerate(payloads) if payload["engineer"]["id"] in members]
    if not asked:
        return previews
    told = 0
    try:
        provider = provider_for(link.connection)
        with provider.http.one_deadline():
            ticket = provider.ticket_get(link.ticket_id, RecordType(link.record_type))
            step = time_choices(link.tenant, link.pk, payloads[asked[0]]["engineer"]["id"]).rounding_hours
            for place in asked:
                member_id = members[payloads[place]["engineer"]["id"]].member_id
                objections = provider.time_check(ticket, time_draft(payloads[place], member_id))
                previews[place] = replace(
                    previews[place],
                    billed_hours=_rounded(previews[place].hours, step),
                    objections=tuple(objections),
                )
                told += 1
    except (PsaError, UnknownProviderError):
        for place in asked[told:]:
            previews[place] = replace(previews[place], notes=(*previews[place].notes, _UNKNOWN))
    return previews


def _preview(payload: Mapping[str, Any], mapping: MemberMapping | None) -> PartPreview:
    name = payload["engineer"]["name"]
    notes = ["Prints on the invoice."] if payload["notes"] else []
    if mapping is None:
        notes.append(f"{name} is mapped to no member: it needs a person, who maps them and retries it.")
    if payload["hold"]:
        notes.append(HELD["text"])
    return PartPreview(
        kind="time",
        part=1,
        parts=1,
        text=payload["notes"],
        visible_to="customer" if payload["notes"] else "staff",
        mails=(),
        author=mapping.member_name if mapping else name,
        author_kind="member",
        notes=tuple(notes),
        internal_text=payload["internal_notes"],
        hours=Decimal(str(time_hours(payload))),
    )


def _rounded(hours: Decimal | None, step: Decimal | None) -> Decimal | None:
    """Return hours as the PSA bills them; None where its step cannot be read."""
    if hours is None or not step:
        return None
    return (hours / step).to_integral_value(ROUND_CEILING) * step
