"""The filter language: whatever a person types stays one quoted value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psa.providers.connectwise import conditions as c


def unquoted(text: str) -> str:
    assert text[0] == text[-1] == '"'
    result, escaped = [], False
    for sign in text[1:-1]:
        if not escaped and sign == "\\":
            escaped = True
            continue
        assert escaped or sign != '"'
        result.append(sign)
        escaped = False
    assert not escaped
    return "".join(result)


@given(st.text())
def test_a_quoted_text_is_one_value(text: str) -> None:
    expected = unquoted(c.quoted(text))
    assert expected.replace(" ", "") == "".join(s for s in text if s >= " " and s != "\x7f").replace(" ", "")


def test_quotes_and_backslashes_are_escaped() -> None:
    assert c.contains("summary", 'a"b\\c') == 'summary contains "a\\"b\\\\c"'
    assert c.contains("summary", "[x]%*'") == 'summary contains "[x]%*\'"'
    assert c.quoted("a\r\n\x00b") == '"a b"'


def test_parts_are_joined_with_parentheses() -> None:
    assert c.all_of("a = 1", "", c.any_of("b = 2", "c = 3")) == "(a = 1) and ((b = 2) or (c = 3))"
    assert c.all_of("", "a = 1") == "a = 1"
    assert c.any_of("a = 1") == "a = 1"


def test_nothing_joined_is_no_filter() -> None:
    assert c.all_of() == ""
    assert c.any_of("", "") == ""


def test_values_by_type() -> None:
    assert c.equals("closedFlag", False) == "closedFlag = false"
    assert c.equals("owner/identifier", "ann") == 'owner/identifier = "ann"'
    assert c.is_id("board/id", "12") == "board/id = 12"


@pytest.mark.parametrize("value", ["", "0", "-1", "1.5", "1 or 1=1", "٣", "²", "99999999999", "0x1", " 1"])
def test_an_id_is_a_number_or_an_error(value: str) -> None:
    with pytest.raises(ValueError):
        c.is_id("id", value)


@pytest.mark.parametrize("name", ["", "a b", "a=1 or b", "/a", "a//b", "a/"])
def test_a_field_name_is_plain(name: str) -> None:
    with pytest.raises(ValueError):
        c.equals(name, 1)


def test_dates_are_utc_whole_seconds() -> None:
    moment = datetime(2016, 8, 20, 20, 4, 26, 999, tzinfo=timezone(timedelta(hours=2)))
    assert c.since("lastUpdated", moment) == "lastUpdated >= [2016-08-20T18:04:26Z]"
    with pytest.raises(ValueError):
        c.since("lastUpdated", datetime(2016, 8, 20))  # naive on purpose
    assert c.since("lastUpdated", datetime(2016, 8, 20, tzinfo=UTC)).endswith("[2016-08-20T00:00:00Z]")
