"""Who worked on a session and when: the rule on plain values, and pauses as they are stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from psa.exceptions import ConflictError, MissingError
from psa.types import Actor
from resolutionflow.accounts.models import Account
from resolutionflow.sessions import selectors, services
from resolutionflow.sessions.models import FlowSession, Outcome, SessionPause, SessionStep
from resolutionflow.sessions.worktime import Event, Worker, deducted_s, work_spans

BERLIN = ZoneInfo("Europe/Berlin")
EVA, BEN = Worker(1, "Eva"), Worker(2, "Ben")


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-02T{clock}:00+00:00")


def told(spans: Any) -> list[str]:
    return [
        f"{span.worker.name} {span.started_at:%H:%M}-{span.ended_at:%H:%M} {span.deduct_s // 60}"
        for span in spans
    ]


def test_time_runs_from_the_event_before_the_first_step_to_the_last_one() -> None:
    steps = [Event(at("14:10"), EVA), Event(at("14:30"), BEN), Event(at("14:40"), EVA)]

    assert told(work_spans(at("14:00"), steps)) == ["Eva 14:00-14:40 0", "Ben 14:10-14:30 0"]


def test_who_completes_worked_up_to_the_completion_even_without_a_step() -> None:
    steps = [Event(at("14:10"), EVA)]

    spans = work_spans(at("14:00"), steps, completion=Event(at("14:20"), BEN))
    own = work_spans(at("14:00"), steps, completion=Event(at("14:20"), EVA))

    assert told(spans) == ["Eva 14:00-14:10 0", "Ben 14:10-14:20 0"]
    assert told(own) == ["Eva 14:00-14:20 0"]


def test_pauses_come_off_whoever_they_fell_upon() -> None:
    steps = [Event(at("14:10"), EVA), Event(at("14:50"), BEN)]
    pauses = [(at("14:05"), at("14:20")), (at("14:30"), at("14:35"))]

    assert told(work_spans(at("14:00"), steps, pauses)) == ["Eva 14:00-14:10 5", "Ben 14:10-14:50 15"]


def test_overlapping_pauses_count_once() -> None:
    pauses = [(at("14:10"), at("14:30")), (at("14:00"), at("14:20")), (at("14:15"), at("14:16"))]

    assert deducted_s(at("14:05"), at("15:00"), pauses) == 25 * 60


def test_no_span_runs_backwards_when_clocks_of_servers_differ() -> None:
    steps = [Event(at("14:10"), EVA), Event(at("14:08"), BEN), Event(at("14:20"), BEN)]

    assert told(work_spans(at("14:00"), steps)) == ["Eva 14:00-14:10 0", "Ben 14:10-14:20 0"]


@pytest.mark.parametrize(
    ("end", "pauses", "objection"),
    [
        (timedelta(seconds=59), [], "Less than a minute was worked."),
        (timedelta(minutes=1), [], ""),
        (timedelta(hours=24), [], ""),
        (
            timedelta(hours=24, minutes=1),
            [],
            "The session was open for more than 24 hours: enter the time by hand.",
        ),
        (
            timedelta(minutes=10),
            [(timedelta(0), timedelta(minutes=10))],
            "Less than a minute was worked.",
        ),
    ],
)
def test_what_cannot_be_entered_says_why(end: timedelta, pauses: Any, objection: str) -> None:
    start = at("14:00")
    rests = [(start + first, start + last) for first, last in pauses]

    (span,) = work_spans(start, [Event(start + end, EVA)], rests)

    assert span.objection == objection


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        # 25 Oct 2026: 02:40 CEST to 02:10 CET is 30 minutes, although the clock went back.
        (
            datetime(2026, 10, 25, 2, 40, tzinfo=BERLIN),
            datetime(2026, 10, 25, 2, 10, fold=1, tzinfo=BERLIN),
            0.5,
        ),
        # 29 Mar 2026: 01:30 CET to 03:30 CEST is one hour.
        (datetime(2026, 3, 29, 1, 30, tzinfo=BERLIN), datetime(2026, 3, 29, 3, 30, tzinfo=BERLIN), 1.0),
    ],
)
def test_a_daylight_saving_change_neither_adds_nor_takes_an_hour(
    start: datetime, end: datetime, hours: float
) -> None:
    (span,) = work_spans(start, [Event(end, EVA)])

    assert span.worked_s == hours * 3600
    assert span.started_at.tzinfo is UTC


def test_seconds_over_the_turn_of_a_minute_are_no_minute() -> None:
    start = at("14:00") + timedelta(seconds=55)

    (span,) = work_spans(start, [Event(start + timedelta(seconds=10), EVA)])

    assert (span.worked_s, span.objection) == (0, "Less than a minute was worked.")


def test_workers_whose_user_is_gone_are_told_apart_by_name() -> None:
    steps = [Event(at("14:10"), Worker(None, "Eva")), Event(at("14:20"), Worker(None, "Ben"))]

    assert told(work_spans(at("14:00"), steps)) == ["Eva 14:00-14:10 0", "Ben 14:10-14:20 0"]


# pauses as they are stored ----------------------------------------------------------------------


def test_pausing_twice_keeps_the_first_pause(account: Account, actor: Actor, session: FlowSession) -> None:
    first = services.session_pause(account, session.pk, actor=actor)
    again = services.session_pause(account, session.pk, actor=Actor(None, "Someone else"))

    assert again.paused_at == first.paused_at is not None
    assert SessionPause.objects.get(session=session).paused_by_name == "Eva Engineer"


def test_resuming_ends_the_pause_and_a_second_time_changes_nothing(
    account: Account, actor: Actor, session: FlowSession
) -> None:
    services.session_pause(account, session.pk, actor=actor)

    assert services.session_resume(account, session.pk).paused_at is None
    ended_at = SessionPause.objects.get(session=session).ended_at
    services.session_resume(account, session.pk)

    assert SessionPause.objects.get(session=session).ended_at == ended_at is not None


def test_a_step_ends_the_pause(account: Account, actor: Actor, session: FlowSession) -> None:
    services.session_pause(account, session.pk, actor=actor)

    step = services.step_add(account, session.pk, actor=actor, body="Back at work.")

    assert SessionPause.objects.get(session=session).ended_at == step.created_at


def test_completing_ends_the_pause(account: Account, actor: Actor, linked: FlowSession) -> None:
    services.session_pause(account, linked.pk, actor=actor)

    services.session_complete(account, linked.pk, services.CompletionDraft(Outcome.CANCELLED), actor=actor)

    done = selectors.session_get(account, linked.pk)
    assert [pause.ended_at for pause in done.pauses.all()] == [done.completed_at]


def test_a_completed_session_can_neither_pause_nor_resume(
    account: Account, actor: Actor, linked: FlowSession
) -> None:
    services.session_complete(account, linked.pk, services.CompletionDraft(Outcome.CANCELLED), actor=actor)

    with pytest.raises(ConflictError):
        services.session_pause(account, linked.pk, actor=actor)
    with pytest.raises(ConflictError):
        services.session_resume(account, linked.pk)


def test_another_accounts_session_does_not_exist(outsider: Any, session: FlowSession, actor: Actor) -> None:
    with pytest.raises(MissingError):
        services.session_pause(outsider.membership.account, session.pk, actor=actor)


def test_the_database_keeps_a_session_from_pausing_twice_at_once(session: FlowSession) -> None:
    SessionPause.objects.create(session=session, started_at=timezone.now())

    with pytest.raises(IntegrityError), transaction.atomic():
        SessionPause.objects.create(session=session, started_at=timezone.now())


def test_a_running_pause_comes_off_up_to_now(account: Account, actor: Actor, session: FlowSession) -> None:
    start = timezone.now() - timedelta(minutes=60)
    FlowSession.objects.filter(pk=session.pk).update(started_at=start)
    SessionStep.objects.filter(session=session).update(created_at=start + timedelta(minutes=10))
    SessionPause.objects.create(session=session, started_at=start + timedelta(minutes=20))

    spans = selectors.work_spans(selectors.session_get(account, session.pk), completed_by=actor)

    assert [(span.worker.name, span.deduct_s) for span in spans] == [("Eva Engineer", 40 * 60)]
