"""Owns taking back what stands on a ticket: hide a note, correct it, remove it, remove its double.

A person does this at once, it is not queued; the lane of the ticket is held meanwhile. All of it may be
repeated: the ticket is looked at first. Of a long note only the part asked for is changed. What the PSA
refuses is answered by a note that asks to ignore the old one. Moving a note is `psa.services.note_moves`.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction

from psa.conf import psa_settings
from psa.exceptions import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    OutcomeUnknownError,
    ProviderError,
)
from psa.models import Delivery
from psa.models.delivery import DeliveryKind
from psa.outbox.correct import Correction, marked, notes_change, notes_of, notes_remove
from psa.outbox.hold import Hold, audit, gone, hold_close, lane_held
from psa.outbox.supersede import ignore_enqueue
from psa.outbox.text import AUTHOR_PREFIX, OVERHEAD_CHARS, note_text, text_clean
from psa.providers.base import Provider
from psa.services.announce import deliveries_tell, listened_to
from psa.services.standing import (
    Corrected,
    copy_notice,
    corrected,
    mail_notice,
    provider_of,
    require_still,
    standing_note,
)
from psa.types import Capability, Note, NoteKind, Scope, Tenant

MISTAKE_WHY = "it was posted by mistake."
LEAKED = "shown-to-customer"
DOUBLED = "duplicate"


def note_hide(tenant: Tenant, delivery_id: int, *, scope: Scope) -> Corrected:
    """Make a delivered note internal: only staff reads it from then on. Nobody is mailed.

    Raises: ConflictError `in-flight`, `not-delivered`, `note-gone`, `connection-disabled`,
        `connection-deleted`, `changed-meanwhile`; InvalidInputError `not-a-note`; UnsupportedOperationError;
        RoleError; MissingError; OutcomeUnknownError (asking again is safe); ProviderError (nothing was done).
    """
    row, _provider = standing_note(tenant, delivery_id, scope, Capability.NOTE_CHANGES)
    with lane_held(row, scope.actor, "hide") as hold:
        result = notes_change(hold.place, _standing(hold), kind=NoteKind.ANALYSIS)
        if result.refused:
            return _ignored(
                hold, result, "note.hidden", "note.hide", MISTAKE_WHY, [mail_notice(hold.delivery)]
            )
        values: dict[str, Any] = {"kind": DeliveryKind.ANALYSIS}
        if (hold.delivery.problem or {}).get("code") == LEAKED:
            values["problem"] = None
        _settle(hold, result, "note.hidden", "note.hide", **values)
    already = "" if any(change.sent for change in result.changes) else "Only staff could read it already."
    return corrected(row, [already, mail_notice(hold.delivery), copy_notice(hold.delivery)])


def note_correct(tenant: Tenant, delivery_id: int, *, scope: Scope, text: str) -> Corrected:
    """Give a delivered note another text; its author, marker and readers stay. Nobody is mailed.

    Raises: as `note_hide`; ConflictError `moving`; InvalidInputError `empty-text`, `text-too-long`.
    """
    row, provider = standing_note(tenant, delivery_id, scope, Capability.NOTE_CHANGES)
    require_still(row)
    body = _body(text, row, provider)
    with lane_held(row, scope.actor, "correct") as hold:
        notes = _standing(hold)
        whole = _whole_text(hold.delivery, body, notes[0])
        result = notes_change(hold.place, notes, text=whole)
        if result.refused:
            why = f"it is replaced by this one.\n\n{body}"
            return _ignored(hold, result, "note.corrected", "note.correct", why, [], text=whole)
        edited = notes[0].text.split() not in (
            whole.split(),
            _whole_text(hold.delivery, str(hold.delivery.payload.get("text", "")), notes[0]).split(),
        )
        values = {"payload": {"text": body}}
        _settle(hold, result, "note.corrected", "note.correct", text=whole, **values)
    told = "Somebody had changed it in the PSA; that text is in the audit." if edited else ""
    return corrected(row, [told])


def note_remove(tenant: Tenant, delivery_id: int, *, scope: Scope) -> Corrected:
    """Take a delivered note off its ticket, its double too; the delivery becomes `discarded`.

    Raises: as `note_hide`, except `note-gone`: that is what was wanted; ConflictError `moving`.
    """
    row, _provider = standing_note(tenant, delivery_id, scope, Capability.NOTE_REMOVAL)
    require_still(row)
    with lane_held(row, scope.actor, "remove") as hold:
        result = notes_remove(hold.place, notes_of(hold.place, hold.delivery))
        if result.refused:
            return _ignored(
                hold, result, "note.removed", "note.remove", MISTAKE_WHY, [mail_notice(hold.delivery)]
            )
        values = gone(f"Removed from the ticket by {scope.actor.name}.")
        _settle(hold, result, "note.removed", "note.remove", **values)
    already = "" if result.changes else "It was not on the ticket any more."
    return corrected(row, [already, mail_notice(hold.delivery)])


def double_remove(tenant: Tenant, delivery_id: int, *, scope: Scope) -> Corrected:
    """Remove what a delivered note left on its ticket beyond the first, and clear the problem `duplicate`.

    Raises: as `note_hide`; ProviderError also when the PSA refuses: then the problem stays.
    """
    row, _provider = standing_note(tenant, delivery_id, scope, Capability.NOTE_REMOVAL)
    if not row.marker:
        raise InvalidInputError("Only notes can be doubled.", code="not-a-note")
    with lane_held(row, scope.actor, "remove-double") as hold:
        found = marked(hold.place, hold.delivery)
        if not found:
            raise _note_gone()
        result = notes_remove(hold.place, found[1:])
        left = found[:1]
        if result.error is None and result.changes:
            left, result.error = _looked_again(hold)
        values: dict[str, Any] = {"external_id": (left or found)[0].id[:60]}
        if (hold.delivery.problem or {}).get("code") == DOUBLED:
            values["problem"] = None
        if len(found) == 1:
            with transaction.atomic():
                hold_close(hold, result, **values)
            return corrected(row, ["It stands on the ticket once."])
        _settle(hold, result, "note.double-removed", "note.double-remove", **values)
    return corrected(row, [])


# What is checked first ---------------------------------------------------------------------------


def _standing(hold: Hold) -> list[Note]:
    found = notes_of(hold.place, hold.delivery)
    if not found:
        raise _note_gone()
    return found


def _note_gone() -> ConflictError:
    return ConflictError("The note is not on the ticket any more.", code="note-gone")


def _body(text: str, row: Delivery, provider: type[Provider]) -> str:
    """Return a new text without the marker, which is put below it again."""
    lines = [line for line in text_clean(text).text.split("\n") if line.strip() != row.marker]
    body = text_clean("\n".join(lines)).text
    limit = min(psa_settings().NOTE_MAX_CHARS, provider.body_max_chars) - OVERHEAD_CHARS
    if len(body) > limit:
        raise InvalidInputError(
            f"The text has {len(body):,} characters; at most {limit:,} fit in one note.",
            code="text-too-long",
            fields={"text": [f"At most {limit:,} characters."]},
        )
    return body


def _whole_text(row: Delivery, body: str, note: Note) -> str:
    """Return a note as it is written: author line as it stands there, head of its part, body, marker."""
    posted_by = ""
    if row.author_kind != "member":
        first = note.text.split("\n", 1)[0]
        known = first.removeprefix(AUTHOR_PREFIX) if first.startswith(AUTHOR_PREFIX) else ""
        posted_by = known.strip() or row.created_by_name
    return note_text(body, part=row.part, parts=row.parts, marker=row.marker, posted_by=posted_by)


# What is done with the answer --------------------------------------------------------------------


def _settle(
    hold: Hold, result: Correction, done: str, asked: str, *, text: str | None = None, **values: Any
) -> None:
    """Write down what came of it. Raises: what stopped it."""
    with transaction.atomic():
        audit(hold, result, done=done, asked=asked, text=text)
        in_time = hold_close(hold, result, done=done.partition(".")[2], **values)
    if isinstance(result.error, NotFoundError):
        raise _note_gone() from result.error
    if result.error is not None:
        raise result.error
    if not in_time:
        raise ConflictError(
            "It took too long, and somebody else has changed this ticket meanwhile. Look at it again.",
            code="changed-meanwhile",
        )


def _ignored(
    hold: Hold,
    result: Correction,
    done: str,
    asked: str,
    why: str,
    said: list[str],
    *,
    text: str | None = None,
) -> Corrected:
    """Queue a note that asks to ignore the one the PSA does not let us change, and say so."""
    assert result.error is not None  # noqa: S101 - tells mypy what `refused` means
    provider = provider_of(hold.delivery.link)
    with transaction.atomic():
        audit(hold, result, done=done, asked=asked, text=text)
        queued = ignore_enqueue(hold.delivery, provider, why, actor=hold.actor)
        hold_close(hold, result)
        deliveries_tell(listened_to(Delivery.objects.filter(unit_id=queued.unit_id)))
    sentence = f"{result.error.message} A note that asks to ignore it was queued instead."
    return corrected(hold.delivery, [sentence, *said], queued)


def _looked_again(hold: Hold) -> tuple[list[Note], ProviderError | None]:
    """Return the notes that are left, and why the double cannot be called gone if it cannot."""
    try:
        left = marked(hold.place, hold.delivery)
    except ProviderError as exc:
        return [], OutcomeUnknownError(
            "The extra notes were removed, but the ticket could not be looked at again. Do the same again.",
            operation=exc.operation,
            status=exc.status,
            request_id=exc.request_id,
            retry_after_s=exc.retry_after_s,
        )
    if len(left) > 1:
        text = f"The note still stands {len(left)} times on the ticket. Do the same again."
        return left, OutcomeUnknownError(text)
    return left, None
