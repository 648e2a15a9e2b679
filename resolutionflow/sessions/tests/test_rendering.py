"""Tests of how a session reads on a ticket."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resolutionflow.sessions import rendering
from resolutionflow.sessions.rendering import SessionText, StepText

BERLIN = ZoneInfo("Europe/Berlin")
DENVER = ZoneInfo("America/Denver")

PRINTER = SessionText(
    title="Printer offline",
    started_at=datetime(2026, 11, 24, 13, 2, 40, tzinfo=UTC),
    ended_at=datetime(2026, 11, 24, 13, 40, 5, tzinfo=UTC),
    outcome="Resolved",
    flow="Printers",
    created_by="Eva Engineer",
    summary="The printer works again.\nPlease restart your PC once.",
    steps=(
        StepText("Cable", "Looked at the cable.\nTried another port.", "Link light is on.", "Eva Engineer"),
        StepText("", "Restarted the spooler.", "", "Eva Engineer"),
    ),
)


def test_analysis_reads_well() -> None:
    assert (
        rendering.analysis(PRINTER, BERLIN)
        == """\
Troubleshooting session: Printer offline
Engineer: Eva Engineer
Time: 24 Nov 2026 14:02–14:40 CET
Duration: 38 min
Flow: Printers
Outcome: Resolved

STEPS

1. Cable
   Looked at the cable.
   Tried another port.
   Result: Link light is on.

2. Restarted the spooler.

CLOSING SUMMARY

The printer works again.
Please restart your PC once."""
    )


def test_resolution_is_the_closing_summary() -> None:
    assert rendering.resolution(PRINTER) == "The printer works again.\nPlease restart your PC once."


def test_without_a_summary_there_is_no_resolution() -> None:
    assert rendering.resolution(replace(PRINTER, summary=" \n\t ")) == ""


def test_open_session_without_steps() -> None:
    session = replace(PRINTER, ended_at=None, outcome="", flow="", summary="", steps=())
    assert (
        rendering.analysis(session, BERLIN)
        == """\
Troubleshooting session: Printer offline
Engineer: Eva Engineer
Time: 24 Nov 2026 14:02 CET
Outcome: Still open

