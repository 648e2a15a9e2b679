"""Owns what is asked before a note on its ticket is changed, and how it is answered afterwards."""

from __future__ import annotations

from dataclasses import dataclass

from psa.conf import psa_settings
from psa.database import database_now
from psa.exceptions import ConflictError, InvalidInputError, MissingError, RateLimitedError, RoleError
from psa.models import Delivery, TicketLink, WorkUnit
from psa.models.delivery import DeliveryState
from psa.outbox.hold import MOVING
from psa.providers.base import Provider
from psa.providers.registry import provider_class
from psa.selectors.ticket import require_usable
from psa.types import Capability, Scope, Tenant

MAIL_STAYS = "A mail already sent cannot be recalled."


@dataclass(frozen=True, slots=True)
class Corrected:
    """What came of it."""

    delivery: Delivery
    """The one that was asked about, as it is now."""
    notice: str | None = None
    """What the person should know, in sentences."""
    replacement: Delivery | None = None
    """The note that was queued: the copy of a move, or one that asks to ignore the old one."""


def standing_note(
    tenant: Tenant, delivery_id: int, scope: Scope, needs: Capability
) -> tuple[Delivery, type[Provider]]:
    """Return a delivered note the person may change, and the class of its provider, which offers that."""
    rows = Delivery.objects.select_related("connection", "link", "unit")
    found = rows.filter(tenant=tenant, pk=delivery_id).first()
    if found is None:
        raise MissingError("There is no such delivery.")
    if not scope.can_lead and found.created_by_id != scope.actor.user_id:
        raise RoleError("Only its author, a lead or an admin can do this.")
    if not found.is_note:
        raise InvalidInputError("Only notes can be changed on their ticket.", code="not-a-note")
    if found.state != DeliveryState.DELIVERED:
        raise ConflictError("This note is not on the ticket.", code="not-delivered")
    provider = provider_of(found.link)
    provider.require(needs)
    not_before = found.connection.not_before
    wait_s = (not_before - database_now()).total_seconds() if not_before else 0.0
    if wait_s > 0:
        raise RateLimitedError("The PSA has asked us to wait.", retry_after_s=wait_s)
    return found, provider


def provider_of(link: TicketLink) -> type[Provider]:
    """Return the provider of a ticket, its connection joined.

    Raises: ConflictError `connection-deleted`, `connection-disabled`.
    """
    require_usable(link.connection)
    return provider_class(link.connection.provider, psa_settings().PROVIDERS)


def require_still(row: Delivery) -> None:
    """Raise while a note is on its way to another ticket: two changes at once could lose it."""
    moving = row.payload.get(MOVING)
    if moving and WorkUnit.objects.filter(pk=moving.get("unit")).exists():
        raise ConflictError(
            f"It is being moved to ticket {moving.get('ticket')}. Wait for that, or discard the copy first.",
            code="moving",
        )


def mail_notice(row: Delivery) -> str:
    """Return what to say of the mail a note was sent with, nothing when it was sent with none."""
    mailed = bool(row.payload.get("notify"))
    if not mailed and row.parts > 1:
        # One mail goes out for all parts, with the last of them.
        parts = Delivery.objects.filter(unit_id=row.unit_id, parts=row.parts, payload__notify=True)
        mailed = parts.exists()
    return MAIL_STAYS if mailed else ""


def copy_notice(row: Delivery) -> str:
    """Return what to say of the copy of a note that is on its way to another ticket."""
    moving = row.payload.get(MOVING)
    return f"Its copy for ticket {moving.get('ticket')} stays as it is." if moving else ""


def corrected(row: Delivery, said: list[str], replacement: Delivery | None = None) -> Corrected:
    """Return a delivery as it is now, and the sentences that are not empty."""
    now = Delivery.objects.select_related("connection", "link", "unit").get(pk=row.pk)
    return Corrected(now, " ".join(sentence for sentence in said if sentence) or None, replacement)
