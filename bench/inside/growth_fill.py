"""Owns a queue of any size, written by the database itself: a million rows in a minute or two.

Nine in ten deliveries are delivered, one in ten waits for a broken connection; beside them stands a fixed
number of due ones that could run, and of sessions to post from. Nothing else depends on the size.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.core.management.color import no_style
from django.db import connection as database
from django.db import models, transaction
from django.db.models import Max
from django.utils import timezone

from psa.models import Connection, Delivery, DeliveryAttempt, MemberMapping, TicketLink, WorkUnit
from psa.models.connection import ConnectionState
from resolutionflow.accounts.models import Account, Role, User
from resolutionflow.accounts.services import token_create, user_create
from resolutionflow.sessions.models import FlowSession

HEALTHY = 10
"""Connections that delivered everything in the past."""
DUE_CONNECTIONS = 4
DUE_LANES = 16
"""Lanes with something due at each of them."""
PEOPLE = 20
SESSIONS = 64
LANE = 10
"""Deliveries of a ticket where all is done; half as many wait on a ticket of the broken connection."""
AGE_S = 60.0 * 86400
"""Age of the oldest delivery."""
TEXT = "Restarted the print spooler and printed a test page. " * 6


@dataclass(frozen=True, slots=True)
class Filled:
    """What to ask of the database once it is full."""

    lead: str
    """API token of a lead, who sees everything."""
    newcomer: str
    """API token of an engineer whose own deliveries are few."""
    sessions: list[int]
    broken: int
    quiet: int
    """A connection with few deliveries."""


def fill(rows: int) -> Filled:
    """Fill an empty database with so many deliveries and return what to ask it."""
    tenant = Account.objects.create(name="Bench", slug="bench")
    names = [f"engineer-{number}" for number in range(PEOPLE)]
    User.objects.bulk_create(User(username=name, password="!") for name in names)
    first_user = User.objects.order_by("pk").values_list("pk", flat=True)[0]
    connections = [_connection(tenant, number) for number in range(HEALTHY + DUE_CONNECTIONS + 1)]
    broken = connections[-1]
    MemberMapping.objects.bulk_create(
        MemberMapping(
            tenant=tenant,
            connection=connection,
            user_id=first_user + number,
            user_name=name,
            member_id=str(number + 1),
            member_name=name,
        )
        for connection in connections
        for number, name in enumerate(names)
    )
    now = timezone.now()
    Connection.objects.filter(pk=broken.pk).update(
        state=ConnectionState.BROKEN,
        state_since=now - timedelta(days=2),
        next_probe_at=now + timedelta(days=1),
    )
    with transaction.atomic():
        _history(rows * 9 // 10, tenant.pk, connections[0].pk, first_user)
        _held(rows // 10, tenant.pk, broken.pk, first_user)
    _sequences()
    newcomer = user_create(tenant, username="newcomer", password=uuid.uuid4().hex, role=Role.ENGINEER)
    lead = user_create(tenant, username="lead", password=uuid.uuid4().hex, role=Role.LEAD)
    due_at = now - timedelta(minutes=1)
    for connection in connections[HEALTHY:-1]:
        for number in range(DUE_LANES):
            _due(tenant, connection, number, due_at, newcomer)
    sessions = []
    for number in range(SESSIONS):
        link = _link(tenant, connections[number % HEALTHY], f"9{number:08}")
        session = FlowSession.objects.create(
            account=tenant, title=f"Session {number}", link=link, linked_at=timezone.now()
        )
        sessions.append(session.pk)
    _analyze()
    return Filled(
        lead=token_create(lead, name="bench").key,
        newcomer=token_create(newcomer, name="bench").key,
        sessions=sessions,
        broken=broken.pk,
        quiet=connections[-2].pk,
    )


def _history(rows: int, tenant: int, connection: int, user: int) -> None:
    """Write delivered deliveries: LANE of them on each ticket, two to a unit, one attempt each."""
    age = f"({rows} - i) * {AGE_S / rows}"
    _write(
        TicketLink,
        rows // LANE,
        {
            "id": "i + 1",
            "tenant_id": str(tenant),
            "connection_id": f"{connection} + i % {HEALTHY}",
            "ticket_id": "CAST(i + 1 AS text)",
            "next_seq": str(LANE + 1),
        },
        record_type="service",
        summary="Printer offline",
    )
    _write(
        WorkUnit,
        rows // 2,
        {
            "id": "i + 1",
            "tenant_id": str(tenant),
            "link_id": f"i * 2 / {LANE} + 1",
            "origin": f"'session:' || CAST(1000 + i * 2 / {LANE} AS text)",
            "created_by_id": f"{user} + i % {PEOPLE}",
        },
        state="delivered",
        created_by_name="Erin Example",
    )
    _write(
        Delivery,
        rows,
        {
            "id": "i + 1",
            "tenant_id": str(tenant),
            "connection_id": f"{connection} + (i / {LANE}) % {HEALTHY}",
            "link_id": f"i / {LANE} + 1",
            "unit_id": "i / 2 + 1",
            "kind": "CASE i % 2 WHEN 0 THEN 'analysis' ELSE 'resolution' END",
            "seq": f"i % {LANE} + 1",
            "marker": "'Ref RF-' || CAST(100000000 + i AS text)",
            "due_at": _ago(age),
            "created_at": _ago(age),
            "delivered_at": _ago(age),
            "external_id": "CAST(i + 1 AS text)",
            "created_by_id": f"{user} + (i / 2) % {PEOPLE}",
        },
        payload={"text": TEXT, "notify": False},
        state="delivered",
        attempts=1,
        sends=1,
        author_name="API member",
        author_kind="api_member",
        created_by_name="Erin Example",
    )
    _write(
        DeliveryAttempt,
        rows,
        {"id": "i + 1", "delivery_id": "i + 1", "started_at": _ago(age), "duration_ms": "50 + i % 400"},
        action="send",
        outcome="delivered",
    )


def _held(rows: int, tenant: int, connection: int, user: int) -> None:
    """Write what waits for the broken connection: heads of lanes that are due, and what is behind them."""
    lane = LANE // 2
    link = TicketLink.objects.aggregate(last=Max("pk"))["last"] + 1
    unit = WorkUnit.objects.aggregate(last=Max("pk"))["last"] + 1
    delivery = Delivery.objects.aggregate(last=Max("pk"))["last"] + 1
    age = f"({rows} - i) * {2 * 86400 / rows}"
    _write(
        TicketLink,
        rows // lane,
        {
            "id": f"i + {link}",
            "tenant_id": str(tenant),
            "connection_id": str(connection),
            "ticket_id": "CAST(i + 1 AS text)",
            "next_seq": str(lane + 1),
        },
        record_type="service",
        summary="Mailbox full",
    )
    _write(
        WorkUnit,
        rows,
        {
            "id": f"i + {unit}",
            "tenant_id": str(tenant),
            "link_id": f"i / {lane} + {link}",
            "origin": f"'session:' || CAST(2000000 + i / {lane} AS text)",
            "created_by_id": f"{user} + i % {PEOPLE}",
        },
        state="open",
        created_by_name="Erin Example",
    )
    _write(
        Delivery,
        rows,
        {
            "id": f"i + {delivery}",
            "tenant_id": str(tenant),
            "connection_id": str(connection),
            "link_id": f"i / {lane} + {link}",
            "unit_id": f"i + {unit}",
            "seq": f"i % {lane} + 1",
            "marker": "'Ref RF-' || CAST(100000000 + i AS text)",
            "held_by": f"CASE i % {lane} WHEN 0 THEN '' ELSE 'earlier' END",
            "due_at": _ago(age),
            "created_at": _ago(age),
            "created_by_id": f"{user} + i % {PEOPLE}",
        },
        kind="analysis",
        payload={"text": TEXT, "notify": False},
        state="ready",
        author_name="API member",
        author_kind="api_member",
        created_by_name="Erin Example",
    )


def _write(model: type[models.Model], rows: int, computed: Mapping[str, str], **fixed: Any) -> None:
    """Insert rows numbered i from 0: computed columns by SQL, fixed fields by value, the rest by default."""
    columns, selected, values = [], [], []
    for field in model._meta.concrete_fields:
        columns.append(database.ops.quote_name(field.column))
        if field.column in computed:
            selected.append(computed[field.column])
            continue
        value = fixed[field.name] if field.name in fixed else field.get_default()
        if value is None and isinstance(field, models.DateTimeField) and not field.null:
            value = timezone.now()
        selected.append("%s")
        values.append(field.get_db_prep_save(value, database))
    table = database.ops.quote_name(model._meta.db_table)
    with database.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) "
            "WITH RECURSIVE numbers(i) AS "
            f"(SELECT 0 UNION ALL SELECT i + 1 FROM numbers WHERE i + 1 < {rows}) "
            f"SELECT {', '.join(part if part == '%s' else part.replace('%', '%%') for part in selected)} "
            "FROM numbers",
            values,
        )


def _ago(seconds: str) -> str:
    """Return the SQL of a moment so many seconds ago, as each database stores it."""
    if database.vendor == "sqlite":
        return f"strftime('%Y-%m-%d %H:%M:%f', 'now', '-' || ({seconds}) || ' seconds')"
    return f"now() - make_interval(secs => {seconds})"


def _connection(tenant: Account, number: int) -> Connection:
    return Connection.objects.create(
        tenant=tenant,
        provider="connectwise",
        name=f"PSA {number}",
        site=f"127.0.0.1:{number + 1}",
        company_id="bench",
        credentials={"company_id": "bench", "public_key": "x", "private_key": "x"},
        state=ConnectionState.CONNECTED,
    )


def _link(tenant: Account, connection: Connection, ticket_id: str) -> TicketLink:
    return TicketLink.objects.create(
        tenant=tenant, connection=connection, record_type="service", ticket_id=ticket_id
    )


def _due(tenant: Account, connection: Connection, number: int, due_at: Any, user: User) -> None:
    link = _link(tenant, connection, str(number + 1))
    author: dict[str, Any] = {"created_by": user, "created_by_name": "Nina Newcomer"}
    unit = WorkUnit.objects.create(tenant=tenant, link=link, **author)
    Delivery.objects.create(
        tenant=tenant,
        connection=connection,
        link=link,
        unit=unit,
        kind="analysis",
        seq=1,
        payload={"text": TEXT, "notify": False},
        marker=f"Ref RF-{number}",
        due_at=due_at,
        **author,
    )
    TicketLink.objects.filter(pk=link.pk).update(next_seq=2)


def _sequences() -> None:
    found = database.ops.sequence_reset_sql(no_style(), [TicketLink, WorkUnit, Delivery, DeliveryAttempt])
    with database.cursor() as cursor:
        for statement in found:
            cursor.execute(statement)


def _analyze() -> None:
    """Bring the planner's statistics up to date, as the database does by itself in life."""
    with database.cursor() as cursor:
        cursor.execute("ANALYZE" if database.vendor == "sqlite" else "VACUUM ANALYZE")
