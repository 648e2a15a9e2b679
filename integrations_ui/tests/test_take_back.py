"""Tests of taking back what stands on a ticket: hide, correct, move, remove, remove the extra note."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from django.test import Client

from integrations_ui.tests.conftest import PASSWORD
from integrations_ui.tests.delivery_desk import notes_on, post, put
from integrations_ui.tests.session_desk import (
    HTMX,
    OTHER_COMPANYS,
    OTHER_TICKET,
    TICKET,
    connect_sandbox,
    deliver,
    get,
    text_of,
)
from psa.models import AuditEntry, Connection, Delivery
from psa.outbox.moves import moves_finish
from psa.providers.connectwise.sandbox.server import SandboxServer
from resolutionflow.accounts.models import User
from resolutionflow.accounts.services import user_create

ONE_NOTE = r"/service/tickets/\d+/notes/\d+$"
DOUBLED = {"code": "duplicate", "text": "This note stands 2 times on the ticket.", "remedy": "Remove one."}


@pytest.fixture
def connection(account: Any, owner: User, sandbox: SandboxServer) -> Connection:
    return connect_sandbox(account, owner, sandbox)


@pytest.fixture
def note(connection: Connection, member: User) -> Delivery:
    """A resolution that stands on its ticket."""
    found = post(connection, member, "The printer works again.", kind="resolution")
    deliver()
    return fresh(found)


def fresh(delivery: Delivery) -> Delivery:
    return Delivery.objects.select_related("link").get(pk=delivery.pk)


def url_of(delivery: Delivery, tail: str = "") -> str:
    return f"/integrations/deliveries/{delivery.pk}/{tail}"


def act(client: Client, user: User, delivery: Delivery, tail: str, **sent: str) -> str:
    """Return the page somebody is led to after a POST."""
    client.force_login(user)
    return text_of(client.post(url_of(delivery, tail), sent, follow=True))


# What is offered --------------------------------------------------------------------------------


def test_note_of_the_customer_offers_all_four(client: Client, member: User, note: Delivery) -> None:
    page = get(client, member, url_of(note))
    for tail in ("hide/", "correct/", "move/", "remove/"):
        assert f'href="{url_of(note, tail)}"' in page
    assert "remove-extra/" not in page


def test_hiding_says_that_a_mail_stays_sent(client: Client, member: User, note: Delivery) -> None:
    sentence = "A mail already sent cannot be recalled."
    page = get(client, member, url_of(note))
    hiding = page[page.index("Hide from customer") : page.index("hide/")]
    assert sentence in hiding
    assert sentence in get(client, member, url_of(note, "hide/"))


def test_internal_note_has_nothing_to_hide(client: Client, member: User, connection: Connection) -> None:
    found = put(post(connection, member), "delivered")
    assert url_of(found, "hide/") not in get(client, member, url_of(found))


def test_internal_note_the_customer_can_see_can_be_hidden(
    client: Client, member: User, connection: Connection
) -> None:
    leaked = {"code": "shown-to-customer", "text": "The customer sees it.", "remedy": "Hide it."}
    found = put(post(connection, member), "delivered", problem=leaked)
    assert url_of(found, "hide/") in get(client, member, url_of(found))


@pytest.mark.parametrize("state", ["ready", "dead", "discarded", "unknown"])
def test_what_is_not_on_the_ticket_cannot_be_taken_back(
    client: Client, member: User, connection: Connection, state: str
) -> None:
    found = put(post(connection, member, kind="resolution"), state)
    assert "Taking it back" not in get(client, member, url_of(found))
    for tail in ("hide/", "correct/", "move/", "remove/"):
        assert client.get(url_of(found, tail))["Location"] == url_of(found)


def test_connection_that_is_switched_off_offers_nothing(client: Client, member: User, note: Delivery) -> None:
    Connection.objects.update(state="disabled")
    assert "Taking it back" not in get(client, member, url_of(note))


# Hide -------------------------------------------------------------------------------------------


def test_hidden_note_is_internal_on_the_ticket(
    client: Client, member: User, note: Delivery, sandbox: SandboxServer
) -> None:
    page = act(client, member, note, "hide/")
    (there,) = notes_on(sandbox)
    assert (there["internalAnalysisFlag"], there["resolutionFlag"]) == (True, False)
    assert "Only staff can read it now." in page
    assert "Hidden from the customer" in page
    assert "hid a note from the customer" in page


def test_asking_changes_nothing(client: Client, member: User, note: Delivery, sandbox: SandboxServer) -> None:
    for tail in ("hide/", "remove/", "correct/"):
        get(client, member, url_of(note, tail))
    (there,) = notes_on(sandbox)
    assert there["resolutionFlag"] is True
    assert not AuditEntry.objects.filter(verb__in=["note.hidden", "note.removed"]).exists()


def test_refusal_is_told_with_what_was_queued_instead(
    client: Client, member: User, note: Delivery, sandbox: SandboxServer
) -> None:
    sandbox.faults.add("status", method="PATCH", path=ONE_NOTE, status=403)
    page = act(client, member, note, "hide/")
    assert "A note that asks to ignore it was queued instead." in page
    assert "A note that asks to ignore this one" in page
    assert fresh(note).kind == "resolution"


def test_psa_that_is_away_leaves_the_note_as_it_is(
    client: Client, member: User, note: Delivery, sandbox: SandboxServer
) -> None:
    sandbox.faults.add("status", method="GET", path=r"/notes", status=503)
    page = act(client, member, note, "hide/")
    assert "Nothing was changed." in page
    assert fresh(note).kind == "resolution"


def test_no_clear_answer_says_to_do_it_again(
    client: Client, member: User, note: Delivery, sandbox: SandboxServer
) -> None:
    sandbox.faults.add("drop_before", method="PATCH", path=ONE_NOTE)
    page = act(client, member, note, "hide/")
    assert "Do the same again: the ticket is looked at first" in page
    assert "Nothing was changed." not in page


# Correct ----------------------------------------------------------------------------------------


def test_corrected_note_has_the_new_text_on_the_ticket(
    client: Client, member: User, note: Delivery, sandbox: SandboxServer
) -> None:
    assert "The printer works again.</textarea>" in get(client, member, url_of(note, "correct/"))
    page = act(client, member, note, "correct/", text="The scanner works again.")
    (there,) = notes_on(sandbox)
    assert "The scanner works again." in there["text"]
    assert note.marker in there["text"]
    assert "The note has its new text." in page


def test_old_and_new_text_stand_in_the_history(client: Client, member: User, note: Delivery) -> None:
    page = act(client, member, note, "correct/", text="The scanner works again.")
    history = page[page.index("history-title") :]
    assert "The printer works again." in history
    assert "The scanner works again." in history


@pytest.mark.parametrize("text", ["", " \n", "x" * 15_001, "\x00"])
def test_text_that_cannot_stand_there_is_refused(
    client: Client, member: User, note: Delivery, sandbox: SandboxServer, text: str
) -> None:
    client.force_login(member)
    assert client.post(url_of(note, "correct/"), {"text": text}).status_code == 422
    (there,) = notes_on(sandbox)
    assert "The printer works again." in there["text"]


def test_text_stays_in_the_form_while_the_psa_is_away(
    client: Client, member: User, note: Delivery, sandbox: SandboxServer
) -> None:
    sandbox.faults.add("status", method="GET", path=r"/notes", status=503)
    client.force_login(member)
    answer = client.post(url_of(note, "correct/"), {"text": "My long thought."})
    page = text_of(answer)
    assert answer.status_code == 422
    assert "My long thought.</textarea>" in page
    assert "Nothing was changed." in page


def test_text_typed_while_the_sign_in_expired_is_kept(client: Client, member: User, note: Delivery) -> None:
    client.post(url_of(note, "correct/"), {"text": "My long thought."})
    client.post("/accounts/login/", {"login": "mia", "password": PASSWORD})
    assert "My long thought.</textarea>" in text_of(client.get(url_of(note, "correct/")))


# Remove -----------------------------------------------------------------------------------------


def test_removed_note_is_off_the_ticket(
    client: Client, member: User, note: Delivery, sandbox: SandboxServer
) -> None:
    page = act(client, member, note, "remove/")
    assert notes_on(sandbox) == []
    assert "It is off the ticket." in page
    assert "Not posted</span>" in page
    assert "Removed from the ticket by Mia Stone." in page


def test_removing_twice_is_said_kindly(client: Client, member: User, note: Delivery) -> None:
    act(client, member, note, "remove/")
    assert "This note is not on the ticket." in act(client, member, note, "remove/")


def test_extra_note_is_removed_and_the_first_stays(
    client: Client, member: User, note: Delivery, sandbox: SandboxServer
) -> None:
    (first,) = notes_on(sandbox)
    keys = sandbox.credentials
    requests.post(
        f"{sandbox.url}/v4_6_release/apis/3.0/service/tickets/{TICKET}/notes",
        json={"text": first["text"], "resolutionFlag": True},
        auth=(f"{keys.company_id}+{keys.public_key}", keys.private_key),
        headers={"clientId": keys.client_id},
        timeout=5,
    )
    Delivery.objects.filter(pk=note.pk).update(problem=DOUBLED)
    assert "Remove the extra note" in get(client, member, url_of(note))
    page = act(client, member, note, "remove-extra/")
    assert [there["id"] for there in notes_on(sandbox)] == [first["id"]]
    assert "It stands on the ticket once now." in page


# Move -------------------------------------------------------------------------------------------


def test_other_tickets_are_found_by_words_and_by_number(client: Client, member: User, note: Delivery) -> None:
    page = get(client, member, url_of(note, "move/?q=printer"), **HTMX)
    assert url_of(note, "move/") in page
    assert f"/{TICKET}/?now=1" not in page
    found = get(client, member, url_of(note, f"move/?q={OTHER_TICKET}"), **HTMX)
    assert found.count("row-title") == 1


def test_finding_asks_no_psa_at_first_paint(
    client: Client, member: User, note: Delivery, sandbox: SandboxServer
) -> None:
    before = len(sandbox.requests)
    page = get(client, member, url_of(note, "move/"))
    assert len(sandbox.requests) == before
    assert 'href="?q="' in page


def test_card_tells_when_it_is_another_company(
    client: Client, member: User, note: Delivery, connection: Connection
) -> None:
    tail = f"move/{connection.pk}/{OTHER_COMPANYS}/?now=1"
    page = get(client, member, url_of(note, tail))
    assert "Willow Creek Veterinary" in page
    assert "Another company than now" in page


def test_moved_note_goes_to_the_other_ticket_and_then_from_here(
    client: Client, member: User, note: Delivery, connection: Connection, sandbox: SandboxServer
) -> None:
    page = act(client, member, note, f"move/{connection.pk}/{OTHER_TICKET}/", record_type="service")
    assert f"It is queued for ticket {OTHER_TICKET} and removed here once it stands there." in page
    assert f"Its copy for ticket {OTHER_TICKET}" in page
    deliver()
    moves_finish(fresh(note).delivered_at)
    assert notes_on(sandbox) == []
    (there,) = notes_on(sandbox, OTHER_TICKET)
    assert "The printer works again." in there["text"]
    copy = Delivery.objects.get(supersedes=note)
    assert f"Where it stood before: ticket {TICKET}" in get(client, member, url_of(copy))


def test_note_on_its_way_looks_again_and_offers_no_second_move(
    client: Client, member: User, note: Delivery, connection: Connection
) -> None:
    page = act(client, member, note, f"move/{connection.pk}/{OTHER_TICKET}/")
    assert 'hx-trigger="every' in page
    assert url_of(note, "correct/") not in page


@pytest.mark.parametrize("number", ["999999", str(2**31), "0"])
def test_ticket_that_is_not_there_is_refused(
    client: Client, member: User, note: Delivery, connection: Connection, number: str
) -> None:
    client.force_login(member)
    answer = client.post(url_of(note, f"move/{connection.pk}/{number}/"))
    assert answer.status_code in (404, 422)
    assert not Delivery.objects.filter(supersedes=note).exists()


def test_same_ticket_is_refused(client: Client, member: User, note: Delivery, connection: Connection) -> None:
    client.force_login(member)
    answer = client.post(url_of(note, f"move/{connection.pk}/{TICKET}/"))
    assert (answer.status_code, "The note is on that ticket already." in text_of(answer)) == (422, True)


def test_card_says_when_the_psa_is_away(
    client: Client, member: User, note: Delivery, connection: Connection, sandbox: SandboxServer
) -> None:
    sandbox.faults.add("status", method="GET", path=r"/service/tickets", status=503)
    page = get(client, member, url_of(note, f"move/{connection.pk}/{OTHER_TICKET}/?now=1"))
    assert "The ticket cannot be read right now." in page


def test_connection_of_another_tenant_is_not_found(
    client: Client, member: User, foreign_owner: User, note: Delivery, sandbox: SandboxServer
) -> None:
    other = connect_sandbox(foreign_owner.membership.account, foreign_owner, sandbox)
    client.force_login(member)
    assert client.get(url_of(note, f"move/{other.pk}/{OTHER_TICKET}/")).status_code == 404
    assert client.post(url_of(note, f"move/{other.pk}/{OTHER_TICKET}/")).status_code == 404


# Roles ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tail", ["hide/", "correct/", "remove/", "remove-extra/", "move/", "move/1/57002/"])
def test_nobody_else_takes_it_back(
    client: Client, account: Any, foreign_owner: User, note: Delivery, sandbox: SandboxServer, tail: str
) -> None:
    colleague = user_create(account, username="ben", password="x")
    for user in (colleague, foreign_owner):
        client.force_login(user)
        assert client.get(url_of(note, tail)).status_code == 404
        assert client.post(url_of(note, tail), {"text": "x"}).status_code in (404, 405)
    (there,) = notes_on(sandbox)
    assert (there["resolutionFlag"], "The printer works again." in there["text"]) == (True, True)


def test_lead_takes_back_what_others_posted(
    client: Client, lead: User, note: Delivery, sandbox: SandboxServer
) -> None:
    act(client, lead, note, "remove/")
    assert notes_on(sandbox) == []
