"""Owns how work enters the outbox: in the caller's transaction, at the end of the ticket's lane."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from psa.conf import psa_settings
from psa.database import database_now
from psa.exceptions import InvalidInputError
from psa.models import Connection, Delivery, MemberMapping, TicketLink, WorkUnit
from psa.models.delivery import API_MEMBER, DeliveryKind, DeliveryState, HeldBy
from psa.outbox import statements
from psa.outbox.document import document_hash, document_payload, document_store
from psa.outbox.kick import lane_kick
from psa.outbox.lanes import lane_recompute
from psa.outbox.text import marker_new, text_clean, text_hash, text_split
from psa.outbox.time_entry import HELD, time_payload
from psa.providers.base import Provider
from psa.types import (
    Actor,
    Capability,
    DocumentPart,
    NoteKind,
    NotePart,
    RecordType,
    StatusPart,
    TimePart,
)

Part = NotePart | StatusPart | TimePart | DocumentPart

_ORDER = (NotePart, TimePart, StatusPart, DocumentPart)
"""How the parts of a unit follow each other: a status may close the ticket, and then it takes no time."""


@dataclass(frozen=True, slots=True)
class Draft:
    """One delivery about to be queued; what `plan` makes of a part."""

    kind: DeliveryKind
    payload: dict[str, Any]
    part: int = 1
    parts: int = 1
    text_hash: str = ""
    dropped: int = 0
    """Control characters taken out of the whole text."""
    optional: bool = False
    file: DocumentPart | None = field(default=None, repr=False)
    """Whose content is stored with the delivery."""

    @property
    def held(self) -> bool:
        """True for time that waits for a lead: it needs a person from the first moment, and holds nothing."""
        return self.kind == DeliveryKind.TIME and bool(self.payload["hold"])

    def shown_as(self, poster: Actor, members: Mapping[int | None, str]) -> tuple[str, str]:
        """Return the author the PSA will most likely show, and if that is a `member` or the `api_member`.

        Shape: members has the names of mapped members by user id.
        """
        if self.kind == DeliveryKind.TIME:
            engineer = self.payload["engineer"]
            return members.get(engineer["id"]) or engineer["name"], "member"
        member = members.get(poster.user_id)
        if self.kind in (DeliveryKind.STATUS, DeliveryKind.DOCUMENT) or not member:
            return API_MEMBER, "api_member"
        return member, "member"


def plan(provider: type[Provider], record_type: RecordType, parts: Sequence[Part]) -> list[Draft]:
    """Return the deliveries that parts become, in order. Nothing is stored and nobody is asked.

    Raises: InvalidInputError `empty-text`, `text-too-long`, `notify-internal`, `nothing-to-post`,
        `invalid-time`, `empty-file`, `file-too-large`; UnsupportedOperationError.
    """
    if record_type is RecordType.PROJECT:
        provider.require(Capability.PROJECT_TICKETS)
    if not parts:
        raise InvalidInputError("There is nothing to post.", code="nothing-to-post")
    drafts: list[Draft] = []
    for part in sorted(parts, key=lambda part: _ORDER.index(type(part))):
        if isinstance(part, NotePart):
            provider.require(Capability.NOTES)
            drafts.extend(_plan_note(provider, part))
        elif isinstance(part, StatusPart):
            provider.require(Capability.STATUS)
            drafts.append(_plan_status(part))
        elif isinstance(part, TimePart):
            provider.require(Capability.TIME_ENTRIES)
            optional = not psa_settings().STATUS_NEEDS_TIME
            drafts.append(Draft(DeliveryKind.TIME, time_payload(part), optional=optional))
        else:
            provider.require(Capability.DOCUMENTS)
            drafts.append(_plan_document(part))
    return drafts


def _plan_note(provider: type[Provider], part: NotePart) -> list[Draft]:
    kind = NoteKind(part.kind)
    if part.notify and not kind.customer_visible:
        raise InvalidInputError(
            "An internal note cannot notify anyone: the mail could reach the customer.",
            code="notify-internal",
            fields={"notify": ["Only notes the customer may read can notify."]},
        )
    current = psa_settings()
    clean = text_clean(part.text)
    pieces = text_split(
        clean.text,
        note_max_chars=min(current.NOTE_MAX_CHARS, provider.body_max_chars),
        max_parts=current.NOTE_MAX_PARTS,
    )
    source = part.source_hash or text_hash(clean.text)
    return [
        Draft(
            kind=DeliveryKind(kind.value),
            # Only the last part notifies, so that people get one mail for one text.
            payload={"text": piece, "notify": part.notify and number == len(pieces)},
            part=number,
            parts=len(pieces),
            text_hash=source,
            dropped=clean.dropped,
        )
        for number, piece in enumerate(pieces, start=1)
    ]


def _plan_status(part: StatusPart) -> Draft:
    wanted = part.status.strip()
    if not wanted:
        raise InvalidInputError(
            "Name a status.",
            code="unknown-status",
            fields={"status": ["Name a status of the ticket's board."]},
        )
    return Draft(kind=DeliveryKind.STATUS, payload={"status": wanted, "notify": part.notify})


def _plan_document(part: DocumentPart) -> Draft:
    return Draft(
        kind=DeliveryKind.DOCUMENT,
        payload=document_payload(part),
        text_hash=document_hash(part),
        optional=True,
        file=part,
    )


def enqueue(
    connection: Connection, link: TicketLink, drafts: Sequence[Draft], *, actor: Actor, origin: str
) -> WorkUnit:
    """Store a unit with its deliveries at the end of the ticket's lane, in the caller's transaction.

    The UPDATE of `next_seq` locks the link: places in a lane are taken one after the other on every database.
    """
    # Nothing in here is refused for a reason a caller could go on after, so it needs no savepoint.
    with transaction.atomic(savepoint=False):
        link, first = lane_enter(link, len(drafts))
        link.connection = connection
        # After the lock, in a statement of its own: it must see whatever was queued while we waited for it.
        waits = statements.waits_in(link.pk)
        now = database_now()
        author: dict[str, Any] = {"created_by_id": actor.user_id, "created_by_name": actor.name[:200]}
        worked = {draft.payload["engineer"]["id"] for draft in drafts if draft.kind == DeliveryKind.TIME}
        members = _member_names(connection, {actor.user_id, *worked})
        unit = WorkUnit.objects.create(tenant_id=link.tenant_id, link=link, origin=origin, **author)
        rows: list[Delivery] = []
        for place, draft in enumerate(drafts):
            behind = waits or any(row.state != DeliveryState.DEAD for row in rows)
            shown, author_kind = draft.shown_as(actor, members)
            rows.append(
                Delivery(
                    tenant_id=link.tenant_id,
                    connection=connection,
                    link=link,
                    unit=unit,
                    kind=draft.kind,
                    seq=first + place,
                    part=draft.part,
                    parts=draft.parts,
                    optional=draft.optional,
                    payload=draft.payload,
                    marker=marker_new() if draft.kind != DeliveryKind.STATUS else "",
                    text_hash=draft.text_hash,
                    state=DeliveryState.DEAD if draft.held else DeliveryState.READY,
                    problem=HELD if draft.held else None,
                    held_by=HeldBy.EARLIER if behind and not draft.held else HeldBy.NOTHING,
                    due_at=now,
                    author_name=shown[:200],
                    author_kind=author_kind,
                    **author,
                )
            )
        unit.posted = Delivery.objects.bulk_create(rows)
        for row, draft in zip(rows, drafts, strict=True):
            if draft.file is not None:
                document_store(row.pk, draft.file)
        if any(draft.held for draft in drafts):
            lane_recompute(link.pk, now)
            statements.units_settle([unit.pk])
            unit.refresh_from_db(fields=["state"])
        lane_kick(link.pk)
    return unit


def lane_enter(link: TicketLink, places: int) -> tuple[TicketLink, int]:
    """Lock the lane that deliveries to a ticket take, its parent's once it was merged; take places in it.

    Returns the lane and the first of the places.
    """
    if link.merged_into_id is not None:
        link = TicketLink.objects.lane(link.pk)
    taken = statements.places_take(link.pk, places)
    # Merged while we waited for the lock: the lane is another one now.
    if taken.merged_into_id is not None and TicketLink.objects.lane(taken.pk).pk != taken.pk:
        return lane_enter(taken, places)
    return taken, taken.next_seq - places


def _member_names(connection: Connection, user_ids: Collection[int | None]) -> dict[int | None, str]:
    """Return the names of mapped members by user id; the mapping is read again when something is sent."""
    known = [user_id for user_id in user_ids if user_id is not None]
    if not known:
        return {}
    mapped = MemberMapping.objects.filter(connection=connection, user_id__in=known, active=True)
    return dict(mapped.order_by().values_list("user_id", "member_name"))
