"""Time entries on their way: once, for their engineer, with nothing where the customer reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from psa import selectors, services
from psa.exceptions import InvalidInputError, RoleError
from psa.models import AuditEntry, Connection, Delivery, MemberMapping, TicketLink, WorkUnit
from psa.outbox.recheck import duplicate_problem
from psa.outbox.tests.conftest import notes_of
from psa.providers.connectwise.provider import ConnectWiseProvider
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Actor, NoteKind, NotePart, Ref, Scope, StatusPart, TimeEntry, TimePart
from resolutionflow.accounts.models import Account, User

NINE = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
SECRET = "Door code 4711"


@pytest.fixture
def mapped(connection: Connection, user: User) -> MemberMapping:
    return map_to(connection, user, "103", "Ann Lee")


def map_to(connection: Connection, user: User, member_id: str, name: str) -> MemberMapping:
    return MemberMapping.objects.create(
        tenant_id=connection.tenant_id,
        connection=connection,
        user=user,
        user_name=user.username,
        member_id=member_id,
        member_name=name,
        how="manual",
    )


def worked(actor: Actor, **changes: Any) -> TimePart:
    facts: dict[str, Any] = {
        "engineer": actor,
        "started_at": NINE,
        "ended_at": NINE + timedelta(minutes=40),
        "deduct_s": 600,
        "notes": "Printer works again.",
        "internal_notes": SECRET,
    }
    return TimePart(**facts | changes)


def whole(actor: Actor, **changes: Any) -> list[Any]:
    # In another order than they are delivered in: time goes before the status, which may close the ticket.
    return [
        NotePart(NoteKind.ANALYSIS, "Swapped the fuser."),
        StatusPart("In Progress"),
        worked(actor, **changes),
    ]


def entries(sandbox: SandboxServer) -> list[dict[str, Any]]:
    """Return the entries that carry a marker of ours, oldest first."""
    rows = sandbox.gateway.state.store.table("time/entries").rows.values()
    return [row.data for row in rows if "Ref RF-" in row.data.get("internalNotes", "")]


def states(unit: WorkUnit) -> dict[str, str]:
    return dict(Delivery.objects.filter(unit=unit).order_by("seq").values_list("kind", "state"))


@pytest.mark.usefixtures("mapped")
def test_note_time_and_status_are_one_unit_each_part_once(
    tenant: Account, actor: Actor, link: TicketLink, sandbox: SandboxServer, run: Callable[..., None]
) -> None:
    unit = services.unit_enqueue(tenant, link.pk, whole(actor), actor=actor)
    assert [row.kind for row in unit.posted] == ["analysis", "time", "status"]
    run()
    assert states(unit) == {"analysis": "delivered", "time": "delivered", "status": "delivered"}
    [entry] = entries(sandbox)
    assert (entry["chargeToId"], entry["chargeToType"]) == (int(link.ticket_id), "ServiceTicket")
    assert (entry["timeStart"], entry["timeEnd"]) == ("2026-11-02T09:00:00Z", "2026-11-02T09:40:00Z")
    assert entry["member"]["id"] == 103
    assert entry["notes"] == "Printer works again."
    time = Delivery.objects.get(unit=unit, kind="time")
    assert entry["internalNotes"] == f"{SECRET}\n\n{time.marker}"
    assert (time.external_id, time.author_name, time.author_kind) == (str(entry["id"]), "Ann Lee", "member")
    shown = [note for note in notes_of(sandbox, link.ticket_id) if not note["internalAnalysisFlag"]]
    assert not any(SECRET in note["text"] for note in shown)
    audit = AuditEntry.objects.get(verb="time.entered")
    assert (audit.facts["hours"], audit.facts["engineer"]) == (0.5, "Erin Example")
    assert (audit.customer_visible, SECRET in str(audit.facts)) == (True, False)
    assert WorkUnit.objects.get(pk=unit.pk).state == "delivered"


@pytest.mark.usefixtures("mapped")
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "drop_before"},
        {"kind": "drop_after"},
        {"kind": "garbage"},
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 500, "after": True},
    ],
)
def test_an_unclear_answer_is_looked_up_and_time_stands_there_once(
    tenant: Account,
    actor: Actor,
    link: TicketLink,
    sandbox: SandboxServer,
    run: Callable[..., None],
    fault: dict[str, Any],
) -> None:
    unit = services.unit_enqueue(tenant, link.pk, whole(actor), actor=actor)
    sandbox.faults.add(method="POST", path="/time/entries$", count=1, **fault)
    for _ in range(4):
        run(later=True)
    assert states(unit) == {"analysis": "delivered", "time": "delivered", "status": "delivered"}
    assert len(entries(sandbox)) == 1


@pytest.mark.usefixtures("mapped")
def test_a_closed_period_leaves_note_and_status_done_and_one_part_needs_a_person(
    tenant: Account,
    actor: Actor,
    scope: Scope,
    link: TicketLink,
    sandbox: SandboxServer,
    run: Callable[..., None],
) -> None:
    sandbox.configure(time_closed_before="2026-11-09T00:00:00Z")
    unit = services.unit_enqueue(tenant, link.pk, whole(actor), actor=actor)
    run()
    assert states(unit) == {"analysis": "delivered", "time": "dead", "status": "delivered"}
    assert WorkUnit.objects.get(pk=unit.pk).state == "blocked"
    time = Delivery.objects.get(unit=unit, kind="time")
    assert time.problem is not None
    assert time.problem["code"] == "period-closed"
    sandbox.configure(time_closed_before=None)
    services.delivery_retry(tenant, time.pk, scope=scope)
    run()
    assert len(entries(sandbox)) == 1
    assert WorkUnit.objects.get(pk=unit.pk).state == "delivered"


def test_nobody_elses_time_is_entered_for_an_engineer_without_a_member(
    tenant: Account,
    actor: Actor,
    scope: Scope,
    user: User,
    connection: Connection,
    link: TicketLink,
    sandbox: SandboxServer,
    run: Callable[..., None],
) -> None:
    unit = services.unit_enqueue(tenant, link.pk, whole(actor), actor=actor)
    run()
    assert states(unit) == {"analysis": "delivered", "time": "dead", "status": "delivered"}
    assert entries(sandbox) == []
    time = Delivery.objects.get(unit=unit, kind="time")
    assert (time.problem or {})["code"] == "time-not-mapped"
    map_to(connection, user, "103", "Ann Lee")
    services.delivery_retry(tenant, time.pk, scope=scope)
    run()
    assert [entry["member"]["id"] for entry in entries(sandbox)] == [103]


@pytest.mark.usefixtures("mapped")
def test_each_engineer_gets_an_entry_under_their_own_member(
    tenant: Account,
    actor: Actor,
    connection: Connection,
    link: TicketLink,
    sandbox: SandboxServer,
    run: Callable[..., None],
) -> None:
    colleague = User.objects.create_user("ben", first_name="Ben", last_name="Roe")
    map_to(connection, colleague, "104", "Ben Roe")
    parts = [worked(actor), worked(Actor(colleague.pk, "Ben Roe"), internal_notes="Mine")]
    services.unit_enqueue(tenant, link.pk, parts, actor=actor)
    run()
    assert [entry["member"]["id"] for entry in entries(sandbox)] == [103, 104]


@pytest.mark.usefixtures("mapped")
def test_what_is_held_for_a_lead_holds_nothing_else_and_only_a_lead_lets_it_go(
    tenant: Account,
    actor: Actor,
    scope: Scope,
    link: TicketLink,
    sandbox: SandboxServer,
    run: Callable[..., None],
) -> None:
    unit = services.unit_enqueue(tenant, link.pk, whole(actor, hold=True), actor=actor)
    assert unit.state == "blocked"
    run()
    assert states(unit) == {"analysis": "delivered", "time": "dead", "status": "delivered"}
    time = Delivery.objects.get(unit=unit, kind="time")
    with pytest.raises(RoleError):
        services.delivery_retry(tenant, time.pk, scope=scope)
    lead = Scope(tenant, actor, can_lead=True, can_post=True)
    services.delivery_retry(tenant, time.pk, scope=lead)
    run()
    assert len(entries(sandbox)) == 1


@pytest.mark.usefixtures("mapped")
def test_time_that_is_left_out_takes_no_status_with_it(
    tenant: Account, actor: Actor, scope: Scope, link: TicketLink, run: Callable[..., None]
) -> None:
    unit = services.unit_enqueue(tenant, link.pk, whole(actor, hold=True), actor=actor)
    services.delivery_discard(tenant, unit.posted[1].pk, scope=scope, reason="not billed")
    assert states(unit) == {"analysis": "ready", "time": "discarded", "status": "ready"}
    run()
    assert states(unit) == {"analysis": "delivered", "time": "discarded", "status": "delivered"}


@pytest.mark.usefixtures("mapped")
def test_a_ticket_that_may_not_be_read_before_time_holds_no_status(
    tenant: Account, actor: Actor, link: TicketLink, sandbox: SandboxServer, run: Callable[..., None]
) -> None:
    unit = services.unit_enqueue(tenant, link.pk, [worked(actor), StatusPart("In Progress")], actor=actor)
    # Long ago, so that the ticket is read before anything is sent.
    TicketLink.objects.update(updated_at=NINE - timedelta(days=30))
    path = f"/service/tickets/{link.ticket_id}$"
    sandbox.faults.add("status", method="GET", path=path, status=403, count=1)
    run()
    assert states(unit) == {"time": "dead", "status": "delivered"}
    assert entries(sandbox) == []


def test_a_time_entry_found_twice_is_told_as_one() -> None:
    assert duplicate_problem("time", 2)["text"] == "This time entry stands 2 times on the ticket."


@pytest.mark.usefixtures("mapped")
def test_a_missing_right_needs_a_person_and_holds_nothing_else(
    tenant: Account, actor: Actor, link: TicketLink, sandbox: SandboxServer, run: Callable[..., None]
) -> None:
    sandbox.faults.add("status", method="POST", path="/time/entries$", status=403)
    unit = services.unit_enqueue(tenant, link.pk, whole(actor), actor=actor)
    run()
    assert states(unit) == {"analysis": "delivered", "time": "dead", "status": "delivered"}
    problem = Delivery.objects.get(unit=unit, kind="time").problem or {}
    assert (problem["code"], "Time Entry" in problem["remedy"]) == ("psa-permission", True)


@pytest.mark.usefixtures("mapped")
def test_the_preview_tells_hours_rounding_readers_and_what_is_there(
    tenant: Account, actor: Actor, link: TicketLink, run: Callable[..., None]
) -> None:
    [preview] = services.unit_preview(tenant, link.pk, [worked(actor)], actor=actor)
    assert (str(preview.hours), str(preview.billed_hours)) == ("0.5", "0.50")
    assert (preview.visible_to, preview.author, preview.objections) == ("customer", "Ann Lee", ())
    assert preview.notes == ("Prints on the invoice.",)
    assert SECRET not in preview.text
    assert preview.internal_text == SECRET
    services.unit_enqueue(tenant, link.pk, [worked(actor)], actor=actor)
    run()
    [again] = services.unit_preview(tenant, link.pk, [worked(actor)], actor=actor)
    assert [one.code for one in again.objections] == ["overlap"]


@pytest.mark.usefixtures("mapped")
def test_the_preview_passes_while_the_psa_is_down(
    tenant: Account, actor: Actor, link: TicketLink, sandbox: SandboxServer
) -> None:
    sandbox.faults.add("status", status=503)
    [preview] = services.unit_preview(tenant, link.pk, [worked(actor)], actor=actor)
    assert preview.objections == ()
    assert "cannot be asked" in preview.notes[-1]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ended_at": NINE}, "end"),
        ({"ended_at": NINE + timedelta(milliseconds=700), "deduct_s": 0}, "end"),
        ({"ended_at": NINE - timedelta(hours=1)}, "end"),
        ({"ended_at": NINE + timedelta(hours=24, seconds=1)}, "end"),
        (
            {"started_at": datetime(2126, 1, 1, tzinfo=UTC), "ended_at": datetime(2126, 1, 1, 1, tzinfo=UTC)},
            "end",
        ),
        ({"deduct_s": 2400}, "deduct_minutes"),
        ({"deduct_s": -1}, "deduct_minutes"),
        ({"notes": "x" * 501}, "notes"),
    ],
)
def test_impossible_time_is_refused_by_its_field_and_nothing_is_stored(
    tenant: Account, actor: Actor, link: TicketLink, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        services.unit_enqueue(tenant, link.pk, [worked(actor, **changes)], actor=actor)
    assert list(caught.value.fields) == [field]
    assert not Delivery.objects.exists()


@pytest.mark.usefixtures("mapped")
def test_time_that_is_still_on_its_way_is_told_before_the_same_is_posted_again(
    tenant: Account, actor: Actor, link: TicketLink, sandbox: SandboxServer
) -> None:
    services.unit_enqueue(tenant, link.pk, [worked(actor)], actor=actor)
    later = {"started_at": NINE + timedelta(hours=2), "ended_at": NINE + timedelta(hours=3)}
    tomorrow = {"started_at": NINE + timedelta(days=1), "ended_at": NINE + timedelta(days=1, hours=1)}
    sandbox.faults.add("status", status=503)
    told = [
        [
            objection.code
            for objection in services.unit_preview(tenant, link.pk, [part], actor=actor)[0].objections
        ]
        for part in (worked(actor), worked(actor, **later), worked(actor, **tomorrow))
    ]
    assert told == [["overlap"], ["same-day"], []]


@pytest.mark.usefixtures("mapped")
@pytest.mark.parametrize("held", [True, False])
def test_a_status_can_be_made_to_wait_for_its_time(
    tenant: Account,
    actor: Actor,
    link: TicketLink,
    sandbox: SandboxServer,
    run: Callable[..., None],
    settings: Any,
    held: bool,
) -> None:
    settings.PSA = {**settings.PSA, "STATUS_NEEDS_TIME": True}
    sandbox.configure(time_closed_before="2099-01-01T00:00:00Z")
    unit = services.unit_enqueue(tenant, link.pk, whole(actor, hold=held), actor=actor)
    run()
    assert states(unit) == {"analysis": "delivered", "time": "dead", "status": "ready"}
    assert Delivery.objects.get(unit=unit, kind="status").held_by == "dead"
    sandbox.configure(time_closed_before=None)
    time = Delivery.objects.get(unit=unit, kind="time")
    services.delivery_retry(tenant, time.pk, scope=Scope(tenant, actor, can_lead=True, can_post=True))
    run()
    assert states(unit) == {"analysis": "delivered", "time": "delivered", "status": "delivered"}


@pytest.mark.usefixtures("mapped")
def test_time_entered_for_somebody_else_is_a_loud_problem(
    tenant: Account,
    actor: Actor,
    link: TicketLink,
    run: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = ConnectWiseProvider.time_entry_add

    def other(*args: Any) -> TimeEntry:
        return replace(real(*args), member=Ref("150", "API Member"))

    monkeypatch.setattr(ConnectWiseProvider, "time_entry_add", other)
    unit = services.unit_enqueue(tenant, link.pk, [worked(actor)], actor=actor)
    run()
    delivery = Delivery.objects.get(unit=unit)
    assert (delivery.state, (delivery.problem or {})["code"]) == ("delivered", "entered-for-other")
    assert [problem.cause.code for problem in selectors.problems(tenant)] == ["entered-for-other"]


@pytest.mark.usefixtures("mapped")
def test_time_for_a_ticket_merged_just_now_waits_for_a_click(
    tenant: Account, actor: Actor, link: TicketLink, sandbox: SandboxServer, run: Callable[..., None]
) -> None:
    unit = services.unit_enqueue(tenant, link.pk, [worked(actor)], actor=actor)
    table = sandbox.store.table("service/tickets")
    child = table.rows[int(link.ticket_id)]
    table.put(child, {**child.data, "mergedParentTicket": {"id": 57051}})
    run()
    delivery = Delivery.objects.get(unit=unit)
    assert (delivery.state, (delivery.problem or {})["code"]) == ("dead", "ticket-merged")
    assert entries(sandbox) == []
