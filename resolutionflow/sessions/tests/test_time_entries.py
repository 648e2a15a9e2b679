"""Tests of time as somebody wants it entered: zones, bad times, whose it is, and what the customer reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from psa import services as psa_services
from psa.exceptions import InvalidInputError
from psa.types import Actor, BillableOption, PartPreview, StatusPart, TimeObjection, TimePart
from resolutionflow.accounts.models import Account, User
from resolutionflow.accounts.services import user_create
from resolutionflow.sessions import selectors, services
from resolutionflow.sessions.models import FlowSession, SessionStep
from resolutionflow.sessions.services.time_entries import TimeWish, moment, time_judge, time_plan, within
from resolutionflow.sessions.tests.conftest import STEP_BODY, Delivery

BERLIN = ZoneInfo("Europe/Berlin")
OVERLAP = TimeObjection("overlap", "You already have 0.50 h here, 14:00–14:30.")
CLOSED = TimeObjection("period-closed", "March is closed.")


@pytest.fixture
def ben(account: Account) -> Actor:
    user = user_create(account, username="ben", password="x", first_name="Ben", last_name="Builder")
    return Actor(user.pk, user.display_name)


@pytest.fixture
def worked(account: Account, actor: Actor, ben: Actor, linked: FlowSession) -> FlowSession:
    """Begun at 13:00 UTC on 2 March: Eva's step 13:10, Ben's step 13:40."""
    services.step_add(account, linked.pk, actor=ben, body="Exchanged the fuser unit.")
    start = datetime(2026, 3, 2, 13, 0, tzinfo=UTC)
    FlowSession.objects.filter(pk=linked.pk).update(started_at=start)
    for position, minute in ((1, 10), (2, 40)):
        SessionStep.objects.filter(session=linked, position=position).update(
            created_at=start + timedelta(minutes=minute)
        )
    return selectors.session_get(account, linked.pk)


def wish(**values: Any) -> TimeWish:
    start = datetime(2026, 3, 2, 13, 0, tzinfo=UTC)
    return TimeWish(**{"start": start, "end": start + timedelta(minutes=30), **values})


def refusal(call: Any) -> InvalidInputError:
    with pytest.raises(InvalidInputError) as caught:
        call()
    return caught.value


# zones ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "utc"),
    [
        (datetime(2026, 3, 2, 14, 0), datetime(2026, 3, 2, 13, 0)),
        (datetime(2026, 7, 2, 14, 0, 5, 999), datetime(2026, 7, 2, 12, 0, 5)),
        (datetime(2026, 3, 2, 14, 0, tzinfo=ZoneInfo("Asia/Kolkata")), datetime(2026, 3, 2, 8, 30)),
    ],
)
def test_a_time_without_offset_is_meant_in_the_engineers_zone(typed: datetime, utc: datetime) -> None:
    assert moment(typed, BERLIN, "start") == utc.replace(tzinfo=UTC)
    assert moment(typed, BERLIN, "start").tzinfo is UTC


def test_an_hour_that_came_twice_must_say_which() -> None:
    exc = refusal(lambda: moment(datetime(2026, 10, 25, 2, 30), BERLIN, "start"))

    assert exc.code == "ambiguous-time"
    (sentence,) = exc.fields["start"]
    assert "2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00" in sentence
    for text, hour in (("2026-10-25T02:30:00+02:00", 0), ("2026-10-25T02:30:00+01:00", 1)):
        assert moment(datetime.fromisoformat(text), BERLIN, "start").hour == hour


def test_an_hour_that_never_came_is_no_time() -> None:
    exc = refusal(lambda: moment(datetime(2026, 3, 29, 2, 30), BERLIN, "end"))

    assert list(exc.fields["end"]) == ["The clock went forward that night: 02:30 never came."]


@pytest.mark.parametrize("year", [1, 1999, 2201, 9999])
def test_years_nobody_works_in_are_refused(year: int) -> None:
    far = datetime(year, 1, 1, tzinfo=ZoneInfo("Pacific/Auckland"))

    assert "start" in refusal(lambda: moment(far, BERLIN, "start")).fields


def test_a_span_over_the_change_of_the_clock_is_as_long_as_it_was(
    worked: FlowSession, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timezone, "now", lambda: datetime(2026, 12, 1, tzinfo=UTC))
    start, end = datetime(2026, 10, 25, 1, 30), datetime(2026, 10, 25, 3, 30)

    (part,) = time_plan(worked, wish(start=start, end=end), actor).parts

    assert part.ended_at - part.started_at == timedelta(hours=3)


# bad times --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minutes", "values", "name", "sentence"),
    [
        (0, {}, "end", "The end must be after the start."),
        (-5, {}, "end", "The end must be after the start."),
        (24 * 60 + 1, {}, "end", "A time entry may span 24 hours at most: make one for each day."),
        (30, {"deduct_minutes": -1}, "deduct_minutes", "Pauses cannot be less than none."),
        (30, {"deduct_minutes": 30}, "deduct_minutes", "The pauses leave nothing of the time."),
        (30, {"accept": frozenset({"period-closed"})}, "accept", "Only overlap and same-day can be accepted"),
        (30, {"notes": "x" * 301}, "notes", "One sentence, please: at most 300 characters, this has 301."),
        (30, {"notes": f"Well: {STEP_BODY}."}, "notes", "This repeats a step"),
        (30, {"notes": "exchanged  the FUSER\nunit."}, "notes", "This repeats a step"),
    ],
)
def test_bad_times_name_the_field(
    worked: FlowSession, actor: Actor, minutes: int, values: dict[str, Any], name: str, sentence: str
) -> None:
    end = datetime(2026, 3, 2, 13, 0, tzinfo=UTC) + timedelta(minutes=minutes)

    exc = refusal(lambda: time_plan(worked, wish(end=end, **values), actor))

    assert exc.fields[name][0].startswith(sentence)


def test_time_that_is_still_to_come_is_refused(worked: FlowSession, actor: Actor) -> None:
    now = timezone.now()

    exc = refusal(lambda: time_plan(worked, wish(start=now, end=now + timedelta(minutes=10)), actor))

    assert list(exc.fields["end"]) == ["The end lies in the future: enter time once it was worked."]


def test_a_clock_that_runs_a_minute_ahead_is_no_future(worked: FlowSession, actor: Actor) -> None:
    now = timezone.now()
    soon = wish(start=now - timedelta(minutes=10), end=now + timedelta(minutes=1))

    assert time_plan(worked, soon, actor).parts


def test_fields_of_a_completion_are_told_below_time() -> None:
    with pytest.raises(InvalidInputError) as caught, within("time"):
        raise InvalidInputError("No.", code="x", fields={"start": ["No."]})

    assert (caught.value.code, caught.value.fields) == ("x", {"time.start": ["No."]})


# whose time it is -------------------------------------------------------------------------------


def test_alone_only_ones_own_time_is_entered(worked: FlowSession, actor: Actor) -> None:
    (part,) = time_plan(worked, wish(deduct_minutes=10, work_type="3", work_role="4"), actor).parts

    assert part.engineer == actor
    assert (part.ended_at - part.started_at, part.deduct_s) == (timedelta(minutes=30), 600)
    assert (part.work_type, part.work_role) == ("3", "4")


def test_completing_enters_a_colleagues_time_from_the_session(
    worked: FlowSession, actor: Actor, ben: Actor
) -> None:
    asked = wish(billable=BillableOption.NO_CHARGE, work_type="3", work_role="4", agreement="5", hold=True)

    mine, his = time_plan(worked, asked, actor, completing=True).parts

    assert (mine.engineer, his.engineer) == (actor, ben)
    assert his.started_at == datetime(2026, 3, 2, 13, 10, tzinfo=UTC)
    assert his.ended_at == datetime(2026, 3, 2, 13, 40, tzinfo=UTC)
    assert (his.billable, his.agreement, his.hold) == (BillableOption.NO_CHARGE, "5", True)
    assert (his.work_type, his.work_role) == ("", "")


def test_only_mine_enters_nothing_for_colleagues(worked: FlowSession, actor: Actor) -> None:
    assert len(time_plan(worked, wish(only_mine=True), actor, completing=True).parts) == 1


def test_what_a_colleague_cannot_get_is_told(worked: FlowSession, actor: Actor) -> None:
    late = datetime(2026, 3, 5, tzinfo=UTC)
    SessionStep.objects.filter(session=worked, position=2).update(created_at=late)
    long = selectors.session_get(worked.account, worked.pk)
    SessionStep.objects.filter(session=worked, position=2).update(author=None)
    gone = selectors.session_get(worked.account, worked.pk)

    (left,) = time_plan(long, wish(), actor, completing=True).left_out
    assert (left.kind, left.reason.split(":")[0]) == ("time", "Ben Builder")
    assert "more than 24 hours" in left.reason
    assert len(time_plan(gone, wish(), actor, completing=True).parts) == 1


def test_a_colleague_who_entered_the_time_gets_no_second_entry(
    account: Account, worked: FlowSession, actor: Actor, ben: Actor
) -> None:
    unit = psa_services.unit_enqueue(
        account, worked.link_id or 0, [StatusPart("New")], actor=ben, origin=worked.origin
    )
    rows = Delivery.objects.filter(unit=unit)
    rows.update(kind="time", payload={"engineer": {"id": ben.user_id}}, marker="RF-TIME")

    queued = time_plan(worked, wish(), actor, completing=True)
    rows.update(state="dead", problem={"code": "held-for-lead", "text": "It waits for a lead.", "remedy": ""})
    held = time_plan(worked, wish(), actor, completing=True)
    rows.update(state="discarded", discard_reason="Wrong.")
    gone = time_plan(worked, wish(), actor, completing=True)

    assert [part.engineer for part in queued.parts] == [actor]
    assert [part.engineer for part in held.parts] == [actor], "a lead who lets it go enters it twice"
    assert [left.reason for left in queued.left_out] == ["Ben Builder: has time of this session already."]
    assert [part.engineer for part in gone.parts] == [actor, ben]


# what is read where -----------------------------------------------------------------------------


def test_steps_stand_beside_the_time_of_who_did_them_and_nowhere_else(
    worked: FlowSession, actor: Actor
) -> None:
    mine, his = time_plan(worked, wish(), actor, completing=True).parts

    assert STEP_BODY in mine.internal_notes
    assert STEP_BODY not in his.internal_notes
    assert "2. Exchanged the fuser unit." in his.internal_notes
    assert "Exchanged" not in mine.internal_notes
    for part in (mine, his):
        assert STEP_BODY not in part.notes
        assert "Exchanged" not in part.notes


def test_the_invoice_says_the_tickets_own_summary_or_nothing(
    account: Account, worked: FlowSession, actor: Actor
) -> None:
    (same,) = time_plan(worked, wish(), actor).parts
    services.session_update(account, worked.pk, title="Customer broke it again")
    (other,) = time_plan(selectors.session_get(account, worked.pk), wish(), actor).parts

    assert same.notes == "Worked on: Printer offline"
    assert other.notes == ""


def test_a_title_that_holds_a_step_does_not_reach_the_invoice(
    account: Account, worked: FlowSession, actor: Actor
) -> None:
    SessionStep.objects.filter(session=worked, position=1).update(result="printer OFFLINE")

    (part,) = time_plan(selectors.session_get(account, worked.pk), wish(), actor).parts

    assert part.notes == ""


def test_many_steps_are_counted_beside_the_time(account: Account, worked: FlowSession, actor: Actor) -> None:
    for number in range(20):
        services.step_add(account, worked.pk, actor=actor, body=f"{number} " + "x" * 900)

    (part,) = time_plan(selectors.session_get(account, worked.pk), wish(), actor).parts

    assert len(part.internal_notes) < 8_500
    assert part.internal_notes.endswith("more steps are in the internal note of this session.")


# what stands against it -------------------------------------------------------------------------


@pytest.fixture
def objections(monkeypatch: pytest.MonkeyPatch) -> dict[int | None, list[TimeObjection]]:
    """What the PSA has against the time of a user."""
    told: dict[int | None, list[TimeObjection]] = {}

    def unit_preview(account: Any, link_id: int, parts: list[TimePart], *, actor: Actor) -> Any:
        return [
            PartPreview(
                "time",
                1,
                1,
                "",
                "staff",
                (),
                "",
                "member",
                objections=tuple(told.get(part.engineer.user_id, ())),
            )
            for part in parts
        ]

    monkeypatch.setattr(psa_services, "unit_preview", unit_preview)
    return told


def judged(session: FlowSession, asked: TimeWish, actor: Actor) -> Any:
    plan = time_plan(session, asked, actor, completing=True)
    return time_judge(session.account, session.link_id or 0, plan, asked, actor)


def test_nothing_against_it(worked: FlowSession, actor: Actor, objections: Any) -> None:
    assert judged(worked, wish(), actor) == {}


def test_what_the_psa_would_refuse_is_refused_at_once(
    worked: FlowSession, actor: Actor, ben: Actor, objections: Any
) -> None:
    objections[ben.user_id] = [CLOSED]

    exc = refusal(lambda: judged(worked, wish(), actor))

    assert exc.code == "period-closed"
    assert exc.fields == {"start": ["Ben Builder: March is closed."]}
    assert judged(worked, wish(hold=True), actor) == {}
    assert judged(worked, wish(only_mine=True), actor) == {}


@pytest.mark.parametrize("code", ["overlap", "same-day"])
def test_time_that_is_there_is_added_to_or_skipped(
    worked: FlowSession, actor: Actor, objections: Any, code: str
) -> None:
    objections[actor.user_id] = [TimeObjection(code, OVERLAP.text)]

    exc = refusal(lambda: judged(worked, wish(), actor))

    assert (exc.code, exc.fields) == ("time-overlap", {"start": [OVERLAP.text]})
    assert judged(worked, wish(accept=frozenset({code})), actor) == {}
    assert judged(worked, wish(skip=True), actor) == {actor.user_id: OVERLAP.text}


def test_accepting_one_objection_does_not_accept_the_other(
    worked: FlowSession, actor: Actor, objections: Any
) -> None:
    objections[actor.user_id] = [OVERLAP, TimeObjection("same-day", "There is more that day.")]

    exc = refusal(lambda: judged(worked, wish(accept=frozenset({"overlap"})), actor))

    assert exc.fields == {"start": ["There is more that day."]}


def test_holding_does_not_answer_whether_it_is_a_double(
    worked: FlowSession, actor: Actor, objections: Any
) -> None:
    objections[actor.user_id] = [CLOSED, OVERLAP]

    assert refusal(lambda: judged(worked, wish(hold=True), actor)).code == "time-overlap"


def test_who_is_skipped_gets_no_entry_and_a_reason(worked: FlowSession, actor: Actor, ben: Actor) -> None:
    plan = time_plan(worked, wish(), actor, completing=True).without({ben.user_id: "Ben has it."})

    assert [part.engineer for part in plan.parts] == [actor]
    assert [(left.kind, left.reason) for left in plan.left_out] == [("time", "Ben has it.")]


def test_another_user_is_only_who_has_the_id(worked: FlowSession, outsider: User) -> None:
    stranger = Actor(outsider.pk, "Eva Engineer")

    (mine, *others) = time_plan(worked, wish(), stranger, completing=True).parts

    assert STEP_BODY not in mine.internal_notes
    assert len(others) == 2
