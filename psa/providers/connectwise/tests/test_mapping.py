"""The border: any JSON becomes a neutral record or a ValueError; no note seems more private than it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psa.providers.connectwise import articles, customer_mapping, mapping, raw_values
from psa.types import NoteKind, RecordType

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)
FIELDS = [
    "id",
    "summary",
    "recordType",
    "board",
    "status",
    "company",
    "contact",
    "owner",
    "_info",
    "closedFlag",
    "mergedParentTicket",
    "text",
    "member",
    "ticketId",
    "ticket",
    "noteType",
    "dateCreated",
    "timeStart",
    "originalAuthor",
    "createdBy",
    "name",
    "identifier",
    "inactive",
    "inactiveFlag",
    "sortOrder",
    "emailTemplate",
    "fullName",
    "firstName",
    "lastName",
    "defaultEmail",
    "licenseClass",
    "projectFlag",
    "communicationItems",
    "defaultPhoneNbr",
    "addressLine1",
    "stateReference",
    "country",
    "resources",
    "agreementStatus",
    "title",
    "issue",
    "deviceIdentifier",
    "type",
    "internalAnalysisFlag",
    "detailDescriptionFlag",
    "resolutionFlag",
    "dateEntered",
]
MAPPERS = {
    "ticket": lambda raw: mapping.ticket(raw, RecordType.SERVICE, "https://psa.example"),
    "note": lambda raw: mapping.note(raw, "1"),
    "status": lambda raw: mapping.status(raw, "1"),
    "member": mapping.member,
    "board": mapping.board,
    "company": customer_mapping.company,
    "contact": customer_mapping.contact,
    "configuration": customer_mapping.configuration,
    "site": customer_mapping.site,
    "agreement": customer_mapping.agreement,
    "article": articles.article,
}


@pytest.mark.parametrize("name", MAPPERS)
@given(raw=st.dictionaries(st.sampled_from(FIELDS), ANYTHING))
def test_any_json_is_mapped_or_a_value_error(name: str, raw: dict[str, Any]) -> None:
    for record in (raw, {**raw, "id": 7}):
        try:
            mapped = MAPPERS[name](record)
        except ValueError:
            continue
        assert mapped.id == str(record["id"])
        assert mapped.raw == record or mapped.raw is record


@pytest.mark.parametrize("name", MAPPERS)
def test_a_record_with_only_an_id_is_enough(name: str) -> None:
    assert MAPPERS[name]({"id": 7}).id == "7"


@pytest.mark.parametrize("value", [None, True, {}, [], "x", 1.5, "1.5", ""])
def test_a_record_without_an_id_is_none(value: Any) -> None:
    with pytest.raises(ValueError):
        mapping.board({"id": value})


@pytest.mark.parametrize(
    ("flags", "kind"),
    [
        ("internalAnalysisFlag", NoteKind.ANALYSIS),
        ("resolutionFlag", NoteKind.RESOLUTION),
        ("detailDescriptionFlag", NoteKind.DISCUSSION),
        ("internalAnalysisFlag detailDescriptionFlag", NoteKind.DISCUSSION),
        ("internalAnalysisFlag resolutionFlag", NoteKind.RESOLUTION),
        ("", NoteKind.ANALYSIS),
    ],
)
def test_one_customer_section_makes_a_note_customer_visible(flags: str, kind: NoteKind) -> None:
    raw = {"id": 1, "internalFlag": True, "externalFlag": False, **dict.fromkeys(flags.split(), True)}
    note = mapping.note(raw, "1")
    assert note.kind is kind
    assert note.customer_visible is kind.customer_visible


@pytest.mark.parametrize("kind", NoteKind)
def test_a_new_note_says_everything_that_decides_who_reads_it(kind: NoteKind) -> None:
    body = mapping.note_body(kind, "text", 7, False)
    assert [body[flag] for flag in mapping.SECTION_FLAGS.values()].count(True) == 1
    assert body[mapping.SECTION_FLAGS[kind]] is True
    assert body["internalFlag"] is (kind is NoteKind.ANALYSIS)
    assert body["externalFlag"] is (kind is not NoteKind.ANALYSIS)
    assert body["processNotifications"] is False
    assert body["member"] == {"id": 7}
    assert "member" not in mapping.note_body(kind, "text", None, True)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-04-14T16:40:00Z", datetime(2026, 4, 14, 16, 40, tzinfo=UTC)),
        ("2026-04-14T16:40:00.987Z", datetime(2026, 4, 14, 16, 40, tzinfo=UTC)),
        ("2026-04-14T18:40:00+02:00", datetime(2026, 4, 14, 16, 40, tzinfo=UTC)),
        ("2026-04-14T16:40:00", datetime(2026, 4, 14, 16, 40, tzinfo=UTC)),
        ("2026-04-14", datetime(2026, 4, 14, tzinfo=UTC)),
        ("yesterday", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("", None),
        (5, None),
        (None, None),
    ],
)
def test_dates_become_aware_utc(text: Any, moment: datetime | None) -> None:
    assert raw_values.utc(text) == moment


def test_a_note_of_a_customer_is_not_ours() -> None:
    note = mapping.note({"id": 1, "contact": {"id": 5, "name": "Carl"}, "text": "a\r\nb"}, "1")
    assert note.author_is_contact
    assert note.author == "Carl"
    assert note.text == "a\nb"
