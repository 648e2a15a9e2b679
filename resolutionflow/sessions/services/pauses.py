"""Owns pauses: work on a session rests, and goes on."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from psa.types import Actor
from resolutionflow.accounts.models import Account
from resolutionflow.sessions import selectors
from resolutionflow.sessions.models import FlowSession, SessionPause
from resolutionflow.sessions.services.work import pause_end, session_lock


@transaction.atomic
def session_pause(account: Account, session_id: int, *, actor: Actor) -> FlowSession:
    """Let work rest and return the session. One that rests already keeps its pause.

    Raises: MissingError; ConflictError `session-completed`.
    """
    session = session_lock(account, session_id, must_be_open=True)
    if not SessionPause.objects.filter(session=session, ended_at=None).exists():
        SessionPause.objects.create(
            session=session,
            started_at=max(timezone.now(), session.started_at),
            paused_by_id=actor.user_id,
            paused_by_name=actor.name,
        )
    return selectors.session_get(account, session_id)


@transaction.atomic
def session_resume(account: Account, session_id: int) -> FlowSession:
    """Let work go on and return the session. One that goes on already stays as it is.

    Raises: MissingError; ConflictError `session-completed`.
    """
    session = session_lock(account, session_id, must_be_open=True)
    pause_end(session.pk, timezone.now())
    return selectors.session_get(account, session_id)