No steps were recorded."""
    )


def test_single_step() -> None:
    session = replace(PRINTER, steps=PRINTER.steps[:1], summary="")
    assert rendering.analysis(session, BERLIN).endswith(
        "STEPS\n\n1. Cable\n   Looked at the cable.\n   Tried another port.\n   Result: Link light is on."
    )


def test_step_names_its_author_when_several_worked_on_it() -> None:
    steps = (StepText("Cable", "Looked.", "Fine.", "Eva Engineer"), StepText("", "Called.", "", "Ben Lead"))
    text = rendering.analysis(replace(PRINTER, steps=steps), BERLIN)
    assert "Engineers: Eva Engineer, Ben Lead" in text
    assert "1. Cable\n   By: Eva Engineer\n   Looked.\n   Result: Fine." in text
    assert "2. Called.\n   By: Ben Lead" in text


def test_several_lines_of_a_result_are_indented() -> None:
    text = rendering.analysis(replace(PRINTER, steps=(StepText("Ping", "Pinged.", "one\n\ntwo"),)), BERLIN)
    assert "   Result: one\n\n   two" in text


@pytest.mark.parametrize(
    ("start", "end", "zone", "wanted"),
    [
        # each engineer reads the same session in the own zone
        ("2026-11-24T13:02", "2026-11-24T13:40", BERLIN, "24 Nov 2026 14:02–14:40 CET"),
        ("2026-11-24T13:02", "2026-11-24T13:40", DENVER, "24 Nov 2026 06:02–06:40 MST"),
        ("2026-07-04T13:02", "2026-07-04T13:40", BERLIN, "4 Jul 2026 15:02–15:40 CEST"),
        ("2026-11-24T13:02", "2026-11-24T13:40", ZoneInfo("UTC"), "24 Nov 2026 13:02–13:40 UTC"),
        # a zone without letters of its own
        (
            "2026-11-24T13:02",
            "2026-11-24T13:40",
            ZoneInfo("America/Sao_Paulo"),
            "24 Nov 2026 10:02–10:40 UTC-03",
        ),
        (
            "2026-11-24T13:02",
            "2026-11-24T13:40",
            ZoneInfo("Asia/Kathmandu"),
            "24 Nov 2026 18:47–19:25 UTC+05:45",
        ),
        # over midnight, over the year
        ("2026-11-24T22:50", "2026-11-24T23:20", BERLIN, "24 Nov 2026 23:50 – 25 Nov 2026 00:20 CET"),
        ("2026-12-31T22:50", "2026-12-31T23:20", BERLIN, "31 Dec 2026 23:50 – 1 Jan 2027 00:20 CET"),
        # over the change of the clocks, back and forth
        ("2026-10-25T00:40", "2026-10-25T01:10", BERLIN, "25 Oct 2026 02:40 CEST–02:10 CET"),
        ("2026-03-29T00:50", "2026-03-29T01:10", BERLIN, "29 Mar 2026 01:50 CET–03:10 CEST"),
        ("2026-10-24T20:00", "2026-10-25T09:00", BERLIN, "24 Oct 2026 22:00 CEST – 25 Oct 2026 10:00 CET"),
        # within one minute
        ("2026-11-24T13:02:10", "2026-11-24T13:02:50", BERLIN, "24 Nov 2026 14:02 CET"),
    ],
)
def test_span(start: str, end: str, zone: ZoneInfo, wanted: str) -> None:
    first, last = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (start, end))
    assert rendering.span(first, last, zone) == wanted


@pytest.mark.parametrize(
    ("start", "end", "wanted"),
    [
        ("13:02:00", "13:02:59", "less than 1 min"),
        ("13:02:50", "13:40:05", "38 min"),
        ("13:00", "14:00", "1 h"),
        ("13:00", "14:05", "1 h 5 min"),
        ("14:00", "13:00", "less than 1 min"),
    ],
)
def test_duration(start: str, end: str, wanted: str) -> None:
    first, last = (datetime.fromisoformat(f"2026-11-24T{text}+00:00") for text in (start, end))
    assert rendering.duration(first, last) == wanted


def test_duration_is_true_over_a_change_of_the_clocks() -> None:
    start = datetime(2026, 10, 25, 2, 40, tzinfo=BERLIN)
    assert rendering.duration(start, datetime(2026, 10, 25, 2, 10, fold=1, tzinfo=BERLIN)) == "30 min"


def test_duration_of_days() -> None:
    start = datetime(2026, 11, 24, tzinfo=UTC)
    assert rendering.duration(start, start + timedelta(hours=50, minutes=3)) == "50 h 3 min"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("one\r\ntwo\rthree", "one\ntwo\nthree"),
        ("one\u2028two\x0bthree\x85four", "one\ntwo\nthree\nfour"),
        ("a\tb", "a    b"),
        ("bell\x07 nul\x00 esc\x1b[31m c1\x9b", "bell nul esc[31m c1"),
        ("\n\n  kept indent  \n\n", "  kept indent"),
        ("👩‍🔧 fixed it 🎉", "👩‍🔧 fixed it 🎉"),
        ("lone \ud83d surrogate", "lone  surrogate"),
    ],
)
def test_plain_text(text: str, wanted: str) -> None:
    assert rendering.plain_text(text) == wanted


def test_title_with_line_ends_stays_one_line() -> None:
    text = rendering.analysis(replace(PRINTER, title="Printer\r\noffline\x07"), BERLIN)
    assert text.startswith("Troubleshooting session: Printer offline\n")


def test_very_long_text_is_kept_whole() -> None:
    body = "\n".join(f"line {number}" for number in range(20_000))
    text = rendering.analysis(replace(PRINTER, steps=(StepText("Log", body),)), BERLIN)
    assert "   line 19999" in text


def test_steps_chars_is_what_the_steps_take() -> None:
    text = rendering.analysis(replace(PRINTER, summary=""), BERLIN)
    without = text.index("STEPS") + len("STEPS")
    assert rendering.steps_chars(PRINTER) == len(text) - without


def test_hash_depends_on_steps_only() -> None:
    completed = replace(PRINTER, outcome="Escalated", summary="Other", ended_at=None)
    assert rendering.documentation_hash(PRINTER.steps) == rendering.documentation_hash(completed.steps)


@pytest.mark.parametrize("field", ["title", "body", "result"])
def test_hash_changes_with_a_step(field: str) -> None:
    changed = (replace(PRINTER.steps[0], **{field: "something else"}), *PRINTER.steps[1:])
    assert rendering.documentation_hash(changed) != rendering.documentation_hash(PRINTER.steps)


def test_hash_changes_when_a_step_is_added() -> None:
    assert rendering.documentation_hash(PRINTER.steps[:1]) != rendering.documentation_hash(PRINTER.steps)


def test_hash_tells_fields_apart() -> None:
    assert rendering.documentation_hash([StepText("a", "b")]) != rendering.documentation_hash(
        [StepText("", "ab")]
    )


def test_hash_does_not_see_the_kind_of_line_end() -> None:
    assert rendering.documentation_hash([StepText("", "a\r\nb")]) == rendering.documentation_hash(
        [StepText("", "a\nb")]
    )


ANY_TEXT = st.text(max_size=200)
STEPS = st.lists(st.builds(StepText, ANY_TEXT, ANY_TEXT, ANY_TEXT, ANY_TEXT), max_size=5).map(tuple)


@given(summary=ANY_TEXT, steps=STEPS)
def test_resolution_does_not_depend_on_steps(summary: str, steps: tuple[StepText, ...]) -> None:
    session = replace(PRINTER, summary=summary, steps=steps)
    assert rendering.resolution(session) == rendering.resolution(replace(session, steps=()))


WORDS = st.text("abcdefghijklmnopqrstuvwxyz 0123456789\n\r\t", min_size=1).map(lambda text: f"Step<{text}>")


@given(
    summary=st.text("ABCDEFG .\n🎉", max_size=50),
    steps=st.lists(st.builds(StepText, WORDS, WORDS, WORDS), min_size=1, max_size=4).map(tuple),
)
def test_no_step_leaks_into_the_resolution(summary: str, steps: tuple[StepText, ...]) -> None:
    text = rendering.resolution(replace(PRINTER, summary=summary, steps=steps))
    assert "Step<" not in text
    for step in steps:
        for said in (step.title, step.body, step.result):
            assert rendering.plain_text(said) not in text
            assert rendering.one_line(said) not in text


@given(
    session=st.builds(
        lambda steps, summary, title: replace(PRINTER, steps=steps, summary=summary, title=title),
        STEPS,
        ANY_TEXT,
        ANY_TEXT,
    )
)
def test_analysis_holds_no_tab_and_no_control_character(session: SessionText) -> None:
    text = rendering.analysis(session, BERLIN)
    assert not any(ord(char) < 32 and char != "\n" for char in text)
