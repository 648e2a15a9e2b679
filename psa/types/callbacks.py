"""Owns what a PSA is asked to tell us, and what it tells."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class CallbackDraft:
    """A registration about to be made.

    Shape: url is complete; what tells changes from each other is appended to it by the PSA.
    """

    url: str
    type: str
    """Kind of record whose changes are told: `ticket`."""
    level: str
    """`owner` tells of all records, `board` of those on the board object_id."""
    object_id: str = ""


@dataclass(frozen=True, slots=True)
class Callback:
    """A registration as the PSA holds it, ours or somebody else's."""

    id: str
    url: str
    type: str
    level: str
    object_id: str = ""
    active: bool = True
    """False once the PSA or somebody switched it off."""


class WebhookAction(StrEnum):
    """What happened to a record."""

    ADDED = "added"
    UPDATED = "updated"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """A verified message. It says that something changed; what is true now is read from the PSA."""

    action: WebhookAction
    type: str
    record_id: str
    member: str = ""
    """Identifier of whoever made the change, empty when not told."""
    message_id: str = ""
    """What tells two messages apart, empty when not told."""
