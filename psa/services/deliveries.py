"""Owns what people do with deliveries: post, preview, retry, edit, discard."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import models, transaction

from psa.cache import ConnectionCache, cached
from psa.conf import psa_settings
from psa.database import database_now
from psa.exceptions import (
    ConflictError,
    InvalidInputError,
    InvalidStatusError,
    MissingError,
    PsaError,
    RoleError,
)
from psa.models import AuditEntry, Connection, Delivery, MemberMapping, TicketLink, WorkUnit
from psa.models.delivery import API_MEMBER, DeliveryKind, DeliveryState, HeldBy
from psa.outbox import health
from psa.outbox.enqueue import Part, enqueue, plan
from psa.outbox.hold import kept_text
from psa.outbox.lane import status_named
from psa.outbox.lanes import lane_lock, lane_recompute, unit_refresh
from psa.outbox.recheck import marked
from psa.outbox.text import AUTHOR_PREFIX, OVERHEAD_CHARS, marker_new, text_clean, text_hash
from psa.outbox.time_entry import HELD
from psa.provider_pool import provider_for
from psa.providers.registry import provider_class
from psa.selectors.ticket import require_usable
from psa.services.announce import deliveries_tell, listened_to
from psa.services.changes import (
    DEFINITE,
    audit_row,
    discarded_rows,
    give_up,
    put_back,
    reason_of,
    shown_as,
    waits_for_person,
)
from psa.services.document_preview import document_previews
from psa.services.time_preview import time_previews
from psa.types import Actor, NoteKind, PartPreview, RecordType, Scope, Status, Tenant


def unit_enqueue(
    tenant: Tenant, link_id: int, parts: Sequence[Part], *, actor: Actor, origin: str = ""
) -> WorkUnit:
    """Return a new unit whose parts are delivered in order. Asks no PSA; runs in the caller's transaction.

    Shape: `posted` of the unit has its deliveries, with connection, link and unit at hand.
    Raises: InvalidInputError; ConflictError `connection-disabled`, `connection-deleted`;
        UnsupportedOperationError.
    """
    link = _link(tenant, link_id)
    cls = provider_class(link.connection.provider, psa_settings().PROVIDERS)
    drafts = plan(cls, RecordType(link.record_type), parts)
    unit = enqueue(link.connection, link, drafts, actor=actor, origin=origin)
    deliveries_tell(listened_to(Delivery.objects.filter(unit=unit)))
    return unit


def unit_preview(tenant: Tenant, link_id: int, parts: Sequence[Part], *, actor: Actor) -> list[PartPreview]:
    """Return what each delivery would do: text, readers, mails, author. Nothing is stored.

    Only for time and files is the PSA asked, and its silence passes.
    """
    link = _link(tenant, link_id)
    cls = provider_class(link.connection.provider, psa_settings().PROVIDERS)
    mapping = None
    if actor.user_id is not None:
        mapping = MemberMapping.objects.filter(
            connection=link.connection, user_id=actor.user_id, active=True
        ).first()
    author = mapping.member_name if mapping else API_MEMBER
    previews = []
    drafts = plan(cls, RecordType(link.record_type), parts)
    times = iter(time_previews(link, [row.payload for row in drafts if row.kind == DeliveryKind.TIME]))
    files = iter(
        document_previews(link, [row.payload for row in drafts if row.kind == DeliveryKind.DOCUMENT])
    )
    for draft in drafts:
        if draft.kind == DeliveryKind.TIME:
            previews.append(next(times))
            continue
        if draft.kind == DeliveryKind.DOCUMENT:
            previews.append(next(files))
            continue
        is_status = draft.kind == DeliveryKind.STATUS
        notes = [f"{draft.dropped} control characters were taken out."] if draft.dropped else []
        mails: list[str] = []
        if draft.payload["notify"]:
            mails.append("whoever the board's notification settings name, the customer's contact included")
        if is_status:
            notes.append("Workflow rules of the PSA may send mail of their own.")
        head = "" if mapping or is_status else f"{AUTHOR_PREFIX}{actor.name}\n\n"
        previews.append(
            PartPreview(
                kind=draft.kind.value,
                part=draft.part,
                parts=draft.parts,
                text=draft.payload["status"] if is_status else head + draft.payload["text"],
                visible_to="customer"
                if is_status or NoteKind(draft.kind.value).customer_visible
                else "staff",
                mails=tuple(mails),
                author=API_MEMBER if is_status else author,
                author_kind="member" if mapping and not is_status else "api_member",
                status=draft.payload["status"] if is_status else "",
                notes=tuple(notes),
            )
        )
    return previews


def status_check(tenant: Tenant, link_id: int, status: str) -> None:
    """Return when a status exists on the ticket's board, or when the PSA cannot be asked right now.

    It is checked again at delivery, so that posting works while the PSA is down.
    Raises: InvalidInputError `unknown-status`, its field naming the valid ones.
    """
    link = _link(tenant, link_id)
    try:
        provider = provider_for(link.connection)

        def fetch() -> list[Status]:
            if link.board_id:
                return provider.statuses_of_board(link.board_id, RecordType(link.record_type))
            return provider.statuses_for(provider.ticket_get(link.ticket_id, RecordType(link.record_type)))

        statuses = cached(
            ConnectionCache(link.connection_id, link.connection.cache_epoch),
            f"statuses:{link.board_id or link.ticket_id}",
            psa_settings().REFERENCE_TTL_S,
            fetch,
        )
        status_named(statuses, str(status).strip())
    except InvalidStatusError as exc:
        raise InvalidInputError(
            exc.message,
            code="unknown-status",
            fields={"status": list(exc.valid_names)},
        ) from exc
    except PsaError:
        return


def delivery_retry(tenant: Tenant, delivery_id: int, *, scope: Scope) -> Delivery:
    """Return a delivery put back into its lane: a dead one, or one that waits for its next try.

    Raises: ConflictError `not-retryable`; RoleError; MissingError.
    """
    with transaction.atomic():
        delivery = _delivery(tenant, delivery_id, scope, lock=True)
        waits = waits_for_person(delivery)
        if (delivery.problem or {}).get("code") == HELD["code"] and not scope.can_lead:
            raise RoleError("It is held for a lead: only a lead or an admin lets it go.")
        if delivery.state not in (DeliveryState.DEAD, DeliveryState.RETRYING) and not waits:
            raise ConflictError(
                "Only a delivery that failed or waits for its next try can be retried.", code="not-retryable"
            )
        now = database_now()
        if not put_back([delivery], now):
            raise ConflictError("It is being sent right now.", code="in-flight")
        if waits:
            health.refusal_forget(delivery.connection_id, delivery.kind)
        lane_recompute(delivery.link_id, now)
        unit_refresh(delivery.unit_id)
        facts = {"problem": delivery.problem["code"]} if delivery.problem else {}
        audit_row(delivery, scope.actor, "delivery.retried", **facts).save()
        if not waits:
            deliveries_tell([delivery.pk])
    return Delivery.objects.get(pk=delivery.pk)


def delivery_discard(
    tenant: Tenant, delivery_id: int, *, scope: Scope, reason: str = "", rest: str = "discard"
) -> Delivery:
    """Return a delivery that will not be posted. `rest` (`discard`, `continue`) decides over its unit.

    Raises: ConflictError `in-flight` (sending or being checked), `already-posted`; RoleError; MissingError.
    """
    if rest not in ("discard", "continue"):
        raise InvalidInputError(
            "rest must be discard or continue.", fields={"rest": ["Choose discard or continue."]}
        )
    with transaction.atomic():
        delivery = _delivery(tenant, delivery_id, scope, lock=True)
        if delivery.state == DeliveryState.DISCARDED:
            return delivery
        _require_definite(delivery)
        why = reason_of(reason, scope.actor)
        gone = give_up([delivery], why, rest=rest == "discard")
        if not gone:
            raise ConflictError("It is being sent right now.", code="in-flight")
        lane_recompute(delivery.link_id, database_now())
        unit_refresh(delivery.unit_id)
        AuditEntry.objects.bulk_create(discarded_rows(gone, scope.actor, why))
        deliveries_tell([row.pk for row in gone])
    return Delivery.objects.get(pk=delivery.pk)


def delivery_edit(tenant: Tenant, delivery_id: int, *, scope: Scope, text: str) -> Delivery:
    """Return a new delivery with another text in the place of a dead one, which is discarded.

    Looks for the old text on the ticket first.
    Raises: ConflictError `already-posted`, `not-dead`; InvalidInputError; ProviderError; RoleError;
        MissingError.
    """
    old = _delivery(tenant, delivery_id, scope)
    _require_dead_note(old)
    clean = text_clean(text)
    limit = psa_settings().NOTE_MAX_CHARS - OVERHEAD_CHARS
    if len(clean.text) > limit:
        raise InvalidInputError(
            f"The text has {len(clean.text):,} characters; at most {limit:,} fit in one note.",
            code="text-too-long",
            fields={"text": [f"At most {limit:,} characters."]},
        )
    while True:
        if old.sends and _posted(old):
            raise ConflictError("This note is on the ticket already.", code="already-posted")
        with transaction.atomic():
            now = _delivery(tenant, delivery_id, scope, lock=True)
            _require_dead_note(now)
            if (now.link_id, now.sends) == (old.link_id, old.sends):
                return _replace(now, clean.text, scope.actor)
        # Its ticket was merged, or it was sent again, while we looked: that look tells nothing any more.
        old = now


def _require_dead_note(delivery: Delivery) -> None:
    if not delivery.is_note:
        raise InvalidInputError("Only notes can be edited.", code="not-a-note")
    if delivery.state != DeliveryState.DEAD:
        raise ConflictError("Only a note that needs you can be edited.", code="not-dead")


def _replace(old: Delivery, text: str, actor: Actor) -> Delivery:
    """Store a new delivery in the place of a dead one, whose lane is held, and discard that."""
    lane = TicketLink.objects.filter(pk=old.link_id)
    lane.update(next_seq=models.F("next_seq") + 1)
    Delivery.objects.filter(pk=old.pk).update(
        state=DeliveryState.DISCARDED,
        discard_reason=f"Replaced by an edited text of {actor.name}."[:300],
        # The new text takes this place in the lane; the old row keeps a place at the end.
        seq=lane.values_list("next_seq", flat=True).get() - 1,
    )
    now = database_now()
    new = Delivery.objects.create(
        tenant_id=old.tenant_id,
        connection_id=old.connection_id,
        link=old.link,
        unit_id=old.unit_id,
        kind=old.kind,
        seq=old.seq,
        part=old.part,
        parts=old.parts,
        optional=old.optional,
        payload={**old.payload, "text": text},
        marker=marker_new(),
        text_hash=text_hash(text),
        held_by=HeldBy.EARLIER,
        due_at=now,
        supersedes=old,
        created_by_id=actor.user_id,
        created_by_name=actor.name[:200],
        **shown_as(old.connection_id, actor.user_id),
    )
    lane_recompute(old.link_id, now)
    unit_refresh(old.unit_id)
    texts = {"before": kept_text(str(old.payload.get("text", ""))), "after": kept_text(text)}
    audit_row(new, actor, "delivery.edited", state_before=old.state, replaces=old.pk, **texts).save()
    deliveries_tell([old.pk, new.pk])
    return Delivery.objects.get(pk=new.pk)


def open_deliveries_discard(tenant: Tenant, link_id: int, *, actor: Actor, origin: str, reason: str) -> int:
    """Discard what an origin still has in a ticket's lane and return how many.

    Raises: ConflictError `in-flight`, while one is being sent or checked.
    """
    with transaction.atomic():
        if not TicketLink.objects.filter(tenant=tenant, pk=link_id).exists():
            return 0
        lane_lock(link_id)
        # Merged meanwhile, what waited stands in the parent's lane.
        lanes = TicketLink.objects.lanes(link_id)
        for lane in lanes:
            lane_lock(lane)
        rows = list(
            Delivery.objects.filter(tenant=tenant, link_id__in=lanes, unit__origin=origin)
            .exclude(state__in=(DeliveryState.DELIVERED, DeliveryState.DISCARDED))
            .select_related("link")
        )
        if not rows:
            return 0
        for row in rows:
            if row.state not in DEFINITE:
                raise ConflictError(
                    "A delivery to this ticket is being sent or checked right now. Try again shortly.",
                    code="in-flight",
                )
        changed = Delivery.objects.filter(pk__in=[row.pk for row in rows], state__in=DEFINITE).update(
            state=DeliveryState.DISCARDED, discard_reason=reason[:300], held_by=HeldBy.NOTHING
        )
        if changed != len(rows):
            raise ConflictError("A delivery to this ticket has just been sent.", code="in-flight")
        for lane in lanes:
            lane_recompute(lane, database_now())
        for unit_id in {row.unit_id for row in rows}:
            unit_refresh(unit_id)
        AuditEntry.objects.bulk_create(discarded_rows(rows, actor, reason[:300]))
        deliveries_tell([row.pk for row in rows])
    return changed


def _require_definite(delivery: Delivery) -> None:
    if delivery.state == DeliveryState.DELIVERED:
        raise ConflictError("It has been posted already.", code="already-posted")
    if delivery.state not in DEFINITE:
        raise ConflictError(
            "It is being sent or checked right now, so it may already stand on the ticket.", code="in-flight"
        )


def _posted(delivery: Delivery) -> bool:
    connection = Connection.objects.get(pk=delivery.connection_id)
    link = TicketLink.objects.get(pk=delivery.link_id)
    provider, record_type = provider_for(connection), RecordType(link.record_type)
    return marked(provider, link.ticket_id, record_type, delivery.marker, delivery.kind) > 0


def _link(tenant: Tenant, link_id: int) -> TicketLink:
    link = TicketLink.objects.select_related("connection").filter(tenant=tenant, pk=link_id).first()
    if link is None:
        raise MissingError("There is no such ticket link.")
    require_usable(link.connection)
    return link


def _delivery(tenant: Tenant, delivery_id: int, scope: Scope, *, lock: bool = False) -> Delivery:
    """Return a delivery the person may touch; with lock its lane is locked and the row read after that."""
    rows = Delivery.objects.select_related("link").filter(tenant=tenant, pk=delivery_id)
    found = rows.first()
    locked = 0
    # A merge may move it to another lane while we wait for the lock.
    while lock and found is not None and found.link_id != locked:
        locked = found.link_id
        lane_lock(locked)
        found = rows.first()
    if found is None:
        raise MissingError("There is no such delivery.")
    if not scope.can_lead and found.created_by_id != scope.actor.user_id:
        raise RoleError("Only its author, a lead or an admin can do this.")
    return found
