"""Owns moving a note to another ticket: the copy is queued first, the old note goes once that is delivered.

The second half is `psa.outbox.moves`.
"""

from __future__ import annotations

from django.db import transaction

from psa.conf import psa_settings
from psa.exceptions import ConflictError, InvalidInputError, MissingError
from psa.models import AuditEntry, Delivery, TicketLink
from psa.models.delivery import DeliveryKind, DeliveryState
from psa.outbox.correct import Correction
from psa.outbox.enqueue import Draft, enqueue
from psa.outbox.hold import MOVING, Hold, hold_close, kept_text, lane_held
from psa.outbox.moves import COPY_OF, moving_problem
from psa.outbox.text import OVERHEAD_CHARS
from psa.services.announce import deliveries_tell, listened_to
from psa.services.standing import (
    Corrected,
    corrected,
    mail_notice,
    provider_of,
    require_still,
    standing_note,
)
from psa.types import Capability, NoteKind, Scope, Tenant


def note_move(tenant: Tenant, delivery_id: int, link_id: int, *, scope: Scope) -> Corrected:
    """Queue a delivered note, with all its parts, for another ticket; the old one goes once that is there.

    Asks no PSA. Until the copy is there the note stays where it is, with the problem `moving`; if the copy is
    given up it stays for good. The copy mails nobody; its author is the person who moves it.
    Raises: ConflictError `in-flight`, `not-delivered`, `moving`, `parts-missing`, `connection-disabled`,
        `connection-deleted`; InvalidInputError `not-a-note`, `same-ticket`, `text-too-long`;
        UnsupportedOperationError; RoleError; MissingError, also for a ticket that is not the tenant's.
    """
    row, _provider = standing_note(tenant, delivery_id, scope, Capability.NOTE_REMOVAL)
    require_still(row)
    target = _target(tenant, link_id)
    lanes = TicketLink.objects
    if lanes.lane(target.pk).pk == lanes.lane(row.link_id).pk:
        raise InvalidInputError(
            "The note is on that ticket already.",
            code="same-ticket",
            fields={"move_to": ["Choose another ticket."]},
        )
    with lane_held(row, scope.actor, "move") as hold, transaction.atomic():
        old = hold.delivery
        parts = _parts(old)
        drafts = _copies(parts, target)
        unit = enqueue(target.connection, target, drafts, actor=scope.actor, origin=old.unit.origin)
        copies = list(Delivery.objects.filter(unit=unit).order_by("seq"))
        AuditEntry.objects.bulk_create(
            [_move_entry(hold, part, copy) for part, copy in zip(parts, copies, strict=True)]
        )
        going = {MOVING: {"unit": unit.pk, "ticket": target.ticket_id}}
        problem = moving_problem(target.ticket_id)
        for part, copy in zip(parts, copies, strict=True):
            Delivery.objects.filter(pk=copy.pk).update(supersedes=part)
            if part.pk != old.pk:
                Delivery.objects.filter(pk=part.pk).update(
                    payload={**part.payload, **going}, problem=part.problem or problem
                )
        hold_close(hold, Correction(), done="moving", payload=going, problem=old.problem or problem)
        deliveries_tell(listened_to(Delivery.objects.filter(unit=unit)))
    said = f"It is queued for ticket {target.ticket_id} and removed here once it stands there."
    return corrected(row, [said, mail_notice(row)], copies[0])


def _target(tenant: Tenant, link_id: int) -> TicketLink:
    link = TicketLink.objects.select_related("connection").filter(tenant=tenant, pk=link_id).first()
    if link is None:
        raise MissingError("There is no such ticket link.")
    return link


def _parts(row: Delivery) -> list[Delivery]:
    """Return all parts of the note a delivery belongs to, in order.

    Raises: ConflictError `parts-missing`, unless every one is on the ticket and stays there.
    """
    found = Delivery.objects.filter(unit_id=row.unit_id, link_id=row.link_id, parts=row.parts)
    # The parts of one note stand one behind the other in the lane; an edited one keeps its place.
    parts = [part for part in found.order_by("part") if part.seq - part.part == row.seq - row.part]
    whole = [part.part for part in parts] == list(range(1, row.parts + 1))
    if not whole or any(part.state != DeliveryState.DELIVERED or MOVING in part.payload for part in parts):
        raise ConflictError(
            f"This note has {row.parts} parts, and not all of them are on the ticket. "
            "Wait for the others, or move it in the PSA.",
            code="parts-missing",
        )
    return parts


def _copies(parts: list[Delivery], target: TicketLink) -> list[Draft]:
    provider = provider_of(target)
    provider.require(Capability.NOTES)
    limit = min(psa_settings().NOTE_MAX_CHARS, provider.body_max_chars) - OVERHEAD_CHARS
    if any(len(str(part.payload.get("text", ""))) > limit for part in parts):
        raise InvalidInputError(
            f"That PSA takes notes of at most {limit:,} characters.", code="text-too-long"
        )
    return [
        Draft(
            kind=DeliveryKind(part.kind),
            payload={"text": part.payload.get("text", ""), "notify": False, COPY_OF: part.pk},
            part=part.part,
            parts=part.parts,
            text_hash=part.text_hash,
        )
        for part in parts
    ]


def _move_entry(hold: Hold, part: Delivery, copy: Delivery) -> AuditEntry:
    text = kept_text(str(part.payload.get("text", "")))
    return AuditEntry(
        tenant_id=part.tenant_id,
        connection_id=part.connection_id,
        actor_id=hold.actor.user_id,
        actor_name=hold.actor.name[:200],
        verb="note.move-queued",
        object_type="delivery",
        object_id=str(part.pk),
        ticket_id=hold.delivery.link.ticket_id,
        kind=part.kind,
        shown_as=part.author_name,
        customer_visible=NoteKind(part.kind).customer_visible,
        mailed=False,
        facts={
            "delivery": part.pk,
            "unit": part.unit_id,
            "copy": copy.pk,
            "to_connection": copy.connection_id,
            "to_ticket": copy.link.ticket_id,
            "before": text,
            "after": text,
        },
    )
