"""Tests of posting a note and of the complete dialog, against the sandbox on a real socket."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from integrations_ui.tests.session_desk import (
    HTMX,
    OTHER_TICKET,
    STEP,
    TICKET,
    actor_of,
    begin,
    connect_sandbox,
    deliver,
    get,
    link,
    map_member,
    posts,
    text_of,
    url,
)
from psa.models import Connection, StatusRule
from psa.providers.connectwise.sandbox.server import SandboxServer
from resolutionflow.accounts.models import Account, User
from resolutionflow.accounts.services import user_create
from resolutionflow.sessions import services
from resolutionflow.sessions.models import FlowSession

SUMMARY = "The printer prints again."


@pytest.fixture
def connection(account: Account, owner: User, sandbox: SandboxServer) -> Connection:
    return connect_sandbox(account, owner, sandbox)


@pytest.fixture
def session(account: Account, member: User, connection: Connection) -> FlowSession:
    """An open session with one step, linked to ticket 57050."""
    return link(begin(account, member), connection, member)


@pytest.fixture
def colleague(account: Account) -> User:
    return user_create(account, username="ben", password="x", first_name="Ben", last_name="Keller")


def hidden(page: str) -> dict[str, str]:
    """Return the hidden fields of the form at the end of a preview."""
    form = page.partition('class="bar"')[2]
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form)
    return {name: value.replace("&#x27;", "'") for name, value in found}


def preview(client: Client, user: User, session: FlowSession, tail: str, **fields: Any) -> str:
    client.force_login(user)
    answer = client.post(url(session, tail), {"action": "preview", **fields})
    assert answer.status_code == 200, text_of(answer)
    return answer.content.decode()


def rule(
    connection: Connection, session: FlowSession, outcome: str, status: tuple[str, str], **values: Any
) -> None:
    StatusRule.objects.create(
        tenant=connection.tenant,
        connection=connection,
        board_id=session.link.board_id,
        outcome=outcome,
        status_id=status[0],
        status_name=status[1],
        **values,
    )


def status_id(connection: Connection, session: FlowSession, name: str) -> str:
    from psa import selectors

    found = selectors.statuses(connection.tenant, connection.pk, session.link.board_id)
    return next(status.id for status in found if status.name == name)


# Notes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("analysis", "Internal (staff only)"),
        ("resolution", "Resolution (customer sees it, prints on invoices)"),
        ("discussion", "Discussion (customer sees it)"),
        ("<b>", "Internal (staff only)"),
    ],
)
def test_kind_is_said_in_the_words_of_connectwise(
    client: Client, member: User, session: FlowSession, kind: str, words: str
) -> None:
    assert words in get(client, member, url(session, f"note/?kind={kind}"))


def test_internal_note_starts_from_the_documentation(
    client: Client, member: User, session: FlowSession
) -> None:
    assert STEP in get(client, member, url(session, "note/"))


@pytest.mark.parametrize("kind", ["resolution", "discussion"])
def test_note_the_customer_reads_never_starts_from_a_step(
    client: Client, member: User, session: FlowSession, kind: str
) -> None:
    assert STEP not in get(client, member, url(session, f"note/?kind={kind}"))


def test_preview_says_who_sees_it_who_is_mailed_and_in_whose_name(
    client: Client, member: User, session: FlowSession, connection: Connection
) -> None:
    map_member(connection, member, "eowens")
    page = " ".join(preview(client, member, session, "note/", kind="analysis", text="Rebooted.").split())
    assert "<dt>Who will see it</dt> <dd>Your staff only</dd>" in page
    assert "<dt>Who will be mailed</dt> <dd>Nobody</dd>" in page
    assert "<dt>Written as</dt> <dd> Mia Stone </dd>" in page
    assert posts(session) == []


def test_preview_of_a_mailed_note_names_the_customer(
    client: Client, member: User, session: FlowSession
) -> None:
    page = preview(client, member, session, "note/", kind="discussion", text="We are on it.", notify="on")
    assert "Your staff and the customer" in page
    assert "the customer&#x27;s contact included" in page


def test_unmapped_engineer_is_told_that_the_api_member_writes(
    client: Client, member: User, session: FlowSession
) -> None:
    page = preview(client, member, session, "note/", kind="analysis", text="Rebooted.")
    assert ("API member" in page, "your name stands in the first line" in page) == (True, True)


def test_preview_tells_of_dropped_characters_and_keeps_emoji(
    client: Client, member: User, session: FlowSession
) -> None:
    page = preview(client, member, session, "note/", kind="analysis", text="a\x07b 👩‍🔧")
    assert ("1 control characters were taken out." in page, "ab 👩‍🔧" in page) == (True, True)


def test_long_text_is_shown_in_parts(client: Client, member: User, session: FlowSession) -> None:
    page = preview(client, member, session, "note/", kind="analysis", text="word " * 5_000)
    assert ("part 1 of 2" in page, "part 2 of 2" in page) == (True, True)


@pytest.mark.parametrize("text", ["", " \n\t ", "x" * 130_000])
def test_bad_text_is_refused_and_stays(client: Client, member: User, session: FlowSession, text: str) -> None:
    client.force_login(member)
    answer = client.post(url(session, "note/"), {"action": "preview", "kind": "analysis", "text": text})
    assert (answer.status_code, text in answer.content.decode().replace("\r\n", "\n")) == (422, True)


def test_internal_note_cannot_be_mailed(client: Client, member: User, session: FlowSession) -> None:
    client.force_login(member)
    answer = client.post(url(session, "note/"), {"kind": "analysis", "text": "x", "notify": "on"})
    assert (answer.status_code, posts(session)) == (422, [])


def test_yes_posts_what_was_previewed(
    client: Client, member: User, session: FlowSession, sandbox: SandboxServer
) -> None:
    text = "First line\nSecond <b>line</b> & 'quotes'"
    page = preview(client, member, session, "note/", kind="discussion", text=text)
    values = hidden(page) | {"text": text}
    answer = client.post(url(session, "note/"), {"action": "post", **values})
    (delivery,) = posts(session)
    assert answer["Location"] == f"{url(session)}#unit-{delivery.unit_id}"
    deliver()
    note = sandbox.notes(TICKET)[-1]
    assert (text in note["text"], note["detailDescriptionFlag"]) == (True, True)


def test_double_click_posts_once(client: Client, member: User, session: FlowSession) -> None:
    values = hidden(preview(client, member, session, "note/", kind="analysis", text="Rebooted."))
    first, second = (client.post(url(session, "note/"), {"action": "post", **values}) for _ in range(2))
    assert first["Location"] == second["Location"]
    assert len(posts(session)) == 1


def test_same_form_with_another_text_asks_before_a_second_note(
    client: Client, member: User, session: FlowSession
) -> None:
    values = hidden(preview(client, member, session, "note/", kind="analysis", text="Rebooted."))
    client.post(url(session, "note/"), {"action": "post", **values})
    answer = client.post(url(session, "note/"), {"action": "post", **values, "text": "Rebooted twice."})
    page = answer.content.decode()
    assert (answer.status_code, "This page was sent before" in page, len(posts(session))) == (200, True, 1)
    client.post(url(session, "note/"), {"action": "post", **hidden(page)})
    assert [row.payload["text"] for row in posts(session)] == ["Rebooted.", "Rebooted twice."]


@pytest.mark.parametrize("key", ["", "x", "' OR 1=1"])
def test_yes_without_a_preview_shows_one(
    client: Client, member: User, session: FlowSession, key: str
) -> None:
    client.force_login(member)
    answer = client.post(
        url(session, "note/"), {"action": "post", "kind": "analysis", "text": "T", "key": key}
    )
    assert ("Post this note?" in answer.content.decode(), posts(session)) == (True, [])


def test_ticket_changed_since_the_preview_shows_it_again(
    client: Client, member: User, session: FlowSession, connection: Connection
) -> None:
    values = hidden(preview(client, member, session, "note/", kind="analysis", text="Rebooted."))
    link(session, connection, member, OTHER_TICKET)
    answer = client.post(url(session, "note/"), {"action": "post", **values})
    assert ("linked to another ticket meanwhile" in answer.content.decode(), posts(session)) == (True, [])


def test_text_is_not_lost_when_the_session_was_unlinked(
    client: Client, account: Account, member: User, session: FlowSession
) -> None:
    services.ticket_unlink(account, session.pk, actor=actor_of(member))
    client.force_login(member)
    answer = client.post(
        url(session, "note/"), {"action": "preview", "kind": "analysis", "text": "Typed long"}
    )
    page = answer.content.decode()
    assert (answer.status_code, "Typed long" in page, "Link one first" in page) == (422, True, True)


def test_change_keeps_the_text(client: Client, member: User, session: FlowSession) -> None:
    client.force_login(member)
    answer = client.post(
        url(session, "note/"), {"action": "change", "kind": "discussion", "text": "We are on it."}
    )
    assert (answer.status_code, "We are on it." in answer.content.decode()) == (200, True)


def test_unedited_documentation_is_not_posted_again_at_the_end(
    client: Client, member: User, session: FlowSession
) -> None:
    page = get(client, member, url(session, "note/"))
    client.force_login(member)
    text = client.get(url(session, "note/")).context["form"].initial["text"]
    assert STEP in page
    values = hidden(
        preview(client, member, session, "note/", kind="analysis", text=text.replace("\n", "\r\n"))
    )
    client.post(url(session, "note/"), {"action": "post", **values, "text": text.replace("\n", "\r\n")})
    ending = preview(client, member, session, "complete/", outcome="cancelled")
    assert "This documentation is on its way to the ticket already" in ending


def test_note_goes_out_while_the_psa_is_away(
    client: Client, member: User, session: FlowSession, sandbox: SandboxServer
) -> None:
    sandbox.faults.add(kind="drop_before")
    values = hidden(preview(client, member, session, "note/", kind="analysis", text="Rebooted."))
    client.post(url(session, "note/"), {"action": "post", **values})
    assert [row.state for row in posts(session)] == ["ready"]


def test_note_without_a_ticket_leads_to_linking_one(client: Client, account: Account, member: User) -> None:
    lone = begin(account, member)
    client.force_login(member)
    assert client.get(url(lone, "note/"))["Location"] == url(lone, "ticket/")


def test_disabled_connection_is_said_above_the_text(
    client: Client, member: User, session: FlowSession
) -> None:
    Connection.objects.update(state="disabled")
    client.force_login(member)
    answer = client.post(
        url(session, "note/"), {"action": "preview", "kind": "analysis", "text": "Typed long"}
    )
    page = answer.content.decode()
    assert (answer.status_code, "is disabled" in page, "Typed long" in page) == (422, True, True)


def test_typed_note_waits_for_the_next_sign_in(client: Client, member: User, session: FlowSession) -> None:
    client.post(url(session, "note/"), {"action": "preview", "kind": "discussion", "text": "Typed long"})
    client.force_login(member)
    page = text_of(client.get(url(session, "note/")))
    assert ("Typed long" in page, "Discussion (customer sees it)" in page) == (True, True)


# Completing -------------------------------------------------------------------------------------


def test_preview_shows_every_part_and_stores_nothing(
    client: Client, member: User, session: FlowSession
) -> None:
    page = preview(
        client, member, session, "complete/", outcome="resolved", resolution=SUMMARY, status="Closed"
    )
    order = [page.index(word) for word in ("Internal (staff only)", "Resolution (customer", "<h2>Status")]
    assert order == sorted(order)
    assert ("<strong>Closed</strong>" in page, SUMMARY in page) == (True, True)
    session.refresh_from_db()
    assert (session.is_open, session.resolution, posts(session)) == (True, "", [])


def test_yes_completes_and_reaches_the_ticket(
    client: Client, member: User, session: FlowSession, sandbox: SandboxServer
) -> None:
    fields = {"outcome": "resolved", "resolution": SUMMARY, "status": "Closed"}
    values = hidden(preview(client, member, session, "complete/", **fields))
    answer = client.post(url(session, "complete/"), {"action": "complete", **values})
    session.refresh_from_db()
    assert answer["Location"] == f"{url(session)}#unit-{session.unit_id}"
    deliver()
    assert [row.state for row in posts(session)] == ["delivered"] * 3
    assert sandbox.ticket(TICKET)["status"]["name"] == "Closed"
    page = get(client, member, url(session))
    assert (page.count(">Delivered<"), "→ Closed" in page, "every 3s" in page) == (3, True, False)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({}, "id_outcome_error"),
        ({"outcome": "<script>"}, "id_outcome_error"),
        ({"outcome": "resolved", "resolution": " "}, "id_resolution_error"),
        ({"outcome": "resolved", "resolution": "x" * 20_001}, "id_resolution_error"),
        ({"outcome": "escalated", "status": "No such status"}, "id_status_error"),
        ({"outcome": "escalated", "status": "x" * 101}, "id_status_error"),
    ],
)
def test_bad_values_are_said_beside_their_field(
    client: Client, member: User, session: FlowSession, fields: dict[str, str], place: str
) -> None:
    client.force_login(member)
    answer = client.post(url(session, "complete/"), {"action": "preview", **fields})
    page = answer.content.decode()
    assert (answer.status_code, f'id="{place}"' in page, "<script>" in page) == (422, True, False)


def test_double_click_completes_once(client: Client, member: User, session: FlowSession) -> None:
    values = hidden(preview(client, member, session, "complete/", outcome="resolved", resolution=SUMMARY))
    first, second = (
        client.post(url(session, "complete/"), {"action": "complete", **values}) for _ in range(2)
    )
    assert first["Location"] == second["Location"]
    assert len(posts(session)) == 2


def test_second_engineer_sees_the_first_ones_result_and_keeps_their_text(
    client: Client, member: User, colleague: User, session: FlowSession
) -> None:
    theirs = hidden(
        preview(client, colleague, session, "complete/", outcome="resolved", resolution="Ben's text")
    )
    mine = hidden(preview(client, member, session, "complete/", outcome="escalated"))
    client.post(url(session, "complete/"), {"action": "complete", **mine})
    client.force_login(colleague)
    answer = client.post(url(session, "complete/"), {"action": "complete", **theirs})
    page = text_of(answer)
    assert answer.status_code == 409
    assert "Mia Stone completed this session" in page
    assert ("Ben&#x27;s text" in page, "Escalated" in page, len(posts(session))) == (True, True, 1)


def test_text_of_the_second_engineer_can_become_a_note(
    client: Client, account: Account, member: User, colleague: User, session: FlowSession
) -> None:
    FlowSession.objects.update(state="completed", outcome="cancelled", completed_at=timezone.now())
    client.force_login(colleague)
    answer = client.post(
        url(session, "note/"), {"action": "change", "kind": "discussion", "text": "Ben's text"}
    )
    assert "Ben&#x27;s text" in answer.content.decode()


def test_step_added_since_the_preview_shows_it_again(
    client: Client, account: Account, member: User, colleague: User, session: FlowSession
) -> None:
    values = hidden(preview(client, member, session, "complete/", outcome="cancelled"))
    services.step_add(account, session.pk, actor=actor_of(colleague), body="One more step")
    answer = client.post(url(session, "complete/"), {"action": "complete", **values})
    page = answer.content.decode()
    session.refresh_from_db()
    assert ("was changed since you looked" in page, "One more step" in page, session.is_open) == (
        True,
        True,
        True,
    )
    client.post(url(session, "complete/"), {"action": "complete", **hidden(page)})
    session.refresh_from_db()
    assert session.is_open is False


def test_change_keeps_everything(client: Client, member: User, session: FlowSession) -> None:
    client.force_login(member)
    fields = {"outcome": "escalated", "resolution": "Typed long", "status": "Escalated", "notify": "yes"}
    page = text_of(client.post(url(session, "complete/"), {"action": "change", **fields}))
    assert re.search(r'value="escalated"[^>]*checked', page)
    assert re.search(r'value="yes"[^>]*checked', page)
    assert ("Typed long" in page, '<option value="Escalated" selected>' in page) == (True, True)


def test_completed_session_leads_to_its_page(client: Client, member: User, session: FlowSession) -> None:
    FlowSession.objects.update(state="completed", outcome="cancelled", completed_at=timezone.now())
    client.force_login(member)
    assert client.get(url(session, "complete/"))["Location"] == url(session)


def test_completing_without_a_ticket_leads_to_linking_one(
    client: Client, account: Account, member: User
) -> None:
    lone = begin(account, member)
    client.force_login(member)
    assert client.get(url(lone, "complete/"))["Location"] == url(lone, "ticket/")
    answer = client.post(url(lone, "complete/"), {"action": "preview", "outcome": "cancelled"})
    assert (answer.status_code, "Link a ticket" in answer.content.decode()) == (422, True)


# The status -------------------------------------------------------------------------------------


def test_rule_of_the_board_is_preselected(
    client: Client, member: User, session: FlowSession, connection: Connection
) -> None:
    rule(connection, session, "resolved", (status_id(connection, session, "Closed"), "Closed"))
    page = get(client, member, url(session, "complete/statuses/?outcome=resolved"), **HTMX)
    assert "Closed (by the status rule)" in page.partition("</option>")[0]
    ending = preview(client, member, session, "complete/", outcome="resolved", resolution=SUMMARY)
    assert "<strong>Closed</strong>" in ending


def test_board_without_a_rule_leaves_the_status(client: Client, member: User, session: FlowSession) -> None:
    page = get(client, member, url(session, "complete/statuses/?outcome=resolved"), **HTMX)
    assert "Leave it as it is" in page.partition("</option>")[0]
    assert "Help Desk has no status rule" in page


def test_statuses_of_the_board_are_offered(client: Client, member: User, session: FlowSession) -> None:
    page = get(client, member, url(session, "complete/statuses/?status=Closed"), **HTMX)
    assert '<option value="Closed" selected>Closed · closes the ticket · mails the customer</option>' in page
    assert "Old Triage" not in page


def test_statuses_come_without_javascript_and_keep_what_was_typed(
    client: Client, member: User, session: FlowSession
) -> None:
    client.force_login(member)
    fields = {"outcome": "resolved", "resolution": "Typed long"}
    page = text_of(client.post(url(session, "complete/"), {"action": "statuses", **fields}))
    assert ("Typed long" in page, '<option value="Waiting on Customer"' in page) == (True, True)


def test_psa_that_is_away_does_not_stop_the_completion(
    client: Client, member: User, session: FlowSession, sandbox: SandboxServer
) -> None:
    sandbox.faults.add(kind="drop_before")
    page = get(client, member, url(session, "complete/statuses/"), **HTMX)
    assert ("cannot be read" in page, "Ask again" in page, '<input class="input" id="id_status"' in page) == (
        True,
        True,
        True,
    )
    fields = {"outcome": "escalated", "status": "Escalated"}
    values = hidden(preview(client, member, session, "complete/", **fields))
    client.post(url(session, "complete/"), {"action": "complete", **values})
    assert [row.kind for row in posts(session)] == ["analysis", "status"]


def test_dialog_costs_the_same_for_many_rules(
    client: Client, member: User, session: FlowSession, connection: Connection
) -> None:
    from integrations_ui.tests.conftest import queries_of

    client.force_login(member)
    one = queries_of(client, url(session, "complete/"))
    for outcome in ("resolved", "escalated", "cancelled"):
        rule(connection, session, outcome, ("1", "Closed"))
    assert queries_of(client, url(session, "complete/")) == one


def test_typed_summary_waits_for_the_next_sign_in(client: Client, member: User, session: FlowSession) -> None:
    fields = {"action": "preview", "outcome": "resolved", "resolution": "Typed long", "status": "Closed"}
    answer = client.post(url(session, "complete/"), fields)
    assert answer["Location"] == f"/accounts/login/?next={url(session, 'complete/')}"
    client.force_login(member)
    page = text_of(client.get(url(session, "complete/")))
    assert ("Typed long" in page, bool(re.search(r'value="resolved"[^>]*checked', page))) == (True, True)


def test_nothing_the_customer_reads_holds_a_step(
    client: Client, member: User, session: FlowSession, sandbox: SandboxServer
) -> None:
    values = hidden(
        preview(client, member, session, "complete/", outcome="resolved", resolution=SUMMARY, notify="yes")
    )
    client.post(url(session, "complete/"), {"action": "complete", **values})
    deliver()
    shown = [
        note for note in sandbox.notes(TICKET) if note["resolutionFlag"] or note["detailDescriptionFlag"]
    ]
    assert any(SUMMARY in note["text"] for note in shown)
    assert not any(STEP in note["text"] for note in shown)
