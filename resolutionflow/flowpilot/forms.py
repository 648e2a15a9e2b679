"""Owns the two forms of a bundle: JSON by a published schema, and Markdown."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

from resolutionflow.flowpilot.bundle import SCHEMA_ID, UNTRUSTED, Bundle, Source, Text, moment_text

SCHEMA_FILE = "context.schema.json"


@cache
def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the JSON form."""
    found: dict[str, Any] = json.loads((files(__package__) / SCHEMA_FILE).read_text())
    return found


def as_json(bundle: Bundle) -> dict[str, Any]:
    """Return the JSON form. Shape: `json_schema`."""
    return {
        "schema": SCHEMA_ID,
        "generated_at": moment_text(bundle.generated_at),
        "ticket": bundle.ticket_id,
        "session": bundle.session_id,
        "untrusted": UNTRUSTED,
        "facts": [fact.as_json() for fact in bundle.facts],
        "texts": [text.as_json() for text in bundle.texts],
        "notices": list(bundle.notices),
        "problems": list(bundle.problems),
        "cut": [{"part": cut.part, "what": cut.what, "count": cut.count} for cut in bundle.cut],
        "redactions": bundle.redactions,
        "budget": {"used_chars": bundle.used_chars, "max_chars": bundle.max_chars},
    }


def as_markdown(bundle: Bundle) -> str:
    """Return the Markdown form. Each text stands in a fence that it cannot close."""
    blocks = [f"# Ticket {bundle.ticket_id}", f"> {UNTRUSTED}"]
    if said := [*bundle.notices, *bundle.problems]:
        blocks.append("## To know first\n\n" + "\n".join(f"- {_inline(line)}" for line in said))
    rows = [
        f"| {fact.part} | {_inline(fact.name)} | {_inline(fact.value)} | {_inline(_where(fact.source))} |"
        for fact in bundle.facts
    ]
    blocks.append("## Facts\n\n| Part | Fact | Value | Source |\n|---|---|---|---|\n" + "\n".join(rows))
    if bundle.texts:
        blocks.append("## Texts")
        blocks += [_fenced(text) for text in bundle.texts]
    if bundle.cut:
        lines = [f"- {cut.part}: {cut.count} {cut.what}" for cut in bundle.cut]
        blocks.append("## Left out to keep the budget\n\n" + "\n".join(lines))
    if bundle.redactions:
        lines = [f"- {count} × {kind}" for kind, count in bundle.redactions.items()]
        blocks.append("## Blacked out\n\n" + "\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _fenced(text: Text) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text.text)), default=0)
    fence = "`" * max(longest + 1, 3)
    about = [_inline(text.author)] if text.author else []
    about += ["written by the customer"] if text.customer_wrote else []
    about += [written] if (written := moment_text(text.written_at)) else []
    about.append(_inline(_where(text.source)))
    return f"### {_inline(text.title)}\n\n{' · '.join(about)}\n\n{fence}untrusted\n{text.text}\n{fence}"


def _inline(said: str) -> str:
    """Return a text in one line that cannot become structure."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(said.split()))


def _where(source: Source) -> str:
    told = moment_text(source.told_at)
    return f"{source.system}, {source.record}" + (f", {told}" if told else "")
