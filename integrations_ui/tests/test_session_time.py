"""Tests of time and files in the complete dialog: what is offered, previewed, answered."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from integrations_ui.tests.session_desk import HTMX, STEP, begin, text_of, url
from integrations_ui.tests.test_pages import connect
from integrations_ui.tests.test_sessions import on_ticket
from psa import selectors as psa_selectors
from psa import services as psa_services
from psa.exceptions import UnavailableError
from psa.models import Delivery
from psa.providers.connectwise.provider import ConnectWiseProvider
from psa.types import Capability, PartPreview, Ref, TimeChoices, TimeEntry, TimeObjection, TimePart
from resolutionflow.accounts.models import Account, User
from resolutionflow.sessions.models import FlowSession, SessionStep

START = datetime(2026, 3, 2, 13, 0, tzinfo=UTC)
ENTRY = TimeEntry("91", "4711", Ref("7", "Eva"), START, START + timedelta(minutes=30), Decimal("0.50"))
OVERLAP = TimeObjection("overlap", "You already have 0.50 h here, 14:00–14:30.", (ENTRY,))
CLOSED = TimeObjection("period-closed", "March is closed.")
TIME = {
    "outcome": "cancelled",
    "resolution": "",
    "add_time": "on",
    "start": "2026-03-02T14:00",
    "end": "2026-03-02T14:30",
    "deduct_minutes": "5",
    "notes": "Printer repaired.",
    "attach_export": "",
}


@pytest.fixture
def session(account: Account, member: User) -> FlowSession:
    member.time_zone = "Europe/Berlin"
    member.save(update_fields=["time_zone"])
    session = begin(account, member)
    FlowSession.objects.filter(pk=session.pk).update(started_at=START)
    SessionStep.objects.filter(session=session).update(created_at=START + timedelta(minutes=20))
    on_ticket(session, connect(account))
    return session


@pytest.fixture
def desk(client: Client, member: User) -> Client:
    client.force_login(member)
    return client


@pytest.fixture
def psa(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A PSA that takes time and files: what it has against time, and what it was shown."""
    told: dict[str, Any] = {"objections": (), "parts": []}
    kept = psa_services.unit_preview

    def unit_preview(tenant: Any, link_id: int, parts: Any, *, actor: Any) -> list[PartPreview]:
        told["parts"] += [part for part in parts if isinstance(part, TimePart)]
        shown: list[PartPreview] = []
        for part in parts:
            if isinstance(part, TimePart):
                entry = PartPreview("time", 1, 1, part.notes, "customer", (), "Eva", "member")
                shown.append(_with(entry, part, told["objections"]))
            else:
                shown += kept(tenant, link_id, [part], actor=actor)
        return shown

    monkeypatch.setattr(psa_services, "unit_preview", unit_preview)
    choices = TimeChoices(work_types=(Ref("3", "Remote"),), notes_required=True)
    monkeypatch.setattr(psa_selectors, "statuses", lambda *args: [])
    monkeypatch.setattr(psa_selectors, "time_choices", lambda *args: choices)
    monkeypatch.setattr(psa_selectors, "time_entries", lambda *args, **named: [ENTRY])
    return told


def _with(entry: PartPreview, part: TimePart, objections: Any) -> PartPreview:
    return replace(
        entry,
        internal_text=part.internal_notes,
        hours=Decimal("0.42"),
        billed_hours=Decimal("0.50"),
        objections=objections,
    )


def send(desk: Client, session: FlowSession, action: str, **values: str) -> Any:
    shown = desk.post(url(session, "complete/"), {**TIME, "action": "preview"})
    seen = (shown.context or {}).get("seen", "")
    return desk.post(url(session, "complete/"), {**TIME, "action": action, "seen": seen, **values})


