"""Tests of the pictures: each is there, small, and what the documents show exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.screenshots.make import FOLDER, MAX_KB, SHOTS

ROOT = FOLDER.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_every_picture_is_made_and_no_other_lies_here() -> None:
    made = {f"{shot.name}-{look}.png" for shot in SHOTS for look in shot.looks}
    assert {path.name for path in FOLDER.glob("*.png")} == made


def test_pictures_are_small() -> None:
    large = [path.name for path in FOLDER.glob("*.png") if path.stat().st_size >= MAX_KB * 1000]
    assert large == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pictures_that_a_page_shows_are_there(page: Path) -> None:
    shown = re.findall(r'(?:\]\(|src="|srcset=")([^)"\s]+\.png)', page.read_text())
    assert [name for name in shown if not (page.parent / name).is_file()] == []
