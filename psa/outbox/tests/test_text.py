"""Texts on their way to a note."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psa.exceptions import InvalidInputError
from psa.outbox.text import OVERHEAD_CHARS, marker_new, note_text, text_clean, text_split


def test_line_ends_become_lf_and_emoji_stay() -> None:
    assert text_clean("one\r\ntwo\rthree 🖨️ é\u200d").text == "one\ntwo\nthree 🖨️ é\u200d"


def test_control_characters_are_dropped_and_counted() -> None:
    clean = text_clean("a\x00b\x07c\x1b[31m\td\ud800")
    assert (clean.text, clean.dropped) == ("abc[31m\td", 4)


@pytest.mark.parametrize("raw", ["", "   ", "\r\n\t", "\x00\x01", "\u200b\ufeff", "\u00a0 \u2003"])
def test_a_text_without_anything_visible_is_refused(raw: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        text_clean(raw)
    assert caught.value.code == "empty-text"


def test_markers_differ_and_are_eight_base32_characters() -> None:
    markers = {marker_new() for _ in range(500)}
    assert len(markers) == 500
    assert all(len(marker) == len("Ref RF-") + 8 for marker in markers)


@given(st.text(alphabet="ab \n", min_size=1, max_size=4000))
def test_no_part_is_too_long_and_no_word_is_lost(raw: str) -> None:
    parts = text_split(raw, note_max_chars=500 + OVERHEAD_CHARS, max_parts=100)
    assert all(len(part) <= 500 for part in parts)
    assert "".join("".join(parts).split()) == "".join(raw.split())


def test_a_text_that_fits_without_kind_cuts_is_not_refused() -> None:
    line = "x" * 260 + "\n"
    text = (line * 40)[: 8 * 500]
    assert len(text_split(text, note_max_chars=500 + OVERHEAD_CHARS, max_parts=8)) <= 8


def test_too_long_is_refused_with_the_figure() -> None:
    with pytest.raises(InvalidInputError, match="5,000 characters; at most about 4,000"):
        text_split("x" * 5000, note_max_chars=500 + OVERHEAD_CHARS, max_parts=8)


def test_head_author_body_and_marker_stand_in_this_order() -> None:
    text = note_text("Body", part=2, parts=3, marker="Ref RF-ABCDEFGH", posted_by="Erin")
    assert text == "Posted by Erin\n\n(2/3)\nBody\n\nRef RF-ABCDEFGH"
