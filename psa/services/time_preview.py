"""Owns the preview of time entries: whose they are, what prints on the invoice, what stands against them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any

from psa.exceptions import PsaError
from psa.models import Delivery, MemberMapping, TicketLink
from psa.models.delivery import OPEN_STATES, DeliveryKind, DeliveryState
from psa.outbox.time_entry import HELD, time_draft, time_hours
from psa.provider_pool import provider_for
from psa.providers.registry import UnknownProviderError
from psa.selectors.ticket import time_choices
from psa.types import PartPreview, RecordType, TimeObjection

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
    queued = _queued(link)
    previews = [
        replace(
            _preview(payload, members.get(payload["engineer"]["id"])), objections=_on_its_way(payload, queued)
        )
        for payload in payloads
    ]
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
                    objections=(*previews[place].objections, *objections),
                )
                told += 1
    except (PsaError, UnknownProviderError):
        for place in asked[told:]:
            previews[place] = replace(previews[place], notes=(*previews[place].notes, _UNKNOWN))
    return previews


def _queued(link: TicketLink) -> list[Mapping[str, Any]]:
    """Return the time that is on its way to a ticket, or waits for somebody to retry it."""
    rows = Delivery.objects.filter(
        link_id__in=TicketLink.objects.lanes(link.pk),
        kind=DeliveryKind.TIME,
        state__in=(*OPEN_STATES, DeliveryState.DEAD),
    )
    return list(rows.order_by("pk").values_list("payload", flat=True))


def _on_its_way(payload: Mapping[str, Any], queued: Sequence[Mapping[str, Any]]) -> tuple[TimeObjection, ...]:
    """Return what the PSA cannot know: time of the same engineer that has not reached it yet."""
    found: list[TimeObjection] = []
    began, ended = _span(payload)
    for other in queued:
        if other["engineer"]["id"] != payload["engineer"]["id"]:
            continue
        first, last = _span(other)
        told = f"{time_hours(other):.2f} h, {first:%H:%M}–{last:%H:%M} UTC"
        if first < ended and began < last:
            found.append(TimeObjection("overlap", f"An entry for that time is queued already: {told}."))
        elif first.date() == began.date():
            found.append(TimeObjection("same-day", f"An entry of that day is queued already: {told}."))
    return tuple(found)


def _span(payload: Mapping[str, Any]) -> tuple[datetime, datetime]:
    return datetime.fromisoformat(payload["started_at"]), datetime.fromisoformat(payload["ended_at"])


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
