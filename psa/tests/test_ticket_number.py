"""What counts as the number of a ticket, whatever was typed."""

from __future__ import annotations

import pytest

from psa.types import ticket_number


@pytest.mark.parametrize("text", ["4711", "#4711", " # 4711 ", "04711"])
def test_a_number_is_told_in_its_plain_form(text: str) -> None:
    assert ticket_number(text) == "4711"


@pytest.mark.parametrize("text", ["", "#", "0", "-1", "4.7", "x", "²", "٤", "2147483648", "9" * 5_000])
def test_anything_else_is_none(text: str) -> None:
    assert ticket_number(text) == ""
