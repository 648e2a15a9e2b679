"""Writes docs/connectwise/quick-reference.md from the reference.

    python -m psa.providers.connectwise.quick_reference > docs/connectwise/quick-reference.md
    python -m psa.providers.connectwise.quick_reference --check docs/connectwise/quick-reference.md

What the page says is edited in the reference: `summary`, `description` and `x-traps`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from psa.providers.connectwise.reference import (
    JsonObject,
    Operation,
    Reference,
    load_reference,
)

KEY_SCHEMAS = (
    "Ticket",
    "ProjectTicket",
    "ServiceNote",
    "TicketNote",
    "ServiceTicketNote",
    "Board",
    "BoardStatus",
    "Company",
    "Contact",
    "ContactCommunicationItem",
    "Company.Configuration",
    "ConfigurationReference",
    "Member",
    "MemberInfo",
    "MySecurity",
    "CallbackEntry",
    "CallbackPayload",
    "CompanyInfo",
    "TicketMerge",
    "TimeExpense",
    "DocumentInfo",
    "DocumentFormData",
    "FileUploadSetting",
    "PatchOperation",
    "ApiErrorItem",
)
"""Schemas whose fields are shown, in this order."""

SHORT = {"integer": "int", "boolean": "bool", "string": "text"}


def render(reference: Reference) -> str:
    """The whole page as Markdown."""
    blocks = [
        "# ConnectWise PSA quick reference",
        "Generated from `connectwise-psa-resolutionflow-reference.json` "
        f"(release {reference.version}) by `python -m psa.providers.connectwise.quick_reference`; "
        "do not edit. Paths are below `/apis/3.0`.",
        *_traps(reference),
        "## Endpoints",
        '`count` means that the path with `/count` behind it answers `{"count": n}` '
        "and takes the same filters.",
        *_endpoints(reference),
        "## Fields",
        "Text is followed by its greatest length. **Bold** fields are required on create.",
        *(block for name in KEY_SCHEMAS for block in _fields(reference, name)),
    ]
    return "\n\n".join(blocks) + "\n"


def _traps(reference: Reference) -> Iterator[str]:
    for trap in reference.document["x-traps"]:
        yield f"## {trap['title']}"
        yield "\n".join(f"- {point}" for point in trap["points"])


def _group(path: str) -> str:
    parts = path.strip("/").split("/")
    return f"/{parts[0]}" if parts[0] == "login" else "/" + "/".join(parts[:2])


def _endpoints(reference: Reference) -> Iterator[str]:
    by_path: dict[str, list[Operation]] = {}
    for operation in reference.operations:
        by_path.setdefault(operation.path, []).append(operation)
    groups: dict[str, list[str]] = {}
    for path, operations in by_path.items():
        counted = path.removesuffix("/count")
        if counted != path and (counted in by_path or f"{counted}/" in by_path):
            continue
        methods = [operation.method.upper() for operation in operations]
        if f"{path.rstrip('/')}/count" in by_path:
            methods.append("count")
        answer = reference.schema_name(operations[0].response or {}) or ""
        row = f"| `{path}` | {' '.join(methods)} | {operations[0].summary} | {answer} |"
        groups.setdefault(_group(path), []).append(row)
    for group, rows in groups.items():
        yield f"### {group}"
        head = "| Path | Methods | First method | Answer |\n|---|---|---|---|"
        yield "\n".join([head, *rows])


def _fields(reference: Reference, name: str) -> Iterator[str]:
    schema = reference.schema(name)
    required = set(schema.get("required", ()))
    rows: list[str] = []
    others: list[str] = []
    for field, written in schema["properties"].items():
        remarks = _remarks(reference, written)
        kind = _kind(reference, written)
        if field in required or remarks or field == "id":
            shown = f"**{field}**" if field in required else field
            rows.append(f"| {shown} | {kind} | {remarks} |")
        else:
            others.append(f"{field} ({kind})")
    yield f"### {name}"
    if "description" in schema:
        yield str(schema["description"])
    if rows:
        yield "\n".join(["| Field | Type | Remarks |\n|---|---|---|", *rows])
    if others:
        yield f"Further: {', '.join(others)}."


def _kind(reference: Reference, written: JsonObject) -> str:
    name = reference.schema_name(written)
    schema = reference.resolve(written)
    if name is not None:
        return f"list of {name}" if schema.get("type") == "array" else name
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"list of {_kind(reference, schema['items'])}"
    if schema.get("format") in ("date-time", "uuid"):
        return str(schema["format"])
    return SHORT.get(kind, kind) + (f" {schema['maxLength']}" if "maxLength" in schema else "")


def _remarks(reference: Reference, written: JsonObject) -> str:
    schema = reference.resolve(written)
    remarks: list[str] = []
    if "description" in written:
        remarks.append(str(written["description"]))
    if "enum" in schema:
        remarks.append(f"One of {', '.join(schema['enum'])}.")
    if written.get("x-known-values"):
        remarks.append(f"Known: {', '.join(written['x-known-values'])}.")
    for mark, text in (
        ("x-post-only", "Create only."),
        ("x-required-on-update", "Required on PUT."),
        ("x-action-flag", "Acts on this write only."),
    ):
        if written.get(mark):
            remarks.append(text)
    return " ".join(remarks)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write the ConnectWise quick reference.")
    parser.add_argument("--check", metavar="FILE", help="exit 1 if FILE differs from the page")
    options = parser.parse_args(arguments)
    page = render(load_reference())
    if options.check is None:
        sys.stdout.write(page)
        return 0
    if Path(options.check).read_text(encoding="utf-8") == page:
        return 0
    sys.stderr.write(f"{options.check} is not what the reference says; generate it again.\n")
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
