"""Owns writes to a session's own rows: title, flow, steps, closing summary, linked ticket."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from datetime import datetime

from django.db import connection, transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest
from django.utils import timezone

from psa import selectors as psa_selectors
from psa import services as psa_services
from psa.exceptions import ConflictError, InvalidInputError, MissingError
from psa.types import Actor, RecordType
from resolutionflow.accounts.models import Account
from resolutionflow.flows import selectors as flow_selectors
from resolutionflow.flows.models import Flow
from resolutionflow.sessions import rendering, selectors
from resolutionflow.sessions.models import TITLE_MAX_CHARS, FlowSession, SessionPause, SessionStep

STEPS_MAX_CHARS = 90_000
"""Characters all steps of a session may take on a ticket. With header and closing summary they fit into eight
note parts, which are cut at line ends, so that no session grows too long to be completed."""
RESOLUTION_MAX_CHARS = 20_000


def session_create(account: Account, *, actor: Actor, title: str, flow_id: int | None = None) -> FlowSession:
    """Begin a session and return it.

    Raises: InvalidInputError, naming the field.
    """
    session = FlowSession.objects.create(
        account=account,
        title=_title(title),
        flow=_flow(account, flow_id),
        created_by_id=actor.user_id,
        created_by_name=actor.name,
    )
    return selectors.session_get(account, session.pk)


@transaction.atomic
def session_update(
    account: Account,
    session_id: int,
    *,
    title: str | None = None,
    flow_id: int | None = None,
    clear_flow: bool = False,
    resolution: str | None = None,
) -> FlowSession:
    """Change what is given of an open session and return it. `None` leaves a value as it is.

    Raises: MissingError; ConflictError `session-completed`; InvalidInputError, naming the field.
    """
    session = session_lock(account, session_id, must_be_open=True)
    if title is not None:
        session.title = _title(title)
    if clear_flow:
        session.flow = None
    elif flow_id is not None:
        session.flow = _flow(account, flow_id)
    if resolution is not None:
        session.resolution = closing_summary(resolution)
    session.save(update_fields=["title", "flow", "resolution", "updated_at"])
    return selectors.session_get(account, session_id)


@transaction.atomic
def step_add(
    account: Account, session_id: int, *, actor: Actor, body: str, title: str = "", result: str = ""
) -> SessionStep:
    """Add a step behind the last one and return it. Steps added at the same moment get numbers of their own.

    A step ends a pause: work goes on.

    Raises: MissingError; ConflictError `session-completed`; InvalidInputError (`body` is blank, or the
        documentation would not fit on a ticket).
    """
    session = session_lock(account, session_id, must_be_open=True)
    fields: dict[str, list[str]] = {}
    if not (body := rendering.plain_text(body)).strip():
        fields["body"] = ["Write what was done."]
    if len(title := rendering.one_line(title)) > TITLE_MAX_CHARS:
        fields["title"] = [
            f"A title may have at most {TITLE_MAX_CHARS} characters, this one has {len(title)}."
        ]
    if fields:
        raise InvalidInputError("The step cannot be stored as it is.", fields=fields)
    step = SessionStep.objects.create(
        session=session,
        position=SessionStep.objects.next_position(session),
        title=title,
        body=body,
        result=rendering.plain_text(result),
        author_id=actor.user_id,
        author_name=actor.name,
    )
    pause_end(session.pk, step.created_at)
    _check_length(account, session_id)
    return step


def ticket_link(
    account: Account,
    session_id: int,
    connection_id: int,
    ticket_id: str,
    *,
    actor: Actor,
    record_type: RecordType | None = None,
    discard_open: bool = False,
) -> FlowSession:
    """Point a session at a ticket the PSA knows, and return the session. The same ticket again is fine.

    Raises: MissingError (session, connection or `ticket-not-found`); InvalidInputError `wrong-record-type`;
        ConflictError `open-deliveries`, unless discard_open; ProviderError, when the PSA cannot be asked.
    """
    selectors.session_get(account, session_id)  # no question to the PSA for a session that is not there
    link = psa_services.ticket_link(account, connection_id, ticket_id, record_type)
    with transaction.atomic():
        session = session_lock(account, session_id)
        if session.link_id != link.pk:
            _leave_ticket(account, session, actor, discard_open)
            session.link = link
            session.linked_by_id = actor.user_id
            session.linked_by_name = actor.name
            session.linked_at = timezone.now()
            session.save(update_fields=["link", "linked_by", "linked_by_name", "linked_at", "updated_at"])
    return selectors.session_get(account, session_id)


@transaction.atomic
def ticket_unlink(
    account: Account, session_id: int, *, actor: Actor, discard_open: bool = False
) -> FlowSession:
    """Take a session off its ticket and return it. A session without a ticket stays as it is.

    Raises: MissingError; ConflictError `open-deliveries`, unless discard_open.
    """
    session = session_lock(account, session_id)
    _leave_ticket(account, session, actor, discard_open)
    session.link = None
    session.linked_by_id = None
    session.linked_by_name = ""
    session.linked_at = None
    session.save(update_fields=["link", "linked_by", "linked_by_name", "linked_at", "updated_at"])
    return selectors.session_get(account, session_id)


def joined_transaction() -> AbstractContextManager[None]:
    """Return a transaction of its own, or the caller's, without a savepoint in it.

    For what refuses before it writes: a caller may catch the refusal and go on, nothing is to be undone.
    """
    return nullcontext() if connection.in_atomic_block else transaction.atomic()


def session_lock(account: Account, session_id: int, *, must_be_open: bool = False) -> FlowSession:
    """Return a session no other transaction changes until this one ends.

    SQLite ignores the lock and needs none: a transaction there has the whole database from its beginning.

    Raises: MissingError; ConflictError `session-completed`.
    """
    # Only the session itself: whoever works on its ticket is not kept waiting.
    session = selectors.sessions(account).select_for_update(of=("self",)).filter(pk=session_id).first()
    if session is None:
        raise MissingError("There is no such session.")
    if must_be_open and not session.is_open:
        raise ConflictError(
            "This session is completed, what was done in it stays as it is. Start a new one to go on.",
            code="session-completed",
        )
    return session


def pause_end(session_id: int, now: datetime) -> None:
    """End the pause that runs, if one does. The session is locked by the caller."""
    running = SessionPause.objects.filter(session_id=session_id, ended_at=None)
    running.update(ended_at=Greatest(F("started_at"), Value(now)))


def closing_summary(text: str) -> str:
    """Return a closing summary as it is stored.

    Raises: InvalidInputError, with a sentence for `resolution`.
    """
    text = rendering.plain_text(text).strip()
    if len(text) > RESOLUTION_MAX_CHARS:
        raise InvalidInputError(
            "The closing summary is too long.",
            code="text-too-long",
            fields={
                "resolution": [
                    f"A closing summary may have at most {RESOLUTION_MAX_CHARS:,} characters,"
                    f" this one has {len(text):,}."
                ]
            },
        )
    return text


def _leave_ticket(account: Account, session: FlowSession, actor: Actor, discard_open: bool) -> None:
    if session.link_id is None:
        return
    if not psa_selectors.open_deliveries(account, session.link_id, session.origin).exists():
        return
    if not discard_open:
        raise ConflictError(
            "Posts of this session are on their way to its ticket. Wait for them, or discard them"
            " (?open=discard).",
            code="open-deliveries",
        )
    psa_services.open_deliveries_discard(
        account,
        session.link_id,
        actor=actor,
        origin=session.origin,
        reason="The session was taken off this ticket.",
    )


def _check_length(account: Account, session_id: int) -> None:
    text = selectors.session_text(selectors.session_get(account, session_id))
    needed = rendering.steps_chars(text)
    if needed > STEPS_MAX_CHARS:
        raise InvalidInputError(
            "The documentation would not fit on a ticket.",
            code="text-too-long",
            fields={
                "body": [
                    f"With this step the documentation has {needed:,} characters;"
                    f" at most {STEPS_MAX_CHARS:,} fit on a ticket."
                ]
            },
        )


def _title(title: str) -> str:
    title = rendering.one_line(title)
    if not title or len(title) > TITLE_MAX_CHARS:
        raise InvalidInputError(
            "The session needs a title.",
            fields={"title": [f"Give the session a title of 1 to {TITLE_MAX_CHARS} characters."]},
        )
    return title


def _flow(account: Account, flow_id: int | None) -> Flow | None:
    if flow_id is None:
        return None
    try:
        return flow_selectors.flow_get(account, flow_id)
    except MissingError as exc:
        raise InvalidInputError(
            "There is no such flow.", fields={"flow": ["There is no flow with this id."]}
        ) from exc
