"""Owns the dummy's files: kept in memory, none larger than a limit that tests can change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing

from psa.exceptions import NotFoundError, RejectedError
from psa.providers.base import Provider
from psa.providers.dummy.server import API_MEMBER, DummyServer
from psa.types import Document, DocumentDraft, Download, RecordType

BLOCK_BYTES = 64 * 1024


class DummyDocuments(Provider):
    """Files in memory; `provider.DummyProvider` puts it together with the rest."""

    server: DummyServer
    _reading: Callable[[str], AbstractContextManager[None]]
    _writing: Callable[[str], AbstractContextManager[None]]
    _place: Callable[[str, RecordType], tuple[RecordType, str]]

    def document_max_bytes(self) -> int | None:
        with self._reading("document_max_bytes"):
            return self.server.file_max_bytes

    def documents_of(self, ticket_id: str, record_type: RecordType) -> list[Document]:
        with self._reading("documents_of"):
            files = self.server.files.get(self._place(ticket_id, record_type), [])
            return [document for document, _content in reversed(files)]

    def document_upload(self, ticket_id: str, record_type: RecordType, draft: DocumentDraft) -> Document:
        if draft.size <= 0:
            raise _refused("The file is empty.")
        plain = draft.file_name.isprintable() and not any(sign in draft.file_name for sign in '/\\"')
        if not plain or not draft.file_name.strip():
            raise _refused("The file needs a plain name, without slashes and quotes.")
        if draft.size > self.server.file_max_bytes:
            raise _refused(f"Files have at most {self.server.file_max_bytes} bytes here.")
        with self._writing("document_upload"):
            place = self._place(ticket_id, record_type)
            with closing(draft.open()) as file:
                content = b"".join(iter(lambda: file.read(BLOCK_BYTES), b""))
            document = Document(
                id=str(8001 + sum(len(files) for files in self.server.files.values())),
                ticket_id=place[1],
                title=draft.title,
                file_name=draft.file_name,
                size=len(content),
                created_at=self.server.now(),
                created_by=API_MEMBER.name,
            )
            self.server.files.setdefault(place, []).append((document, content))
            return document

    def document_find(self, ticket_id: str, record_type: RecordType, marker: str) -> list[Document]:
        with self._reading("document_find"):
            files = self.server.files.get(self._place(ticket_id, record_type), [])
            return [document for document, _content in files if marker in document.title]

    def document_open(self, document_id: str) -> Download:
        with self._reading("document_open"):
            for files in self.server.files.values():
                for document, content in files:
                    if document.id == str(document_id):
                        return Download(
                            document, "application/octet-stream", _cut(content), close=lambda: None
                        )
            raise NotFoundError(f"There is no file {str(document_id)[:40]}.", status=404)


def _cut(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), BLOCK_BYTES):
        yield content[start : start + BLOCK_BYTES]


def _refused(sentence: str) -> RejectedError:
    return RejectedError(sentence, fields={"file": [sentence]})
