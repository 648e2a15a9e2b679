"""Owns the files of tickets: attaching one for staff, finding it again, listing and downloading.

Source: docs/connectwise/quick-reference.md#files
"""

from __future__ import annotations

import re
from contextlib import ExitStack, closing
from typing import BinaryIO

from requests_toolbelt import MultipartEncoder

from psa.exceptions import NotFoundError, RejectedError, UnavailableError
from psa.providers.connectwise import mapping
from psa.providers.connectwise.client import Params
from psa.providers.connectwise.conditions import as_id
from psa.providers.connectwise.parts import NOT_TOLD, ConnectWisePart
from psa.types import Document, DocumentDraft, Download, RecordType

RECORD_TYPES = {RecordType.SERVICE: "Ticket", RecordType.PROJECT: "ProjectTicket"}
READ_MAX_PAGES = 5
"""Pages of 1000 files that are read of one ticket."""
LIMIT_KEY = "document-max-bytes"
LIMIT_TTL_S = 600.0
"""Seconds for which the company's limit is remembered."""
SLOWEST_BYTES_S = 64 * 1024
"""Bytes per second an upload must reach in the long run; the call's own deadline comes on top."""
MEGABYTE = 1024 * 1024
MEGABYTES_MOST = 10_000
"""Figures of the limit up to this are megabytes, larger ones bytes: the unit is not documented."""

_UNSAFE = re.compile(r'[\x00-\x1f\x7f"\\/]')


class DocumentOperations(ConnectWisePart):
    """Files on service tickets, project tickets and project issues."""

    def document_max_bytes(self) -> int | None:
        found: int | None = self.cache.get(LIMIT_KEY)
        if found is None:
            found = self._limit()
            self.cache.set(LIMIT_KEY, found, LIMIT_TTL_S)
        return found or None

    def documents_of(self, ticket_id: str, record_type: RecordType) -> list[Document]:
        return self._documents(ticket_id, record_type, "documents_of")

    def document_upload(self, ticket_id: str, record_type: RecordType, draft: DocumentDraft) -> Document:
        operation = "document_upload"
        refusal = self._refusal(draft)
        if refusal:
            raise RejectedError(refusal, fields={"file": [refusal]}, operation=operation)
        fields = {
            **{name: str(value) for name, value in _record(ticket_id, record_type).items()},
            "title": draft.title,
            "privateFlag": "True",
        }
        with ExitStack() as opened:

            def form() -> MultipartEncoder:
                content = _Content(opened.enter_context(closing(draft.open())), draft.size)
                file = (draft.file_name, content, draft.media_type)
                return MultipartEncoder({**fields, "file": file})

            return self.api.write(
                "POST",
                "/system/documents",
                lambda raw: mapping.document(raw, str(ticket_id)),
                operation=operation,
                form=form,
                deadline_s=self.http.call_deadline_s + draft.size / SLOWEST_BYTES_S,
                answer_within_s=draft.answer_within_s,
            )

    def document_find(self, ticket_id: str, record_type: RecordType, marker: str) -> list[Document]:
        if not marker.strip():
            raise UnavailableError("A file can only be found by its marker.", operation="document_find")
        # Not by a filter on the title: the guide names none for files.
        found = self._documents(ticket_id, record_type, "document_find")
        return [document for document in found if marker in document.title]

    def document_open(self, document_id: str) -> Download:
        operation = "document_open"
        try:
            path = f"/system/documents/{as_id(document_id)}"
        except ValueError as exc:
            raise NotFoundError(f"There is no file {str(document_id)[:40]!r}.") from exc
        document = self.api.get(path, lambda raw: mapping.document(raw, ""), operation=operation)
        answer = self.api.call("GET", f"{path}/download", operation=operation, stream=True)
        if answer.stream is None:
            raise UnavailableError("ConnectWise sent no file.", operation=operation)
        return Download(document, answer.content_type, answer.stream.blocks, answer.stream.close)

    def _documents(self, ticket_id: str, record_type: RecordType, operation: str) -> list[Document]:
        return self.api.newest(
            "/system/documents",
            lambda raw: mapping.document(raw, str(ticket_id)),
            operation=operation,
            max_pages=READ_MAX_PAGES,
            params=_record(ticket_id, record_type),
        )

    def _limit(self) -> int:
        """Return the company's limit in bytes, 0 when it has none or does not tell."""
        try:
            rows = self.api.page(
                "/system/fileuploadsettings/", lambda raw: raw, operation="document_max_bytes", page_size=1
            )
        except NOT_TOLD:
            return 0
        limit = rows.items[0].get("globalFileSizeLimit") if rows.items else None
        if not isinstance(limit, int) or isinstance(limit, bool) or limit <= 0:
            return 0
        return limit * MEGABYTE if limit <= MEGABYTES_MOST else limit

    def _refusal(self, draft: DocumentDraft) -> str:
        """Return why a file is not sent at all, empty when nothing stands against it."""
        if draft.size <= 0:
            return "The file is empty."
        if not draft.file_name.strip() or _UNSAFE.search(draft.file_name):
            return "The file needs a plain name, without slashes and quotes."
        most = self.document_max_bytes()
        if most is not None and draft.size > most:
            return f"ConnectWise takes files up to {_megabytes(most)}; this one has {_megabytes(draft.size)}."
        return ""


class _Content:
    """A file as the form reads it: it tells how much is left."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self.len = size
        """Bytes left."""

    def read(self, size: int = -1) -> bytes:
        """Return at most size bytes. Raises: OSError when the file ends before its size."""
        block = self._file.read(min(size, self.len) if size >= 0 else self.len)
        if not block and self.len:
            raise OSError(f"the file ends {self.len} bytes early")
        self.len -= len(block)
        return block


def _record(ticket_id: str, record_type: RecordType) -> Params:
    try:
        return {"recordType": RECORD_TYPES[record_type], "recordId": as_id(ticket_id)}
    except ValueError as exc:
        raise NotFoundError(f"There is no ticket {str(ticket_id)[:40]!r}.") from exc


def _megabytes(size: int) -> str:
    return f"{size / MEGABYTE:.1f} MB"
