"""Tests of the session list, a new session, and the page of one session."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.utils import timezone

from integrations_ui.tests.conftest import queries_of
from integrations_ui.tests.session_desk import HTMX, STEP, actor_of, begin, get, text_of, url
from integrations_ui.tests.test_pages import connect
from psa import services as psa_services
from psa.models import Connection, Delivery, TicketLink
from psa.types import NoteKind, NotePart
from resolutionflow.accounts.models import Account, Role, User
from resolutionflow.accounts.services import user_create
from resolutionflow.flows.models import Flow
from resolutionflow.sessions import services
from resolutionflow.sessions.models import FlowSession, SessionStep

LIST = "/integrations/sessions/"
REFUSED = {"code": "psa-rejected", "text": "ConnectWise refused this.", "remedy": "Change the text."}


@pytest.fixture
def colleague(account: Account) -> User:
    return user_create(account, username="ben", password="x", first_name="Ben", last_name="Keller")


@pytest.fixture
def connection(account: Account) -> Connection:
    return connect(account)


@pytest.fixture
def session(account: Account, member: User) -> FlowSession:
    return begin(account, member)


def on_ticket(session: FlowSession, connection: Connection, number: str = "4711") -> TicketLink:
    """Link a session without asking a PSA."""
    link, _ = TicketLink.objects.get_or_create(
        tenant=connection.tenant,
        connection=connection,
        record_type="service",
        ticket_id=number,
        defaults={
            "summary": "Printer on fire",
            "url": "https://na.myconnectwise.net/t?id=4711",
            "board_id": "1",
        },
    )
    FlowSession.objects.filter(pk=session.pk).update(link=link, linked_at=timezone.now())
    session.refresh_from_db()
    return link


def post(session: FlowSession, user: User, text: str = "Rebooted.", **changes: Any) -> Delivery:
    """Queue a note of a session; changes are made to its delivery."""
    unit = psa_services.unit_enqueue(
        session.account,
        session.link_id,
        [NotePart(NoteKind.ANALYSIS, text)],
        actor=actor_of(user),
        origin=session.origin,
    )
    Delivery.objects.filter(unit=unit).update(**changes)
    return unit.deliveries.get()


# The list ---------------------------------------------------------------------------------------


def test_engineer_sees_their_own_sessions_first(
    client: Client, account: Account, member: User, colleague: User
) -> None:
    begin(account, member, "Mine it is")
    begin(account, colleague, "Somebody else's")
    page = get(client, member, LIST)
    assert ("Mine it is" in page, "Somebody else" in page) == (True, False)


def test_engineer_may_look_at_everybodys_as_over_rest(
    client: Client, account: Account, member: User, colleague: User
) -> None:
    begin(account, colleague, "Somebody else's")
    assert "Somebody else" in get(client, member, f"{LIST}?whose=all")


def test_lead_sees_everybodys_sessions(client: Client, account: Account, lead: User, member: User) -> None:
    begin(account, member, "Of an engineer")
    assert "Of an engineer" in get(client, lead, LIST)


def test_outsider_sees_no_session(client: Client, outsider: User, session: FlowSession) -> None:
    assert session.title not in get(client, outsider, f"{LIST}?whose=all")


def test_empty_list_says_what_to_do(client: Client, member: User) -> None:
    page = get(client, member, LIST)
    assert ("No sessions here" in page, "New session" in page) == (True, True)


def test_list_names_ticket_flow_outcome_and_state(
    client: Client, account: Account, member: User, session: FlowSession, connection: Connection
) -> None:
    on_ticket(session, connection)
    post(session, member, state="delivered", delivered_at=timezone.now())
    FlowSession.objects.update(
        flow=Flow.objects.create(account=account, title="Printer flow"),
        state="completed",
        outcome="escalated",
        completed_at=timezone.now(),
    )
    page = get(client, member, LIST)
    wanted = [
        "Printer flow",
        "#4711",
        'href="https://na.myconnectwise.net/t?id=4711"',
        "Escalated",
        "Delivered",
    ]
    assert [word for word in wanted if word not in page] == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": "dead", "problem": REFUSED}, "Needs you"),
        ({"state": "unknown"}, "Checking"),
        ({"state": "sending"}, "Sending"),
        ({"state": "ready"}, "Queued"),
        ({"state": "discarded"}, "Not posted"),
        ({"state": "ready", "held_by": "permission"}, "Waiting for a permission"),
    ],
)
def test_list_says_how_posts_fare(
    client: Client,
    member: User,
    session: FlowSession,
    connection: Connection,
    changes: dict[str, Any],
    words: str,
) -> None:
    on_ticket(session, connection)
    post(session, member, **changes)
    assert words in get(client, member, f"{LIST}?whose=mine").partition("<tbody>")[2]


def test_what_waits_for_a_psa_names_it(
    client: Client, member: User, session: FlowSession, connection: Connection
) -> None:
    on_ticket(session, connection)
    post(session, member)
    Connection.objects.update(state="degraded")
    assert "Waiting for Main ConnectWise" in get(client, member, LIST)


def test_filter_needs_you_keeps_what_somebody_must_decide(
    client: Client, account: Account, member: User, session: FlowSession, connection: Connection
) -> None:
    on_ticket(session, connection)
    post(session, member, state="dead", problem=REFUSED)
    begin(account, member, "All is well")
    page = get(client, member, f"{LIST}?show=needs-you")
    assert (session.title in page, "All is well" in page) == (True, False)
    assert '<span class="count count-bad">1</span>' in page


@pytest.mark.parametrize(("show", "there"), [("open", True), ("completed", False), ("<b>", True)])
def test_filter_by_state(client: Client, member: User, session: FlowSession, show: str, there: bool) -> None:
    assert (session.title in get(client, member, f"{LIST}?show={show}")) is there


def test_long_list_has_pages(client: Client, account: Account, member: User) -> None:
    for number in range(27):
        begin(account, member, f"Session {number:02}", steps=0)
    assert "Session 01" not in get(client, member, LIST)
    assert "Session 01" in get(client, member, f"{LIST}?page=2")


@pytest.mark.parametrize("page", ["0", "x", "99999999999999999999", "-1"])
def test_page_that_is_none_shows_the_nearest(
    client: Client, member: User, session: FlowSession, page: str
) -> None:
    assert session.title in get(client, member, f"{LIST}?page={page}")


def test_list_costs_the_same_for_many_sessions(
    client: Client, account: Account, member: User, session: FlowSession, connection: Connection
) -> None:
    on_ticket(session, connection)
    post(session, member)
    client.force_login(member)
    one = queries_of(client, LIST)
    for number in range(8):
        other = begin(account, member, f"Other {number}")
        on_ticket(other, connection, str(number + 1))
        post(other, member)
    assert queries_of(client, LIST) == one


def test_title_is_escaped(client: Client, account: Account, member: User) -> None:
    session = begin(account, member, "<script>alert(1)</script>")
    assert "<script>alert" not in get(client, member, LIST) + get(client, member, url(session))


# A new session ----------------------------------------------------------------------------------


def test_session_is_begun_with_a_flow(client: Client, account: Account, member: User) -> None:
    flow = Flow.objects.create(account=account, title="Printer flow")
    client.force_login(member)
    answer = client.post(f"{LIST}new/", {"title": "Paper jam", "flow": flow.pk})
    made = FlowSession.objects.get()
    assert (made.title, made.flow, made.created_by) == ("Paper jam", flow, member)
    assert answer["Location"] == url(made)


@pytest.mark.parametrize("title", ["", "   ", "x" * 201])
def test_bad_title_is_refused_beside_its_field(client: Client, member: User, title: str) -> None:
    client.force_login(member)
    answer = client.post(f"{LIST}new/", {"title": title})
    assert (answer.status_code, FlowSession.objects.count()) == (422, 0)
    assert 'id="id_title_error"' in answer.content.decode()


def test_flow_of_another_account_is_no_choice(client: Client, member: User, outsider: User) -> None:
    foreign = Flow.objects.create(account=outsider.membership.account, title="Foreign flow")
    client.force_login(member)
    answer = client.post(f"{LIST}new/", {"title": "Paper jam", "flow": foreign.pk})
    assert (answer.status_code, "Foreign flow" in answer.content.decode()) == (422, False)


# One session ------------------------------------------------------------------------------------


def test_colleague_works_on_the_same_session(client: Client, colleague: User, session: FlowSession) -> None:
    client.force_login(colleague)
    client.post(url(session), {"body": "Changed the cable.", "result": "Prints."})
    last = SessionStep.objects.order_by("-position").first()
    assert (last.body, last.author) == ("Changed the cable.", colleague)


def test_step_is_added_and_found_by_its_address(client: Client, member: User, session: FlowSession) -> None:
    client.force_login(member)
    answer = client.post(url(session), {"title": "Spooler", "body": "Restarted it.", "result": ""})
    step = SessionStep.objects.get(title="Spooler")
    assert answer["Location"] == f"{url(session)}#step-{step.pk}"
    assert "Restarted it." in get(client, member, url(session))


def test_second_click_adds_no_second_step(client: Client, member: User, session: FlowSession) -> None:
    client.force_login(member)
    for _ in range(2):
        client.post(url(session), {"body": "Restarted it."})
    assert SessionStep.objects.filter(body="Restarted it.").count() == 1


def test_empty_step_is_refused_and_what_was_typed_stays(
    client: Client, member: User, session: FlowSession
) -> None:
    client.force_login(member)
    answer = client.post(url(session), {"title": "Only a title", "body": " \n "})
    page = answer.content.decode()
    assert (answer.status_code, "Only a title" in page, "Write what was done." in page) == (422, True, True)


def test_dropped_control_characters_are_told(client: Client, member: User, session: FlowSession) -> None:
    client.force_login(member)
    answer = client.post(url(session), {"body": "a\x00b\x07c"}, follow=True)
    assert SessionStep.objects.order_by("-position").first().body == "abc"
    assert "Control characters in the step were dropped." in answer.content.decode()


def test_step_for_a_completed_session_is_refused_and_not_lost(
    client: Client, member: User, session: FlowSession
) -> None:
    FlowSession.objects.update(state="completed", outcome="cancelled", completed_at=timezone.now())
    client.force_login(member)
    answer = client.post(url(session), {"body": "One more thing"})
    page = answer.content.decode()
    assert (answer.status_code, "One more thing" in page, "stays as it is" in page) == (422, True, True)


def test_completed_session_offers_no_step(client: Client, member: User, session: FlowSession) -> None:
    FlowSession.objects.update(state="completed", outcome="cancelled", completed_at=timezone.now())
    page = get(client, member, url(session))
    assert ("Add step" in page, "Complete</span>" in page) == (False, False)


def test_documentation_for_the_customer_holds_no_step(
    client: Client, account: Account, member: User, session: FlowSession
) -> None:
    services.session_update(account, session.pk, resolution="It prints again.")
    page = client_page(client, member, session)
    staff, customer = page.partition("For the customer")[::2]
    assert STEP in staff
    assert ("It prints again." in customer, STEP in customer) == (True, False)


def client_page(client: Client, user: User, session: FlowSession) -> str:
    return get(client, user, url(session)).partition('id="docs-title"')[2]


@pytest.mark.parametrize(
    "tail", ["", "edit/", "note/", "complete/", "ticket/", "ticket/unlink/", "deliveries/"]
)
def test_session_of_another_account_is_not_there(
    client: Client, outsider: User, session: FlowSession, tail: str
) -> None:
    client.force_login(outsider)
    assert client.get(url(session, tail)).status_code == 404


def test_huge_ids_are_not_there(client: Client, member: User) -> None:
    client.force_login(member)
    assert client.get(f"{LIST}{10**30}/").status_code == 404


def test_session_costs_the_same_for_many_steps_and_posts(
    client: Client, account: Account, member: User, session: FlowSession, connection: Connection
) -> None:
    on_ticket(session, connection)
    post(session, member)
    client.force_login(member)
    one = queries_of(client, url(session))
    for number in range(6):
        services.step_add(account, session.pk, actor=actor_of(member), body=f"More {number}")
        post(session, member, f"Text {number}")
    assert queries_of(client, url(session)) == one


def test_title_flow_and_summary_are_edited(client: Client, account: Account, member: User) -> None:
    session = begin(account, member)
    client.force_login(member)
    client.post(url(session, "edit/"), {"title": "Better title", "flow": "", "resolution": "Solved."})
    session.refresh_from_db()
    assert (session.title, session.resolution) == ("Better title", "Solved.")


def test_too_long_a_summary_is_refused_with_the_figure(
    client: Client, member: User, session: FlowSession
) -> None:
    client.force_login(member)
    answer = client.post(url(session, "edit/"), {"title": "T", "resolution": "x" * 20_001})
    assert (answer.status_code, "20,001" in answer.content.decode()) == (422, True)


# An expired sign-in -----------------------------------------------------------------------------


def test_typed_step_waits_for_the_next_sign_in(client: Client, member: User, session: FlowSession) -> None:
    answer = client.post(url(session), {"title": "T", "body": "Typed for ten minutes", "result": ""})
    assert answer["Location"] == f"/accounts/login/?next={url(session)}"
    client.post("/accounts/login/", {"login": "mia", "password": "correct horse battery"})
    page = text_of(client.get(url(session)))
    assert ("Typed for ten minutes" in page, "Your sign-in had expired" in page) == (True, True)
    assert "Typed for ten minutes" not in text_of(client.get(url(session)))


def test_live_part_says_that_the_sign_in_expired(client: Client, session: FlowSession) -> None:
    answer = client.get(url(session, "deliveries/"), **HTMX)
    assert (answer.status_code, "signed out" in answer.content.decode()) == (286, True)


# Deliveries on the page -------------------------------------------------------------------------


def test_page_asks_again_while_something_is_on_its_way(
    client: Client, member: User, session: FlowSession, connection: Connection
) -> None:
    on_ticket(session, connection)
    post(session, member)
    assert 'hx-trigger="every 3s"' in get(client, member, url(session))


def test_page_asks_seldom_while_the_psa_is_away(
    client: Client, member: User, session: FlowSession, connection: Connection
) -> None:
    on_ticket(session, connection)
    post(session, member)
    Connection.objects.update(state="degraded")
    assert 'hx-trigger="every 20s"' in get(client, member, url(session))


@pytest.mark.parametrize("state", ["delivered", "dead", "discarded"])
def test_page_asks_no_more_once_all_is_settled(
    client: Client, member: User, session: FlowSession, connection: Connection, state: str
) -> None:
    on_ticket(session, connection)
    post(session, member, state=state)
    assert "every 3s" not in get(client, member, url(session))


def test_live_part_is_answered_only_when_something_changed(
    client: Client, member: User, session: FlowSession, connection: Connection
) -> None:
    on_ticket(session, connection)
    delivery = post(session, member)
    page = get(client, member, url(session))
    live = url(session, "deliveries/?seen=") + page.partition("deliveries/?seen=")[2].partition('"')[0]
    assert client.get(live, **HTMX).status_code == 204
    Delivery.objects.filter(pk=delivery.pk).update(state="delivered", delivered_at=timezone.now())
    answer = client.get(live, **HTMX)
    assert (answer.status_code, "Delivered" in answer.content.decode()) == (286, True)


def test_needs_you_says_what_to_do(
    client: Client, member: User, session: FlowSession, connection: Connection
) -> None:
    on_ticket(session, connection)
    post(session, member, state="dead", problem=REFUSED)
    page = get(client, member, url(session))
    wanted = ["ConnectWise refused this.", "Change the text.", "Retry", "Edit and retry", "Discard"]
    assert [word for word in wanted if word not in page] == []


def test_colleague_sees_the_state_but_may_not_act(
    client: Client, member: User, colleague: User, session: FlowSession, connection: Connection
) -> None:
    on_ticket(session, connection)
    post(session, member, state="dead", problem=REFUSED)
    page = get(client, colleague, url(session))
    assert ("Needs you" in page, "Edit and retry" in page) == (True, False)


def test_retry_leads_back_to_the_session(
    client: Client, member: User, session: FlowSession, connection: Connection
) -> None:
    on_ticket(session, connection)
    delivery = post(session, member, state="dead", problem=REFUSED)
    back = url(session, "#deliveries")
    page = get(client, member, url(session))
    assert f'name="back" value="{back}"' in page
    assert f"/deliveries/{delivery.pk}/edit/?back={quote(back)}" in page
    answer = client.post(f"/integrations/deliveries/{delivery.pk}/retry/", {"back": back})
    assert answer["Location"] == back


def test_delivered_note_can_be_taken_back(
    client: Client, member: User, session: FlowSession, connection: Connection
) -> None:
    on_ticket(session, connection)
    delivery = post(session, member, state="delivered", delivered_at=timezone.now(), external_id="1")
    page = get(client, member, url(session))
    assert f'href="/integrations/deliveries/{delivery.pk}/">Hide, correct, move or remove' in page


def test_text_of_a_colleagues_post_is_not_shown(
    client: Client, member: User, colleague: User, session: FlowSession, connection: Connection
) -> None:
    on_ticket(session, connection)
    post(session, member, "Rebooted the secret way.")
    page = get(client, colleague, url(session))
    assert ("Rebooted the secret way." in page, "Details" in page) == (False, False)


def test_lead_role_is_not_needed_to_begin(client: Client, account: Account) -> None:
    engineer = user_create(account, username="eve", password="x", role=Role.ENGINEER)
    client.force_login(engineer)
    assert client.post(f"{LIST}new/", {"title": "Mine"}).status_code == 302
