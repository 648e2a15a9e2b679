"""Tests of pause and resume, and of the ticket's files on the session page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from integrations_ui.tests.session_desk import HTMX, begin, text_of, url
from integrations_ui.tests.test_pages import connect
from integrations_ui.tests.test_sessions import on_ticket
from psa import selectors as psa_selectors
from psa.exceptions import MissingError, UnavailableError
from psa.models import Connection
from psa.types import Document, Download
from resolutionflow.accounts.models import Account, User
from resolutionflow.sessions.models import FlowSession, Outcome, SessionPause

FILE = Document("55", "4711", "Report", "report <b>.pdf", 2048, created_by="Eva", customer_visible=True)


@pytest.fixture
def connection(account: Account) -> Connection:
    return connect(account)


@pytest.fixture
def session(account: Account, member: User) -> FlowSession:
    return begin(account, member)


@pytest.fixture
def as_member(client: Client, member: User) -> Client:
    client.force_login(member)
    return client


def test_pause_and_resume_by_their_buttons(as_member: Client, session: FlowSession) -> None:
    pausing, resuming = url(session, "pause/"), url(session, "resume/")
    before = text_of(as_member.get(url(session)))
    paused = as_member.post(url(session, "pause/"), follow=True)
    resumed = as_member.post(url(session, "resume/"), follow=True)

    assert (pausing in before, resuming in before) == (True, False)
    assert (pausing in text_of(paused), resuming in text_of(paused)) == (False, True)
    assert "Paused" in text_of(paused)
    assert (pausing in text_of(resumed), resuming in text_of(resumed)) == (True, False)
    assert SessionPause.objects.get(session=session).ended_at is not None


def test_pausing_a_session_that_a_colleague_completed_says_so(
    as_member: Client, session: FlowSession
) -> None:
    FlowSession.objects.filter(pk=session.pk).update(
        state="completed", outcome=Outcome.CANCELLED, completed_at=session.started_at
    )

    answer = as_member.post(url(session, "pause/"), follow=True)

    assert "This session is completed" in text_of(answer)
    assert not SessionPause.objects.exists()


def test_the_session_page_reads_no_files_by_itself(
    as_member: Client, session: FlowSession, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_ticket(session, connection)
    asked: list[Any] = []
    monkeypatch.setattr(psa_selectors, "documents", lambda *args: asked.append(args) or [])

    assert url(session, "files/") in text_of(as_member.get(url(session)))
    assert asked == []


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "part"])
def test_files_are_listed_with_a_way_to_save_them(
    as_member: Client,
    session: FlowSession,
    connection: Connection,
    headers: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on_ticket(session, connection)
    monkeypatch.setattr(psa_selectors, "documents", lambda *args: [FILE])

    answer = as_member.get(url(session, "files/"), **headers)

    assert "report &lt;b&gt;.pdf" in text_of(answer)
    assert "2.0 KB" in text_of(answer).replace("\xa0", " ")
    assert "Customer" in text_of(answer)
    assert url(session, "files/55/") in answer.content.decode()
    assert ("<html" in answer.content.decode()) == (not headers)


def test_a_psa_that_is_away_is_a_sentence(
    as_member: Client, session: FlowSession, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_ticket(session, connection)

    def away(*args: Any) -> None:
        raise UnavailableError("ConnectWise gives no usable answer.")

    monkeypatch.setattr(psa_selectors, "documents", away)
    monkeypatch.setattr(psa_selectors, "document_open", away)

    listed = as_member.get(url(session, "files/"), **HTMX)
    opened = as_member.get(url(session, "files/55/"), follow=True)

    assert "The files cannot be read: ConnectWise gives no usable answer." in text_of(listed)
    assert "The file cannot be read: ConnectWise gives no usable answer." in text_of(opened)


def test_a_file_is_streamed_to_be_saved(
    as_member: Client, session: FlowSession, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_ticket(session, connection)

    def blocks() -> Iterator[bytes]:
        yield b"%PDF"

    found = Download(FILE, "application/pdf", blocks(), lambda: None)
    monkeypatch.setattr(psa_selectors, "document_open", lambda *args: found)

    answer: Any = as_member.get(url(session, "files/55/"))

    assert b"".join(answer.streaming_content) == b"%PDF"
    assert answer["Content-Disposition"].startswith("attachment;")


def test_a_file_of_another_ticket_is_not_given(
    as_member: Client, session: FlowSession, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_ticket(session, connection)

    def missing(*args: Any) -> None:
        raise MissingError("The ticket has no such file.", code="document-not-found")

    monkeypatch.setattr(psa_selectors, "document_open", missing)

    assert "The ticket has no such file." in text_of(as_member.get(url(session, "files/9/"), follow=True))


def test_files_without_a_ticket_lead_back(as_member: Client, session: FlowSession) -> None:
    assert as_member.get(url(session, "files/")).status_code == 302
    assert as_member.get(url(session, "files/"), **HTMX).status_code == 204
