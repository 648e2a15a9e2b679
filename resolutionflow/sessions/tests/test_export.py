"""Tests of a session as a file: what stands in it, the same each time, and that nothing runs in it."""

from __future__ import annotations

import json
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from psa.types import Actor
from resolutionflow.accounts.models import Account
from resolutionflow.sessions import selectors, services
from resolutionflow.sessions.export import Export, session_export
from resolutionflow.sessions.models import FlowSession, SessionPause, SessionStep
from resolutionflow.sessions.tests.conftest import STEP_BODY

BERLIN = ZoneInfo("Europe/Berlin")
EVIL = "</p><script>alert('x')</script><img src=x onerror=alert(1)>\"'&amp; {{ 7 }} {% now 'Y' %} 🖨\r\n\tend"
_LAYOUT = {"html", "head", "meta", "title", "style", "body", "main", "h1", "p", "dl", "dt", "dd", "h2"}
TAGS = _LAYOUT | {"ol", "li", "h3", "table", "thead", "tr", "th", "tbody", "td"}


class Seen(HTMLParser):
    """What a browser would make of a file."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def exported(account: Account, session: FlowSession, zone: ZoneInfo = BERLIN) -> Export:
    return session_export(selectors.session_get(account, session.pk), zone)


def html_of(export: Export) -> str:
    return export.files[0].content.decode()


def test_both_files_have_names_and_kinds(account: Account, linked: FlowSession) -> None:
    export = exported(account, linked)

    assert [(file.file_name, file.title, file.media_type) for file in export.files] == [
        (f"session-{linked.pk}.html", f"ResolutionFlow session {linked.pk}", "text/html"),
        (f"session-{linked.pk}.json", f"ResolutionFlow session {linked.pk}", "application/json"),
    ]


def test_html_reads_in_the_engineers_zone(account: Account, linked: FlowSession) -> None:
    start = timezone.now().replace(year=2026, month=10, day=25, hour=0, minute=40, second=0, microsecond=0)
    FlowSession.objects.filter(pk=linked.pk).update(started_at=start)
    SessionStep.objects.filter(session=linked).update(created_at=start + timedelta(minutes=30))
    SessionPause.objects.create(
        session=linked, started_at=start + timedelta(minutes=5), ended_at=start + timedelta(minutes=10)
    )

    berlin, new_york = (
        html_of(exported(account, linked, zone)) for zone in (BERLIN, ZoneInfo("America/New_York"))
    )

    # The clock goes back at 03:00 CEST, in the middle of this session.
    assert "25 Oct 2026 02:40 CEST–02:10 CET" in berlin
    assert "<dd>30 min</dd>" in berlin
    assert "24 Oct 2026 20:40–21:10 EDT" in new_york
    assert "<td>5 min</td>" in berlin
    assert "for staff only" in berlin
    assert "4711" in berlin


def test_json_says_everything_in_utc(account: Account, actor: Actor, linked: FlowSession) -> None:
    record = json.loads(exported(account, linked).files[1].content)

    assert (record["format"], record["version"]) == ("resolutionflow.session", 1)
    assert record["ticket"] == {"id": "4711", "record_type": "service", "summary": "Printer offline"}
    assert record["session"]["completed_at"] is None
    assert record["session"]["started_at"].endswith("Z")
    (step,) = record["steps"]
    assert (step["position"], step["body"], step["author"]) == (1, STEP_BODY, "Eva Engineer")
    assert [row["engineer"] for row in record["work"]] == ["Eva Engineer"]


def test_json_and_times_are_the_same_whoever_exports(account: Account, linked: FlowSession) -> None:
    one, other = exported(account, linked), exported(account, linked, ZoneInfo("Asia/Tokyo"))

    assert one.files[1] == other.files[1]
    assert one.source_hash == other.source_hash


def test_bytes_are_the_same_each_time(account: Account, actor: Actor, linked: FlowSession) -> None:
    services.session_pause(account, linked.pk, actor=actor)

    assert exported(account, linked) == exported(account, linked)


def test_a_new_step_is_other_content(account: Account, actor: Actor, linked: FlowSession) -> None:
    before = exported(account, linked)
    services.step_add(account, linked.pk, actor=actor, body="Looked again.")

    assert exported(account, linked).source_hash != before.source_hash


def test_nothing_of_a_step_becomes_markup(account: Account, actor: Actor, linked: FlowSession) -> None:
    FlowSession.objects.filter(pk=linked.pk).update(title=EVIL, resolution=EVIL, created_by_name=EVIL)
    SessionStep.objects.filter(session=linked).update(title=EVIL, body=EVIL, result=EVIL, author_name=EVIL)

    html = html_of(exported(account, linked))
    seen = Seen(html)

    assert "<script" not in html
    assert "<img" not in html
    assert seen.tags <= TAGS
    assert not {name for name in seen.attributes if name.startswith("on") or name in {"src", "href", "style"}}
    assert seen.text.count("<script>alert('x')</script>") >= 6
    assert "{{ 7 }} {% now 'Y' %}" in seen.text


@given(text=st.text(alphabet="<>&'\"/ =!-scriptonload{}%;\n", max_size=60))
def test_no_text_opens_a_tag(text: str) -> None:
    session = FlowSession(pk=7, title=text or "x", started_at=timezone.now(), resolution=text)
    steps = [SessionStep(position=1, title=text, body=text, result=text, author_name=text)]
    session._prefetched_objects_cache = {"steps": _All(steps), "pauses": _All([])}  # type: ignore[attr-defined]

    assert Seen(html_of(session_export(session, BERLIN))).tags <= TAGS


def test_a_session_without_steps_and_ticket_is_a_file_too(account: Account, actor: Actor) -> None:
    session = services.session_create(account, actor=actor, title="Nothing done")
    export = exported(account, session)

    assert "No steps were recorded." in html_of(export)
    assert json.loads(export.files[1].content)["ticket"] is None


@pytest.mark.parametrize("many", [1, 40])
def test_exporting_asks_the_database_nothing(
    account: Account, actor: Actor, linked: FlowSession, many: int, django_assert_num_queries: Any
) -> None:
    for _ in range(many):
        services.step_add(account, linked.pk, actor=actor, body="x")
    session = selectors.session_get(account, linked.pk)
    with django_assert_num_queries(0):
        session_export(session, BERLIN)


class _All(list):  # type: ignore[type-arg]
    """Rows of a relation that were read along."""

    def all(self) -> list[Any]:
        return self
