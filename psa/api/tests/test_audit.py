"""Tests of the call that shows the audit: who may see it, what it holds, its filters, its CSV."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from psa.api import audit
from psa.api.tests.conftest import client_of
from psa.models import AuditEntry, Connection, TicketLink
from resolutionflow.accounts.models import Account, Role, User
from resolutionflow.accounts.services import user_create

URL = "/api/v1/audit/"
CSV = {"HTTP_ACCEPT": "text/csv"}


@pytest.fixture
def entry_make(account: Account, connection: Connection, engineer: User) -> Any:
    """Return a function that stores an entry, on a day if that is given."""

    def make(day: str = "", **values: Any) -> AuditEntry:
        given = {
            "tenant": account,
            "connection": connection,
            "actor": engineer,
            "actor_name": "Eva Engineer",
            "verb": "note.hidden",
            "object_type": "delivery",
            "object_id": "40",
            "ticket_id": "4711",
            "kind": "resolution",
            "shown_as": "Ann Ames",
            "customer_visible": False,
            "mailed": False,
            "facts": {"before": "old", "after": "new", "delivery": 40},
        }
        entry = AuditEntry.objects.create(**{**given, **values})
        if day:
            moment = datetime.fromisoformat(day).replace(tzinfo=UTC)
            AuditEntry._base_manager.filter(pk=entry.pk).update(created_at=moment)
        return entry

    return make


@pytest.fixture
def lead_api(account: Account) -> APIClient:
    return client_of(user_create(account, username="lea", password="x", role=Role.LEAD))


def link_make(account: Account, connection: Connection, number: str, company: str) -> TicketLink:
    return TicketLink.objects.create(
        tenant=account,
        connection=connection,
        record_type="service",
        ticket_id=number,
        company_name=company,
    )


def ids(client: APIClient, **query: Any) -> list[int]:
    return [row["id"] for row in client.get(URL, query).json()["results"]]


def rows_of(answer: Any) -> list[dict[str, str]]:
    """Return a CSV answer as rows by column."""
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


# Who ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accept", ["application/json", "text/csv"])
def test_leads_and_admins_see_it_nobody_else(
    owner_api: APIClient,
    lead_api: APIClient,
    engineer_api: APIClient,
    entry_make: Any,
    accept: str,
) -> None:
    entry_make()
    assert owner_api.get(URL, HTTP_ACCEPT=accept).status_code == 200
    assert lead_api.get(URL, HTTP_ACCEPT=accept).status_code == 200
    refused = engineer_api.get(URL, HTTP_ACCEPT=accept)
    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/role")
    assert refused["Content-Type"] == "application/problem+json"
    assert APIClient().get(URL, HTTP_ACCEPT=accept).status_code == 401


def test_another_account_sees_its_own(outsider_api: APIClient, entry_make: Any) -> None:
    entry_make()
    assert ids(outsider_api) == []
    assert rows_of(outsider_api.get(URL, **CSV)) == []


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_nobody_changes_it(owner_api: APIClient, entry_make: Any, method: str) -> None:
    entry = entry_make()
    assert getattr(owner_api, method)(URL, {}).status_code == 405
    assert getattr(owner_api, method)(f"{URL}{entry.pk}/", {}).status_code == 404


# What ---------------------------------------------------------------------------------------------


def test_an_entry_has_the_promised_shape(
    owner_api: APIClient, entry_make: Any, account: Account, connection: Connection, engineer: User
) -> None:
    link_make(account, connection, "4711", "Contoso")
    entry = entry_make("2026-03-02T09:20:31")
    answer = owner_api.get(URL).json()
    assert answer.pop("results") == [
        {
            "id": entry.pk,
            "at": "2026-03-02T09:20:31Z",
            "who": {"id": engineer.pk, "name": "Eva Engineer"},
            "shown_as": "Ann Ames",
            "ticket": "4711",
            "connection": {"id": connection.pk, "name": connection.name},
            "company": "Contoso",
            "kind": "resolution",
            "verb": "note.hidden",
            "customer_visible": False,
            "mailed": False,
            "before": "old",
            "after": "new",
            "facts": {"delivery": 40},
        }
    ]
    assert answer == {"count": 1, "next": None, "previous": None}


def test_what_is_about_no_ticket_says_so(owner_api: APIClient, entry_make: Any) -> None:
    before = {"name": "Old", "site": "x.example"}
    entry_make(
        verb="connection.changed",
        ticket_id="",
        kind="",
        shown_as="",
        customer_visible=None,
        mailed=None,
        facts={"before": before},
    )
    [row] = owner_api.get(URL).json()["results"]
    assert (row["ticket"], row["company"], row["customer_visible"], row["mailed"]) == (None, "", None, None)
    assert (row["before"], row["after"], row["facts"]) == (before, None, {})


def test_a_user_who_was_deleted_keeps_the_name(
    owner_api: APIClient, entry_make: Any, colleague: User
) -> None:
    entry_make(actor=colleague, actor_name="Ben")
    colleague.delete()
    assert owner_api.get(URL).json()["results"][0]["who"] == {"id": None, "name": "Ben"}


def test_the_newest_come_first_and_lists_are_cut_into_pages(owner_api: APIClient, entry_make: Any) -> None:
    made = [entry_make().pk for _ in range(51)]
    assert ids(owner_api) == made[:0:-1]
    assert ids(owner_api, page=2) == made[:1]


def test_a_page_costs_the_same_however_many_entries_there_are(
    owner_api: APIClient, entry_make: Any, account: Account, connection_make: Any
) -> None:
    def cost() -> int:
        with CaptureQueriesContext(
            database,
        ) as queries:
            owner_api.get(URL)
        return len(queries)

    entry_make()
    first = cost()
    for number in range(12):
        other = connection_make()
        link_make(account, other, str(number), "Contoso")
        entry_make(connection=other, ticket_id=str(number))
    assert cost() == first


# Filters ------------------------------------------------------------------------------------------


def test_filters_keep_what_fits(
    owner_api: APIClient,
    entry_make: Any,
    account: Account,
    connection: Connection,
    connection_make: Any,
    engineer: User,
    colleague: User,
) -> None:
    other = connection_make()
    link_make(account, connection, "4711", "Contoso Ltd")
    link_make(account, other, "4711", "Globex")
    first = entry_make("2026-03-01T23:59:59").pk
    second = entry_make("2026-03-02T00:00:00", actor=colleague, actor_name="Ben Boyd").pk
    third = entry_make("2026-03-02T14:00:00", connection=other, verb="note.corrected").pk
    fourth = entry_make("2026-03-03T00:00:00", ticket_id="57", verb="status.set").pk
    assert ids(owner_api, who=str(colleague.pk)) == [second]
    assert ids(owner_api, who="boyd") == [second]
    assert ids(owner_api, ticket="4711") == [third, second, first]
    assert ids(owner_api, ticket="#57") == [fourth]
    assert ids(owner_api, connection=other.pk) == [third]
    assert ids(owner_api, company="contoso") == [second, first]
    assert ids(owner_api, company="Globex") == [third]
    assert ids(owner_api, verb="note.corrected") == [third]
    assert ids(owner_api, verb="note.") == [third, second, first]
    assert ids(owner_api, verb="note") == []
    assert ids(owner_api, **{"from": "2026-03-02"}) == [fourth, third, second]
    assert ids(owner_api, to="2026-03-02") == [third, second, first]
    assert ids(owner_api, **{"from": "2026-03-02", "to": "2026-03-02"}) == [third, second]
    assert ids(owner_api, **{"from": "2026-03-02T14:00:00Z"}) == [fourth, third]
    assert ids(owner_api, to="2026-03-02T15:00:00+01:00") == [second, first]
    assert ids(owner_api, who="boyd", ticket="57") == []
    assert ids(owner_api, who="", ticket="", verb="", company="") == [fourth, third, second, first]


def test_another_accounts_company_finds_nothing(
    owner_api: APIClient, outsider: User, entry_make: Any, connection_make: Any
) -> None:
    other = Account.objects.get(slug="fabrikam")
    theirs = connection_make(tenant=other)
    link_make(other, theirs, "4711", "Secret Ltd")
    entry_make()
    assert ids(owner_api, company="Secret") == []
    assert ids(owner_api, connection=theirs.pk) == []


@pytest.mark.parametrize(
    "query",
    [
        {"from": "yesterday"},
        {"to": "2026-13-01"},
        {"from": "2026-03-02T25:00:00"},
        {"to": "9999-12-31"},
        {"connection": "x"},
        {"connection": "0"},
        {"connection": str(2**63)},
        {"ticket": "1" * 41},
        {"who": "x" * 201},
        {"page": "0"},
    ],
)
@pytest.mark.parametrize("accept", ["application/json", "text/csv"])
def test_an_impossible_filter_is_a_problem(owner_api: APIClient, query: dict[str, str], accept: str) -> None:
    answer = owner_api.get(URL, query, HTTP_ACCEPT=accept)
    if "page" in query and accept == "text/csv":
        assert answer.status_code == 200  # everything is sent: there are no pages
        return
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid")
    assert set(answer.json()["errors"]) == set(query)


@pytest.mark.parametrize("who", ["9" * 18, "9" * 30, "²", "%", "_"])
def test_any_text_may_be_looked_for(owner_api: APIClient, entry_make: Any, who: str) -> None:
    entry_make()
    assert ids(owner_api, who=who) == []


# CSV ----------------------------------------------------------------------------------------------


def test_csv_has_every_entry_and_column(
    owner_api: APIClient, entry_make: Any, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "CSV_ROWS_AT_ONCE", 2)
    made = [entry_make("2026-03-02T09:20:31", facts={"before": "a\nb", "note": 'ü,"'}).pk for _ in range(5)]
    answer = owner_api.get(URL, **CSV)
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"].startswith('attachment; filename="audit-')
    rows = rows_of(answer)
    assert [int(row["id"]) for row in rows] == made[::-1]
    assert rows[0] == {
        "id": str(made[-1]),
        "at": "2026-03-02T09:20:31Z",
        "who": "Eva Engineer",
        "shown_as": "Ann Ames",
        "ticket": "4711",
        "connection": connection.name,
        "company": "",
        "kind": "resolution",
        "verb": "note.hidden",
        "customer_visible": "false",
        "mailed": "false",
        "before": "a\nb",
        "after": "",
        "facts": '{"note": "ü,\\""}',
    }


def test_csv_keeps_to_the_filters_and_not_to_pages(owner_api: APIClient, entry_make: Any) -> None:
    for _ in range(51):
        entry_make()
    entry_make(ticket_id="57")
    assert len(rows_of(owner_api.get(URL, **CSV))) == 52
    assert len(rows_of(owner_api.get(URL, {"ticket": "57"}, **CSV))) == 1


def test_csv_is_streamed_a_page_of_the_table_at_a_time(
    owner_api: APIClient, entry_make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "CSV_ROWS_AT_ONCE", 2)
    for _ in range(6):
        entry_make()
    answer = owner_api.get(URL, **CSV)
    assert answer.streaming
    lines = iter(answer.streaming_content)
    next(lines)
    with CaptureQueriesContext(database) as queries:
        for _ in range(2):
            next(lines)
    assert len(queries) == 1


def test_a_link_can_ask_for_csv(owner_api: APIClient, entry_make: Any) -> None:
    entry_make()
    assert len(rows_of(owner_api.get(URL, {"format": "csv"}))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "=1+2",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "  =1+2",
        "\u00a0@SUM(A1)",
        "\uff1d1+2",
        "\uff0b1",
        "\uff0d1",
        "\uff20SUM(A1)",
        '=HYPERLINK("http://x","y")',
    ],
)
def test_no_cell_is_a_formula(owner_api: APIClient, entry_make: Any, text: str) -> None:
    entry_make(
        actor_name=text,
        shown_as=text,
        ticket_id=text[:40],
        kind=text[:20],
        verb=text,
        facts={"before": text, "after": text},
    )
    [row] = rows_of(owner_api.get(URL, **CSV))
    for name in ("who", "shown_as", "kind", "before", "after", "verb", "ticket"):
        assert row[name].startswith("'"), name
        assert row[name][1:].startswith(text[:10]), name


def test_names_of_connections_and_companies_are_no_formulas(
    owner_api: APIClient, entry_make: Any, account: Account, connection: Connection
) -> None:
    link_make(account, connection, "4711", "=cmd|'/c calc'!A1")
    Connection.objects.filter(pk=connection.pk).update(name="@evil")
    entry_make()
    [row] = rows_of(owner_api.get(URL, **CSV))
    assert (row["connection"], row["company"]) == ("'@evil", "'=cmd|'/c calc'!A1")


def test_other_answers_are_json_by_default(owner_api: APIClient, entry_make: Any) -> None:
    entry_make()
    for accept in ("*/*", "application/json", "text/html,application/json;q=0.9"):
        assert owner_api.get(URL, HTTP_ACCEPT=accept)["Content-Type"] == "application/json"
    assert owner_api.get(URL, HTTP_ACCEPT="application/xml").status_code == 406
