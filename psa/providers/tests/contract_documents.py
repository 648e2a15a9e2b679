"""Owns what every provider that keeps files must do. A test module subclasses `DocumentContract`."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from psa.exceptions import NotFoundError, OutcomeUnknownError, ProviderError, RejectedError
from psa.providers.http import trace_writes
from psa.providers.tests.contract import PLACES, World
from psa.types import DocumentDraft, RecordType

CONTENT = bytes(range(256)) * 600
"""150 kB: more than one block of everything on the way."""


def file(
    marker: str = "RF-FILE2222", content: bytes = CONTENT, name: str = "session-7.html"
) -> DocumentDraft:
    return DocumentDraft(
        file_name=name,
        title=f"Session 7 · Ref {marker}",
        media_type="text/html",
        size=len(content),
        open=lambda: io.BytesIO(content),
    )


def content_of(world: World, document_id: str) -> bytes:
    found = world.provider.document_open(document_id)
    try:
        blocks = list(found.blocks)
    finally:
        found.close()
    assert max(map(len, blocks)) <= 65_536
    return b"".join(blocks)


class DocumentContract:
    """Subclass it, and provide the fixture `world`."""

    @pytest.mark.parametrize("place", PLACES)
    def test_file_arrives_whole_for_staff_alone_and_is_found_again(
        self, world: World, place: RecordType
    ) -> None:
        ticket, marker = world.tickets[place], f"RF-FILE{place.name[:4]}"
        with trace_writes() as trace:
            made = world.provider.document_upload(ticket, place, file(marker))
        assert trace.sent
        assert (made.ticket_id, made.file_name, made.size) == (ticket, "session-7.html", len(CONTENT))
        assert not made.customer_visible
        assert content_of(world, made.id) == CONTENT
        found = world.provider.document_find(ticket, place, marker)
        assert [(one.id, one.customer_visible) for one in found] == [(made.id, False)]
        assert world.provider.document_find(ticket, place, "RF-NEVERWAS") == []
        assert made.id == world.provider.documents_of(ticket, place)[0].id
        other = RecordType.PROJECT if place is RecordType.SERVICE else RecordType.SERVICE
        assert made.id not in [one.id for one in world.provider.documents_of(world.tickets[other], other)]

    def test_file_attached_twice_is_found_twice(self, world: World) -> None:
        ticket, place = world.tickets[RecordType.SERVICE], RecordType.SERVICE
        for _ in range(2):
            world.provider.document_upload(ticket, place, file("RF-TWICEDOC"))
        assert len(world.provider.document_find(ticket, place, "RF-TWICEDOC")) == 2

    @pytest.mark.parametrize(
        "wrong",
        [
            file(content=b""),
            file(name=""),
            file(name="../../etc/passwd"),
            file(name='a".html'),
            file(name="a\\b.html"),
            file(name="a\r\nb.html"),
        ],
        ids=["empty", "nameless", "slashes", "quote", "backslash", "line end"],
    )
    def test_unsafe_files_are_refused_before_anything_leaves(
        self, world: World, wrong: DocumentDraft
    ) -> None:
        with trace_writes() as trace, pytest.raises(RejectedError) as caught:
            world.provider.document_upload(world.tickets[RecordType.SERVICE], RecordType.SERVICE, wrong)
        assert not trace.sent
        assert "file" in caught.value.fields

    def test_file_over_the_limit_is_refused_before_anything_leaves(self, world: World) -> None:
        most = world.provider.document_max_bytes()
        assert most
        huge = replace(file(), size=most + 1)
        with trace_writes() as trace, pytest.raises(RejectedError) as caught:
            world.provider.document_upload(world.tickets[RecordType.SERVICE], RecordType.SERVICE, huge)
        assert not trace.sent
        assert "file" in caught.value.fields

    @pytest.mark.parametrize("name", ["Bericht für Ümit.html", "日報.html"])
    def test_names_of_other_languages_arrive(self, world: World, name: str) -> None:
        made = world.provider.document_upload(
            world.tickets[RecordType.SERVICE], RecordType.SERVICE, file(name=name)
        )
        assert made.file_name == name

    def test_missing_tickets_and_files_are_not_found(self, world: World) -> None:
        for ticket, place in (
            ("99999999", RecordType.SERVICE),
            ("nonsense", RecordType.SERVICE),
            (world.tickets[RecordType.PROJECT], RecordType.SERVICE),
            (world.tickets[RecordType.SERVICE], RecordType.PROJECT),
        ):
            with pytest.raises(NotFoundError):
                world.provider.document_upload(ticket, place, file())
        for number in ("99999999", "nonsense"):
            with pytest.raises(NotFoundError):
                world.provider.document_open(number)

    def test_what_reading_raises_ends_an_upload(self, world: World) -> None:
        draft = replace(file("RF-STOPPED2", CONTENT * 10), open=lambda: _Stopped(CONTENT * 10))
        with trace_writes() as trace, pytest.raises(ProviderError):
            world.provider.document_upload(world.tickets[RecordType.SERVICE], RecordType.SERVICE, draft)
        assert trace.sent
        # What was cut off is not there, and the next call works.
        assert (
            world.provider.document_find(world.tickets[RecordType.SERVICE], RecordType.SERVICE, "RF-STOPPED2")
            == []
        )

    def test_file_is_read_in_blocks(self, world: World) -> None:
        reader = _Watched(CONTENT * 20)
        draft = replace(file(content=CONTENT * 20), open=lambda: reader)
        world.provider.document_upload(world.tickets[RecordType.SERVICE], RecordType.SERVICE, draft)
        assert reader.largest <= 1_000_000
        assert reader.closed


class _Stopped(io.BytesIO):
    """A file whose reading ends after some blocks."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > 2:
            raise OutcomeUnknownError("Somebody else has this upload now.")
        return super().read(size)


class _Watched(io.BytesIO):
    """A file that remembers the largest read. Hides what would give all of it away at once."""

    largest = 0

    def read(self, size: int | None = -1, /) -> bytes:
        block = super().read(size)
        self.largest = max(self.largest, len(block))
        return block
