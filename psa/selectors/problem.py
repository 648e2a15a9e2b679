"""Owns what needs a person, grouped by its cause. A new source of causes is a row in `_GROUPED`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from operator import itemgetter
from typing import Any

from django.db.models import Case, CharField, Count, F, Max, Min, Q, QuerySet, TextField, Value, When
from django.db.models.functions import Coalesce

from psa.exceptions import MissingError
from psa.json_text import JSONText
from psa.models import Connection, Delivery
from psa.models.connection import ConnectionState
from psa.models.delivery import NOTE_KINDS, OPEN_STATES, DeliveryState, HeldBy
from psa.outbox.hold import UNSETTLED
from psa.outbox.moves import NOT_REMOVED
from psa.outbox.outcome import POISON
from psa.outbox.time_entry import ENTERED_FOR_OTHER
from psa.types import Feature, Scope, Tenant

SAMPLES = 5
"""Deliveries a problem shows."""
NEWEST = 500
"""Newest deliveries of a source that samples are picked from; a group without any there shows its newest one.

Numbering 100,000 rows within their groups, to have five of each, takes as long as everything else together.
"""
SICK_STATES = (ConnectionState.DEGRADED, ConnectionState.BROKEN)
CLIENT_ID_REFUSED = "client-id-refused"
SHOWN_TO_CUSTOMER = "shown-to-customer"
FLAWS = ("duplicate", SHOWN_TO_CUSTOMER, ENTERED_FOR_OTHER, UNSETTLED, NOT_REMOVED)
"""Codes of delivered notes that a person has to look at."""
NOT_MAPPED = "not-mapped"
"""Code of what waits because nobody knows which member its author is."""
NOBODY = 0
"""No user has this id: whoever is no user has no deliveries of their own."""


class ProblemScope(StrEnum):
    """What a problem is about, and so who can solve it."""

    CONNECTION = "connection"
    """One connection is degraded or broken; its whole queue waits."""
    DELIVERIES = "deliveries"
    """Deliveries of one connection that have a cause in common."""
    OPERATOR = "operator"
    """Whoever runs this installation has to act, for all connections it touches."""


class Source(StrEnum):
    """Where a problem was found."""

    DEAD = "dead"
    """Deliveries that were given up."""
    HELD = "held"
    """Deliveries that wait for a permission."""
    UNMAPPED = "unmapped"
    """Deliveries that wait for their author to be mapped to a member."""
    FLAWED = "flawed"
    """Notes that are on their ticket, but twice, before the wrong eyes, or not as somebody wanted."""
    SICK = "sick"
    """Connections whose queue stands still."""


@dataclass(frozen=True, slots=True)
class Cause:
    """What the deliveries of a problem have in common. The problem's id is made of nothing else."""

    source: Source
    connection_id: int | None
    """None where one cause is behind several connections."""
    code: str = ""
    feature: str = ""
    """`notes`, `status` or another kind: what could not be done."""
    remedy: str = ""
    """The grant, where it is part of the cause."""
    created_by_id: int | None = None
    """The user who is mapped to no member, where that is the cause; None also where there is no such user."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One cause, with everything it touches.

    Units: id is positive and fits 52 bits, so that JavaScript can hold it; oldest_at is aware UTC.
    """

    id: int
    code: str
    text: str
    """Full sentence for a person."""
    remedy: str
    scope: ProblemScope
    connections: tuple[Connection, ...]
    """The one it is about; for an operator's problem all that it touches."""
    count: int
    """Deliveries it touches; for a connection those that wait."""
    oldest_at: datetime
    """When the oldest of them was posted; without any, since when the connection fares so."""
    deliveries: tuple[int, ...]
    """Ids of up to SAMPLES of them, the newest first."""
    can_retry: bool
    can_discard: bool
    cause: Cause = field(repr=False)

    @property
    def connection(self) -> Connection | None:
        """The connection it is about, None for an operator's problem."""
        return None if self.scope is ProblemScope.OPERATOR else self.connections[0]


@dataclass(frozen=True, slots=True)
class _Grouping:
    """Which deliveries a source has, and what they are grouped by."""

    condition: Q
    keys: tuple[str, ...]
    can_retry: bool = True


_GROUPED: Mapping[Source, _Grouping] = {
    Source.DEAD: _Grouping(Q(state=DeliveryState.DEAD), ("connection_id", "code", "feature")),
    Source.HELD: _Grouping(
        Q(state=DeliveryState.READY, held_by=HeldBy.PERMISSION), ("connection_id", "feature", "remedy")
    ),
    Source.UNMAPPED: _Grouping(
        Q(state=DeliveryState.READY, held_by=HeldBy.MAPPING), ("connection_id", "created_by_id")
    ),
    Source.FLAWED: _Grouping(
        Q(state=DeliveryState.DELIVERED, problem__isnull=False, flaw__in=FLAWS),
        ("connection_id", "code"),
        can_retry=False,
    ),
}


