"""The count finds what is wrong: each test plants one mistake and expects exactly that finding."""

from __future__ import annotations

import pytest

from bench.chaos.verdict import INTERNAL, Counts, Result, StoredNote, count, marker_of, number_of, table

LANE = (0, "57001")
KEYS = ["Ref RF-AAAAAAAA", "Ref RF-BBBBBBBB", "Ref RF-CCCCCCCC"]


def note(number: int, key: str, *, body: str = "Done.", visible: bool = False) -> StoredNote:
    return StoredNote(number, f"{body}\n\n{key}", visible)


def counted(*notes: StoredNote) -> Counts:
    return count({LANE: KEYS}, {LANE: notes}, marker_of)


def test_each_note_once_in_order_is_no_finding() -> None:
    foreign = StoredNote(2, "A colleague wrote this.", True)
    assert counted(note(1, KEYS[0]), foreign, note(3, KEYS[1]), note(4, KEYS[2])) == Counts()


def test_a_note_that_is_nowhere_is_lost() -> None:
    assert counted(note(1, KEYS[0]), note(2, KEYS[2])) == Counts(lost=[KEYS[1]])


def test_a_note_on_another_ticket_is_lost_here_and_strange_there() -> None:
    other = (0, "57002")
    expected = {LANE: KEYS[:1], other: KEYS[1:2]}
    found = count(expected, {LANE: [], other: [note(1, KEYS[0]), note(2, KEYS[1])]}, marker_of)
    assert (found.lost, found.strange) == ([KEYS[0]], [KEYS[0]])


def test_a_note_that_stands_twice_is_doubled() -> None:
    notes = [note(number, key) for number, key in enumerate([*KEYS, KEYS[1]], start=1)]
    assert counted(*notes) == Counts(doubled=[KEYS[1]])


def test_a_note_before_its_turn_puts_the_earlier_one_out_of_order() -> None:
    assert counted(note(1, KEYS[1]), note(2, KEYS[0]), note(3, KEYS[2])) == Counts(out_of_order=[KEYS[1]])


def test_internal_text_where_a_customer_reads_it_is_leaked() -> None:
    notes = [note(1, KEYS[0], body=f"For {INTERNAL}.", visible=True), note(2, KEYS[1]), note(3, KEYS[2])]
    assert counted(*notes) == Counts(leaked=["57001/1"])


def test_internal_text_in_an_internal_note_is_no_finding() -> None:
    notes = [note(1, KEYS[0], body=f"For {INTERNAL}."), note(2, KEYS[1]), note(3, KEYS[2])]
    assert counted(*notes) == Counts()


def test_a_marker_counts_only_at_the_end_of_a_note() -> None:
    assert marker_of(f"Somebody quotes {KEYS[0]} here.") == ""
    assert marker_of(f"Text\n\n{KEYS[0]}\n") == KEYS[0]


def test_notes_of_the_blind_client_are_known_by_their_number() -> None:
    assert number_of("No. 000012, staff only.") == "No. 000012"
    assert number_of("No. 12") == ""


@pytest.mark.parametrize("wrong", ["lost", "doubled", "out_of_order", "leaked", "strange"])
def test_one_finding_fails_a_result(wrong: str) -> None:
    fine = Result("sqlite", 3, Counts(), 1.0, delivered=3)
    found = Result("sqlite", 3, Counts(**{wrong: [KEYS[0]]}), 1.0, delivered=3)
    assert (fine.ok, found.ok) == (True, False)


@pytest.mark.parametrize(
    "facts", [{"open": 1}, {"dead": [{"id": 1}]}, {"wrong_ids": KEYS[:1]}, {"fallen": 1}, {"slow_stops": 1}]
)
def test_what_is_unfinished_or_fell_over_fails_a_result(facts: dict[str, object]) -> None:
    assert Result("sqlite", 3, Counts(), 1.0, **facts).ok is False  # type: ignore[arg-type]


def test_a_result_survives_its_report() -> None:
    result = Result("sqlite", 3, Counts(lost=KEYS[:1]), 1.5, kills=2, attempts={"send delivered": 3})
    assert Result.from_dict(result.as_dict()) == result


def test_the_table_says_pass_fail_and_comparison() -> None:
    shown = table(
        [
            Result("sqlite", 3, Counts(), 1.5),
            Result("postgres", 3, Counts(lost=KEYS[:1]), 1.5),
            Result("blind", 3, Counts(lost=KEYS[:1]), 1.5, guarded=False),
        ]
    )
    assert [line.split()[-1] for line in shown.splitlines()[2:]] == ["PASS", "FAIL", "comparison"]
