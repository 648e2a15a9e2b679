"""Owns who of us is which member of a PSA: matched by e-mail, chosen by hand, ended.

Whoever changes the mappings of a connection holds its row, so that "each user once, each member once" is
decided by one at a time; the constraints of the table stand behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction

from psa.database import database_now
from psa.exceptions import ConflictError, InvalidInputError
from psa.models import AuditEntry, Connection, MemberMapping, MemberReview
from psa.models.member_mapping import MappedHow
from psa.outbox.members import is_person
from psa.selectors.connection import connection_get
from psa.selectors.member import MemberPlan, match_plan, member_mappings, members, people_of
from psa.services.locks import connection_lock
from psa.types import Actor, Member, Person, Tenant


@dataclass(frozen=True, slots=True)
class Matched:
    """What a match by e-mail did, and how everybody stands afterwards."""

    made: tuple[MemberMapping, ...]
    plan: MemberPlan


def members_match(tenant: Tenant, connection_id: int, *, actor: Actor) -> Matched:
    """Map everybody whose e-mail names exactly one member, and nobody else. Who is mapped stays so.

    The members are read afresh.
    Raises: as `selectors.members`.
    """
    connection = connection_get(tenant, connection_id)
    found, people = members(tenant, connection_id, refresh=True), people_of(tenant)
    now = database_now()
    made = []
    with _changing(connection, now):
        plan = match_plan(people, found, member_mappings(tenant, connection_id))
        for row in plan.rows:
            if row.match is not None:
                made.append(_map(connection, row.person, row.match, MappedHow.EMAIL, actor))
        plan = match_plan(people, found, member_mappings(tenant, connection_id))
    return Matched(tuple(made), plan)


def member_mappings_set(
    tenant: Tenant,
    connection_id: int,
    choices: Mapping[int, str | None],
    *,
    actor: Actor,
    how: str = MappedHow.MANUAL,
) -> list[MemberMapping]:
    """Map users to members as chosen and return their mappings in force; None ends a user's mapping.

    Shape: choices is {user id: member id or None}; users that are not named stay as they are. All or nothing;
        two users can swap their members in one call. Only a new choice asks the PSA or its cache.
    Raises: InvalidInputError (`user`, `member`); ConflictError `member-taken`, naming who has the member;
        as `selectors.members`.
    """
    connection = connection_get(tenant, connection_id)
    wanted = {user_id: member_id for user_id, member_id in choices.items() if member_id is not None}
    if len(set(wanted.values())) < len(wanted):
        raise InvalidInputError(
            "Each member can be chosen once.", fields={"member": ["Each member can be chosen once."]}
        )
    before = {row.user_id: row.member_id for row in member_mappings(tenant, connection_id)}
    new = {user_id: member_id for user_id, member_id in wanted.items() if before.get(user_id) != member_id}
    chosen = _chosen(tenant, connection_id, new)
    now = database_now()
    with _changing(connection, now):
        holders: dict[str, MemberMapping] = {}
        for row in member_mappings(tenant, connection_id):
            if row.user_id not in choices or wanted.get(row.user_id or 0) == row.member_id:
                holders[row.member_id] = row
            else:
                _end(row, actor, now, "changed by hand")
        for user_id, member_id in wanted.items():
            if member_id in holders and holders[member_id].user_id == user_id:
                continue
            if member_id in holders:
                raise _taken(holders[member_id])
            if user_id not in chosen:
                raise _changed_meanwhile()
            _map(connection, *chosen[user_id], how, actor)
    return list(member_mappings(tenant, connection_id).filter(user_id__in=choices))


def member_mappings_close(
    tenant: Tenant, user_id: int, *, actor: Actor, reason: str = ""
) -> list[MemberMapping]:
    """End a user's mappings in every connection of a tenant, and return those that ended."""
    rows = MemberMapping.objects.filter(tenant=tenant, user_id=user_id, active=True)
    ended = []
    with transaction.atomic():
        now = database_now()
        for row in rows.order_by("connection_id"):
            connection_lock(row.connection_id)
            if _end(row, actor, now, reason):
                ended.append(row)
    return ended


