"""Owns handing what one person has on its way to another, when the first leaves or is away."""

from __future__ import annotations

from django.db import transaction

from psa.exceptions import InvalidInputError, RoleError
from psa.models import AuditEntry, Delivery, WorkUnit
from psa.models.delivery import NOTE_KINDS
from psa.outbox.lanes import lane_lock
from psa.selectors.member import people_of
from psa.services.changes import DEFINITE, audit_row, shown_as
from psa.types import Person, Scope, Tenant

ROUNDS = 3
"""How often what moved to another lane meanwhile, because its ticket was merged, is looked for again."""


def deliveries_hand_over(tenant: Tenant, from_user_id: int, to_user_id: int, *, scope: Scope) -> int:
    """Let another person answer for what a user has queued or dead, and return how many deliveries that are.

    They keep their places and go out as posted by the new person. What is being sent or checked at this
    moment stays with its author. A lane at a time: what is done stays done if a later one fails.
    Raises: RoleError, for others than leads and admins; InvalidInputError (`to_user`).
    """
    if not scope.can_lead:
        raise RoleError("Only a lead or an admin can hand over what others posted.")
    person = next((row for row in people_of(tenant) if row.id == to_user_id and row.active), None)
    if person is None or to_user_id == from_user_id:
        sentence = "Choose somebody else who is active in your account."
        raise InvalidInputError(sentence, fields={"to_user": [sentence]})
    rows = Delivery.objects.filter(tenant=tenant, created_by_id=from_user_id, state__in=DEFINITE)
    changed = 0
    for _ in range(ROUNDS):
        lanes = sorted(set(rows.order_by().values_list("link_id", flat=True)))
        if not lanes:
            break
        changed += sum(_lane_hand_over(tenant, link_id, from_user_id, person, scope) for link_id in lanes)
    return changed


def _lane_hand_over(tenant: Tenant, link_id: int, from_user_id: int, person: Person, scope: Scope) -> int:
    name = person.name[:200]
    author = {"created_by_id": person.id, "created_by_name": name}
    lane = Delivery.objects.filter(tenant=tenant, link_id=link_id)
    with transaction.atomic():
        lane_lock(link_id)
        theirs = lane.filter(created_by_id=from_user_id, state__in=DEFINITE)
        found = list(theirs.select_related("link").defer("payload"))
        if not found:
            return 0
        # The lane is held, so none of them begins to be sent meanwhile.
        mine = lane.filter(pk__in=[row.pk for row in found])
        changed = mine.update(**author)
        mine.filter(kind__in=NOTE_KINDS).update(**shown_as(found[0].connection_id, person.id))
        units = WorkUnit.objects.filter(pk__in={row.unit_id for row in found}, created_by_id=from_user_id)
        units.update(**author)
        AuditEntry.objects.bulk_create(
            [
                audit_row(
                    row,
                    scope.actor,
                    "delivery.handed_over",
                    before={"user": from_user_id, "name": row.created_by_name},
                    after={"user": person.id, "name": name},
                )
                for row in found
            ]
        )
    return changed
