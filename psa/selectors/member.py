"""Owns the reads about who of us is which member of a PSA, and the rule by which e-mail decides it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from django.db.models.query import QuerySet
from django.utils.module_loading import import_string

from psa.conf import psa_settings
from psa.exceptions import ConflictError
from psa.models import Connection, Delivery, MemberMapping, MemberReview
from psa.models.connection import ConnectionState
from psa.models.delivery import OPEN_STATES, DeliveryState
from psa.outbox import members as listed
from psa.outbox.members import is_person
from psa.selectors.connection import connection_get
from psa.types import Member, Person, Tenant

SEARCH_MAX = 20
"""Members a search returns unless asked for more: a longer list does not help who chooses one."""


class Unmatched(StrEnum):
    """Why a person has no member yet."""

    NO_EMAIL = "no-email"
    """We know no address of the person."""
    NO_MEMBER = "no-member"
    """No active member has the person's address."""
    AMBIGUOUS = "ambiguous"
    """Several members, or several of us, have the address: only people can tell who is who."""
    TAKEN = "taken"
    """Somebody else is mapped to the member with the person's address."""


@dataclass(frozen=True, slots=True)
class PersonRow:
    """One of us, and the member they are or could be."""

    person: Person
    mapping: MemberMapping | None = None
    match: Member | None = None
    """The member their e-mail names beyond doubt, where they are not mapped."""
    why: Unmatched | None = None
    """Why there is neither mapping nor match."""
    candidates: tuple[Member, ...] = ()
    """Members with the person's address, where it does not decide."""


@dataclass(frozen=True, slots=True)
class MemberPlan:
    """Everybody of a connection: who is mapped, who would be by e-mail, who is left."""

    rows: tuple[PersonRow, ...]
    """Active people in the order of the host, and mapped ones who do not work here any more."""
    free: tuple[Member, ...]
    """Active members nobody is mapped to or matched with, by name. API members are left out."""


def people_of(tenant: Tenant) -> list[Person]:
    """Return who works for a tenant, as the host's `PSA["PEOPLE"]` function tells; without one nobody."""
    path = psa_settings().PEOPLE
    return list(import_string(path)(tenant)) if path else []


def members(tenant: Tenant, connection_id: int, *, refresh: bool = False) -> list[Member]:
    """Return all members of a connection, from the cache where it has them; refresh reads them again.

    Raises: MissingError; ConflictError `connection-disabled`; ProviderError; UnsupportedOperationError.
    """
    return listed.members_of(_asked(tenant, connection_id), refresh=refresh)


def members_known(tenant: Tenant, connection_id: int) -> list[Member] | None:
    """Return the members if they are in the cache, else None: then `members` has to ask the PSA first."""
    return listed.members_known(connection_get(tenant, connection_id))


def members_search(
    tenant: Tenant, connection_id: int, query: str = "", *, at_most: int | None = SEARCH_MAX
) -> list[Member]:
    """Return members nobody is mapped to whose name, login or e-mail has all the words; None returns all.

    Raises: as `members`.
    """
    words = query.casefold().split()
    taken = set(member_mappings(tenant, connection_id).values_list("member_id", flat=True))

    def fits(member: Member) -> bool:
        text = "\n".join((member.name, member.identifier, *member.emails)).casefold()
        return is_person(member) and member.id not in taken and all(word in text for word in words)

    return [member for member in _by_name(members(tenant, connection_id)) if fits(member)][:at_most]


def member_mappings(tenant: Tenant, connection_id: int, *, closed: bool = False) -> QuerySet[MemberMapping]:
    """Return the mappings in force, or with closed those that have ended, the last ended first."""
    rows = MemberMapping.objects.filter(connection=connection_get(tenant, connection_id))
    if closed:
        return rows.filter(active=False).order_by("-closed_at", "-pk")
    # A mapping whose user was deleted maps nobody; the next change or daily look ends it.
    return rows.filter(active=True, user__isnull=False).order_by("user_name", "pk")


