"""Owns what a session's ticket says about time and files; it asks the PSA.

A PSA that cannot tell about time is a sentence beside what we know ourselves; about files it is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC

from django.utils import timezone

from psa import selectors as psa_selectors
from psa import services as psa_services
from psa.exceptions import ConflictError, CredentialsUnreadableError, PsaError, UnsupportedOperationError
from psa.types import Actor, Document, Download, TimeChoices, TimeEntry, TimeObjection, TimePart
from resolutionflow.accounts.models import Account
from resolutionflow.sessions import selectors
from resolutionflow.sessions.models import FlowSession
from resolutionflow.sessions.worktime import Worker, WorkSpan


@dataclass(frozen=True, slots=True)
class SessionTime:
    """Everything one needs to enter time for a session."""

    zone: str
    notes: str
    """Suggested sentence for the invoice."""
    engineers: Sequence[WorkSpan]
    """The asker is among them, even without a step."""
    mine: WorkSpan
    choices: TimeChoices | None = None
    entries: Sequence[TimeEntry] = ()
    """What the asker has on the ticket on the day it was worked."""
    objections: Sequence[TimeObjection] = ()
    """What stands against the asker's time as suggested."""
    problem: str | None = None
    """Why the PSA could not tell."""

    @property
    def asked(self) -> bool:
        """True once the PSA was asked."""
        return self.choices is not None or self.problem is not None


def session_time(account: Account, session_id: int, *, actor: Actor, ask: bool = True) -> SessionTime:
    """Return who worked when, what can be chosen, and what the asker has on the ticket already.

    Shape: ask False leaves the PSA out of it.
    Raises: MissingError; ConflictError `no-ticket`.
    """
    session = selectors.session_get(account, session_id)
    link_id = _link_id(session)
    spans = selectors.work_spans(session, completed_by=actor)
    mine = next((span for span in spans if span.worker.user_id == actor.user_id), None)
    if mine is None:
        end = session.completed_at or timezone.now()
        now = end.astimezone(UTC).replace(second=0, microsecond=0)
        mine = WorkSpan(Worker(actor.user_id, actor.name), now, now)
        spans = [*spans, mine]
    found = SessionTime(
        zone=str(selectors.actor_zone(actor)),
        notes=selectors.invoice_sentence(session),
        engineers=spans,
        mine=mine,
    )
    if not ask:
        return found
    try:
        return replace(
            found,
            choices=psa_selectors.time_choices(account, link_id, actor.user_id),
            entries=psa_selectors.time_entries(
                account, link_id, actor.user_id, day=mine.started_at.astimezone(UTC).date()
            ),
            objections=_objections(account, link_id, found, actor),
        )
    except (PsaError, LookupError) as exc:
        return replace(found, problem=sentence_of(exc))


def session_documents(account: Account, session_id: int) -> list[Document]:
    """Return the files of a session's ticket, the newest first.

    Raises: MissingError; ConflictError `no-ticket`; UnsupportedOperationError; ProviderError.
    """
    return psa_selectors.documents(account, _link_id(selectors.session_get(account, session_id)))


def session_document_open(account: Account, session_id: int, document_id: str) -> Download:
    """Return the content of a file of a session's ticket; the caller closes it.

    Raises: MissingError, also for a file of another ticket; else as `session_documents`.
    """
    link_id = _link_id(selectors.session_get(account, session_id))
    return psa_selectors.document_open(account, link_id, document_id)


def sentence_of(exc: PsaError | LookupError) -> str:
    """Return why a PSA could not be asked, as a sentence for a person."""
    if isinstance(exc, CredentialsUnreadableError):
        return "The stored keys cannot be read. An admin has to enter them again."
    if isinstance(exc, UnsupportedOperationError):
        return "This PSA does not offer it."
    if isinstance(exc, LookupError):
        return "This kind of PSA is not installed any more."
    return str(getattr(exc, "message", "")) or "It cannot be asked right now."


def _objections(account: Account, link_id: int, found: SessionTime, actor: Actor) -> Sequence[TimeObjection]:
    """Return what stands against a suggestion, if it is one that could be entered."""
    if found.mine.objection:
        return ()
    part = TimePart(
        engineer=actor,
        started_at=found.mine.started_at,
        ended_at=found.mine.ended_at,
        deduct_s=found.mine.deduct_s,
        notes=found.notes,
    )
    (preview,) = psa_services.unit_preview(account, link_id, [part], actor=actor)
    return preview.objections


def _link_id(session: FlowSession) -> int:
    if session.link_id is None:
        raise ConflictError("Link a ticket to this session first.", code="no-ticket")
    return session.link_id
