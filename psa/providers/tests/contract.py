"""Owns what every provider must do. A provider's test module subclasses `ProviderContract`.

Collected only through subclasses: the class has no `Test` prefix on purpose.
"""

from __future__ import annotations

import inspect
import re
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from psa.exceptions import (
    InvalidStatusError,
    NotFoundError,
    ProviderError,
    RejectedError,
    TimeRefusedError,
    UnsupportedOperationError,
)
from psa.providers.base import Provider
from psa.providers.http import HttpClient, trace_writes
from psa.types import (
    BillableOption,
    Capability,
    ConnectionConfig,
    Feature,
    FeatureStatus,
    NoteDraft,
    NoteKind,
    RecordType,
    Ticket,
    TimeDraft,
)

KINDS = list(NoteKind)
PLACES = list(RecordType)


class MemoryCache:
    """The smallest cache that fits `base.Cache`."""

    def __init__(self) -> None:
        self.held: dict[str, object] = {}

    def get(self, key: str, default: object = None) -> object:
        return self.held.get(key, default)

    def set(self, key: str, value: object, timeout: float | None = None) -> None:
        self.held[key] = value

    def delete(self, key: str) -> None:
        self.held.pop(key, None)


@dataclass
class World:
    """One provider and records that exist in its PSA."""

    provider: Provider
    config: ConnectionConfig
    tickets: dict[RecordType, str]
    """An open ticket of each record type."""
    author_id: str
    """An active member who can be an author."""
    searchable: str
    """A word of some service ticket's summary."""

    def again(self, **changes: object) -> Provider:
        """Return a second provider of the same class on the same PSA."""
        config = replace(self.config, **changes)  # type: ignore[arg-type]
        http = HttpClient(trusted_hosts=config.trusted_hosts)
        return type(self.provider)(config, http, MemoryCache())

    def ticket(self, place: RecordType) -> Ticket:
        return self.provider.ticket_get(self.tickets[place], place)

    def ticket_status(self, place: RecordType) -> str:
        status = self.ticket(place).status
        return status.id if status else ""


def draft(kind: NoteKind = NoteKind.ANALYSIS, text: str = "Checked the cable.", **more: object) -> NoteDraft:
    return NoteDraft(kind, text, **more)  # type: ignore[arg-type]


WORK_BEGAN = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


def worked(
    world: World,
    marker: str = "RF-WORKED22",
    *,
    began: timedelta = timedelta(),
    minutes: int = 30,
    pause: int = 0,
) -> TimeDraft:
    """Time of the world's author; began counts from WORK_BEGAN."""
    start = WORK_BEGAN + began
    return TimeDraft(
        started_at=start,
        ended_at=start + timedelta(minutes=minutes),
        member_id=world.author_id,
        deduct_s=pause * 60,
        notes="Printer works again.",
        internal_notes=f"Swapped the fuser, then the door code 4711.\nRef {marker}",
    )


