"""Owns files on their way: what one is planned as, where its content lies, how it is sent and found again.

A file is for staff alone. Its content never stands in memory as a whole, neither when it is stored nor when
it is sent.
"""

from __future__ import annotations

import hashlib
import io
import re
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, BinaryIO

from django.db import DatabaseError, connection

from psa.conf import psa_settings
from psa.database import database_now
from psa.exceptions import InvalidInputError, OutcomeUnknownError, RejectedError
from psa.models import FileBlock, TicketLink
from psa.models.delivery import API_MEMBER
from psa.outbox.claim import Claim
from psa.outbox.outcome import Health, Next, Outcome, outcome_of
from psa.outbox.text import printable
from psa.types import Document, DocumentDraft, DocumentPart, RecordType

BLOCK_BYTES = 256 * 1024
NAME_MAX_CHARS = 120
RENEW_EVERY_S = 5.0
"""How often a long upload renews its lease: what stalls is given up well before the lease ends."""
STORED_BYTES_S = 1_000_000
"""Bytes a second a PSA may need to store a file, before it answers."""
TITLE_MAX_CHARS = 80
"""Of the title without its marker: a PSA that cuts a long one would cut the marker off."""

_UNSAFE = re.compile(r'[\\/:*?"<>|%\s]+')
_WINDOWS = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?=\.|$)", re.IGNORECASE)


def file_name_clean(raw: str) -> str:
    """Return a name that every PSA and every disk takes: letters of any language, digits, `-_.()`, blanks.

    `C:\\temp\\a/b"🖨️.html` becomes `b.html`: what looks like a folder goes, and so does every other sign.
    """
    last = re.split(r"[\\/]", unicodedata.normalize("NFC", printable(raw)))[-1]
    spaced = _UNSAFE.sub(" ", last)
    kept = "".join(
        sign for sign in spaced if sign.isalnum() or sign in " -_.()" or unicodedata.combining(sign)
    )
    name = " ".join(kept.split()).rstrip(" .")
    stem, dot, ending = name.rpartition(".")
    if dot and len(ending) <= 10:
        name = f"{stem.strip(' .')[: NAME_MAX_CHARS - len(ending) - 1] or 'file'}.{ending}"
    name = name.strip(" .")[:NAME_MAX_CHARS] or "file"
    return f"_{name}" if _WINDOWS.match(name) else name


def document_payload(part: DocumentPart) -> dict[str, Any]:
    """Return what is stored of a file, besides its content.

    Raises: InvalidInputError `empty-file`, `file-too-large`.
    """
    most = psa_settings().DOCUMENT_MAX_BYTES
    if part.size <= 0:
        raise InvalidInputError(
            "The file is empty.", code="empty-file", fields={"file": ["Choose a file with something in it."]}
        )
    if part.size > most:
        sentence = f"The file has {part.size:,} bytes; at most {most:,} are attached."
        raise InvalidInputError(sentence, code="file-too-large", fields={"file": [sentence]})
    return {
        "file_name": file_name_clean(part.file_name),
        "title": " ".join(printable(part.title).split())[:TITLE_MAX_CHARS],
        "media_type": part.media_type,
        "size": part.size,
    }


def document_hash(part: DocumentPart) -> str:
    """Return the hash by which the same file is known again."""
    if part.source_hash:
        return part.source_hash
    found = hashlib.sha256()
    with closing(part.open()) as file:
        while block := file.read(BLOCK_BYTES):
            found.update(block)
    return found.hexdigest()


def document_store(delivery_id: int, part: DocumentPart) -> None:
    """Store the content of a file with its delivery, in the caller's transaction.

    Raises: InvalidInputError `file-changed`, when it is not as long as it was said to be.
    """
    size = 0
    with closing(part.open()) as file:
        for number, block in enumerate(_blocks(file)):
            size += len(block)
            FileBlock.objects.create(delivery_id=delivery_id, number=number, content=block)
    if size != part.size:
        raise InvalidInputError(
            "The file changed while it was read. Choose it again.",
            code="file-changed",
            fields={"file": [f"It has {size:,} bytes, not {part.size:,}."]},
        )


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    """Yield a file in blocks that are full but for the last one, whatever its reads give."""
    kept = b""
    while piece := file.read(BLOCK_BYTES):
        kept += piece
        while len(kept) >= BLOCK_BYTES:
            yield kept[:BLOCK_BYTES]
            kept = kept[BLOCK_BYTES:]
    if kept:
        yield kept