def test_a_psa_without_time_is_offered_none(
    desk: Client, session: FlowSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    fewer = ConnectWiseProvider.capabilities - {Capability.TIME_ENTRIES, Capability.DOCUMENTS}
    monkeypatch.setattr(ConnectWiseProvider, "capabilities", fewer)

    text = text_of(desk.get(url(session, "complete/")))

    assert "Enter my time" not in text
    assert "Attach the session" not in text
    assert desk.get(url(session, "complete/time/"), **HTMX).status_code == 204


def test_the_dialog_starts_from_the_session_and_asks_the_psa_later(
    desk: Client, session: FlowSession, psa: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: Any) -> None:
        raise AssertionError("the first paint asks nobody")

    monkeypatch.setattr(psa_selectors, "time_choices", never)

    text = text_of(desk.get(url(session, "complete/")))

    assert 'type="datetime-local" name="start" value="2026-03-02T14:00"' in text
    assert "In your time zone, Europe/Berlin." in text
    assert f'hx-get="{url(session, "complete/time/")}"' in text
    assert psa["parts"] == []


def test_what_is_there_and_can_be_chosen_comes_by_itself_or_by_a_button(
    desk: Client, session: FlowSession, psa: dict[str, Any]
) -> None:
    part = text_of(desk.get(url(session, "complete/time/"), {"work_type": "3"}, **HTMX))
    whole = text_of(desk.post(url(session, "complete/"), {**TIME, "action": "statuses"}))

    for text in (part, whole):
        assert "0.50 h, 14:00–14:30" in text
        assert '<option value="3"' in text
        assert "This company wants a sentence with each time entry." in text
    assert '<option value="3" selected>Remote</option>' in part
    assert 'value="Printer repaired."' in whole


def test_a_psa_that_is_away_does_not_keep_anybody(
    desk: Client, session: FlowSession, psa: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: Any) -> None:
        raise UnavailableError("ConnectWise gives no usable answer.")

    monkeypatch.setattr(psa_selectors, "time_choices", away)

    assert "ConnectWise gives no usable answer." in text_of(desk.get(url(session, "complete/time/"), **HTMX))


def test_preview_shows_who_reads_what(desk: Client, session: FlowSession, psa: dict[str, Any]) -> None:
    text = text_of(desk.post(url(session, "complete/"), {**TIME, "action": "preview"}))

    assert 'Prints on the invoice</h3> <p class="said">Printer repaired.</p>' in text
    assert "0.42 h" in text
    assert "the PSA makes it 0.50 h" in text
    assert STEP in text.split("Staff only</h3>")[1]
    (part,) = psa["parts"]
    assert (part.started_at, part.deduct_s, part.notes) == (START, 300, "Printer repaired.")
    assert '<input type="hidden" name="start" value="2026-03-02T14:00">' in text


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"start": "soon"}, "Give a date and a time."),
        ({"start": ""}, "Give a date and a time."),
        ({"end": "2026-03-02T14:00"}, "The end must be after the start."),
        ({"end": "2026-03-03T14:01"}, "A time entry may span 24 hours at most"),
        ({"end": "2199-01-01T00:00", "start": "2198-12-31T23:00"}, "The end lies in the future"),
        ({"deduct_minutes": "-1"}, "greater than or equal to 0"),
        ({"deduct_minutes": "30"}, "The pauses leave nothing of the time."),
        ({"notes": f"x {STEP}"}, "This repeats a step"),
        ({"start": "2026-03-29T02:30", "end": "2026-03-29T04:00"}, "02:30 never came."),
    ],
)
def test_bad_time_is_told_beside_its_field(
    desk: Client, session: FlowSession, psa: dict[str, Any], change: dict[str, str], sentence: str
) -> None:
    answer = desk.post(url(session, "complete/"), {**TIME, "action": "preview", **change})

    assert answer.status_code == 422
    assert sentence in text_of(answer)
    assert not Delivery.objects.exists()


def test_an_hour_that_came_twice_is_asked_for_and_chosen(
    desk: Client, session: FlowSession, psa: dict[str, Any]
) -> None:
    twice = {"start": "2025-10-26T02:30", "end": "2025-10-26T03:30"}

    asked = desk.post(url(session, "complete/"), {**TIME, "action": "preview", **twice})
    chosen = desk.post(url(session, "complete/"), {**TIME, "action": "preview", **twice, "fold": "1"})

    assert "02:30 CEST" in text_of(asked)
    assert "02:30 CET" in text_of(asked)
    assert chosen.status_code == 200
    assert psa["parts"][-1].started_at == datetime(2025, 10, 26, 1, 30, tzinfo=UTC)


def test_time_that_is_there_waits_for_an_answer(
    desk: Client, session: FlowSession, psa: dict[str, Any]
) -> None:
    psa["objections"] = (OVERLAP,)

    silent = send(desk, session, "complete")
    skipped = send(desk, session, "complete", answer="skip")

    assert "Add it all the same" in text_of(silent)
    assert "There is time on this ticket already" in text_of(silent)
    assert skipped.status_code == 302
    assert list(Delivery.objects.values_list("kind", flat=True)) == ["analysis"]


def test_a_closed_period_can_be_posted_without_time(
    desk: Client, session: FlowSession, psa: dict[str, Any]
) -> None:
    psa["objections"] = (CLOSED,)

    silent = send(desk, session, "complete")
    without = send(desk, session, "complete", answer="without")

    assert "March is closed." in text_of(silent)
    assert "Hold the time for a lead" in text_of(silent)
    assert without.status_code == 302
    assert list(Delivery.objects.values_list("kind", flat=True)) == ["analysis"]


def test_holding_holds_the_entry(desk: Client, session: FlowSession, psa: dict[str, Any]) -> None:
    desk.post(url(session, "complete/"), {**TIME, "action": "preview", "answer": "hold"})

    assert psa["parts"][-1].hold is True


def test_without_the_tick_no_time_is_asked_for(
    desk: Client, session: FlowSession, psa: dict[str, Any]
) -> None:
    answer = desk.post(url(session, "complete/"), {**TIME, "add_time": "", "start": "x", "action": "preview"})

    assert answer.status_code == 200
    assert psa["parts"] == []


def test_a_time_entry_says_what_prints_and_what_staff_read(
    desk: Client, session: FlowSession, member: User, psa: dict[str, Any]
) -> None:
    send(desk, session, "complete", add_time="")
    payload = {"notes": "Printer repaired.", "internal_notes": "Changed the fuser."}
    Delivery.objects.update(kind="time", payload=payload, created_by=member)

    text = text_of(desk.get(url(session)))

    assert "Time entry (its sentence prints on invoices)" in text
    assert "Prints on the invoice: Printer repaired. Staff only: Changed the fuser." in text
