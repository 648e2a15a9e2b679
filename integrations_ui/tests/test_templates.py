"""Tests of rules that hold for every template and stylesheet."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
FILES = [*TEMPLATES, *sorted((ROOT / "static").rglob("*.css"))]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", TEMPLATES, ids=name)
def test_no_inline_style(path: Path) -> None:
    assert not re.search(r"<style\b|\sstyle=", path.read_text())


@pytest.mark.parametrize("path", TEMPLATES, ids=name)
def test_no_inline_script(path: Path) -> None:
    assert not re.search(
        r"<script(?![^>]*\bsrc=)(?![^>]*application/json)|\son\w+=|javascript:", path.read_text()
    )


@pytest.mark.parametrize("path", FILES, ids=name)
def test_nothing_comes_from_another_host(path: Path) -> None:
    assert not re.search(r"(src|href|url)\s*[=(]\s*[\"']?(https?:)?//", path.read_text())