class StoredFile(io.RawIOBase):
    """The content of a delivery's file, one block in memory at a time.

    on_read is told how many bytes are left, before they leave; what it raises ends the reading.
    """

    def __init__(
        self, delivery_id: int, size: int = 0, on_read: Callable[[int], None] = lambda left: None
    ) -> None:
        self._delivery_id = delivery_id
        self._left = size
        self._on_read = on_read
        self._next = 0
        self._block = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._block:
            found = FileBlock.objects.filter(delivery_id=self._delivery_id, number=self._next)
            content = found.values_list("content", flat=True).first()
            if content is None:
                return 0
            self._next += 1
            self._block = memoryview(content)
        view = memoryview(buffer).cast("B")
        size = min(len(view), len(self._block))
        view[:size] = self._block[:size]
        self._block = self._block[size:]
        self._left -= size
        self._on_read(self._left)
        return size


def document_send(claim: Claim) -> Outcome:
    """Attach the file and return what came of it.

    Raises: ProviderError.
    """
    payload, size = claim.payload, claim.payload["size"]
    answer_within_s = psa_settings().CALL_DEADLINE_S + size / STORED_BYTES_S
    lease = _Lease(claim, answer_within_s)
    draft = DocumentDraft(
        file_name=payload["file_name"],
        title=f"{payload['title']} · {claim.marker}".strip(" ·"),
        media_type=payload["media_type"],
        size=size,
        open=lambda: StoredFile(claim.delivery_id, size, lease.renew),  # type: ignore[arg-type, return-value]
        answer_within_s=answer_within_s,
    )
    with _database():
        try:
            made = claim.provider.document_upload(claim.ticket_id, RecordType(claim.record_type), draft)
        except RejectedError as exc:
            return replace(outcome_of(exc, sent=True), remedy="Discard it to leave the file out.")
    return _delivered(claim, made, code="delivered", sent=True)


def document_look(claim: Claim) -> Outcome:
    """Return DELIVERED when the file is on the ticket, UNKNOWN with `looked` when it is not.

    Raises: ProviderError, when the ticket's files could not be read: such a look does not count.
    """
    found = claim.provider.document_find(claim.ticket_id, RecordType(claim.record_type), claim.marker)
    if not found:
        return Outcome(Next.UNKNOWN, "not-found", health=Health.GOOD, looked=True)
    oldest = min(found, key=lambda document: (len(document.id), document.id))
    return _delivered(claim, oldest, code="found", looked=True, doubles=len(found) - 1)


def _delivered(claim: Claim, document: Document, *, code: str, **facts: Any) -> Outcome:
    leaked = document.customer_visible
    return Outcome(
        next=Next.DELIVERED,
        code="shown-to-customer" if leaked else code,
        text="The PSA does not keep this file from the customer." if leaked else "",
        remedy="Open the ticket and make the file private, or remove it, now." if leaked else "",
        health=Health.GOOD,
        external_id=document.id,
        written=document.file_name or claim.payload["file_name"],
        author_name=API_MEMBER,
        author_kind="api_member",
        **facts,
    )


class _Lease:
    """The lease of a lane, renewed while a long upload runs.

    With the last byte it is made to last until the PSA must have answered: nobody looks for the file, and
    sends it again, while it is being stored.
    """

    def __init__(self, claim: Claim, answer_within_s: float) -> None:
        self._claim = claim
        self._answer_within_s = answer_within_s
        self._renew_at = claim.claimed_at + RENEW_EVERY_S
        self._ends_at = claim.claimed_at + psa_settings().LEASE_S

    def renew(self, left: int) -> None:
        """Renew the lease if it is time, or if nothing is left to be read.

        Raises: OutcomeUnknownError, once it is somebody else's: what was sent so far is looked for.
        """
        now = time.monotonic()
        if left and now < self._renew_at:
            return
        lasts_s = psa_settings().LEASE_S + (0 if left else self._answer_within_s)
        try:
            lane = TicketLink.objects.filter(pk=self._claim.link_id, lease_token=self._claim.token)
            if lane.update(lease_expires_at=database_now() + timedelta(seconds=lasts_s)):
                self._renew_at, self._ends_at = now + RENEW_EVERY_S, now + lasts_s
                return
        except DatabaseError:
            # With the last byte it must hold: the answer may take longer than what is left.
            if left and now < self._ends_at - RENEW_EVERY_S:
                self._renew_at = now + 1.0
                return
        raise OutcomeUnknownError("The worker was held up; the file may or may not have arrived.")


@contextmanager
def _database() -> Iterator[None]:
    """Give the thread's database connection back if it had none before: lanes keep none."""
    opened = connection.connection is not None
    try:
        yield
    finally:
        if not opened:
            connection.close()
