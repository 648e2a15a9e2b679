"""Tests of the security role as a whole: complete, and the same on the page as in the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from psa.providers.connectwise.permissions import NEEDS
from psa.providers.connectwise.provider import ConnectWiseProvider
from psa.providers.connectwise.role import FEATURE_LABELS, render
from psa.types import Feature

PAGE = Path(__file__).resolve().parents[4] / "docs" / "connectwise" / "permissions.md"


def test_page_says_what_the_code_needs() -> None:
    assert PAGE.read_text() == render(ConnectWiseProvider.role_recipe()), (
        "Run python -m psa.providers.connectwise.role > docs/connectwise/permissions.md"
    )


@pytest.mark.parametrize("feature", Feature)
def test_every_feature_is_on_the_page(feature: Feature) -> None:
    assert FEATURE_LABELS[feature] in PAGE.read_text()


def test_a_row_that_two_features_need_gets_the_levels_of_both() -> None:
    rows = {(row.module, row.row): row for row in ConnectWiseProvider.role_recipe()}
    tickets = rows["Service Desk", "Service Tickets"]
    assert tickets.levels == {"add", "edit", "inquire"}
    assert set(tickets.features) >= {Feature.TICKETS, Feature.NOTES, Feature.STATUS}


def test_every_row_of_the_code_is_in_the_recipe_once() -> None:
    recipe = [(row.module, row.row) for row in ConnectWiseProvider.role_recipe()]
    assert len(recipe) == len(set(recipe))
    assert set(recipe) == {(need.module, need.row) for needs in NEEDS.values() for need in needs}