def member_rows(tenant: Tenant, connection_id: int) -> list[PersonRow]:
    """Return everybody with their mapping, and no matches: asks no PSA, for the first paint of a page."""
    return list(match_plan(people_of(tenant), (), member_mappings(tenant, connection_id)).rows)


def member_plan(tenant: Tenant, connection_id: int, *, refresh: bool = False) -> MemberPlan:
    """Return who is mapped, who a match by e-mail would map, who is left, and which members are free.

    Raises: as `members`.
    """
    found = members(tenant, connection_id, refresh=refresh)
    return match_plan(people_of(tenant), found, member_mappings(tenant, connection_id))


def member_review(tenant: Tenant, connection_id: int) -> MemberReview | None:
    """Return what the daily look found, None before the first one was planned."""
    connection = connection_get(tenant, connection_id)
    return MemberReview.objects.filter(connection=connection).first()


def deliveries_to_hand_over(tenant: Tenant, user_id: int) -> QuerySet[Delivery]:
    """Return what a user posted that is still on its way or needs a person, the oldest first."""
    rows = Delivery.objects.filter(
        tenant=tenant, created_by_id=user_id, state__in=(*OPEN_STATES, DeliveryState.DEAD)
    )
    return rows.select_related("connection", "link", "unit").order_by("pk")


def match_plan(
    people: Iterable[Person], found: Iterable[Member], mappings: Iterable[MemberMapping]
) -> MemberPlan:
    """Return what e-mail decides. Whoever is mapped stays so; an address several have decides nothing.

    Addresses are compared without regard to case. Inactive people, inactive members and API members neither
    match nor make an address ambiguous; mapped ones do.
    """
    everybody, all_members = list(people), [member for member in found if is_person(member)]
    by_user = {mapping.user_id: mapping for mapping in mappings if mapping.user_id is not None}
    taken = {mapping.member_id for mapping in by_user.values()}
    of_address: dict[str, list[Member]] = defaultdict(list)
    for member in all_members:
        for address in {_address(email) for email in member.emails}:
            of_address[address].append(member)
    wanted_by: dict[str, int] = defaultdict(int)
    for person in everybody:
        for member in of_address.get(_address(person.email), ()) if person.active else ():
            wanted_by[member.id] += 1
    rows = []
    for person in everybody:
        if (mapping := by_user.pop(person.id, None)) is not None:
            rows.append(PersonRow(person, mapping))
        elif person.active:
            rows.append(_unmapped(person, of_address, wanted_by, taken))
    rows += [
        PersonRow(Person(user_id, mapping.user_name, active=False), mapping)
        for user_id, mapping in by_user.items()
    ]
    used = taken | {row.match.id for row in rows if row.match is not None}
    return MemberPlan(tuple(rows), tuple(m for m in _by_name(all_members) if m.id not in used))


def _unmapped(
    person: Person,
    of_address: Mapping[str, list[Member]],
    wanted_by: Mapping[str, int],
    taken: set[str],
) -> PersonRow:
    address = _address(person.email)
    if not address:
        return PersonRow(person, why=Unmatched.NO_EMAIL)
    candidates = tuple(of_address.get(address, ()))
    if not candidates:
        return PersonRow(person, why=Unmatched.NO_MEMBER)
    if len(candidates) > 1 or wanted_by[candidates[0].id] > 1:
        return PersonRow(person, why=Unmatched.AMBIGUOUS, candidates=candidates)
    if candidates[0].id in taken:
        return PersonRow(person, why=Unmatched.TAKEN, candidates=candidates)
    return PersonRow(person, match=candidates[0])


def _address(email: str) -> str:
    """Return an address as it is compared; empty for what is none."""
    cleaned = email.strip().lower()
    return cleaned if "@" in cleaned else ""


def _by_name(found: Iterable[Member]) -> list[Member]:
    return sorted(found, key=lambda member: (member.name.casefold(), member.id))


def _asked(tenant: Tenant, connection_id: int) -> Connection:
    connection = connection_get(tenant, connection_id)
    if connection.state == ConnectionState.DISABLED:
        raise ConflictError("The connection is disabled.", code="connection-disabled")
    return connection
