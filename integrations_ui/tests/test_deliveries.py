"""Tests of the page of one delivery, and of retry, edit and discard."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from integrations_ui.tests.conftest import PASSWORD, queries_of
from integrations_ui.tests.delivery_desk import NOTES, attempt, notes_on, post, post_status, put
from integrations_ui.tests.session_desk import (
    HTMX,
    actor_of,
    connect_sandbox,
    deliver,
    get,
    map_member,
    text_of,
)
from psa import services
from psa.models import Connection, Delivery
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Scope
from resolutionflow.accounts.models import Account, User
from resolutionflow.accounts.services import user_create


@pytest.fixture
def connection(account: Account, owner: User, sandbox: SandboxServer) -> Connection:
    return connect_sandbox(account, owner, sandbox)


@pytest.fixture
def colleague(account: Account) -> User:
    return user_create(account, username="ben", password="x", first_name="Ben", last_name="Boyd")


def url_of(delivery: Delivery, tail: str = "") -> str:
    return f"/integrations/deliveries/{delivery.pk}/{tail}"


def scope_of(user: User) -> Scope:
    return Scope(user.membership.account, actor_of(user), can_post=True)


# The story --------------------------------------------------------------------------------------


def test_page_tells_text_attempts_and_history(client: Client, member: User, connection: Connection) -> None:
    found = post(connection, member)
    map_member(connection, member, "eowens", "105")
    deliver()
    page = get(client, member, url_of(found))
    assert "Delivered</span>" in page
    assert "Restarted the spooler." in page
    assert "Posted</span>" in page
    assert "<strong>Mia Stone</strong> posted a note" in page
    assert "staff only" in page
    assert Delivery.objects.get(pk=found.pk).marker in page
    assert 'href="/integrations/sessions/1/"' in page


def test_page_names_what_was_posted_together(client: Client, member: User, connection: Connection) -> None:
    found = post(connection, member, "First.", "Second.")
    second = found.unit.deliveries.exclude(pk=found.pk).get()
    page = get(client, member, url_of(found))
    assert "Posted together with it" in page
    assert f'href="{url_of(second)}"' in page


def test_chain_of_edits_is_told_from_either_end(client: Client, member: User, connection: Connection) -> None:
    old = put(post(connection, member), "dead")
    new = services.delivery_edit(member.membership.account, old.pk, scope=scope_of(member), text="Shorter.")
    put(new, "dead")
    newest = services.delivery_edit(member.membership.account, new.pk, scope=scope_of(member), text="Short.")
    page = get(client, member, url_of(old))
    assert page.count("The text that took its place") == 2
    page = get(client, member, url_of(newest))
    assert page.count("The text before this one") == 2
    assert f'href="{url_of(old)}"' in page


def test_discarded_post_tells_why(client: Client, member: User, connection: Connection) -> None:
    found = put(post(connection, member), "dead")
    client.force_login(member)
    client.post(url_of(found, "discard/"), {"reason": "Posted by hand"})
    page = get(client, member, url_of(found))
    assert "Not posted</span>" in page
    assert "Posted by hand" in page
    assert "discarded a post" in page


def test_text_is_escaped(client: Client, member: User, connection: Connection) -> None:
    found = post(connection, member, "<script>alert(1)</script>")
    assert "<script>alert" not in get(client, member, url_of(found))


def test_page_of_a_deleted_connection_still_opens(
    client: Client, owner: User, connection: Connection
) -> None:
    found = put(post(connection, owner), "delivered")
    services.connection_delete(connection.tenant, connection.pk, actor=actor_of(owner))
    page = get(client, owner, url_of(found))
    assert "Main ConnectWise (deleted)" in page
    assert "Taking it back" not in page


def test_long_story_costs_no_more_queries(client: Client, member: User, connection: Connection) -> None:
    found = put(post(connection, member), "dead")

    def go_on() -> None:
        attempt(found)
        services.delivery_retry(member.membership.account, found.pk, scope=scope_of(member))
        put(found, "dead")

    go_on()
    client.force_login(member)
    few = queries_of(client, url_of(found))
    for _ in range(6):
        go_on()
    assert queries_of(client, url_of(found)) == few


def test_page_asks_no_psa(
    client: Client, member: User, connection: Connection, sandbox: SandboxServer
) -> None:
    found = put(post(connection, member), "delivered")
    before = len(sandbox.requests)
    get(client, member, url_of(found))
    assert len(sandbox.requests) == before


# Looking again ----------------------------------------------------------------------------------


def test_page_looks_again_while_it_is_on_its_way(
    client: Client, member: User, connection: Connection
) -> None:
    found = post(connection, member)
    page = get(client, member, url_of(found))
    address = re.search(r'hx-get="([^"]*live/[^"]*)"', page)[1].replace("&amp;", "&")
    assert client.get(address, **HTMX).status_code == 204
    deliver()
    answer = client.get(address, **HTMX)
    assert (answer.status_code, "Delivered</span>" in text_of(answer)) == (286, True)


def test_settled_page_does_not_look_again(client: Client, member: User, connection: Connection) -> None:
    found = put(post(connection, member), "delivered")
    assert "live/" not in get(client, member, url_of(found))


# Retry ------------------------------------------------------------------------------------------


def test_retry_sends_it_again(
    client: Client, member: User, connection: Connection, sandbox: SandboxServer
) -> None:
    sandbox.faults.add("status", method="POST", path=NOTES, status=400, count=1)
    found = post(connection, member)
    deliver()
    assert Delivery.objects.get(pk=found.pk).state == "dead"
    client.force_login(member)
    page = text_of(client.post(url_of(found, "retry/"), follow=True))
    assert "It is tried again now." in page
    deliver()
    assert Delivery.objects.get(pk=found.pk).state == "delivered"
    assert len(notes_on(sandbox)) == 1


def test_retry_of_what_is_delivered_is_refused_kindly(
    client: Client, member: User, connection: Connection
) -> None:
    found = put(post(connection, member), "delivered")
    client.force_login(member)
    page = text_of(client.post(url_of(found, "retry/"), follow=True))
    assert "Only a delivery that failed or waits for its next try can be retried." in page


def test_status_of_a_closed_ticket_asks_whether_it_is_wanted_all_the_same(
    client: Client, member: User, connection: Connection
) -> None:
    found = post_status(connection, member, "Closed")
    put(found, "dead", problem={"code": "already-closed", "text": "It was closed.", "remedy": "x"})
    page = get(client, member, url_of(found))
    assert "Set it anyway" in page
    assert "Leave it" in page


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example/", "/admin/", "javascript:alert(1)"]
)
def test_way_back_leads_to_our_pages_only(
    client: Client, member: User, connection: Connection, back: str
) -> None:
    found = put(post(connection, member), "dead")
    client.force_login(member)
    assert client.post(url_of(found, "retry/"), {"back": back})["Location"] == url_of(found)


# Edit -------------------------------------------------------------------------------------------


def test_edit_posts_the_new_text_in_its_place(
    client: Client, member: User, connection: Connection, sandbox: SandboxServer
) -> None:
    old = put(post(connection, member), "dead")
    assert "Restarted the spooler.</textarea>" in get(client, member, url_of(old, "edit/"))
    answer = client.post(url_of(old, "edit/"), {"text": "Shorter."})
    new = Delivery.objects.get(supersedes=old)
    assert answer["Location"] == url_of(new)
    deliver()
    (note,) = notes_on(sandbox)
    assert "Shorter." in note["text"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "This field is required."),
        (" \n\t ", "Write something to post."),
        ("x" * 15_001, "At most 14,720 characters."),
        ("\x00\x01", "Write something to post."),
    ],
)
def test_text_that_cannot_be_posted_is_refused_and_kept(
    client: Client, member: User, connection: Connection, text: str, sentence: str
) -> None:
    old = put(post(connection, member), "dead")
    client.force_login(member)
    answer = client.post(url_of(old, "edit/"), {"text": text})
    assert answer.status_code == 422
    assert sentence in text_of(answer)
    assert not Delivery.objects.filter(supersedes=old).exists()


def test_markup_is_posted_as_text(client: Client, member: User, connection: Connection) -> None:
    old = put(post(connection, member), "dead")
    client.force_login(member)
    client.post(url_of(old, "edit/"), {"text": "<script>alert(1)</script>"})
    new = Delivery.objects.get(supersedes=old)
    assert new.payload["text"] == "<script>alert(1)</script>"
    assert "<script>alert" not in get(client, member, url_of(new))


def test_edit_of_what_is_no_longer_dead_is_refused_and_the_text_stays(
    client: Client, member: User, connection: Connection
) -> None:
    old = put(post(connection, member), "delivered")
    client.force_login(member)
    answer = client.post(url_of(old, "edit/"), {"text": "My long thought."})
    page = text_of(answer)
    assert answer.status_code == 422
    assert "Only a note that needs you can be edited." in page
    assert "My long thought.</textarea>" in page


def test_status_has_no_text_to_edit(client: Client, member: User, connection: Connection) -> None:
    found = put(post_status(connection, member, "Closed"), "dead")
    client.force_login(member)
    assert client.get(url_of(found, "edit/")).status_code == 404


def test_text_typed_while_the_sign_in_expired_is_kept(
    client: Client, member: User, connection: Connection
) -> None:
    old = put(post(connection, member), "dead")
    address = url_of(old, "edit/")
    answer = client.post(address, {"text": "My long thought."})
    assert answer["Location"] == f"/accounts/login/?next={address}"
    client.post("/accounts/login/", {"login": "mia", "password": PASSWORD})
    page = text_of(client.get(address))
    assert "My long thought.</textarea>" in page
    assert "Your sign-in had expired" in page


# Discard ----------------------------------------------------------------------------------------


def test_discard_asks_what_becomes_of_the_rest(client: Client, member: User, connection: Connection) -> None:
    found = post(connection, member, "First.", "Second.")
    put(found, "dead")
    page = get(client, member, url_of(found, "discard/"))
    assert "This follows it:" in page
    assert 'value="discard" checked' in page
    assert 'value="continue"' in page


@pytest.mark.parametrize(
    ("rest", "state"), [("discard", "discarded"), ("continue", "ready"), ("x", "discarded")]
)
def test_rest_is_discarded_or_goes_on(
    client: Client, member: User, connection: Connection, rest: str, state: str
) -> None:
    found = post(connection, member, "First.", "Second.")
    put(found, "dead")
    client.force_login(member)
    client.post(url_of(found, "discard/"), {"rest": rest, "reason": "x" * 400})
    second = found.unit.deliveries.exclude(pk=found.pk).get()
    assert second.state == state
    assert len(Delivery.objects.get(pk=found.pk).discard_reason) == 300


def test_what_is_being_checked_cannot_be_discarded(
    client: Client, member: User, connection: Connection
) -> None:
    found = put(post(connection, member), "unknown")
    client.force_login(member)
    page = text_of(client.post(url_of(found, "discard/"), follow=True))
    assert "it may already stand on the ticket" in page
    assert Delivery.objects.get(pk=found.pk).state == "unknown"


def test_what_is_on_the_ticket_is_not_offered_to_be_discarded(
    client: Client, member: User, connection: Connection
) -> None:
    found = put(post(connection, member), "delivered")
    client.force_login(member)
    assert client.get(url_of(found, "discard/"))["Location"] == url_of(found)


# Roles and tenants ------------------------------------------------------------------------------

PAGES = ["delivery", "delivery-live", "delivery-attempts", "delivery-edit", "delivery-discard"]


@pytest.mark.parametrize("name", PAGES)
def test_anothers_post_is_not_there_for_an_engineer_or_another_tenant(
    client: Client, member: User, foreign_owner: User, colleague: User, connection: Connection, name: str
) -> None:
    found = put(post(connection, colleague), "dead")
    for user in (member, foreign_owner):
        client.force_login(user)
        assert client.get(reverse(f"integrations_ui:{name}", args=[found.pk])).status_code == 404


def test_anothers_post_cannot_be_changed_by_an_engineer(
    client: Client, member: User, colleague: User, connection: Connection
) -> None:
    found = put(post(connection, colleague), "dead")
    client.force_login(member)
    for tail in ("retry/", "edit/", "discard/"):
        assert client.post(url_of(found, tail), {"text": "x"}).status_code == 404
    assert Delivery.objects.get(pk=found.pk).state == "dead"


def test_lead_retries_for_everybody(
    client: Client, lead: User, colleague: User, connection: Connection
) -> None:
    found = put(post(connection, colleague), "dead")
    client.force_login(lead)
    client.post(url_of(found, "retry/"))
    assert Delivery.objects.get(pk=found.pk).state == "ready"


def test_number_no_database_has_is_not_found(client: Client, member: User) -> None:
    client.force_login(member)
    assert client.get(f"/integrations/deliveries/{10**30}/").status_code == 404