def member_news_clear(tenant: Tenant, connection_id: int) -> None:
    """Forget what changed among the members, because somebody has looked at it."""
    connection = connection_get(tenant, connection_id)
    MemberReview.objects.filter(connection=connection).update(news=[])


@contextmanager
def _changing(connection: Connection, now: datetime) -> Iterator[None]:
    """Hold a connection's mappings in a transaction; what the table's constraints refuse is a conflict."""
    try:
        with transaction.atomic():
            connection_lock(connection.pk)
            nobody = MemberMapping.objects.filter(connection=connection, active=True, user=None)
            nobody.update(active=False, closed_at=now)
            yield
    except IntegrityError as exc:
        raise _changed_meanwhile() from exc


def _chosen(
    tenant: Tenant, connection_id: int, wanted: Mapping[int, str]
) -> dict[int, tuple[Person, Member]]:
    """Return the people and members that were chosen.

    Raises: InvalidInputError, naming all that is wrong.
    """
    if not wanted:
        return {}
    people = {person.id: person for person in people_of(tenant) if person.active}
    found = {member.id: member for member in members(tenant, connection_id)}
    if any(member_id not in found for member_id in wanted.values()):
        # They may have joined since the list was read.
        found = {member.id: member for member in members(tenant, connection_id, refresh=True)}
    errors: dict[str, list[str]] = {}
    for user_id, member_id in wanted.items():
        member = found.get(member_id)
        if user_id not in people:
            errors.setdefault("user", []).append(f"There is no active user {user_id} in your account.")
        if member is None:
            errors.setdefault("member", []).append(f"The PSA has no member {member_id}.")
        elif not is_person(member):
            what = "is an API member" if member.is_api else "is switched off in the PSA"
            errors.setdefault("member", []).append(f"{member.name} {what}.")
    if errors:
        raise InvalidInputError("Some of the choices cannot be made.", fields=errors)
    return {user_id: (people[user_id], found[member_id]) for user_id, member_id in wanted.items()}


def _taken(holder: MemberMapping) -> ConflictError:
    return ConflictError(
        f"{holder.user_name} is mapped to {holder.member_name} already. End that mapping first.",
        code="member-taken",
        fields={"member": [f"{holder.user_name} is mapped to {holder.member_name}."]},
    )


def _changed_meanwhile() -> ConflictError:
    return ConflictError(
        "Somebody else changed these mappings meanwhile. Look at them and try again.",
        code="changed-meanwhile",
    )


def _map(connection: Connection, person: Person, member: Member, how: str, actor: Actor) -> MemberMapping:
    mapping = MemberMapping.objects.create(
        tenant_id=connection.tenant_id,
        connection=connection,
        user_id=person.id,
        user_name=person.name[:200],
        member_id=member.id,
        member_identifier=member.identifier[:60],
        member_name=member.name[:200],
        member_emails=list(member.emails),
        how=how,
    )
    _audit(mapping, actor, "member.mapped", how=mapping.how)
    return mapping


def _end(mapping: MemberMapping, actor: Actor, now: datetime, reason: str) -> bool:
    """End a mapping; False when it had ended already."""
    if not MemberMapping.objects.filter(pk=mapping.pk, active=True).update(active=False, closed_at=now):
        return False
    mapping.active, mapping.closed_at = False, now
    _audit(mapping, actor, "member.unmapped", reason=reason[:300])
    return True


def _audit(mapping: MemberMapping, actor: Actor, verb: str, **facts: object) -> None:
    AuditEntry.objects.create(
        tenant_id=mapping.tenant_id,
        connection_id=mapping.connection_id,
        actor_id=actor.user_id,
        actor_name=actor.name,
        verb=verb,
        object_type="member_mapping",
        object_id=str(mapping.pk),
        facts={
            "user": mapping.user_id,
            "user_name": mapping.user_name,
            "member": mapping.member_id,
            "member_name": mapping.member_name,
            **facts,
        },
    )
