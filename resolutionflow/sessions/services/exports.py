"""Owns the files a session attaches to its ticket: built once, when they are queued."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from django.db import transaction

from psa import selectors as psa_selectors
from psa import services as psa_services
from psa.types import Actor, DocumentPart, PartPreview
from resolutionflow.accounts.models import Account
from resolutionflow.sessions import selectors
from resolutionflow.sessions.export import session_export
from resolutionflow.sessions.models import FlowSession
from resolutionflow.sessions.services.posting import Delivery, LeftOut, WorkUnit, linked_ticket
from resolutionflow.sessions.services.work import session_lock


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """The files of a session that are not on its ticket yet, and those that are."""

    parts: tuple[DocumentPart, ...]
    left_out: tuple[LeftOut, ...]
    posted: Delivery | None = None
    """Where one of them is already, if one is."""


def export_plan(account: Account, session: FlowSession, actor: Actor) -> ExportPlan:
    """Return the files to attach. Of the same content each is attached once."""
    link_id = linked_ticket(session)
    export = session_export(session, selectors.actor_zone(actor))
    parts: list[DocumentPart] = []
    left_out: list[LeftOut] = []
    posted = None
    for file in export.files:
        source = hashlib.sha256(f"{file.file_name}\n{export.source_hash}".encode()).hexdigest()
        there = psa_selectors.document_posted(account, link_id, session.origin, source)
        if there is not None:
            posted = posted or there
            where = (
                "is on the ticket already" if there.delivered_at else "is on its way to the ticket already"
            )
            left_out.append(LeftOut("document", f"{file.file_name} {where}, and nothing changed since."))
            continue
        parts.append(
            DocumentPart(
                file_name=file.file_name,
                title=file.title,
                media_type=file.media_type,
                size=len(file.content),
                open=_opener(file.content),
                source_hash=source,
            )
        )
    return ExportPlan(tuple(parts), tuple(left_out), posted)


def export_preview(
    account: Account, session_id: int, *, actor: Actor
) -> tuple[list[PartPreview], tuple[LeftOut, ...]]:
    """Return how the files would stand on the ticket, and which are left out. Stores nothing.

    Raises: MissingError; ConflictError `no-ticket`; UnsupportedOperationError.
    """
    session = selectors.session_get(account, session_id)
    plan = export_plan(account, session, actor)
    if not plan.parts:
        return [], plan.left_out
    previews = psa_services.unit_preview(account, linked_ticket(session), plan.parts, actor=actor)
    return previews, plan.left_out


@transaction.atomic
def export_post(account: Account, session_id: int, *, actor: Actor) -> WorkUnit:
    """Queue the session's files and return the unit; the earlier one where nothing is left to attach.

    Raises: MissingError; ConflictError `no-ticket`; UnsupportedOperationError.
    """
    session_lock(account, session_id)
    session = selectors.session_get(account, session_id)
    plan = export_plan(account, session, actor)
    if not plan.parts and plan.posted is not None:
        unit: WorkUnit = plan.posted.unit
        return unit
    return psa_services.unit_enqueue(
        account, linked_ticket(session), plan.parts, actor=actor, origin=session.origin
    )


def _opener(content: bytes) -> Callable[[], BinaryIO]:
    return lambda: io.BytesIO(content)
