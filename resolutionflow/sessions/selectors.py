"""Owns reads of sessions. The account always comes first, and another account's session does not exist."""

from __future__ import annotations

import zoneinfo
from datetime import datetime, tzinfo

from django.db.models import QuerySet
from django.utils import timezone

from psa.exceptions import MissingError
from psa.types import Actor
from resolutionflow.accounts.models import Account, User
from resolutionflow.sessions import rendering, worktime
from resolutionflow.sessions.models import FlowSession, SessionStep
from resolutionflow.sessions.worktime import Event, Worker, WorkSpan

STEP_TEXT_MIN_CHARS = 6
"""A shorter text of a step, such as "Done.", says nothing that a customer must not read."""


def sessions(account: Account) -> QuerySet[FlowSession]:
    """Return the account's sessions, newest first, with flow and ticket read along."""
    return FlowSession.objects.of(account).select_related("flow", "link")


def session_get(account: Account, session_id: int) -> FlowSession:
    """Return one session of the account with its steps and pauses, in three queries.

    Raises: MissingError, also for a session of another account.
    """
    found = FlowSession.objects.of(account).with_details().filter(pk=session_id).first()
    if found is None:
        raise MissingError("There is no such session.")
    return found


def documentation(account: Account, session_id: int, *, actor: Actor) -> rendering.Documentation:
    """Return both texts as they read now, with times in the actor's zone.

    Raises: MissingError.
    """
    return rendering.documentation(session_text(session_get(account, session_id)), actor_zone(actor))


def documentation_hash(session: FlowSession) -> str:
    """Return the hash of what the session's steps say now."""
    return rendering.documentation_hash([_step_text(step) for step in session.steps.all()])


def session_text(session: FlowSession) -> rendering.SessionText:
    """Return a session as the renderer takes it. Free of queries after `session_get`."""
    steps = list(session.steps.all())
    ended_at = session.completed_at or (steps[-1].created_at if steps else None)
    if ended_at is not None:
        ended_at = max(ended_at, session.started_at)
    return rendering.SessionText(
        title=session.title,
        started_at=session.started_at,
        ended_at=ended_at,
        outcome=session.get_outcome_display() if session.outcome else "",
        flow=session.flow.title if session.flow is not None else "",
        created_by=session.created_by_name,
        summary=session.resolution,
        steps=[_step_text(step) for step in steps],
    )


def work_spans(
    session: FlowSession, *, completed_by: Actor | None = None, now: datetime | None = None
) -> list[WorkSpan]:
    """Return who worked on a session and when. Free of queries after `session_get`.

    Shape: completed_by is who is about to complete an open session, at now; a running pause ends then.
    """
    now = now or timezone.now()
    completion = None
    if session.completed_at is not None and session.completed_by_name:
        completion = Event(session.completed_at, Worker(session.completed_by_id, session.completed_by_name))
    elif session.completed_at is None and completed_by is not None:
        completion = Event(now, Worker(completed_by.user_id, completed_by.name))
    return worktime.work_spans(
        session.started_at,
        [Event(step.created_at, Worker(step.author_id, step.author_name)) for step in session.steps.all()],
        [(pause.started_at, pause.ended_at or now) for pause in session.pauses.all()],
        completion,
    )


def invoice_sentence(session: FlowSession) -> str:
    """Return the sentence that prints on an invoice unless somebody writes another one, or "" .

    Only what the customer wrote or knows is safe: a title that is the ticket's own summary and holds no step.
    """
    title = rendering.one_line(session.title)
    if session.link is None or title.casefold() != rendering.one_line(session.link.summary).casefold():
        return ""
    sentence = f"Worked on: {title}"
    return "" if has_step_text(session, title) else sentence


def has_step_text(session: FlowSession, sentence: str) -> bool:
    """Return whether a sentence repeats what a step did or showed."""
    said = rendering.one_line(sentence).casefold()
    return any(
        len(text) >= STEP_TEXT_MIN_CHARS and text in said
        for step in session.steps.all()
        for text in (rendering.one_line(part).casefold() for part in (step.body, step.result))
    )


def actor_zone(actor: Actor) -> tzinfo:
    """Return the time zone of whoever asks, UTC where none is known."""
    person = User.objects.filter(pk=actor.user_id).first() if actor.user_id is not None else None
    name = person.time_zone if person is not None else "UTC"
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):  # the zone was valid when stored, tzdata moved on
        return zoneinfo.ZoneInfo("UTC")


def _step_text(step: SessionStep) -> rendering.StepText:
    return rendering.StepText(title=step.title, body=step.body, result=step.result, author=step.author_name)
