"""Tests of the pages of API tokens."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from integrations_ui.tests.conftest import queries_of
from resolutionflow.accounts.models import ApiToken, User
from resolutionflow.accounts.services import token_create, token_revoke

URL = "/integrations/tokens/"
NEW = f"{URL}new/"


def text_of(answer: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def key_in(answer: Any) -> str:
    match = re.search(r'<code id="token-key">(rf_\w{8}_[\w-]{43})</code>', answer.content.decode())
    assert match is not None
    return match[1]


def asks(key: str) -> int:
    return Client().get("/api/v1/flows/", headers={"Authorization": f"Token {key}"}).status_code


def test_token_is_made_and_its_key_works(client: Client, member: User) -> None:
    client.force_login(member)
    answer = client.post(NEW, {"name": "Nightly export", "last_day": ""})
    assert "Nightly export is ready" in text_of(answer)
    assert asks(key_in(answer)) == 200
    assert ApiToken.objects.get().user == member


def test_key_is_shown_once_and_kept_nowhere(client: Client, member: User) -> None:
    client.force_login(member)
    answer = client.post(NEW, {"name": "export", "last_day": ""})
    key = key_in(answer)
    assert "no-store" in answer["Cache-Control"]
    secret = key.split("_", 2)[2]
    for url in (URL, NEW, f"{URL}{ApiToken.objects.get().pk}/revoke/"):
        assert secret not in client.get(url).content.decode()
    assert secret not in str(dict(client.session))


def test_token_is_good_until_the_end_of_its_last_day(client: Client, member: User) -> None:
    User.objects.filter(pk=member.pk).update(time_zone="Asia/Tokyo")
    client.force_login(member)
    client.post(NEW, {"name": "export", "last_day": (timezone.now() + timedelta(days=9)).date().isoformat()})
    assert f"{timezone.now() + timedelta(days=9):%-d %b %Y}, 23:59" in text_of(client.get(URL))


def test_form_offers_ninety_days(client: Client, member: User) -> None:
    client.force_login(member)
    day = timezone.localdate() + timedelta(days=90)
    assert f'value="{day.isoformat()}"' in client.get(NEW).content.decode()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"name": ""}, "This field is required."),
        ({"name": "   "}, "This field is required."),
        ({"name": "x" * 101}, "at most 100 characters"),
        ({"name": "a\x00b"}, "Null characters are not allowed."),
        ({"name": "x", "last_day": "tomorrow"}, "Enter a valid date."),
        ({"name": "x", "last_day": "2020-01-01"}, "Choose today or a later day."),
        ({"name": "x", "last_day": "9999-12-31"}, "Choose a day within ten years, or none."),
    ],
)
def test_wrong_values_are_refused_with_a_reason(
    client: Client, member: User, values: dict[str, str], sentence: str
) -> None:
    client.force_login(member)
    assert sentence in text_of(client.post(NEW, values))
    assert not ApiToken.objects.exists()


def test_name_of_the_full_length_is_taken(client: Client, member: User) -> None:
    client.force_login(member)
    client.post(NEW, {"name": "x" * 100})
    assert ApiToken.objects.get().name == "x" * 100


def test_name_is_escaped_wherever_it_is_shown(client: Client, member: User) -> None:
    client.force_login(member)
    name = "<script>alert(1)</script>"
    made = client.post(NEW, {"name": name})
    token = ApiToken.objects.get()
    revoked = client.post(f"{URL}{token.pk}/revoke/", follow=True)
    other = client.get(f"{URL}{token_create(member, name=name).token.pk}/revoke/")
    for page in (made, revoked, other):
        assert "&lt;script&gt;alert(1)" in page.content.decode()
        assert name not in page.content.decode()


def test_list_tells_use_and_state(client: Client, member: User) -> None:
    token_create(member, name="fresh")
    token_create(member, name="old", expires_at=timezone.now() - timedelta(days=3))
    token_revoke(token_create(member, name="gone").token)
    used = token_create(member, name="used").token
    ApiToken.objects.filter(pk=used.pk).update(last_used_at=timezone.now() - timedelta(hours=2))
    client.force_login(member)
    page = text_of(client.get(URL))
    assert f"used rf_{used.prefix}_… Active" in page
    assert re.search(r"old rf_\w{8}_… Expired", page)
    assert re.search(r"gone rf_\w{8}_… Revoked", page)
    assert "2 hours ago" in page
    assert page.index("fresh") < page.index("gone")


def test_empty_list_leads_to_the_first(client: Client, member: User) -> None:
    client.force_login(member)
    page = client.get(URL).content.decode()
    assert "No API tokens yet" in page
    assert f'href="{NEW}"' in page


def test_revoking_asks_first_and_closes_the_door(client: Client, member: User) -> None:
    made = token_create(member, name="export")
    client.force_login(member)
    url = f"{URL}{made.token.pk}/revoke/"
    assert "Revoke export?" in text_of(client.get(url))
    assert asks(made.key) == 200
    answer = client.post(url, follow=True)
    assert "export is revoked." in text_of(answer)
    assert asks(made.key) == 401


def test_revoking_twice_keeps_the_first_time(client: Client, member: User) -> None:
    token = token_create(member, name="export").token
    client.force_login(member)
    client.post(f"{URL}{token.pk}/revoke/")
    first = ApiToken.objects.get().revoked_at
    assert client.get(f"{URL}{token.pk}/revoke/")["Location"] == URL
    client.post(f"{URL}{token.pk}/revoke/")
    assert ApiToken.objects.get().revoked_at == first


@pytest.mark.parametrize("who", ["member", "lead"])
def test_only_an_admin_sees_those_of_others(
    client: Client, owner: User, who: str, request: pytest.FixtureRequest
) -> None:
    theirs = token_create(owner, name="of Olga").token
    client.force_login(request.getfixturevalue(who))
    page = text_of(client.get(URL))
    assert "of Olga" not in page
    assert "Owner" not in page
    for method in (client.get, client.post):
        assert method(f"{URL}{theirs.pk}/revoke/").status_code == 404
    assert ApiToken.objects.get().revoked_at is None


def test_admin_sees_and_revokes_those_of_the_account_with_their_owners(
    client: Client, owner: User, member: User
) -> None:
    made = token_create(member, name="export")
    token_create(owner, name="mine")
    client.force_login(owner)
    page = text_of(client.get(URL))
    assert "Mia Stone" in page
    assert "Olga Ray (you)" in page
    client.post(f"{URL}{made.token.pk}/revoke/")
    assert asks(made.key) == 401


def test_admin_of_another_account_finds_nothing(client: Client, member: User, foreign_owner: User) -> None:
    token = token_create(member, name="export").token
    client.force_login(foreign_owner)
    assert "export" not in text_of(client.get(URL))
    for method in (client.get, client.post):
        assert method(f"{URL}{token.pk}/revoke/").status_code == 404
    assert ApiToken.objects.get().revoked_at is None


@pytest.mark.parametrize("number", ["0", "999999", "99999999999999999999999"])
def test_token_that_is_not_there_is_not_found(client: Client, owner: User, number: str) -> None:
    client.force_login(owner)
    assert client.get(f"{URL}{number}/revoke/").status_code == 404


def test_what_was_typed_waits_for_the_next_sign_in(client: Client, member: User) -> None:
    assert client.post(NEW, {"name": "export"}).status_code == 302
    client.force_login(member)
    assert 'value="export"' in client.get(NEW).content.decode()
    assert not ApiToken.objects.exists()


def test_list_costs_the_same_for_many_tokens(client: Client, owner: User, member: User) -> None:
    token_create(member, name="first")
    client.force_login(owner)
    one = queries_of(client, URL)
    for number in range(8):
        token_create(member, name=f"number {number}")
    assert queries_of(client, URL) == one


def test_long_list_is_cut_into_pages(client: Client, owner: User, member: User) -> None:
    for number in range(51):
        token_create(member, name=f"number {number}.")
    client.force_login(owner)
    assert "number 0." not in text_of(client.get(URL))
    assert "number 0." in text_of(client.get(URL, {"page": "2"}))
