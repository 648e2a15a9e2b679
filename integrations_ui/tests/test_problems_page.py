"""Tests of what people do with a whole problem on the pages: retry all, discard all."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from integrations_ui.tests.conftest import queries_of
from integrations_ui.tests.test_connections import page_of
from psa import selectors
from psa.models import Connection, Delivery
from psa.tests.desk import DOUBLED, KEPT, REFUSED, SILENT, UNSETTLED, Desk
from resolutionflow.accounts.models import User

HOME = "/integrations/"


@pytest.fixture(autouse=True)
def dummy_too(settings: Any) -> None:
    """The desk's connections are of the provider in memory."""
    paths = {**settings.PSA["PROVIDERS"], "dummy": "psa.providers.dummy.provider.DummyProvider"}
    settings.PSA = {**settings.PSA, "PROVIDERS": paths}


@pytest.fixture
def desk(db: None) -> Desk:
    return Desk()


@pytest.fixture
def connection(desk: Desk) -> Connection:
    return desk.connection()


def the_problem(desk: Desk) -> selectors.Problem:
    (found,) = selectors.problems(desk.account)
    return found


def shown(client: Client, user: User) -> str:
    """Return what goes along with a form of the only problem on the page."""
    page = page_of(client, user)
    return page.split('name="shown" value="')[1].split('"')[0]


def test_one_row_for_each_cause(client: Client, desk: Desk, connection: Connection) -> None:
    for _ in range(3):
        desk.delivery(connection, problem=REFUSED)
    page = page_of(client, desk.lead)
    assert page.count("The PSA refused this.") == 2  # the sentence, and what the link is read out as
    assert "Retry all 3" in page
    assert "Discard all 3" in page


def test_note_that_waits_for_a_mapping_leads_to_the_members(
    client: Client, desk: Desk, connection: Connection
) -> None:
    desk.delivery(connection, "ready", held_by="mapping")
    page = page_of(client, desk.lead)
    assert f"is mapped to no member of {connection.name}." in page
    assert f'href="{HOME}{connection.pk}/members/"' in page


@pytest.mark.parametrize("problem", [UNSETTLED, KEPT])
def test_note_that_could_not_be_taken_back_is_listed_until_somebody_looked(
    client: Client, desk: Desk, connection: Connection, problem: dict[str, str]
) -> None:
    desk.delivery(connection, "delivered", problem=problem)
    page = page_of(client, desk.lead)
    assert problem["text"] in page
    assert "I looked at it" in page
    assert "/retry/" not in page


def test_retry_all(client: Client, desk: Desk, connection: Connection) -> None:
    rows = [desk.delivery(connection, problem=REFUSED) for _ in range(3)]
    client.force_login(desk.lead)
    answer = client.post(f"{HOME}problems/{the_problem(desk).id}/retry/", follow=True)
    assert "3 posts go out again." in answer.content.decode()
    assert set(Delivery.objects.filter(pk__in=[row.pk for row in rows]).values_list("state", flat=True)) == {
        "ready"
    }


def test_discard_all_asks_once_and_keeps_the_reason(
    client: Client, desk: Desk, connection: Connection
) -> None:
    row = desk.delivery(connection, problem=REFUSED)
    client.force_login(desk.lead)
    url = f"{HOME}problems/{the_problem(desk).id}/discard/"
    assert "They will not be posted" in client.get(url).content.decode()
    assert Delivery.objects.get(pk=row.pk).state == "dead"
    answer = client.post(url, {"reason": "<b>By hand</b>"}, follow=True)
    assert "Done for 1 post." in answer.content.decode()
    row.refresh_from_db()
    assert (row.state, row.discard_reason) == ("discarded", "<b>By hand</b>")


def test_a_long_reason_is_cut(client: Client, desk: Desk, connection: Connection) -> None:
    row = desk.delivery(connection, problem=REFUSED)
    client.force_login(desk.lead)
    client.post(f"{HOME}problems/{the_problem(desk).id}/discard/", {"reason": "x" * 5000})
    row.refresh_from_db()
    assert len(row.discard_reason) == 300


def test_what_is_on_the_ticket_is_only_looked_at(client: Client, desk: Desk, connection: Connection) -> None:
    row = desk.delivery(connection, "delivered", problem=DOUBLED)
    page = page_of(client, desk.lead)
    assert "I looked at it" in page
    assert "Retry" not in page.replace("Retry-After", "")
    url = f"{HOME}problems/{the_problem(desk).id}/discard/"
    assert "The notes stay on their tickets." in client.get(url).content.decode()
    client.post(url)
    row.refresh_from_db()
    assert (row.state, row.problem) == ("delivered", None)


