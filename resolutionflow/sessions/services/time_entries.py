"""Owns the time a session enters on its ticket: what is wanted, whose it is, and what stands against it.

Who posts says their own time. Colleagues who worked on the session get an entry each when it completes, from
`worktime`: with the same billable option and agreement, work type and work role left to the PSA.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TypeAlias

from django.db import transaction
from django.utils import timezone

from psa import selectors as psa_selectors
from psa import services as psa_services
from psa.exceptions import Fields, InvalidInputError
from psa.types import OVERRULABLE, Actor, BillableOption, PartPreview, TimeObjection, TimePart
from resolutionflow.accounts.models import Account
from resolutionflow.sessions import rendering, selectors
from resolutionflow.sessions.models import FlowSession
from resolutionflow.sessions.services.posting import LeftOut, WorkUnit, linked_ticket
from resolutionflow.sessions.services.work import session_lock
from resolutionflow.sessions.worktime import MAX_SPAN

Skipped: TypeAlias = Mapping[int | None, str]
"""Whose time is left out because they have time there already: user id → what they have."""

NOTES_MAX_CHARS = 300
"""One sentence on an invoice."""
_CLOCKS_DIFFER = timedelta(minutes=2)
"""How far a clock may run ahead of ours before its time counts as the future."""
_FIELDS = {"notes-required": "notes", "agreement-closed": "agreement", "time-disabled": "hold"}
"""Where an objection belongs; all others are about when."""


@dataclass(frozen=True, slots=True)
class TimeWish:
    """Time somebody wants entered. A time without a zone is meant in the zone of whoever asks."""

    start: datetime
    end: datetime
    deduct_minutes: int = 0
    notes: str | None = None
    """One sentence that prints on the invoice; None takes `selectors.invoice_sentence`."""
    billable: BillableOption | None = None
    work_type: str = ""
    work_role: str = ""
    agreement: str = ""
    hold: bool = False
    """True queues the entries held, until a lead lets them go."""
    skip: bool = False
    """True leaves out the entry of an engineer who has time there already."""
    only_mine: bool = False
    """True enters nothing for colleagues."""
    accept: frozenset[str] = field(default_factory=frozenset)
    """Codes of objections that were read and overruled; of `OVERRULABLE`."""


@dataclass(frozen=True, slots=True)
class TimePlan:
    """The time entries of a session, the asker's first, and who gets none."""

    parts: tuple[TimePart, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    def without(self, skipped: Skipped) -> TimePlan:
        """Return the plan without engineers who have time there already."""
        ids = [part.engineer.user_id for part in self.parts]
        gone = [LeftOut("time", skipped[user_id]) for user_id in ids if user_id in skipped]
        kept = tuple(part for part in self.parts if part.engineer.user_id not in skipped)
        return TimePlan(kept, (*self.left_out, *gone))


def time_plan(session: FlowSession, wish: TimeWish, actor: Actor, *, completing: bool = False) -> TimePlan:
    """Return the entries a wish becomes; with completing those of colleagues, too. Asks nobody.

    Raises: InvalidInputError, naming `start`, `end`, `deduct_minutes` or `notes`.
    """
    zone = selectors.actor_zone(actor)
    now = timezone.now()
    own = _own(session, wish, actor, zone, now)
    if not completing or wish.only_mine:
        return TimePlan((own,))
    parts, left_out = [own], []
    posted = _posted(session)
    for span in selectors.work_spans(session, completed_by=actor, now=now):
        worker = span.worker
        if worker.user_id == actor.user_id:
            continue
        if reason := span.objection or ("" if worker.user_id else "The user is gone: enter it by hand."):
            left_out.append(LeftOut("time", f"{worker.name}: {reason}"))
            continue
        if worker.user_id in posted:
            left_out.append(LeftOut("time", f"{worker.name}: has time of this session already."))
            continue
        engineer = Actor(worker.user_id, worker.name)
        parts.append(
            TimePart(
                engineer=engineer,
                started_at=span.started_at,
                ended_at=span.ended_at,
                deduct_s=span.deduct_s,
                notes=own.notes,
                internal_notes=_internal_notes(session, engineer, zone),
                billable=wish.billable,
                agreement=wish.agreement,
                hold=wish.hold,
            )
        )
    return TimePlan(tuple(parts), tuple(left_out))


def time_judge(account: Account, link_id: int, plan: TimePlan, wish: TimeWish, actor: Actor) -> Skipped:
    """Ask the PSA what stands against the entries; return whose are to be skipped, and why.

    Passes while the PSA cannot tell: it has the last word when they are delivered.
    Raises: InvalidInputError with the objection's code where the PSA would refuse one and nobody holds it;
        `time-overlap` where somebody has time there already and it is neither accepted nor skipped.
    """
    if not plan.parts:
        return {}
    previews = psa_services.unit_preview(account, link_id, plan.parts, actor=actor)
    skipped: dict[int | None, str] = {}
    binding: list[tuple[TimeObjection, str]] = []
    open_questions: list[tuple[TimeObjection, str]] = []
    for part, preview in zip(plan.parts, previews, strict=True):
        who = part.engineer
        told = [(objection, objection_text(objection, who, actor)) for objection in preview.objections]
        there = [entry for entry in told if not entry[0].binding]
        if there and wish.skip:
            skipped[who.user_id] = there[0][1]
            continue
        if not wish.hold:
            binding += [entry for entry in told if entry[0].binding]
        open_questions += [entry for entry in there if entry[0].code not in wish.accept]
    if binding:
        raise InvalidInputError(
            f"{binding[0][1]} Leave the time out, or hold it for a lead.",
            code=binding[0][0].code,
            fields=_by_field(binding),
        )
    if open_questions:
        raise InvalidInputError(
            "There is time on this ticket already: add yours to it, or skip it.",
            code="time-overlap",
            fields=_by_field(open_questions),
        )
    return skipped


def time_check(account: Account, session_id: int, wish: TimeWish, *, actor: Actor) -> None:
    """Find everything that forbids one's own time on a session's ticket; may ask the PSA.

    Raises: MissingError; ConflictError `no-ticket`; InvalidInputError, as `time_plan` and `time_judge`.
    """
    session = selectors.session_get(account, session_id)
    link_id = linked_ticket(session)
    time_judge(account, link_id, time_plan(session, wish, actor), wish, actor)


def time_preview(account: Account, session_id: int, wish: TimeWish, *, actor: Actor) -> list[PartPreview]:
    """Return how one's own time would stand on the ticket, with what stands against it. Stores nothing.

    Raises: MissingError; ConflictError `no-ticket`; InvalidInputError, as `time_plan`.
    """
    session = selectors.session_get(account, session_id)
    plan = time_plan(session, wish, actor)
    return psa_services.unit_preview(account, linked_ticket(session), plan.parts, actor=actor)


@transaction.atomic
def time_post(account: Account, session_id: int, wish: TimeWish, *, actor: Actor) -> WorkUnit:
    """Queue one's own time on a session's ticket and return the unit. Call `time_check` before.

    Works while the PSA is down, and after the session was completed.

    Raises: MissingError; ConflictError `no-ticket`; InvalidInputError, as `time_plan`.
    """
    session_lock(account, session_id)
    session = selectors.session_get(account, session_id)
    parts = time_plan(session, wish, actor).parts
    return psa_services.unit_enqueue(
        account, linked_ticket(session), parts, actor=actor, origin=session.origin
    )


@contextmanager
def within(name: str) -> Iterator[None]:
    """Say the fields of an error below a name: `start` becomes `time.start`."""
    try:
        yield
    except InvalidInputError as exc:
        fields = {f"{name}.{field}": sentences for field, sentences in exc.fields.items()}
        raise InvalidInputError(exc.message, code=exc.code, fields=fields) from exc


def objection_text(objection: TimeObjection, engineer: Actor, actor: Actor) -> str:
    """Return an objection as the asker reads it: a colleague's is told by name."""
    if engineer.user_id == actor.user_id:
        return objection.text
    return f"{engineer.name}: {objection.text}"


def moment(value: datetime, zone: tzinfo, name: str) -> datetime:
    """Return a time that was typed as aware UTC, whole seconds. Without a zone it is meant in the given one.

    Raises: InvalidInputError, naming the field: the clock never showed it, showed it twice, or it is no time
        anybody worked at.
    """
    if not 2000 <= value.year <= 2200:
        raise _wrong(name, "Give a time somebody worked at.")
    value = value.replace(microsecond=0)
    if value.tzinfo is not None:
        return value.astimezone(UTC)
    first, second = (value.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() != second.utcoffset():
        if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != value:
            raise _wrong(name, f"The clock went forward that night: {value:%H:%M} never came.")
        raise _wrong(
            name,
            f"The clock went back that night: {value:%H:%M} came twice. Write it with its offset,"
            f" {first.isoformat()} or {second.isoformat()}.",
            code="ambiguous-time",
        )
    return first.astimezone(UTC)


def _posted(session: FlowSession) -> set[int | None]:
    """Return the users whose time of this session is there, on its way, or waits for somebody to retry it."""
    rows = psa_selectors.unit_origin_deliveries(session.account, session.origin).filter(kind="time")
    payloads = rows.exclude(state="discarded").order_by().values_list("payload", flat=True)
    return {payload.get("engineer", {}).get("id") for payload in payloads}


def _own(session: FlowSession, wish: TimeWish, actor: Actor, zone: tzinfo, now: datetime) -> TimePart:
    start, end = moment(wish.start, zone, "start"), moment(wish.end, zone, "end")
    if end <= start:
        raise _wrong("end", "The end must be after the start.")
    if end - start > MAX_SPAN:
        raise _wrong("end", "A time entry may span 24 hours at most: make one for each day.")
    if end > now + _CLOCKS_DIFFER:
        raise _wrong("end", "The end lies in the future: enter time once it was worked.")
    if wish.deduct_minutes < 0:
        raise _wrong("deduct_minutes", "Pauses cannot be less than none.")
    deduct = timedelta(minutes=wish.deduct_minutes)
    if deduct >= end - start:
        raise _wrong("deduct_minutes", "The pauses leave nothing of the time.")
    if unknown := wish.accept - set(OVERRULABLE):
        raise _wrong("accept", f"Only {' and '.join(OVERRULABLE)} can be accepted, not {min(unknown)}.")
    return TimePart(
        engineer=actor,
        started_at=start,
        ended_at=end,
        deduct_s=int(deduct.total_seconds()),
        notes=_sentence(session, wish.notes),
        internal_notes=_internal_notes(session, actor, zone),
        work_type=wish.work_type,
        work_role=wish.work_role,
        agreement=wish.agreement,
        billable=wish.billable,
        hold=wish.hold,
    )


def _sentence(session: FlowSession, notes: str | None) -> str:
    """Return what prints on the invoice. A step in it is refused: the customer would read it."""
    if notes is None:
        return selectors.invoice_sentence(session)
    sentence = rendering.one_line(notes)
    if len(sentence) > NOTES_MAX_CHARS:
        raise _wrong(
            "notes", f"One sentence, please: at most {NOTES_MAX_CHARS} characters, this has {len(sentence)}."
        )
    if selectors.has_step_text(session, sentence):
        raise _wrong(
            "notes",
            "This repeats a step, and the customer reads it on the invoice. Say it in other words.",
            code="step-for-customer",
        )
    return sentence


def _internal_notes(session: FlowSession, engineer: Actor, zone: tzinfo) -> str:
    return rendering.time_notes(
        selectors.session_text(session),
        [
            number
            for number, step in enumerate(session.steps.all(), start=1)
            if _is_by(step.author_id, step.author_name, engineer)
        ],
        engineer.name,
        zone,
    )


def _is_by(user_id: int | None, name: str, engineer: Actor) -> bool:
    return user_id == engineer.user_id if user_id is not None else name == engineer.name


def _by_field(entries: Sequence[tuple[TimeObjection, str]]) -> Fields:
    found: dict[str, list[str]] = {}
    for objection, text in entries:
        found.setdefault(_FIELDS.get(objection.code, "start"), []).append(text)
    return found


def _wrong(name: str, sentence: str, code: str = "") -> InvalidInputError:
    return InvalidInputError("This time cannot be entered.", code=code, fields={name: [sentence]})
