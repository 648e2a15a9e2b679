"""Tests of the tab Members: who is mapped, the match, choosing by hand, and the nightly review."""

from __future__ import annotations

import re

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from integrations_ui.tests.conftest import queries_of
from integrations_ui.tests.session_desk import HTMX, actor_of, connect_sandbox, get, text_of
from psa import selectors, services
from psa.models import Connection, MemberMapping, MemberReview
from psa.providers.connectwise.sandbox.server import SandboxServer
from resolutionflow.accounts.models import Account, User
from resolutionflow.accounts.services import user_create

ERIN, FELIX, GIA, CARMEN = "105", "106", "107", "103"
"""Members of the sandbox; Felix and Gia share the address of the help desk."""
MEMBER_CALLS = "/system/info/members"


@pytest.fixture
def connection(account: Account, owner: User, sandbox: SandboxServer) -> Connection:
    return connect_sandbox(account, owner, sandbox)


@pytest.fixture
def url(connection: Connection) -> str:
    return f"/integrations/{connection.pk}/members/"


@pytest.fixture
def erin(account: Account) -> User:
    """Somebody whose address is that of one member."""
    return person(account, "erin", "EOwens@acme-msp.example", "Erin", "Owens")


@pytest.fixture
def felix(account: Account) -> User:
    """Somebody whose address several members share."""
    return person(account, "felix", "helpdesk@acme-msp.example", "Felix", "Chan")


def person(account: Account, name: str, email: str, first: str, last: str) -> User:
    return user_create(account, username=name, password="x", email=email, first_name=first, last_name=last)


def mapped(connection: Connection) -> dict[str, str]:
    rows = MemberMapping.objects.filter(connection=connection, active=True)
    return {row.user_name: row.member_id for row in rows}


def asked(sandbox: SandboxServer) -> int:
    return sum(MEMBER_CALLS in row["path"] for row in sandbox.requests)


def away(sandbox: SandboxServer) -> None:
    sandbox.faults.add("status", method="GET", path=MEMBER_CALLS, status=503)


def section(page: str, start: str, end: str) -> str:
    return page[page.index(start) : page.index(end)]


# What is shown ----------------------------------------------------------------------------------


def test_first_paint_asks_no_psa(
    client: Client, owner: User, erin: User, url: str, sandbox: SandboxServer
) -> None:
    page = get(client, owner, url)
    assert asked(sandbox) == 0
    assert "Erin Owens" in page
    assert "Reading the members of Main ConnectWise" in page
    assert f'hx-get="{url}plan/"' in page


def test_without_javascript_a_link_reads_the_members(client: Client, owner: User, url: str) -> None:
    assert 'href="?now=1"' in get(client, owner, url)
    assert "Carmen Diaz" in get(client, owner, f"{url}?now=1")


def test_plan_shows_both_sides(client: Client, member: User, erin: User, url: str) -> None:
    page = get(client, member, f"{url}plan/", **HTMX)
    assert "Would be Erin Owens" in page
    assert "Carmen Diaz" in page[page.index('id="free-title"') :]


def test_inactive_and_api_members_are_left_out(client: Client, owner: User, url: str) -> None:
    page = get(client, owner, f"{url}plan/", **HTMX)
    assert "Lena Moss" not in page
    assert "ResolutionFlow API" not in page


def test_ambiguous_address_names_all_candidates(client: Client, owner: User, felix: User, url: str) -> None:
    page = get(client, owner, f"{url}plan/", **HTMX)
    line = section(page, f'id="person-{felix.pk}"', "Choose<span")
    assert "Several people share this address" in line
    assert "Felix Chan" in line
    assert "Gia Romano" in line


def test_whoever_has_no_address_is_told_so(client: Client, owner: User, account: Account, url: str) -> None:
    person(account, "nora", "", "Nora", "Lind")
    assert "No e-mail address of this person is known here." in get(client, owner, f"{url}plan/", **HTMX)


def test_psa_that_is_away_leaves_the_mappings_on_the_page(
    client: Client, owner: User, erin: User, connection: Connection, url: str, sandbox: SandboxServer
) -> None:
    services.member_mappings_set(
        owner.membership.account, connection.pk, {erin.pk: ERIN}, actor=actor_of(owner)
    )
    cache.clear()
    away(sandbox)
    page = get(client, owner, f"{url}plan/", **HTMX)
    assert "The members cannot be read right now." in page
    assert "Erin Owens" in page


def test_members_in_the_cache_are_shown_at_once(client: Client, owner: User, url: str) -> None:
    get(client, owner, f"{url}plan/", **HTMX)
    page = get(client, owner, url)
    assert "Carmen Diaz" in page
    assert "Reading the members" not in page


def test_plan_opened_as_a_page_leads_to_the_page(client: Client, owner: User, url: str) -> None:
    client.force_login(owner)
    assert client.get(f"{url}plan/")["Location"] == f"{url}?now=1"


