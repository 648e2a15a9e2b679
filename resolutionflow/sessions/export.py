"""Owns a session as a file: HTML for people, JSON for programs. Both are for staff only.

The same session gives the same bytes, whenever it is asked: nothing of the clock is in them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from django.template.loader import render_to_string

from resolutionflow.sessions import rendering, selectors
from resolutionflow.sessions.models import FlowSession, SessionStep
from resolutionflow.sessions.worktime import WorkSpan

FORMAT = "resolutionflow.session"
VERSION = 1
"""Grows when a member changes its meaning or goes; a new member does not change it."""


@dataclass(frozen=True, slots=True)
class ExportFile:
    """One file of an export."""

    file_name: str
    title: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Export:
    """A session as files. source_hash tells whether a ticket has this content already."""

    files: tuple[ExportFile, ...]
    source_hash: str


def session_export(session: FlowSession, zone: tzinfo) -> Export:
    """Return the files of a session, HTML first, with times in a zone; the JSON keeps to UTC.

    Free of queries after `selectors.session_get`.
    """
    spans = selectors.work_spans(session)
    record = session_record(session, spans)
    text = json.dumps(record, ensure_ascii=False, indent=2).encode()
    name, title = f"session-{session.pk}", f"ResolutionFlow session {session.pk}"
    html = _html(session, spans, zone, title)
    return Export(
        files=(
            ExportFile(f"{name}.html", title, "text/html", html),
            ExportFile(f"{name}.json", title, "application/json", text),
        ),
        source_hash=hashlib.sha256(text).hexdigest(),
    )


def session_record(session: FlowSession, spans: Sequence[WorkSpan]) -> dict[str, Any]:
    """Return a session as the JSON form has it.

    Shape: `{format, version, session: {id, title, state, outcome, flow, resolution, created_by, started_at,
        completed_at, completed_by}, ticket: {id, record_type, summary} | null, steps: [{position, title,
        body, result, author, created_at}], pauses: [{start, end}], work: [{engineer, start, end,
        deduct_minutes}]}`.
    Units: times are ISO 8601 in UTC, to the second; null where there is none.
    """
    link = session.link
    return {
        "format": FORMAT,
        "version": VERSION,
        "session": {
            "id": session.pk,
            "title": _clean(session.title),
            "state": session.state,
            "outcome": session.outcome or None,
            "flow": _clean(session.flow.title) if session.flow is not None else None,
            "resolution": _clean(session.resolution),
            "created_by": _clean(session.created_by_name),
            "started_at": _iso(session.started_at),
            "completed_at": _iso(session.completed_at),
            "completed_by": _clean(session.completed_by_name) or None,
        },
        "ticket": None
        if link is None
        else {"id": link.ticket_id, "record_type": link.record_type, "summary": _clean(link.summary)},
        "steps": [
            {
                "position": step.position,
                "title": _clean(step.title),
                "body": _clean(step.body),
                "result": _clean(step.result),
                "author": _clean(step.author_name),
                "created_at": _iso(step.created_at),
            }
            for step in session.steps.all()
        ],
        # A pause that still runs has no end that would be the same tomorrow.
        "pauses": [
            {"start": _iso(pause.started_at), "end": _iso(pause.ended_at)}
            for pause in session.pauses.all()
            if pause.ended_at is not None
        ],
        "work": [
            {
                "engineer": _clean(span.worker.name),
                "start": _iso(span.started_at),
                "end": _iso(span.ended_at),
                "deduct_minutes": span.deduct_s // 60,
            }
            for span in spans
        ],
    }


def _html(session: FlowSession, spans: Sequence[WorkSpan], zone: tzinfo, title: str) -> bytes:
    text = selectors.session_text(session)
    link = session.link
    return render_to_string(
        "sessions/export.html",
        {
            "title": title,
            "number": session.pk,
            "session": text,
            "ticket": {"id": link.ticket_id, "summary": link.summary} if link is not None else None,
            "time": rendering.span(text.started_at, text.ended_at, zone),
            "duration": rendering.duration(text.started_at, text.ended_at) if text.ended_at else "",
            "steps": list(_steps(session.steps.all(), zone)),
            "summary": rendering.plain_text(text.summary),
            "work": [
                {
                    "engineer": span.worker.name,
                    "when": rendering.span(span.started_at, span.ended_at, zone),
                    "pauses": f"{span.deduct_s // 60} min" if span.deduct_s else "none",
                }
                for span in spans
            ],
        },
    ).encode()


def _steps(steps: Any, zone: tzinfo) -> Iterator[dict[str, str]]:
    step: SessionStep
    for step in steps:
        title, body = rendering.one_line(step.title), rendering.plain_text(step.body)
        yield {
            "heading": title or f"Step {step.position}",
            "when": rendering.span(step.created_at, None, zone),
            "author": rendering.one_line(step.author_name),
            "body": body,
            "result": rendering.plain_text(step.result),
        }


def _clean(text: str) -> str:
    return rendering.plain_text(text)


def _iso(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
