"""Owns what a session posts to its ticket on its own: a note, a status. The ending is in `completion`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from django.db import transaction
from django.db.models import prefetch_related_objects

from psa import services as psa_services
from psa.exceptions import ConflictError, InvalidInputError
from psa.types import Actor, NoteKind, NotePart, StatusPart
from resolutionflow.accounts.models import Account
from resolutionflow.sessions import rendering, selectors
from resolutionflow.sessions.models import FlowSession
from resolutionflow.sessions.services.work import joined_transaction, session_lock

Delivery: TypeAlias = Any
"""`psa.Delivery`: a host names the models of psa as strings only."""
WorkUnit: TypeAlias = Any
"""`psa.WorkUnit`."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A part that is not posted, and why."""

    kind: str
    reason: str


_NO_TEXT = {
    NoteKind.RESOLUTION: "The session has no closing summary yet. Write one, or give the text of the note.",
    NoteKind.DISCUSSION: "Write the text of the note.",
    NoteKind.ANALYSIS: "Write the text of the note.",
}


def note_post(
    account: Account,
    session_id: int,
    *,
    actor: Actor,
    kind: NoteKind,
    text: str | None = None,
    notify: bool = False,
) -> Delivery:
    """Queue a note to the session's ticket and return its first delivery. Works while the PSA is down.

    Shape: text None takes the rendered documentation for `analysis`, the closing summary for `resolution`;
        neither a resolution nor a discussion is ever made from steps.
    Raises: MissingError; ConflictError `no-ticket`; InvalidInputError `empty-text`, `text-too-long` or
        `notify-internal` (an analysis mails nobody).
    """
    with joined_transaction():
        session = session_lock(account, session_id)
        link_id = linked_ticket(session)
        unit = psa_services.unit_enqueue(
            account, link_id, [_note(session, kind, text, notify, actor)], actor=actor, origin=session.origin
        )
        return unit.posted[0]


def status_check(account: Account, session_id: int, status: str) -> None:
    """Ask the PSA, outside any transaction, whether the ticket's board has a status. Passes while it is down.

    Raises: MissingError; ConflictError `no-ticket`; InvalidInputError `unknown-status`.
    """
    session = selectors.session_get(account, session_id)
    psa_services.status_check(account, linked_ticket(session), status)


@transaction.atomic
def status_post(
    account: Account, session_id: int, *, actor: Actor, status: str, notify: bool = False
) -> Delivery:
    """Queue a status change of the session's ticket and return its delivery. Call `status_check` before.

    Raises: MissingError; ConflictError `no-ticket`; InvalidInputError `unknown-status`.
    """
    session = session_lock(account, session_id)
    link_id = linked_ticket(session)
    parts = [StatusPart(status=status, notify=notify)]
    unit = psa_services.unit_enqueue(account, link_id, parts, actor=actor, origin=session.origin)
    return unit.posted[0]


def linked_ticket(session: FlowSession) -> int:
    """Return the id of the session's ticket link.

    Raises: ConflictError `no-ticket`.
    """
    if session.link_id is None:
        raise ConflictError("Link a ticket to this session first.", code="no-ticket")
    return session.link_id


def analysis_part(session: FlowSession, actor: Actor) -> NotePart:
    """Return the documentation as an internal note that mails nobody."""
    prefetch_related_objects([session], "steps")
    return NotePart(
        kind=NoteKind.ANALYSIS,
        text=rendering.analysis(selectors.session_text(session), selectors.actor_zone(actor)),
        notify=False,
        source_hash=selectors.documentation_hash(session),
    )


def _note(session: FlowSession, kind: NoteKind, text: str | None, notify: bool, actor: Actor) -> NotePart:
    if kind is NoteKind.ANALYSIS and notify:
        raise InvalidInputError(
            "An internal note mails nobody.",
            code="notify-internal",
            fields={"notify": ["Only notes the customer can read may be mailed."]},
        )
    if text is None and kind is NoteKind.ANALYSIS:
        return analysis_part(session, actor)
    if text is None:
        text = rendering.resolution(selectors.session_text(session)) if kind is NoteKind.RESOLUTION else ""
    if not rendering.plain_text(text).strip():
        raise InvalidInputError("The note has no text.", code="empty-text", fields={"text": [_NO_TEXT[kind]]})
    # As it was typed: psa cleans it and its preview says what was dropped.
    return NotePart(kind=kind, text=text, notify=notify)