class ProviderContract:
    """Subclass it, and provide the fixture `world`."""

    # Declarations -------------------------------------------------------------------------------

    def test_declares_itself(self, world: World) -> None:
        kind = type(world.provider)
        assert re.fullmatch(r"[a-z][a-z0-9_]{1,30}", kind.key)
        assert kind.label
        assert kind.site_example
        assert kind.capabilities <= set(Capability)
        names = [entry.name for entry in kind.credential_schema]
        assert len(names) == len(set(names))
        for entry in kind.credential_schema:
            assert entry.label
            assert entry.help
            assert entry.pattern == "" or entry.pattern_hint
            re.compile(entry.pattern)

    def test_its_own_credentials_fit_its_schema(self, world: World) -> None:
        clean, errors = world.provider.credentials_clean(world.config.credentials)
        assert errors == {}
        assert clean == {name: value for name, value in world.config.credentials.items() if value}

    def test_an_address_survives_cleaning_twice(self, world: World) -> None:
        for site in (world.config.site, world.provider.site_example):
            once = world.provider.site_clean(site)
            assert world.provider.site_clean(once) == once
            assert world.provider.site_identity(once) == world.provider.site_identity(site)

    @pytest.mark.parametrize(
        "site", ["", "   ", "https://user:pass@psa.example/", "two words.example", "a\nb"]
    )
    def test_an_impossible_address_is_refused_in_a_sentence(self, world: World, site: str) -> None:
        with pytest.raises(ValueError) as caught:
            world.provider.site_clean(site)
        assert str(caught.value).endswith(".")
        assert "pass" not in str(caught.value).replace("passwords", "")

    def test_operations_keep_the_signature_of_the_base(self, world: World) -> None:
        for name, member in vars(Provider).items():
            if name.startswith("_") or not inspect.isfunction(member):
                continue
            own = inspect.signature(getattr(type(world.provider), name))
            base = inspect.signature(member)
            assert list(own.parameters) == list(base.parameters), name
            for key, parameter in base.parameters.items():
                assert own.parameters[key].default == parameter.default, (name, key)

    def test_a_missing_capability_raises(self, world: World) -> None:
        for capability in set(Capability) - world.provider.capabilities:
            with pytest.raises(UnsupportedOperationError):
                world.provider.require(capability)

    def test_the_configuration_hides_its_credentials(self, world: World) -> None:
        for value in world.config.credentials.values():
            assert value not in repr(world.config)
            assert value not in repr(world.provider)

    # Connection ---------------------------------------------------------------------------------

    def test_discover_finds_an_endpoint_that_can_be_stored(self, world: World) -> None:
        endpoint = world.provider.discover()
        assert endpoint.base_url
        assert not endpoint.base_url.endswith("/")
        assert world.provider.endpoint == endpoint
        assert type(endpoint)(**endpoint.as_dict()) == endpoint
        assert world.again(endpoint=endpoint).ticket_get(
            world.tickets[RecordType.SERVICE], RecordType.SERVICE
        )

    def test_probe_answers_for_features_and_writes_nothing(self, world: World) -> None:
        with trace_writes() as trace:
            result = world.provider.probe()
        assert not trace.sent
        assert result.version
        by_feature = {item.feature: item for item in result.features}
        assert len(by_feature) == len(result.features)
        assert {Feature.CONNECTION, Feature.TICKETS, Feature.NOTES, Feature.STATUS} <= set(by_feature)
        assert by_feature[Feature.TICKETS].status is FeatureStatus.OK
        for item in result.features:
            assert item.grant or item.status is FeatureStatus.OK

    def test_access_is_checked_without_a_word(self, world: World) -> None:
        assert world.provider.check_access() is None

    # Tickets ------------------------------------------------------------------------------------

    @pytest.mark.parametrize("place", PLACES)
    def test_a_ticket_is_read(self, world: World, place: RecordType) -> None:
        ticket = world.ticket(place)
        assert ticket.id == world.tickets[place]
        assert ticket.record_type is place
        assert ticket.summary
        assert ticket.board is not None
        assert ticket.status is not None
        assert not ticket.closed
        assert ticket.url.startswith(("https://", "http://"))
        for moment in (ticket.created_at, ticket.updated_at):
            assert moment is not None
            assert moment.tzinfo is UTC
            assert moment.microsecond == 0

    @pytest.mark.parametrize("place", PLACES)
    @pytest.mark.parametrize("ticket_id", ["99999999", "0", "abc", "1 or 1=1", "../1", ""])
    def test_a_missing_ticket_is_not_found(self, world: World, place: RecordType, ticket_id: str) -> None:
        for call in (
            lambda: world.provider.ticket_get(ticket_id, place),
            lambda: world.provider.ticket_notes(ticket_id, place),
            lambda: world.provider.note_add(ticket_id, place, draft()),
        ):
            with pytest.raises(NotFoundError):
                call()

    def test_a_ticket_of_the_other_type_is_not_found(self, world: World) -> None:
        with pytest.raises(NotFoundError):
            world.provider.ticket_get(world.tickets[RecordType.PROJECT], RecordType.SERVICE)

    def test_search_finds_by_word_and_by_number(self, world: World) -> None:
        ticket = world.ticket(RecordType.SERVICE)
        for query in (ticket.id, f"#{ticket.id}"):
            assert ticket.id in [t.id for t in world.provider.ticket_search(query).items]
        found = world.provider.ticket_search(world.searchable.upper())
        assert found.items
        for item in found.items:
            assert world.searchable.lower() in item.summary.lower()

    @pytest.mark.parametrize(
        "query", ['"', "\\", '\\"', "' or 1=1", "100%", "[x]", "a & b", "ä😀", "x" * 3000]
    )
    def test_search_takes_any_text(self, world: World, query: str) -> None:
        assert world.provider.ticket_search(f"{query} nothing has this").items == ()

    def test_search_lists_open_tickets_first(self, world: World) -> None:
        closed = [ticket.closed for ticket in world.provider.ticket_search(page_size=200).items]
        assert closed == sorted(closed)

    @pytest.mark.parametrize("place", PLACES)
    def test_search_keeps_to_a_board(self, world: World, place: RecordType) -> None:
        board = world.ticket(place).board
        assert board is not None
        found = world.provider.ticket_search(record_type=place, board_id=board.id)
        assert found.items
        assert {t.board.id for t in found.items if t.board} == {board.id}
        assert {t.record_type for t in found.items} == {place}

    def test_search_pages_without_holes_or_doubles(self, world: World) -> None:
        whole = [t.id for t in world.provider.ticket_search(page_size=1000).items]
        seen: list[str] = []
        number: int | None = 1
        while number is not None and len(seen) < 500:
            page = world.provider.ticket_search(page=number, page_size=max(2, len(whole) // 4))
            seen += [t.id for t in page.items]
            number = page.next_page
        assert seen == whole[: len(seen)]
        assert len(seen) == min(len(whole), len(seen))
        assert world.provider.ticket_search(page=9999).items == ()

    # Notes --------------------------------------------------------------------------------------

    @pytest.mark.parametrize("place", PLACES)
    @pytest.mark.parametrize("kind", KINDS)
    def test_a_note_lands_where_its_kind_says(self, world: World, place: RecordType, kind: NoteKind) -> None:
        marker = f"RF-{kind.name[:4]}{place.name[:4]}"
        text = f"Swapped the cable. Ümläut 😀\nDone.\nRef {marker}"
        with trace_writes() as trace:
            note = world.provider.note_add(world.tickets[place], place, draft(kind, text))
        assert trace.sent
        assert note.id
        assert note.kind is kind
        assert note.customer_visible is kind.customer_visible
        assert note.text == text
        assert note.ticket_id == world.tickets[place]
        assert [n.id for n in world.provider.note_find(world.tickets[place], place, marker, kind)] == [
            note.id
        ]
        listed = world.provider.ticket_notes(world.tickets[place], place)
        stored = next(n for n in listed if n.text == text)
        assert stored.kind is kind
        assert stored.created_at is not None

    @pytest.mark.parametrize("place", PLACES)
    def test_a_double_is_found_twice_and_only_in_its_own_section(
        self, world: World, place: RecordType
    ) -> None:
        marker = f"RF-DOUBLE{place.name[:2]}"
        for _ in range(2):
            world.provider.note_add(world.tickets[place], place, draft(text=f"Twice.\nRef {marker}"))
        find = world.provider.note_find
        assert len(find(world.tickets[place], place, marker, NoteKind.ANALYSIS)) == 2
        assert find(world.tickets[place], place, marker, NoteKind.RESOLUTION) == []
        assert find(world.tickets[place], place, "RF-NEVERWAS", NoteKind.ANALYSIS) == []

    @pytest.mark.parametrize("place", PLACES)
    def test_a_removed_note_is_gone_and_the_others_stay(self, world: World, place: RecordType) -> None:
        marker = f"RF-REMOVE{place.name[:2]}"
        kept, extra = (
            world.provider.note_add(world.tickets[place], place, draft(text=f"Twice.\nRef {marker}"))
            for _ in range(2)
        )
        for _ in range(2):
            # The second time it is gone already.
            world.provider.note_remove(world.tickets[place], place, extra.id)
        found = world.provider.note_find(world.tickets[place], place, marker, NoteKind.ANALYSIS)
        assert [note.id for note in found] == [kept.id]

    @pytest.mark.parametrize("place", PLACES)
    @pytest.mark.parametrize("kind", [NoteKind.RESOLUTION, NoteKind.DISCUSSION])
    def test_a_hidden_note_is_for_staff_alone(self, world: World, place: RecordType, kind: NoteKind) -> None:
        marker = f"RF-HIDE{kind.name[:2]}{place.name[:2]}"
        ticket = world.tickets[place]
        shown = world.provider.note_add(ticket, place, draft(kind, f"Too much.\nRef {marker}"))
        for _ in range(2):
            # The second time it is hidden already.
            hidden = world.provider.note_change(ticket, place, shown.id, kind=NoteKind.ANALYSIS)
        assert (hidden.id, hidden.text, hidden.author) == (shown.id, shown.text, shown.author)
        assert (hidden.kind, hidden.customer_visible) == (NoteKind.ANALYSIS, False)
        assert world.provider.note_get(ticket, place, shown.id).kind is NoteKind.ANALYSIS
        assert world.provider.note_find(ticket, place, marker, kind) == []
        assert len(world.provider.note_find(ticket, place, marker, NoteKind.ANALYSIS)) == 1

    @pytest.mark.parametrize("place", PLACES)
    @pytest.mark.parametrize("kind", KINDS)
    def test_a_corrected_note_keeps_its_readers(
        self, world: World, place: RecordType, kind: NoteKind
    ) -> None:
        ticket = world.tickets[place]
        first, other = (
            world.provider.note_add(ticket, place, draft(kind, f"{word}.\nRef RF-WRONG{word}"))
            for word in ("One", "Two")
        )
        text = "Swapped the *other* cable. Ümläut 😀\n\nRef RF-WRONGOne"
        with trace_writes() as trace:
            changed = world.provider.note_change(ticket, place, first.id, text=text)
        assert trace.sent
        assert (changed.id, changed.text, changed.kind) == (first.id, text, kind)
        assert world.provider.note_get(ticket, place, first.id).text == text
        assert world.provider.note_get(ticket, place, other.id).text == other.text

    @pytest.mark.parametrize("place", PLACES)
    def test_text_and_kind_change_together(self, world: World, place: RecordType) -> None:
        ticket = world.tickets[place]
        note = world.provider.note_add(ticket, place, draft(NoteKind.ANALYSIS, "For staff."))
        changed = world.provider.note_change(
            ticket, place, note.id, text="For all.", kind=NoteKind.DISCUSSION
        )
        assert (changed.text, changed.kind, changed.customer_visible) == (
            "For all.",
            NoteKind.DISCUSSION,
            True,
        )

    @pytest.mark.parametrize("place", PLACES)
    @pytest.mark.parametrize("note_id", ["99999999", "0", "abc", "../1", ""])
    def test_a_missing_note_is_not_found(self, world: World, place: RecordType, note_id: str) -> None:
        for call in (
            lambda: world.provider.note_get(world.tickets[place], place, note_id),
            lambda: world.provider.note_change(world.tickets[place], place, note_id, text="x"),
        ):
            with pytest.raises(NotFoundError):
                call()

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [({"text": ""}, "text"), ({"text": " \n "}, "text"), ({"text": "x" * 15_001}, "text"), ({}, "text")],
    )
    def test_an_impossible_change_is_refused_before_anything_leaves(
        self, world: World, wrong: dict[str, str], field: str
    ) -> None:
        place = RecordType.SERVICE
        note = world.provider.note_add(world.tickets[place], place, draft())
        with trace_writes() as trace, pytest.raises(RejectedError) as caught:
            world.provider.note_change(world.tickets[place], place, note.id, **wrong)
        assert not trace.sent
        assert field in caught.value.fields

    def test_a_note_shows_the_member_who_wrote_it(self, world: World) -> None:
        place = RecordType.SERVICE
        author = next(m for m in world.provider.members() if m.id == world.author_id)
        note = world.provider.note_add(world.tickets[place], place, draft(author_member_id=author.id))
        assert note.author == author.name
        anonymous = world.provider.note_add(world.tickets[place], place, draft())
        assert anonymous.author != author.name
        assert not anonymous.author_is_contact

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({"text": ""}, "text"),
            ({"text": " \n "}, "text"),
            ({"text": "x" * 15_001}, "text"),
            ({"notify": True}, "notify"),
        ],
    )
    def test_an_impossible_note_is_refused_before_anything_leaves(
        self, world: World, wrong: dict[str, object], field: str
    ) -> None:
        with trace_writes() as trace, pytest.raises(RejectedError) as caught:
            world.provider.note_add(world.tickets[RecordType.SERVICE], RecordType.SERVICE, draft(**wrong))
        assert not trace.sent
        assert field in caught.value.fields

    def test_an_unknown_author_is_refused(self, world: World) -> None:
        for author in ("99999999", "nobody"):
            with pytest.raises(RejectedError):
                world.provider.note_add(
                    world.tickets[RecordType.SERVICE], RecordType.SERVICE, draft(author_member_id=author)
                )

    def test_the_longest_note_arrives_whole(self, world: World) -> None:
        text = "ö" * (world.provider.body_max_chars - 16) + "\nRef RF-LONGEST1"
        note = world.provider.note_add(
            world.tickets[RecordType.SERVICE], RecordType.SERVICE, draft(text=text)
        )
        assert note.text == text

    def test_notes_come_newest_first_and_cut_to_the_limit(self, world: World) -> None:
        place = RecordType.SERVICE
        for number in range(3):
            world.provider.note_add(world.tickets[place], place, draft(text=f"Step {number}"))
        notes = world.provider.ticket_notes(world.tickets[place], place)
        moments = [note.created_at for note in notes if note.created_at]
        assert moments == sorted(moments, reverse=True)
        assert [n.text for n in notes[:3]] == ["Step 2", "Step 1", "Step 0"]
        assert len(world.provider.ticket_notes(world.tickets[place], place, limit=2)) == 2

    def test_notes_written_at_once_all_arrive(self, world: World) -> None:
        place = RecordType.SERVICE
        ids: list[str] = []

        def write(number: int) -> None:
            ids.append(world.provider.note_add(world.tickets[place], place, draft(text=f"n{number}")).id)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(ids)) == 12

    # Status -------------------------------------------------------------------------------------

    @pytest.mark.parametrize("place", PLACES)
    def test_statuses_belong_to_the_board_of_the_ticket(self, world: World, place: RecordType) -> None:
        ticket = world.ticket(place)
        assert ticket.board is not None
        statuses = world.provider.statuses_for(ticket)
        assert {s.board_id for s in statuses} == {ticket.board.id}
        assert any(s.closed for s in statuses)
        assert any(s.active and not s.closed for s in statuses)
        assert ticket.status is not None
        assert ticket.status.id in {s.id for s in statuses}
        assert statuses == world.provider.statuses_of_board(ticket.board.id, place)

    @pytest.mark.parametrize("notify", [False, True])
    @pytest.mark.parametrize("place", PLACES)
    def test_a_status_is_set_and_observed(self, world: World, place: RecordType, notify: bool) -> None:
        ticket = world.ticket(place)
        statuses = [s for s in world.provider.statuses_for(ticket) if s.active]
        other = next(s for s in statuses if not s.closed and ticket.status and s.id != ticket.status.id)
        closed = next(s for s in statuses if s.closed)
        for wanted in (other, closed):
            with trace_writes() as trace:
                after = world.provider.status_set(ticket.id, place, wanted.id, notify=notify)
            assert trace.sent
            assert after.status is not None
            assert after.status.id == wanted.id
            assert after.closed is wanted.closed
            assert world.ticket_status(place) == wanted.id

    def test_a_status_of_another_board_is_refused_with_the_valid_names(self, world: World) -> None:
        place = RecordType.SERVICE
        ticket = world.ticket(place)
        assert ticket.board is not None
        own = world.provider.statuses_for(ticket)
        others = [
            status
            for board in world.provider.boards()
            if board.id != ticket.board.id
            for status in world.provider.statuses_of_board(board.id, board.record_type)
        ]
        inactive = [status for status in own if not status.active]
        for wrong in (others[0].id, *[s.id for s in inactive], "99999999"):
            with pytest.raises(InvalidStatusError) as caught:
                world.provider.status_set(ticket.id, place, wrong)
            assert set(caught.value.valid_names) == {s.name for s in own if s.active}
            assert "status" in caught.value.fields
        assert ticket.status is not None
        assert world.ticket_status(place) == ticket.status.id

    # Reference data -----------------------------------------------------------------------------

    def test_members_are_listed_whole(self, world: World) -> None:
        members = world.provider.members()
        assert len({m.id for m in members}) == len(members)
        assert {m.active for m in members} == {True, False}
        assert any(m.is_api for m in members)
        for item in members:
            assert item.name
            assert item.emails == tuple(dict.fromkeys(e.lower() for e in item.emails))
        secret = re.compile(r"pay|salar|cost|rate|token|password|address", re.IGNORECASE)
        assert not [name for m in members for name in m.raw if secret.search(name)]

    def test_boards_of_both_types_are_listed(self, world: World) -> None:
        boards = world.provider.boards()
        assert {b.record_type for b in boards} == set(RecordType)
        assert len({b.id for b in boards}) == len(boards)
        assert all(b.name for b in boards)

    def test_companies_and_contacts_are_found_by_name(self, world: World) -> None:
        company = world.ticket(RecordType.SERVICE).company
        assert company is not None
        found = world.provider.companies(company.name[:5].lower(), page_size=1000)
        assert company.id in [c.id for c in found.items]
        assert world.provider.companies("zzz nobody is called this").items == ()
        contacts = world.provider.contacts(company_id=company.id)
        assert contacts.items
        assert {c.company.id for c in contacts.items if c.company} == {company.id}
        first = contacts.items[0]
        again = world.provider.contacts(first.name, company_id=company.id)
        assert first.id in [c.id for c in again.items]

    @pytest.mark.parametrize("place", PLACES)
    def test_devices_of_a_ticket_are_listed(self, world: World, place: RecordType) -> None:
        for device in world.provider.configurations_of(world.tickets[place], place):
            assert device.id
            assert device.name

    # Failing ------------------------------------------------------------------------------------

    # Time ---------------------------------------------------------------------------------------

    @pytest.mark.parametrize("place", PLACES)
    def test_time_is_entered_for_its_member_and_found_again(self, world: World, place: RecordType) -> None:
        ticket = world.tickets[place]
        marker = f"RF-TIME{place.name[:4]}"
        with trace_writes() as trace:
            entry = world.provider.time_entry_add(ticket, place, worked(world, marker, minutes=40, pause=10))
        assert trace.sent
        assert (entry.ticket_id, entry.member.id) == (ticket, world.author_id)
        assert entry.actual_hours == Decimal("0.5")
        assert entry.billed_hours is None or entry.billed_hours >= entry.actual_hours
        assert (entry.started_at, entry.ended_at) == (WORK_BEGAN, WORK_BEGAN + timedelta(minutes=40))
        assert entry.notes == "Printer works again."
        assert not entry.customer_visible
        assert [one.id for one in world.provider.time_entry_find(ticket, place, marker)] == [entry.id]
        assert world.provider.time_entry_find(ticket, place, "RF-NEVERWAS") == []
        day = WORK_BEGAN.date()
        listed = world.provider.time_entries_of(ticket, place, member_id=world.author_id, day=day)
        assert entry.id in [one.id for one in listed]
        assert world.provider.time_entries_of(ticket, place, day=day - timedelta(days=400)) == []

    @pytest.mark.parametrize("place", PLACES)
    def test_no_text_of_time_stands_where_the_customer_reads(self, world: World, place: RecordType) -> None:
        world.provider.time_entry_add(world.tickets[place], place, worked(world, "RF-LEAKTEST"))
        notes = world.provider.ticket_notes(world.tickets[place], place)
        shown = [note.text for note in notes if note.customer_visible]
        assert not any("RF-LEAKTEST" in text or "Printer works again." in text for text in shown)

    def test_time_entered_twice_is_found_twice(self, world: World) -> None:
        ticket, place = world.tickets[RecordType.SERVICE], RecordType.SERVICE
        for _ in range(2):
            world.provider.time_entry_add(ticket, place, worked(world, "RF-TWICE222"))
        assert len(world.provider.time_entry_find(ticket, place, "RF-TWICE222")) == 2

    def test_what_a_member_entered_already_is_told_before(self, world: World) -> None:
        ticket = world.ticket(RecordType.SERVICE)
        assert [one.code for one in world.provider.time_check(ticket, worked(world))] == []
        entry = world.provider.time_entry_add(ticket.id, RecordType.SERVICE, worked(world))
        [overlap] = world.provider.time_check(ticket, worked(world))
        assert (overlap.code, overlap.binding) == ("overlap", False)
        assert [one.id for one in overlap.entries] == [entry.id]
        [same_day] = world.provider.time_check(ticket, worked(world, began=timedelta(hours=2)))
        assert (same_day.code, same_day.binding) == ("same-day", False)
        assert world.provider.time_check(ticket, worked(world, began=timedelta(days=1))) == []

    @pytest.mark.parametrize(
        "wrong", [{"minutes": 0}, {"minutes": -30}, {"minutes": 30, "pause": 30}, {"pause": -1}]
    )
    def test_impossible_time_is_refused_before_anything_leaves(
        self, world: World, wrong: dict[str, int]
    ) -> None:
        with trace_writes() as trace, pytest.raises(RejectedError) as caught:
            world.provider.time_entry_add(
                world.tickets[RecordType.SERVICE], RecordType.SERVICE, worked(world, **wrong)
            )
        assert not trace.sent
        assert "end" in caught.value.fields

    def test_time_of_an_unknown_member_is_refused(self, world: World) -> None:
        for member in ("99999999", "nobody", ""):
            with pytest.raises(RejectedError):
                world.provider.time_entry_add(
                    world.tickets[RecordType.SERVICE],
                    RecordType.SERVICE,
                    replace(worked(world), member_id=member),
                )

    def test_time_on_a_ticket_of_the_other_type_is_refused(self, world: World) -> None:
        with pytest.raises((NotFoundError, RejectedError)):
            world.provider.time_entry_add(
                world.tickets[RecordType.PROJECT], RecordType.SERVICE, worked(world)
            )

    def test_running_agreements_can_be_chosen_and_ended_ones_are_refused(self, world: World) -> None:
        ticket = world.ticket(RecordType.SERVICE)
        assert ticket.company
        found = world.provider.agreements_of(ticket.company.id)
        day = WORK_BEGAN.date()
        running = next(one for one in found if one.covers(day))
        ended = next(one for one in found if not one.covers(day))
        offered = world.provider.time_choices(ticket, world.author_id).agreements
        assert running.id in [one.id for one in offered]
        assert ended.id not in [one.id for one in offered]
        on_ended = replace(worked(world), agreement_id=ended.id)
        assert [one.code for one in world.provider.time_check(ticket, on_ended)] == ["agreement-closed"]
        with pytest.raises(TimeRefusedError) as caught:
            world.provider.time_entry_add(ticket.id, RecordType.SERVICE, on_ended)
        assert caught.value.objection == "agreement-closed"
        on_running = replace(worked(world), agreement_id=running.id)
        assert world.provider.time_check(ticket, on_running) == []
        assert world.provider.time_entry_add(ticket.id, RecordType.SERVICE, on_running).id
        with pytest.raises(NotFoundError):
            world.provider.agreements_of("nonsense")

    def test_what_can_be_chosen_for_time_is_listed(self, world: World) -> None:
        choices = world.provider.time_choices(world.ticket(RecordType.SERVICE), world.author_id)
        assert choices.work_types
        assert choices.work_roles
        assert choices.rounding_hours
        assert not choices.disabled
        chosen = replace(
            worked(world), work_type_id=choices.work_types[-1].id, billable=BillableOption.NO_CHARGE
        )
        entry = world.provider.time_entry_add(world.tickets[RecordType.SERVICE], RecordType.SERVICE, chosen)
        assert entry.billable is BillableOption.NO_CHARGE

    def test_every_error_is_one_of_ours(self, world: World) -> None:
        calls = (
            lambda: world.provider.ticket_get("99999999", RecordType.SERVICE),
            lambda: world.provider.statuses_of_board("99999999", RecordType.SERVICE),
            lambda: world.provider.configurations_of("99999999", RecordType.SERVICE),
            lambda: world.provider.status_set("99999999", RecordType.SERVICE, "1"),
            lambda: world.provider.note_find("99999999", RecordType.SERVICE, "RF-X", NoteKind.ANALYSIS),
            lambda: world.provider.note_get("99999999", RecordType.SERVICE, "1"),
            lambda: world.provider.note_change("99999999", RecordType.SERVICE, "1", text="x"),
        )
        for call in calls:
            with pytest.raises(ProviderError) as caught:
                call()
            assert caught.value.message.endswith(".")
