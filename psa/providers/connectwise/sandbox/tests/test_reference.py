"""The reference file, its lookup, and the page made from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from psa.providers.connectwise import quick_reference
from psa.providers.connectwise.reference import TREE_NAME, load_reference

TREE = Path(__file__).parents[5]


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/service/tickets", "/service/tickets"),
        ("get", "/service/tickets/", "/service/tickets"),
        ("GET", "/service/tickets/count", "/service/tickets/count"),
        ("PATCH", "/service/tickets/57001", "/service/tickets/{id}"),
        ("GET", "/service/tickets/57001/notes/4", "/service/tickets/{parentId}/notes/{id}"),
        ("POST", "/system/members/bkeller/tokens", "/system/members/{memberIdentifier}/tokens"),
        ("GET", "/service/boards/1/statuses/2/info", "/service/boards/{parentId}/statuses/{id}/info"),
    ],
)
def test_path_is_found(method: str, path: str, expected: str) -> None:
    match = load_reference().match(method, path)
    assert match is not None
    assert match.operation.path == expected


@pytest.mark.parametrize("path", ["/service", "/service/tickets/1/2/3", "/nowhere", "/"])
def test_unknown_path_is_none(path: str) -> None:
    assert load_reference().match("GET", path) is None
    assert load_reference().methods_at(path) == frozenset()


def test_every_ref_resolves() -> None:
    reference = load_reference()

    def walk(node: object) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                reference.resolve(node)
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(reference.document)


def test_operation_ids_are_unique_and_summarised() -> None:
    operations = load_reference().operations
    assert len({operation.operation_id for operation in operations}) == len(operations)
    assert all(operation.summary for operation in operations)


def test_file_is_diffable_json() -> None:
    text = (TREE / TREE_NAME).read_text(encoding="utf-8")
    assert text == json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n"


def test_quick_reference_is_up_to_date(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    page = TREE / "docs/connectwise/quick-reference.md"
    assert quick_reference.main(["--check", str(page)]) == 0
    stale = tmp_path / "stale.md"
    stale.write_text("old", encoding="utf-8")
    assert quick_reference.main(["--check", str(stale)]) == 1
    assert quick_reference.main([]) == 0
    assert capsys.readouterr().out == page.read_text(encoding="utf-8")