def test_engineer_sees_it_and_changes_nothing(client: Client, member: User, erin: User, url: str) -> None:
    page = get(client, member, f"{url}?now=1")
    assert "Erin Owens" in page
    assert "Match by e-mail" not in page
    assert "Create user and invite" not in page


def test_many_people_cost_no_more_queries(
    client: Client, owner: User, account: Account, connection: Connection, url: str
) -> None:
    client.force_login(owner)
    client.get(f"{url}?now=1")
    few = queries_of(client, url)
    for number in range(12):
        person(account, f"p{number}", f"p{number}@x.example", "P", str(number))
    MemberMapping.objects.bulk_create(
        MemberMapping(
            tenant=account,
            connection=connection,
            user=user,
            user_name=str(user),
            member_id=str(user.pk + 900),
        )
        for user in User.objects.filter(username__startswith="p")
    )
    assert queries_of(client, url) == few


# Match ------------------------------------------------------------------------------------------


def test_match_maps_whom_the_address_names_and_guesses_nobody(
    client: Client, lead: User, erin: User, felix: User, connection: Connection, url: str
) -> None:
    client.force_login(lead)
    page = text_of(client.post(f"{url}match/", follow=True))
    assert mapped(connection) == {"Erin Owens": ERIN}
    assert "1 person matched by e-mail. 1 person could not be told apart" in page


def test_match_while_the_psa_is_away_changes_nothing_and_says_so(
    client: Client, lead: User, erin: User, connection: Connection, url: str, sandbox: SandboxServer
) -> None:
    away(sandbox)
    client.force_login(lead)
    page = text_of(client.post(f"{url}match/", follow=True))
    assert "Nothing was changed." in page
    assert mapped(connection) == {}


def test_engineer_may_not_match(client: Client, member: User, url: str) -> None:
    client.force_login(member)
    assert client.post(f"{url}match/").status_code == 403


# Choosing by hand -------------------------------------------------------------------------------


def test_lead_searches_and_maps(
    client: Client, lead: User, felix: User, connection: Connection, url: str
) -> None:
    found = get(client, lead, f"{url}{felix.pk}/?q=felix ch", **HTMX)
    assert f'value="{FELIX}"' in found
    assert f'value="{CARMEN}"' not in found
    answer = client.post(f"{url}{felix.pk}/", {"member": FELIX})
    assert answer["Location"] == f"{url}#person-{felix.pk}"
    assert mapped(connection) == {"Felix Chan": FELIX}


def test_members_with_the_same_address_come_first(client: Client, lead: User, felix: User, url: str) -> None:
    page = get(client, lead, f"{url}{felix.pk}/?now=1")
    values = re.findall(r'name="member" value="(\d+)"', page)
    assert set(values[:2]) == {FELIX, GIA}
    assert page.count("Same e-mail address") == 2


def test_choosing_asks_no_psa_at_first_paint(
    client: Client, lead: User, felix: User, url: str, sandbox: SandboxServer
) -> None:
    page = get(client, lead, f"{url}{felix.pk}/")
    assert asked(sandbox) == 0
    assert f'hx-get="{url}{felix.pk}/" hx-trigger="load"' in page


def test_taken_member_is_refused_and_it_says_who_has_it(
    client: Client, lead: User, erin: User, felix: User, account: Account, connection: Connection, url: str
) -> None:
    services.member_mappings_set(account, connection.pk, {erin.pk: ERIN}, actor=actor_of(lead))
    client.force_login(lead)
    answer = client.post(f"{url}{felix.pk}/", {"member": ERIN})
    assert answer.status_code == 409
    assert "Erin Owens is mapped to Erin Owens already." in text_of(answer)
    assert mapped(connection) == {"Erin Owens": ERIN}


def test_search_tells_who_has_a_taken_member(
    client: Client, lead: User, erin: User, felix: User, account: Account, connection: Connection, url: str
) -> None:
    services.member_mappings_set(account, connection.pk, {erin.pk: ERIN}, actor=actor_of(lead))
    page = get(client, lead, f"{url}{felix.pk}/?q=owens", **HTMX)
    assert "Taken already" in page
    assert f'href="{url}{erin.pk}/clear/"' in page


@pytest.mark.parametrize("value", ["", "  ", "x" * 41, "<script>alert(1)</script>", "99999", "a\x00b"])
def test_senseless_choice_is_refused(
    client: Client, lead: User, felix: User, connection: Connection, url: str, value: str
) -> None:
    client.force_login(lead)
    answer = client.post(f"{url}{felix.pk}/", {"member": value})
    assert answer.status_code in (409, 422)
    assert "<script>alert" not in text_of(answer)
    assert mapped(connection) == {}