@dataclass(frozen=True, slots=True)
class _Group:
    """What the database knows of one group."""

    count: int
    oldest_at: datetime
    samples: tuple[Mapping[str, Any], ...]
    """{"pk": 40, "text": "…", "remedy": "…", "created_by_name": "…"}, the newest first; never empty."""

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(row["pk"] for row in self.samples)

    def word(self, name: str, *, instead: str, differ: str) -> str:
        """Return a text the samples agree on, `instead` of an empty one; `differ` takes the newest one's."""
        found = {row[name] for row in self.samples}
        newest = self.samples[0][name] or instead
        return newest if len(found) == 1 else differ.format(newest)


def problem_sight(scope: Scope) -> int | None:
    """Return the `created_by` a person may ask for: None, which is everyone's, or their own id."""
    if scope.can_lead:
        return None
    return NOBODY if scope.actor.user_id is None else scope.actor.user_id


def problems(tenant: Tenant, *, created_by: int | None = None) -> list[Problem]:
    """Return what needs a person, the operator's and the connections' first; then what customers see.

    created_by keeps the deliveries of one user; connections are everyone's matter.
    At most 16 queries, whatever there is.
    """
    found = {
        source: _groups(_rows(tenant, source, created_by), grouping.keys)
        for source, grouping in _GROUPED.items()
    }
    ids = {key[0] for groups in found.values() for key in groups}
    # A note stays on its ticket when its connection is deleted, so that one may be named here.
    known = {
        row.pk: row
        for row in Connection.objects.filter(tenant=tenant).filter(
            Q(pk__in=ids) | Q(deleted_at=None, state__in=SICK_STATES)
        )
    }
    answer = _of_connections(tenant, created_by, [row for row in known.values() if _is_sick(row)])
    for source, groups in found.items():
        for key, group in groups.items():
            cause = Cause(source, **dict(zip(_GROUPED[source].keys, key, strict=True)))
            answer.append(_of_deliveries(tenant, cause, known[key[0]], group))
    rank = [ProblemScope.OPERATOR, ProblemScope.CONNECTION, ProblemScope.DELIVERIES]
    return sorted(
        answer,
        key=lambda row: (rank.index(row.scope), row.code != SHOWN_TO_CUSTOMER, row.oldest_at, row.id),
    )


def problem_get(tenant: Tenant, problem_id: int, *, created_by: int | None = None) -> Problem:
    """Return one problem. Raises: MissingError, also when it was solved meanwhile."""
    for found in problems(tenant, created_by=created_by):
        if found.id == problem_id:
            return found
    raise MissingError("There is no such problem any more.")


def problem_deliveries(
    tenant: Tenant, problem: Problem, *, created_by: int | None = None
) -> QuerySet[Delivery]:
    """Return the deliveries that have a problem's cause now; for a connection those that wait."""
    cause = problem.cause
    if cause.source is Source.SICK:
        return _waiting(tenant, created_by, [row.pk for row in problem.connections])
    keys = _GROUPED[cause.source].keys
    return _rows(tenant, cause.source, created_by).filter(**{key: getattr(cause, key) for key in keys})


def _annotated(tenant: Tenant, created_by: int | None) -> QuerySet[Delivery]:
    rows = Delivery.objects.filter(tenant=tenant)
    if created_by is not None:
        rows = rows.filter(created_by_id=created_by)

    def word(name: str) -> Coalesce:
        return Coalesce(JSONText("problem", name), Value(""), output_field=TextField())

    feature = Case(
        When(kind__in=NOTE_KINDS, then=Value(Feature.NOTES.value)),
        default=F("kind"),
        output_field=CharField(),
    )
    # Without COALESCE, so that databases find the index on the expression.
    rows = rows.alias(flaw=JSONText("problem", "code"))
    return rows.annotate(code=word("code"), text=word("text"), remedy=word("remedy"), feature=feature)


def _rows(tenant: Tenant, source: Source, created_by: int | None) -> QuerySet[Delivery]:
    return _annotated(tenant, created_by).filter(_GROUPED[source].condition)


def _waiting(tenant: Tenant, created_by: int | None, connection_ids: Iterable[int]) -> QuerySet[Delivery]:
    rows = _annotated(tenant, created_by)
    return rows.filter(connection_id__in=list(connection_ids), state__in=OPEN_STATES)


def _groups(rows: QuerySet[Delivery], keys: tuple[str, ...]) -> dict[tuple[Any, ...], _Group]:
    """Return the groups of rows by the values of keys: one query counts, another two at most pick samples."""
    counted = {
        tuple(row[:-3]): row[-3:]
        for row in rows.order_by()
        .values_list(*keys)
        .annotate(Count("pk"), Min("created_at"), newest=Max("pk"))
    }
    if not counted:
        return {}
    wanted = {*keys, "pk", "text", "remedy", "created_by_name"}
    picked: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}

    def pick(found: Iterable[Mapping[str, Any]]) -> None:
        for row in found:
            samples = picked.setdefault(tuple(row[key] for key in keys), [])
            if len(samples) < SAMPLES:
                samples.append(row)

    if sum(count for count, _oldest, _newest in counted.values()) <= NEWEST:
        # Without a limit: for its sake SQLite would look for the newest ones through all there are.
        pick(sorted(rows.order_by().values(*wanted), key=itemgetter("pk"), reverse=True))
    else:
        pick(rows.order_by("-pk").values(*wanted)[:NEWEST])
    older = [newest for key, (_count, _oldest, newest) in counted.items() if key not in picked]
    if older:
        pick(rows.filter(pk__in=older).values(*wanted))
    # A group without samples was solved between the queries.
    return {
        key: _Group(count, oldest_at, tuple(picked[key]))
        for key, (count, oldest_at, _newest) in counted.items()
        if key in picked
    }


