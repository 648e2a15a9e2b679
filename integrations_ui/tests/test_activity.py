"""Tests of the tab Activity: states in words, filters, attempts, problems on top, and looking again."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from urllib.parse import quote

import pytest
from django.test import Client
from django.utils import timezone

from integrations_ui.paging import CappedPaginator
from integrations_ui.tests.conftest import queries_of
from integrations_ui.tests.delivery_desk import attempt, post, post_status, put
from integrations_ui.tests.session_desk import HTMX, connect_sandbox, get, text_of
from psa.models import Connection, Delivery
from psa.providers.connectwise.sandbox.server import SandboxServer
from resolutionflow.accounts.models import Account, User
from resolutionflow.accounts.services import user_create


@pytest.fixture
def connection(account: Account, owner: User, sandbox: SandboxServer) -> Connection:
    return connect_sandbox(account, owner, sandbox)


@pytest.fixture
def url(connection: Connection) -> str:
    return f"/integrations/{connection.pk}/activity/"


@pytest.fixture
def colleague(account: Account) -> User:
    return user_create(account, username="ben", password="x", first_name="Ben", last_name="Boyd")


def ids(page: str) -> list[int]:
    """Return the deliveries a page lists, in order."""
    return [int(found) for found in re.findall(r'id="delivery-(\d+)"', page)]


# What is shown ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "held_by", "words"),
    [
        ("ready", "", "Queued"),
        ("ready", "earlier", "Waiting for an earlier post"),
        ("ready", "permission", "Waiting for a permission"),
        ("sending", "", "Sending"),
        ("retrying", "", "Waiting to try again"),
        ("unknown", "", "Checking"),
        ("dead", "", "Needs you"),
        ("discarded", "", "Not posted"),
        ("delivered", "", "Delivered"),
    ],
)
def test_state_is_said_in_words_of_people(
    client: Client, member: User, connection: Connection, url: str, state: str, held_by: str, words: str
) -> None:
    put(post(connection, member), state, held_by=held_by)
    assert f"{words}</span>" in get(client, member, url)


def test_queue_that_stands_still_waits_for_its_connection(
    client: Client, member: User, connection: Connection, url: str
) -> None:
    post(connection, member)
    Connection.objects.update(state="broken")
    assert "Waiting for Main ConnectWise</span>" in get(client, member, url)


def test_row_names_author_ticket_and_company(
    client: Client, member: User, connection: Connection, url: str
) -> None:
    found = post(connection, member)
    page = unescape(get(client, member, url))
    assert f'href="{found.link.url}" target="_blank" rel="noopener">#57050' in page
    assert "Northfield Logistics" in page
    assert "Mia Stone ·" in page
    assert "Internal (staff only)" in page


def test_problem_stands_with_its_remedy(
    client: Client, member: User, connection: Connection, url: str
) -> None:
    put(post(connection, member), "dead")
    page = get(client, member, url)
    assert "ConnectWise refused the text." in page
    assert "Shorten the note." in page


def test_summary_of_a_ticket_is_escaped(
    client: Client, member: User, connection: Connection, url: str
) -> None:
    found = post(connection, member)
    type(found.link).objects.update(summary="<script>alert(1)</script>")
    assert "<script>alert" not in get(client, member, url)


def test_engineer_sees_their_own_posts_and_a_lead_all(
    client: Client, member: User, lead: User, colleague: User, connection: Connection, url: str
) -> None:
    mine, other = post(connection, member), post(connection, colleague)
    assert ids(get(client, member, url)) == [mine.pk]
    assert ids(get(client, lead, url)) == [other.pk, mine.pk]


def test_engineer_cannot_ask_for_anothers_posts(
    client: Client, member: User, colleague: User, connection: Connection, url: str
) -> None:
    post(connection, colleague)
    page = get(client, member, f"{url}?person={colleague.pk}")
    assert ids(page) == []
    assert "Ben Boyd" not in page


def test_other_connections_are_left_out(
    client: Client, owner: User, connection: Connection, account: Account, url: str
) -> None:
    other = Connection.objects.create(
        tenant=account,
        provider="connectwise",
        name="Other",
        site="x.example",
        credentials={},
        state="connected",
    )
    post(connection, owner)
    assert ids(get(client, owner, f"/integrations/{other.pk}/activity/")) == []


def test_nothing_yet_is_said_kindly(client: Client, member: User, url: str) -> None:
    assert "Nothing was posted yet" in get(client, member, url)


# Problems on top --------------------------------------------------------------------------------


def test_what_needs_a_person_is_on_top_with_retry_all(
    client: Client, member: User, connection: Connection, url: str
) -> None:
    for _ in range(3):
        put(post(connection, member), "dead")
    page = get(client, member, url)
    assert "Retry all 3" in page
    assert "Discard all 3" in page
    assert page.index("Retry all 3") < page.index('id="posts-title"')


def test_problems_of_other_connections_are_left_out(
    client: Client, owner: User, connection: Connection, account: Account, url: str
) -> None:
    Connection.objects.create(
        tenant=account,
        provider="connectwise",
        name="Other",
        site="x.example",
        credentials={},
        state="broken",
        problem={"code": "keys-refused", "text": "The keys of the other one.", "remedy": "x"},
    )
    assert "The keys of the other one." not in get(client, owner, url)


# Filters and pages ------------------------------------------------------------------------------


@pytest.fixture
def several(member: User, colleague: User, connection: Connection) -> dict[str, Delivery]:
    """Deliveries that differ in what filters ask for."""
    old = post(connection, member)
    Delivery.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=9))
    return {
        "old": put(old, "delivered"),
        "dead": put(post(connection, member), "dead"),
        "held": put(post(connection, member), "ready", held_by="permission"),
        "other": put(post(connection, colleague, ticket=57002), "discarded"),
        "checking": put(post(connection, member, ticket=57009, kind="discussion"), "unknown"),
        "status": post_status(connection, member, "Closed"),
    }


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("state=delivered", ["old"]),
        ("state=needs-you", ["held", "dead"]),
        ("state=way", ["status", "checking", "held"]),
        ("state=checking", ["checking"]),
        ("state=not-posted", ["other"]),
        ("ticket=57002", ["other"]),
        ("ticket=%2357009", ["checking"]),
        ("kind=status", ["status"]),
        ("kind=discussion", ["checking"]),
        ("state=needs-you&kind=discussion", []),
    ],
)
def test_filters_keep_what_they_name(
    client: Client, lead: User, several: dict[str, Delivery], url: str, query: str, names: list[str]
) -> None:
    assert ids(get(client, lead, f"{url}?{query}")) == [several[name].pk for name in names]


def test_filter_by_person(
    client: Client, lead: User, colleague: User, several: dict[str, Delivery], url: str
) -> None:
    assert ids(get(client, lead, f"{url}?person={colleague.pk}")) == [several["other"].pk]


def test_filter_by_dates_takes_whole_days(
    client: Client, lead: User, several: dict[str, Delivery], url: str
) -> None:
    day = f"{timezone.now() - timedelta(days=9):%Y-%m-%d}"
    assert ids(get(client, lead, f"{url}?since={day}&until={day}")) == [several["old"].pk]


@pytest.mark.parametrize(
    "query",
    [
        "state=nonsense",
        "person=abc",
        "since=31.02.2026",
        "until=<script>alert(1)</script>",
        "ticket=" + "9" * 41,
        "kind=%00",
        "page=nonsense",
        "page=99999999999999999999",
    ],
)
def test_senseless_filter_does_not_count(
    client: Client, lead: User, several: dict[str, Delivery], url: str, query: str
) -> None:
    page = get(client, lead, f"{url}?{query}")
    assert len(ids(page)) == len(several)
    assert "<script>alert" not in page


def test_wrong_date_is_said(client: Client, lead: User, url: str) -> None:
    assert "Enter a valid date." in get(client, lead, f"{url}?since=yesterday")


def test_second_page_keeps_the_filters(
    client: Client, member: User, connection: Connection, url: str
) -> None:
    for _ in range(27):
        put(post(connection, member), "delivered")
    page = get(client, member, f"{url}?state=delivered")
    assert len(ids(page)) == 25
    assert 'href="?state=delivered&amp;page=2"' in page
    assert len(ids(get(client, member, f"{url}?state=delivered&page=2"))) == 2


def test_counting_ends_at_its_limit(
    member: User, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("integrations_ui.paging.COUNT_MAX", 3)
    for _ in range(5):
        post(connection, member)
    found = CappedPaginator(Delivery.objects.all(), 2)
    assert (found.count, found.capped, found.num_pages) == (3, True, 2)


# Attempts ---------------------------------------------------------------------------------------


def test_attempts_are_loaded_when_they_are_opened(
    client: Client, member: User, connection: Connection, url: str
) -> None:
    found = put(post(connection, member), "dead")
    attempt(found)
    attempt(found, "not-found", action="look")
    page = get(client, member, url)
    assert "2 attempts" in page
    assert f'hx-get="/integrations/deliveries/{found.pk}/attempts/" hx-trigger="toggle once"' in page
    assert f'href="/integrations/deliveries/{found.pk}/#attempts"' in page


def test_attempt_tells_when_how_long_and_what_the_psa_said(
    client: Client, member: User, connection: Connection
) -> None:
    found = put(post(connection, member), "dead")
    attempt(found)
    page = get(client, member, f"/integrations/deliveries/{found.pk}/attempts/", **HTMX)
    for part in (
        "Refused by the PSA",
        "took 84 ms",
        "InvalidObject: text is too long",
        "HTTP 400",
        "req-1234",
    ):
        assert part in page


def test_answer_of_the_psa_is_escaped(client: Client, member: User, connection: Connection) -> None:
    found = put(post(connection, member), "dead")
    attempt(found, error="Refused.\n<script>alert(1)</script>")
    page = get(client, member, f"/integrations/deliveries/{found.pk}/attempts/", **HTMX)
    assert "<script>alert" not in page


# Looking again ----------------------------------------------------------------------------------


def seen_of(page: str) -> str:
    return re.search(r"seen=([0-9a-f]+)", page)[1]


def test_page_looks_again_only_while_something_is_on_its_way(
    client: Client, member: User, connection: Connection, url: str
) -> None:
    found = post(connection, member)
    assert 'hx-trigger="every 3s"' in get(client, member, url)
    put(found, "delivered")
    assert "hx-trigger=" not in get(client, member, url)


def test_nothing_new_is_answered_with_nothing(
    client: Client, member: User, connection: Connection, url: str
) -> None:
    post(connection, member)
    seen = seen_of(get(client, member, url))
    answer = client.get(f"{url}live/?page=1&seen={seen}", **HTMX)
    assert (answer.status_code, answer.content) == (204, b"")


def test_change_is_answered_with_the_list_and_settling_ends_the_asking(
    client: Client, member: User, connection: Connection, url: str
) -> None:
    found = post(connection, member)
    seen = seen_of(get(client, member, url))
    put(found, "dead")
    answer = client.get(f"{url}live/?page=1&seen={seen}", **HTMX)
    page = text_of(answer)
    assert answer.status_code == 286
    assert "Needs you</span>" in page
    assert 'id="activity-problems" hx-swap-oob="true"' in page
    assert 'id="site-badge" hx-swap-oob="true"' in page


def test_live_part_keeps_the_filters(client: Client, member: User, connection: Connection, url: str) -> None:
    post(connection, member)
    page = get(client, member, f"{url}?state=way&ticket=57050")
    assert f'hx-get="{url}live/?state=way&amp;ticket=57050&amp;page=1&amp;seen=' in page


def test_live_part_opened_as_a_page_leads_to_the_page(client: Client, member: User, url: str) -> None:
    client.force_login(member)
    assert client.get(f"{url}live/")["Location"] == url


def test_signed_out_part_makes_the_page_sign_in(client: Client, url: str, db: None) -> None:
    answer = client.get(f"{url}live/", **HTMX)
    assert "/accounts/login/" in answer["HX-Redirect"]


# Costs, roles, tenants --------------------------------------------------------------------------


def test_many_posts_cost_no_more_queries(
    client: Client, lead: User, connection: Connection, member: User, url: str
) -> None:
    attempt(put(post(connection, member), "dead"))
    client.force_login(lead)
    few = queries_of(client, url)
    for _ in range(20):
        attempt(put(post(connection, member), "dead"))
    assert queries_of(client, url) == few


def test_page_asks_no_psa(
    client: Client, lead: User, connection: Connection, member: User, url: str, sandbox: SandboxServer
) -> None:
    post(connection, member)
    before = len(sandbox.requests)
    get(client, lead, url)
    assert len(sandbox.requests) == before


@pytest.mark.parametrize("tail", ["", "live/"])
def test_another_tenant_finds_nothing(client: Client, foreign_owner: User, url: str, tail: str) -> None:
    client.force_login(foreign_owner)
    assert client.get(url + tail).status_code == 404


def test_actions_lead_back_to_the_filtered_list(
    client: Client, member: User, connection: Connection, url: str
) -> None:
    found = put(post(connection, member), "dead")
    page = get(client, member, f"{url}?state=needs-you")
    back = f"{url}?state=needs-you"
    assert f'name="back" value="{back}"' in page
    assert f"/integrations/deliveries/{found.pk}/discard/?back={quote(back)}" in page