def test_api_member_cannot_be_chosen(
    client: Client, lead: User, felix: User, connection: Connection, account: Account, url: str
) -> None:
    (api,) = [row for row in selectors.members(account, connection.pk) if row.is_api]
    client.force_login(lead)
    answer = client.post(f"{url}{felix.pk}/", {"member": api.id})
    assert (answer.status_code, "is an API member" in text_of(answer)) == (422, True)


def test_choice_while_the_psa_is_away_says_so(
    client: Client, lead: User, felix: User, url: str, sandbox: SandboxServer
) -> None:
    away(sandbox)
    client.force_login(lead)
    answer = client.post(f"{url}{felix.pk}/", {"member": FELIX})
    assert (answer.status_code, "Nothing was changed." in text_of(answer)) == (503, True)


def test_another_tenants_person_is_not_found(client: Client, lead: User, outsider: User, url: str) -> None:
    client.force_login(lead)
    assert client.get(f"{url}{outsider.pk}/").status_code == 404
    assert client.post(f"{url}{outsider.pk}/", {"member": FELIX}).status_code == 404


def test_clearing_asks_first(
    client: Client, lead: User, erin: User, account: Account, connection: Connection, url: str
) -> None:
    services.member_mappings_set(account, connection.pk, {erin.pk: ERIN}, actor=actor_of(lead))
    page = get(client, lead, f"{url}{erin.pk}/clear/")
    assert "End the mapping of Erin Owens to Erin Owens?" in page
    assert mapped(connection) == {"Erin Owens": ERIN}
    client.post(f"{url}{erin.pk}/clear/")
    assert mapped(connection) == {}


def test_engineer_may_neither_choose_nor_clear(client: Client, member: User, erin: User, url: str) -> None:
    client.force_login(member)
    for tail in (f"{erin.pk}/", f"{erin.pk}/clear/"):
        assert client.get(url + tail).status_code == 403
        assert client.post(url + tail, {"member": ERIN}).status_code == 403


# Members without a user -------------------------------------------------------------------------


def test_search_narrows_the_free_members(client: Client, owner: User, url: str) -> None:
    found = get(client, owner, f"{url}free/?q=carmen", **HTMX)
    assert "Carmen Diaz" in found
    assert "Dev Patel" not in found


def test_all_of_a_page_are_ticked_by_a_link(client: Client, owner: User, url: str) -> None:
    assert "checked" not in get(client, owner, f"{url}free/", **HTMX)
    page = get(client, owner, f"{url}?now=1&tick=1")
    assert page.count("checked>") == page.count('type="checkbox"') > 5


# Nightly review ---------------------------------------------------------------------------------


def review(connection: Connection, *news: dict[str, str]) -> None:
    MemberReview.objects.create(
        tenant=connection.tenant,
        connection=connection,
        due_at=timezone.now(),
        checked_at=timezone.now(),
        news=list(news),
    )


def entry(name: str, change: str, member_id: str = "150") -> dict[str, str]:
    return {"id": member_id, "name": name, "change": change, "at": timezone.now().isoformat()}


def test_review_is_on_top_in_words(client: Client, member: User, connection: Connection, url: str) -> None:
    review(connection, entry("Tom Weber", "left"), entry("Ida Low", "new"), entry("Jo Mill", "inactive"))
    page = get(client, member, url)
    for words, name in (("Left", "Tom Weber"), ("New", "Ida Low"), ("Switched off", "Jo Mill")):
        assert re.search(rf"{words}</span> <span><strong>{name}", page)
    assert page.index("Tom Weber") < page.index("Not mapped")


def test_review_names_who_was_mapped_to_the_member(
    client: Client, lead: User, erin: User, account: Account, connection: Connection, url: str
) -> None:
    services.member_mappings_set(account, connection.pk, {erin.pk: ERIN}, actor=actor_of(lead))
    MemberMapping.objects.update(member_left_at=timezone.now())
    review(connection, entry("Erin Owens", "left", ERIN))
    page = get(client, lead, url)
    assert "Erin Owens is mapped to this member" in page
    assert "no longer lists this member as active" in page


def test_lead_says_that_they_looked(client: Client, lead: User, connection: Connection, url: str) -> None:
    review(connection, entry("Tom Weber", "left"))
    client.force_login(lead)
    assert "Tom Weber" not in text_of(client.post(f"{url}news/", follow=True))
    assert MemberReview.objects.get().news == []


def test_name_of_a_member_is_escaped(client: Client, lead: User, connection: Connection, url: str) -> None:
    review(connection, entry("<script>alert(1)</script>", "left"))
    assert "<script>alert" not in get(client, lead, url)


# Others -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("tail", ["", "plan/", "free/"])
def test_another_tenant_finds_nothing(client: Client, foreign_owner: User, url: str, tail: str) -> None:
    client.force_login(foreign_owner)
    assert client.get(url + tail).status_code == 404
