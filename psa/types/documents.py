"""Owns files on a ticket: what is about to be uploaded, and what is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO

from psa.types.records import Raw


@dataclass(frozen=True, slots=True)
class DocumentDraft:
    """A file about to be uploaded. Nobody but staff will see it.

    Shape: file_name is a plain name with its extension, without path, quotes or control characters; title
        holds the marker. open returns the content from its first byte, for reading; it is closed by whoever
        opened it. It is read while it is sent, and what its read raises ends the upload.
    Units: size is bytes, above 0; answer_within_s is seconds from the last byte to a complete answer.
    """

    file_name: str
    title: str
    media_type: str
    size: int
    open: Callable[[], BinaryIO] = field(repr=False)
    answer_within_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Document:
    """One file as the PSA holds it. Units: size is bytes, None when the PSA did not tell."""

    id: str
    ticket_id: str
    title: str
    file_name: str
    size: int | None = None
    customer_visible: bool = False
    created_at: datetime | None = None
    created_by: str = ""
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Download:
    """The content of a file as it arrives. Close it after use."""

    document: Document
    media_type: str
    blocks: Iterator[bytes] = field(repr=False)
    """At most 64 KiB each."""
    close: Callable[[], None] = field(repr=False)
