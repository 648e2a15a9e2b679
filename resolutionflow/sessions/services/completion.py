"""Owns how a session ends: once, with everything it posts queued as one unit in the same transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest
from django.utils import timezone

from psa import selectors as psa_selectors
from psa import services as psa_services
from psa.exceptions import ConflictError, InvalidInputError, MissingError, PsaError
from psa.types import Actor, DocumentPart, NoteKind, NotePart, PartPreview, StatusPart, TimePart
from resolutionflow.accounts.models import Account
from resolutionflow.sessions import rendering, selectors
from resolutionflow.sessions.models import FlowSession, Outcome, SessionState
from resolutionflow.sessions.services.exports import export_plan
from resolutionflow.sessions.services.posting import Delivery, LeftOut, WorkUnit, analysis_part, linked_ticket
from resolutionflow.sessions.services.time_entries import Skipped, TimeWish, time_judge, time_plan, within
from resolutionflow.sessions.services.work import closing_summary, pause_end

Part: TypeAlias = NotePart | StatusPart | TimePart | DocumentPart

_MAIL_AS_PSA = "as_psa"
"""A status rule that lets the PSA mail as its own rules say."""


class AlreadyCompletedError(ConflictError):
    """The session was completed before; `unit` is what that queued."""

    code = "already-completed"

    def __init__(self, unit: WorkUnit | None) -> None:
        self.unit = unit
        super().__init__("This session is completed already. A session completes once.")


@dataclass(frozen=True, slots=True)
class CompletionDraft:
    """How somebody wants a session to end."""

    outcome: Outcome
    resolution: str | None = None
    """Becomes the closing summary; None keeps the one the session has."""
    status: str | None = None
    """Id or exact name on the ticket's board; None takes the board's status rule for the outcome."""
    notify: bool | None = None
    """For the resolution note and the status; None mails nobody, except where a status rule says so."""
    time: TimeWish | None = None
    """Time of whoever completes; None enters no time, not even that of colleagues."""
    attach_export: bool = False
    """True attaches the session's documentation as files."""