def test_retry_of_what_cannot_be_retried_is_refused_in_words(
    client: Client, desk: Desk, connection: Connection
) -> None:
    desk.delivery(connection, "delivered", problem=DOUBLED)
    client.force_login(desk.lead)
    answer = client.post(f"{HOME}problems/{the_problem(desk).id}/retry/", follow=True)
    assert "would double them" in answer.content.decode()


def test_problem_of_a_connection_is_tested(client: Client, desk: Desk) -> None:
    desk.connection("degraded", problem=SILENT)
    page = page_of(client, desk.lead)
    assert "Test again" in page
    answer = client.post(f"{HOME}problems/{the_problem(desk).id}/retry/", follow=True)
    assert "Tested: what waited goes out again." in answer.content.decode()


def test_problem_of_a_connection_cannot_be_discarded(client: Client, desk: Desk) -> None:
    desk.connection("degraded", problem=SILENT)
    client.force_login(desk.lead)
    url = f"{HOME}problems/{the_problem(desk).id}/discard/"
    assert client.get(url).status_code == 404
    assert "solve what is wrong" in client.post(url, follow=True).content.decode()


def test_engineers_see_and_retry_their_own(client: Client, desk: Desk, connection: Connection) -> None:
    mine = desk.delivery(connection, problem=REFUSED, by=desk.eva)
    other = desk.delivery(connection, problem=REFUSED, by=desk.ben)
    assert "Retry all" not in page_of(client, desk.eva)
    (own,) = selectors.problems(desk.account, created_by=desk.eva.pk)
    client.post(f"{HOME}problems/{own.id}/retry/")
    mine.refresh_from_db()
    other.refresh_from_db()
    assert (mine.state, other.state) == ("ready", "dead")


@pytest.mark.parametrize("verb", ["retry", "discard"])
def test_second_click_says_that_it_is_solved(
    client: Client, desk: Desk, connection: Connection, verb: str
) -> None:
    desk.delivery(connection, problem=REFUSED)
    sent = {"shown": shown(client, desk.lead)}
    url = f"{HOME}problems/{the_problem(desk).id}/{verb}/"
    client.post(url, sent)
    answer = client.post(url, sent, follow=True)
    assert "This problem was solved meanwhile." in answer.content.decode()


@pytest.mark.parametrize("given", ["", "nonsense", "1/2:forged"])
def test_unknown_problem_is_not_found(client: Client, desk: Desk, given: str) -> None:
    client.force_login(desk.lead)
    assert client.post(f"{HOME}problems/77/retry/", {"shown": given}).status_code == 404
    assert client.post(f"{HOME}problems/77/discard/", {"shown": given}).status_code == 404
    assert client.get(f"{HOME}problems/77/discard/").status_code == 404


def test_another_tenant_cannot_reach_it(client: Client, desk: Desk, connection: Connection) -> None:
    row = desk.delivery(connection, problem=REFUSED)
    proof = shown(client, desk.lead)
    other = Desk("Fabrikam")
    client.force_login(other.lead)
    for verb in ("retry", "discard"):
        url = f"{HOME}problems/{the_problem(desk).id}/{verb}/"
        assert client.post(url, {"shown": proof}).status_code == 404
    row.refresh_from_db()
    assert row.state == "dead"


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "javascript:1", "/admin/", "x"])
def test_way_back_never_leaves_the_pages(
    client: Client, desk: Desk, connection: Connection, back: str
) -> None:
    desk.delivery(connection, problem=REFUSED)
    client.force_login(desk.lead)
    answer = client.post(f"{HOME}problems/{the_problem(desk).id}/retry/", {"back": back})
    assert answer["Location"] == f"{HOME}#problems"


def test_way_back_leads_to_the_page_of_the_connection(
    client: Client, desk: Desk, connection: Connection
) -> None:
    desk.delivery(connection, problem=REFUSED)
    client.force_login(desk.lead)
    back = f"{HOME}{connection.pk}/"
    answer = client.post(f"{HOME}problems/{the_problem(desk).id}/retry/", {"back": back})
    assert answer["Location"] == back


def test_page_costs_the_same_for_many_deliveries(client: Client, desk: Desk, connection: Connection) -> None:
    desk.delivery(connection, problem=REFUSED)
    client.force_login(desk.lead)
    before = queries_of(client, HOME)
    for _ in range(9):
        desk.delivery(connection, problem=REFUSED)
    assert queries_of(client, HOME) == before
