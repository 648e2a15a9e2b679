"""Tests of the audit page: what it says, its filters, the CSV, and who may read it."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from integrations_ui.audit_rows import VERBS
from integrations_ui.tests.conftest import queries_of
from integrations_ui.tests.delivery_desk import post, put
from integrations_ui.tests.session_desk import OTHER_COMPANYS, connect_sandbox, deliver, get
from psa.models import AuditEntry, Connection, Delivery
from psa.providers.connectwise.sandbox.server import SandboxServer
from resolutionflow.accounts.models import Account, User

URL = "/integrations/audit/"


@pytest.fixture
def connection(account: Account, owner: User, sandbox: SandboxServer) -> Connection:
    return connect_sandbox(account, owner, sandbox)


def entry(account: Account, verb: str = "note.corrected", **values: Any) -> AuditEntry:
    given = {"actor_name": "Eva Engineer", "object_type": "connection", "object_id": "1"}
    return AuditEntry.objects.create(tenant=account, verb=verb, **{**given, **values})


def ids(page: str) -> list[int]:
    return [int(found) for found in re.findall(r'id="entry-(\d+)"', page)]


# What it says -----------------------------------------------------------------------------------


def test_delivered_note_tells_who_where_and_who_reads_it(
    client: Client, lead: User, member: User, connection: Connection
) -> None:
    found = post(connection, member, kind="resolution", notify=True)
    deliver()
    page = get(client, lead, URL)
    for part in (
        "Mia Stone <span",
        "posted a note",
        "#57050",
        "Northfield Logistics",
        "Resolution (customer sees it, prints on invoices)",
        "shown as API member",
        "customer sees it</span>",
        "mailed</span>",
        f'href="/integrations/deliveries/{found.pk}/"',
    ):
        assert part in page


def test_discarded_post_tells_by_whom_and_why(
    client: Client, lead: User, member: User, connection: Connection
) -> None:
    found = put(post(connection, member), "dead")
    client.force_login(lead)
    client.post(f"/integrations/deliveries/{found.pk}/discard/", {"reason": "Posted by hand"})
    page = get(client, lead, URL)
    assert re.search(r"Lea <span[^>]*>discarded a post", page)
    assert "“Posted by hand”" in page
    assert "#57050" in page


def test_taken_along_post_tells_why_it_is_not_posted(
    client: Client, lead: User, member: User, connection: Connection
) -> None:
    first = put(post(connection, member), "dead")
    second = put(post(connection, member), "ready")
    Delivery.objects.filter(pk=second.pk).update(unit=first.unit, seq=first.seq + 1)
    client.force_login(lead)
    client.post(f"/integrations/deliveries/{first.pk}/discard/", {"reason": "Posted by hand"})
    page = get(client, lead, f"{URL}?what=delivery.")
    assert len(ids(page)) == page.count("“Posted by hand”") == 2


def test_status_that_stood_there_already_is_told_so(client: Client, lead: User, account: Account) -> None:
    facts = {"before": "Closed", "after": "Closed", "already": True}
    entry(account, "status.found", kind="status", mailed=False, facts=facts)
    page = get(client, lead, URL)
    assert "found the status set already" in page
    assert "nothing had to be sent" in page


def test_delivered_text_is_shown(client: Client, lead: User, member: User, connection: Connection) -> None:
    found = post(connection, member)
    deliver()
    assert found.marker in get(client, lead, URL)


def test_before_and_after_stand_side_by_side(client: Client, lead: User, account: Account) -> None:
    entry(account, facts={"before": "Old text.", "after": "New text."})
    page = get(client, lead, URL)
    assert page.index("Old text.") < page.index("New text.")


def test_changed_rules_are_told_in_words(client: Client, lead: User, account: Account) -> None:
    rule = {"board": "Help Desk", "outcome": "resolved", "status": "Closed", "mail": "silent"}
    entry(account, "status_rules.changed", facts={"before": [], "after": [rule]})
    assert "Help Desk: Resolved → Closed (silent)" in get(client, lead, URL)


def test_mapping_names_both_sides(client: Client, lead: User, account: Account) -> None:
    facts = {"user_name": "Mia Stone", "member_name": "Erin Owens", "member": "105", "how": "manual"}
    entry(account, "member.mapped", object_type="member_mapping", facts=facts)
    assert "mapped a member: Mia Stone ↔ Erin Owens" in get(client, lead, URL)


def test_refusal_tells_what_the_psa_said(client: Client, lead: User, account: Account) -> None:
    entry(account, "note.hide-refused", facts={"error": "The role may not change notes."})
    page = get(client, lead, URL)
    assert "was refused to hide a note" in page
    assert "The role may not change notes." in page


def test_unknown_verb_is_shown_as_it_is(client: Client, lead: User, account: Account) -> None:
    entry(account, "something.new")
    assert "did: something.new" in get(client, lead, URL)


def test_every_text_is_escaped(client: Client, lead: User, account: Account) -> None:
    script = "<script>alert(1)</script>"
    facts = {"before": script, "after": script, "reason": script, "error": script, "name": script}
    entry(account, actor_name=script, shown_as=script, kind="analysis", facts=facts)
    assert "<script>alert" not in get(client, lead, URL)


@pytest.mark.parametrize("facts", [{}, {"before": None}, {"a": {"b": [1, None]}}, {"x": [True, "y"]}])
def test_odd_facts_do_not_break_the_page(
    client: Client, lead: User, account: Account, facts: dict[str, Any]
) -> None:
    entry(account, object_type="delivery", object_id="no number", facts=facts)
    assert len(ids(get(client, lead, URL))) == 1


def test_words_are_there_for_what_is_written_today(
    client: Client, lead: User, member: User, connection: Connection
) -> None:
    found = put(post(connection, member), "dead")
    client.force_login(lead)
    client.post(f"/integrations/deliveries/{found.pk}/retry/")
    deliver()
    client.post(f"/integrations/deliveries/{found.pk}/remove/")
    written = set(AuditEntry.objects.values_list("verb", flat=True))
    assert written >= {"connection.created", "delivery.retried", "note.delivered", "note.removed"}
    assert written <= set(VERBS)


def test_nothing_yet_is_said_kindly(client: Client, lead: User) -> None:
    assert "Nothing was written yet" in get(client, lead, URL)


# Filters ----------------------------------------------------------------------------------------


@pytest.fixture
def several(account: Account, lead: User, member: User, connection: Connection) -> dict[str, AuditEntry]:
    """Entries that differ in what filters ask for."""
    post(connection, member, ticket=OTHER_COMPANYS)
    other = Connection.objects.create(
        tenant=account,
        provider="connectwise",
        name="Other",
        site="x.example",
        credentials={},
        state="connected",
    )
    found = {
        "made": AuditEntry.objects.get(verb="connection.created"),
        "old": entry(account, "connection.tested", actor_name="Ben Boyd", connection=other),
        "vet": entry(account, "note.delivered", connection=connection, ticket_id=str(OTHER_COMPANYS)),
        "mia": entry(account, "delivery.retried", actor_name="Mia Stone", actor=member),
    }
    AuditEntry.objects.filter(pk=found["old"].pk).update(created_at=timezone.now() - timedelta(days=9))
    return found


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("who=boyd", ["old"]),
        ("who=Mia Stone", ["mia"]),
        ("company=willow", ["vet"]),
        (f"ticket={OTHER_COMPANYS}", ["vet"]),
        (f"ticket=%23{OTHER_COMPANYS}", ["vet"]),
        ("what=note.", ["vet"]),
        ("what=connection.", ["old", "made"]),
        ("who=boyd&what=note.", []),
        ("", ["mia", "vet", "old", "made"]),
    ],
)
def test_filters_keep_what_they_name(
    client: Client, lead: User, several: dict[str, AuditEntry], query: str, names: list[str]
) -> None:
    assert ids(get(client, lead, f"{URL}?{query}")) == [several[name].pk for name in names]


def test_filter_by_connection(
    client: Client, lead: User, several: dict[str, AuditEntry], connection: Connection
) -> None:
    page = get(client, lead, f"{URL}?connection={connection.pk}")
    assert ids(page) == [several["vet"].pk, several["made"].pk]


def test_filter_by_dates_takes_whole_days(client: Client, lead: User, several: dict[str, AuditEntry]) -> None:
    day = f"{timezone.now() - timedelta(days=9):%Y-%m-%d}"
    assert ids(get(client, lead, f"{URL}?since={day}&until={day}")) == [several["old"].pk]


@pytest.mark.parametrize(
    "query",
    [
        "since=nonsense",
        "until=9999-99-99",
        "connection=abc",
        "connection=999999",
        "what=nothing.",
        "who=" + "x" * 201,
        "ticket=" + "9" * 41,
        "company=%00",
        "page=-1",
        "page=<script>alert(1)</script>",
    ],
)
def test_senseless_filter_does_not_count(
    client: Client, lead: User, several: dict[str, AuditEntry], query: str
) -> None:
    page = get(client, lead, f"{URL}?{query}")
    assert len(ids(page)) == len(several)
    assert "<script>alert" not in page


def test_last_day_of_all_is_a_date(client: Client, lead: User, several: dict[str, AuditEntry]) -> None:
    assert len(ids(get(client, lead, f"{URL}?until=9999-12-31"))) == len(several)


def test_second_page_keeps_the_filters(client: Client, lead: User, account: Account) -> None:
    for _ in range(51):
        entry(account, actor_name="Mia & Co")
    page = get(client, lead, f"{URL}?who=Mia+%26+Co")
    assert len(ids(page)) == 50
    assert 'href="?who=Mia+%26+Co&amp;page=2"' in page


def test_engineers_are_offered_by_name(client: Client, lead: User, member: User) -> None:
    page = get(client, lead, URL)
    assert 'list="engineers"' in page
    assert '<option value="Mia Stone">' in page


# CSV --------------------------------------------------------------------------------------------


def rows_of(client: Client, user: User, query: str = "") -> list[list[str]]:
    client.force_login(user)
    answer = client.get(f"{URL}csv/?{query}")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment; filename=" in answer["Content-Disposition"]
    return list(csv.reader(io.StringIO(answer.getvalue().decode("utf-8-sig"))))


def test_csv_has_what_the_filters_let_through(
    client: Client, lead: User, several: dict[str, AuditEntry]
) -> None:
    head, *rows = rows_of(client, lead, "who=boyd")
    assert [row[head.index("verb")] for row in rows] == ["connection.tested"]


def test_csv_holds_no_formula(client: Client, lead: User, account: Account) -> None:
    entry(account, actor_name="=HYPERLINK(1)")
    head, row = rows_of(client, lead)
    assert row[head.index("who")] == "'=HYPERLINK(1)"


def test_link_to_the_csv_keeps_the_filters(
    client: Client, lead: User, several: dict[str, AuditEntry]
) -> None:
    assert f'href="{URL}csv/?who=boyd&amp;"' in get(client, lead, f"{URL}?who=boyd")


# Costs, roles, tenants --------------------------------------------------------------------------


def test_many_entries_cost_no_more_queries(
    client: Client, lead: User, member: User, connection: Connection
) -> None:
    first = put(post(connection, member), "dead")
    account = connection.tenant
    entry(account, "delivery.retried", object_type="delivery", object_id=str(first.pk))
    client.force_login(lead)
    few = queries_of(client, URL)
    for found in [put(post(connection, member), "dead") for _ in range(10)]:
        entry(account, "delivery.retried", object_type="delivery", object_id=str(found.pk))
    assert queries_of(client, URL) == few


@pytest.mark.parametrize("tail", ["", "csv/"])
def test_engineers_may_not_read_it(client: Client, member: User, tail: str) -> None:
    client.force_login(member)
    assert client.get(URL + tail).status_code == 403


@pytest.mark.parametrize("tail", ["", "csv/"])
def test_another_tenant_reads_none_of_it(
    client: Client, foreign_owner: User, account: Account, tail: str
) -> None:
    entry(account, actor_name="Eva of Northwind")
    client.force_login(foreign_owner)
    answer = client.get(URL + tail)
    assert b"Eva of Northwind" not in b"".join(answer)


def test_delivery_of_another_tenant_lends_nothing(
    client: Client, foreign_owner: User, member: User, connection: Connection
) -> None:
    ours = post(connection, member)
    other = foreign_owner.membership.account
    entry(other, "delivery.retried", object_type="delivery", object_id=str(ours.pk))
    page = get(client, foreign_owner, URL)
    assert "57050" not in page
    assert f"/deliveries/{ours.pk}/" not in page


def test_audit_offers_no_way_to_change_it(client: Client, owner: User, account: Account) -> None:
    entry(account)
    page = get(client, owner, URL)
    forms = re.findall(r"<form[^>]*method=\"post\"[^>]*>", page)
    assert all("logout" in form for form in forms)
    assert client.post(URL).status_code == 405
    assert Delivery.objects.count() == 0