def _of_deliveries(tenant: Tenant, cause: Cause, connection: Connection, group: _Group) -> Problem:
    code, text, remedy = _words(cause, connection, group)
    return Problem(
        id=_id(tenant, cause),
        code=code,
        text=text,
        remedy=remedy,
        scope=ProblemScope.DELIVERIES,
        connections=(connection,),
        count=group.count,
        oldest_at=group.oldest_at,
        deliveries=group.ids,
        can_retry=_GROUPED[cause.source].can_retry,
        can_discard=True,
        cause=cause,
    )


def _words(cause: Cause, connection: Connection, group: _Group) -> tuple[str, str, str]:
    """Return code, text and remedy of a problem of deliveries."""
    if cause.source is Source.HELD:
        what = {Feature.NOTES.value: "notes", Feature.STATUS.value: "status changes"}.get(
            cause.feature, "this"
        )
        text = f"The security role of the API member does not allow {what} yet."
        return "psa-permission", text, cause.remedy or "Ask the PSA's admin for the permission."
    if cause.source is Source.UNMAPPED:
        who = group.word("created_by_name", instead="somebody", differ="{} and others")
        if cause.created_by_id is None:
            text = f"Nobody can be mapped to a member for what {who} posted: there is no such user any more."
            return NOT_MAPPED, text, "Discard it. Whoever still needs it posts it anew."
        text = f"What {who} posted waits, because {who} is mapped to no member of {connection.name}."
        remedy = f"A lead or an admin maps {who} to a member of this connection; it then goes by itself."
        return NOT_MAPPED, text, remedy
    return (
        cause.code or POISON,
        group.word("text", instead="It could not be posted.", differ="{} The others differ in detail."),
        group.word(
            "remedy",
            instead="Retry or discard it.",
            differ="What to do differs: look at each delivery.",
        ),
    )


def _is_sick(connection: Connection) -> bool:
    return connection.deleted_at is None and connection.state in SICK_STATES


def _of_connections(tenant: Tenant, created_by: int | None, sick: list[Connection]) -> list[Problem]:
    """Return a problem a connection, but one for all whose client id is refused."""
    if not sick:
        return []
    waiting = _groups(_waiting(tenant, created_by, [row.pk for row in sick]), ("connection_id",))
    refused = [row for row in sick if (row.problem or {}).get("code") == CLIENT_ID_REFUSED]
    found = [
        _of_sick(tenant, Cause(Source.SICK, row.pk, _said(row)["code"]), [row], waiting)
        for row in sick
        if row not in refused
    ]
    if refused:
        found.append(_of_sick(tenant, Cause(Source.SICK, None, CLIENT_ID_REFUSED), refused, waiting))
    return found


def _of_sick(
    tenant: Tenant, cause: Cause, connections: list[Connection], waiting: Mapping[tuple[Any, ...], _Group]
) -> Problem:
    groups = [waiting[(row.pk,)] for row in connections if (row.pk,) in waiting]
    since = [row.state_since or row.last_checked_at or row.created_at for row in connections]
    said = _said(connections[0])
    operator = cause.connection_id is None
    return Problem(
        id=_id(tenant, cause),
        code=cause.code,
        text=said["text"],
        remedy=(
            "Ask the operator of this installation to check the client id of the integration."
            if operator
            else said["remedy"]
        ),
        scope=ProblemScope.OPERATOR if operator else ProblemScope.CONNECTION,
        connections=tuple(connections),
        count=sum(group.count for group in groups),
        oldest_at=min((group.oldest_at for group in groups), default=min(since)),
        deliveries=tuple(sorted((pk for group in groups for pk in group.ids), reverse=True)[:SAMPLES]),
        can_retry=True,
        can_discard=False,
        cause=cause,
    )


def _said(connection: Connection) -> dict[str, str]:
    """Return what is stored about a sick connection, with words for what is missing."""
    instead = {
        "code": connection.state,
        "text": "The PSA cannot be used at the moment.",
        "remedy": "Test the connection.",
    }
    given = connection.problem or {}
    return {name: str(given.get(name) or text) for name, text in instead.items()}


def _id(tenant: Tenant, cause: Cause) -> int:
    facts = [
        str(tenant.pk),
        cause.source.value,
        cause.connection_id,
        cause.code,
        cause.feature,
        cause.remedy,
        cause.created_by_id,
    ]
    digest = sha256(json.dumps(facts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 12
