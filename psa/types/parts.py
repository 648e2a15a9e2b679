"""Owns the parts of a unit of work, and their preview."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import BinaryIO

from psa.types.kinds import NoteKind
from psa.types.people import Actor
from psa.types.time import BillableOption, TimeObjection


@dataclass(frozen=True, slots=True)
class NotePart:
    """A note to be queued as part of a unit of work.

    Shape: text is the plain text without marker; a long one is delivered in several parts.
    """

    kind: NoteKind
    text: str
    notify: bool = False
    source_hash: str = ""
    """Hash of what the text was made from, for `selectors.note_posted`; empty uses the text itself."""


@dataclass(frozen=True, slots=True)
class StatusPart:
    """A status change to be queued as part of a unit of work."""

    status: str
    """Id or exact name of a status of the ticket's board."""
    notify: bool = False
    """True lets the PSA mail as its own rules say; False asks it to stay silent."""


@dataclass(frozen=True, slots=True)
class TimePart:
    """Time of one engineer to be queued as part of a unit of work. Optional: its death holds nothing else.

    Units: started_at and ended_at are aware, whole seconds; deduct_s is seconds of pauses between them.
    Shape: notes is one sentence the customer may read; internal_notes is for staff and without marker. An
        empty choice leaves it to the PSA.
    """

    engineer: Actor
    """Whose time it is; without a mapped member it waits until there is one."""
    started_at: datetime
    ended_at: datetime
    deduct_s: int = 0
    notes: str = ""
    internal_notes: str = ""
    work_type: str = ""
    work_role: str = ""
    agreement: str = ""
    billable: BillableOption | None = None
    hold: bool = False
    """True queues it held, until a lead lets it go: the period is closed, say."""


@dataclass(frozen=True, slots=True)
class DocumentPart:
    """A file to be attached as part of a unit of work. Optional: its death holds nothing else.

    Units: size is bytes, above 0.
    Shape: file_name is cleaned on the way; title is without marker. open returns the content from its first
        byte; it is stored with the delivery, in the same transaction.
    """

    file_name: str
    title: str
    media_type: str
    size: int
    open: Callable[[], BinaryIO] = field(repr=False)
    source_hash: str = ""
    """Hash of what the file was made from; empty uses its content."""


@dataclass(frozen=True, slots=True)
class PartPreview:
    """What one delivery would do. Nothing is stored."""

    kind: str
    part: int
    parts: int
    text: str
    """Text as it would stand on the ticket, without its marker; for a status its name."""
    visible_to: str
    """`staff` or `customer`."""
    mails: tuple[str, ...]
    """Who is mailed, in words; empty means nobody that we know of."""
    author: str
    author_kind: str
    """`member` or `api_member`."""
    status: str = ""
    """Resulting status, for a status delivery."""
    notes: tuple[str, ...] = ()
    """What the person should know: characters dropped, workflow rules that may mail, …"""
    internal_text: str = ""
    """What stands beside it for staff only, for a time entry."""
    hours: Decimal | None = None
    """Hours that are sent, for a time entry."""
    billed_hours: Decimal | None = None
    """What the PSA makes of them by its rounding; None where that cannot be read."""
    objections: tuple[TimeObjection, ...] = ()
    """Why the PSA would refuse a time entry, or what the engineer has there already."""
    size: int | None = None
    """Bytes of a file."""