@dataclass(frozen=True, slots=True)
class CompletionPreview:
    """What a completion would do. Nothing is stored."""

    outcome: Outcome
    parts: tuple[PartPreview, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def status(self) -> str:
        """Name of the status the ticket would get, empty when it keeps its own."""
        return next((part.status or part.text for part in self.parts if part.kind == "status"), "")


@dataclass(frozen=True, slots=True)
class _Plan:
    """The parts of a completion, in the order they are delivered."""

    parts: Sequence[Part]
    left_out: Sequence[LeftOut]
    posted: Delivery | None
    """Where the documentation is already, if it is."""


def completion_check(account: Account, session_id: int, draft: CompletionDraft, *, actor: Actor) -> Skipped:
    """Find everything that forbids a completion before anything is written; may ask the PSA.

    Returns whose time is to be skipped, for `session_complete`.
    Raises: MissingError; AlreadyCompletedError; ConflictError `no-ticket`; InvalidInputError (`resolution` is
        missing for a solved problem, `unknown-status`, `time.…` as `time_plan` and `time_judge` say it).
    """
    session = _checked(account, session_id, draft)
    if draft.time is None:
        return {}
    with within("time"):
        plan = time_plan(session, draft.time, actor, completing=True)
        return time_judge(account, linked_ticket(session), plan, draft.time, actor)


def _checked(account: Account, session_id: int, draft: CompletionDraft) -> FlowSession:
    session = selectors.session_get(account, session_id)
    _check_open(session)
    link_id = linked_ticket(session)
    _summary(session, draft)
    if draft.status is not None:
        psa_services.status_check(account, link_id, draft.status)
    return session


def completion_preview(
    account: Account, session_id: int, draft: CompletionDraft, *, actor: Actor
) -> CompletionPreview:
    """Return every text a completion would post, who sees it and who is mailed. Stores nothing.

    What the PSA has against a time entry stands in the `objections` of its part, and is no error here.

    Raises: as `completion_check`, and InvalidInputError for texts that cannot be posted.
    """
    session = _checked(account, session_id, draft)
    session.resolution = _summary(session, draft)
    session.state = SessionState.COMPLETED
    session.outcome = draft.outcome
    session.completed_at = max(timezone.now(), session.started_at)
    session.completed_by_id, session.completed_by_name = actor.user_id, actor.name
    plan = _plan(account, session, draft, actor, {})
    parts: Sequence[PartPreview] = ()
    if plan.parts:
        parts = psa_services.unit_preview(account, linked_ticket(session), plan.parts, actor=actor)
    if draft.resolution is not None and rendering.has_dropped(draft.resolution):
        parts = [_with_dropped(part) for part in parts]
    parts = [_with_status_name(account, session, draft, part) for part in parts]
    return CompletionPreview(draft.outcome, tuple(parts), tuple(plan.left_out))


@transaction.atomic
def session_complete(
    account: Account,
    session_id: int,
    draft: CompletionDraft,
    *,
    actor: Actor,
    skipped: Skipped | None = None,
) -> WorkUnit:
    """Complete a session, queue what it posts, and return the unit: notes, time, status, files.

    Call `completion_check` before, outside the transaction, and hand on what it returns as skipped: this part
    never talks to the PSA.

    Raises: MissingError; AlreadyCompletedError, also when another request came first; ConflictError
        `no-ticket`; InvalidInputError.
    """
    _complete_once(account, session_id, draft, actor)
    session = selectors.session_get(account, session_id)
    link_id = linked_ticket(session)
    summary = _summary(session, draft)
    if summary != session.resolution:
        session.resolution = summary
        session.save(update_fields=["resolution", "updated_at"])
    plan = _plan(account, session, draft, actor, skipped or {})
    if plan.parts or plan.posted is None:
        unit = psa_services.unit_enqueue(account, link_id, plan.parts, actor=actor, origin=session.origin)
    else:
        # Nothing is left to post: the unit that took the documentation there is what this session did.
        unit = plan.posted.unit
    session.unit_id = unit.pk
    session.save(update_fields=["unit", "updated_at"])
    return unit


def _complete_once(account: Account, session_id: int, draft: CompletionDraft, actor: Actor) -> None:
    """Close the session and its pause, unless somebody else did.

    Of two at once one finds no open row, on any database.
    """
    now = timezone.now()
    changed = (
        FlowSession.objects.of(account)
        .open()
        .filter(pk=session_id)
        .update(
            state=SessionState.COMPLETED,
            outcome=draft.outcome,
            completed_at=Greatest(F("started_at"), Value(now)),
            completed_by=actor.user_id,
            completed_by_name=actor.name,
            updated_at=now,
        )
    )
    if not changed:
        _check_open(selectors.session_get(account, session_id))
        raise MissingError("There is no such session.")
    pause_end(session_id, now)


def _check_open(session: FlowSession) -> None:
    if not session.is_open:
        raise AlreadyCompletedError(session.unit)


def _summary(session: FlowSession, draft: CompletionDraft) -> str:
    """Return the closing summary as the completion leaves it."""
    summary = session.resolution if draft.resolution is None else closing_summary(draft.resolution)
    if draft.outcome is Outcome.RESOLVED and not summary:
        raise InvalidInputError(
            "A solved problem needs a closing summary.",
            code="empty-text",
            fields={"resolution": ["Tell the customer how the problem was solved."]},
        )
    return summary


def _plan(
    account: Account, session: FlowSession, draft: CompletionDraft, actor: Actor, skipped: Skipped
) -> _Plan:
    link_id = linked_ticket(session)
    parts: list[Part] = []
    left_out: list[LeftOut] = []
    posted = psa_selectors.note_posted(
        account, link_id, session.origin, selectors.documentation_hash(session)
    )
    if posted is None:
        parts.append(analysis_part(session, actor))
    else:
        left_out.append(LeftOut(NoteKind.ANALYSIS, _posted_reason(posted, draft)))
    if draft.outcome is Outcome.RESOLVED:
        text = rendering.resolution(selectors.session_text(session))
        parts.append(NotePart(kind=NoteKind.RESOLUTION, text=text, notify=bool(draft.notify)))
    if draft.time is not None:
        with within("time"):
            time = time_plan(session, draft.time, actor, completing=True).without(skipped)
        parts += time.parts
        left_out += time.left_out
    if (status := _status_part(account, link_id, draft)) is not None:
        parts.append(status)
    if draft.attach_export:
        export = export_plan(account, session, actor)
        parts += export.parts
        left_out += export.left_out
    return _Plan(parts, left_out, posted)


def _status_part(account: Account, link_id: int, draft: CompletionDraft) -> StatusPart | None:
    if draft.status is not None:
        return StatusPart(status=draft.status, notify=bool(draft.notify))
    rule = psa_selectors.status_rule(account, link_id, draft.outcome.value)
    if rule is None:
        return None
    notify = rule.mail == _MAIL_AS_PSA if draft.notify is None else draft.notify
    return StatusPart(status=rule.status_id, notify=notify)


def _posted_reason(posted: Delivery, draft: CompletionDraft) -> str:
    where = "is on the ticket already" if posted.delivered_at else "is on its way to the ticket already"
    reason = f"This documentation {where}, and no step was added since."
    if draft.resolution and draft.outcome is not Outcome.RESOLVED:
        reason += " The closing summary stays here."
    return reason


def _with_dropped(part: PartPreview) -> PartPreview:
    """Say of a resolution note that the summary it is made from was cleaned."""
    if part.kind != NoteKind.RESOLUTION:
        return part
    return replace(part, notes=(*part.notes, "Control characters in the closing summary were dropped."))


def _with_status_name(
    account: Account, session: FlowSession, draft: CompletionDraft, part: PartPreview
) -> PartPreview:
    """Show the name of a status that was given by its id, where the PSA or the rule tells it."""
    if part.kind != "status" or session.link is None:
        return part
    name = part.status
    if draft.status is None:
        rule = psa_selectors.status_rule(account, session.link.pk, draft.outcome.value)
        name = rule.status_name if rule is not None else name
    elif name.isdecimal():
        try:
            known = psa_selectors.statuses(account, session.link.connection_id, session.link.board_id)
        except PsaError:  # the PSA is down: the id is all we have, and the delivery checks it again
            known = []
        name = next((status.name for status in known if status.id == name), name)
    return replace(part, status=name, text=name)
