"""Tests of a forgotten password, reset by mail, and of changing one that is known."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import time_machine
from django.core import mail
from django.test import Client, override_settings
from django.utils import timezone

from resolutionflow.accounts.models import User
from resolutionflow.accounts.services import token_create
from resolutionflow.accounts.tests.conftest import PASSWORD

RESET = "/accounts/password/reset/"
CHANGE = "/accounts/password/change/"
NEW = "another horse battery"


def ask(client: Client, email: str) -> Any:
    return client.post(RESET, {"email": email}, follow=True)


def text_of(answer: Any) -> str:
    """Return a page without what is new in every answer."""
    return re.sub(r'"X-CSRFToken": "\w+"', "", answer.content.decode())


def link_of_mail() -> str:
    (found,) = mail.outbox
    match = re.search(r"https?://\S+", found.body)
    assert match is not None
    return match[0]


def choose(client: Client, link: str, password: str = NEW) -> Any:
    """Open the link of a mail and choose a password."""
    form = client.get(urlsplit(link).path)
    if form.status_code != 302:
        return form
    return client.post(form["Location"], {"password1": password, "password2": password})


def signs_in(password: str, login: str = "olga") -> bool:
    answer = Client().post("/accounts/login/", {"login": login, "password": password})
    return answer.status_code == 302


def test_password_is_reset_by_the_link_of_a_mail(client: Client, owner: User) -> None:
    ask(client, "olga@northwind.example")
    assert mail.outbox[0].to == ["olga@northwind.example"]
    assert "You sign in as olga." in mail.outbox[0].body
    answer = choose(client, link_of_mail())
    assert client.get(answer["Location"])["Location"] == "/accounts/login/"
    assert (signs_in(NEW), signs_in(PASSWORD)) == (True, False)


def test_reset_says_that_the_password_is_changed_and_signs_nobody_in(client: Client, owner: User) -> None:
    ask(client, "olga@northwind.example")
    answer = choose(client, link_of_mail())
    page = client.get(answer["Location"], follow=True).content.decode()
    assert "Your password is changed." in page
    assert client.get("/integrations/").status_code == 302


def test_link_is_good_once(client: Client, owner: User) -> None:
    ask(client, "olga@northwind.example")
    choose(client, link_of_mail())
    again = choose(Client(), link_of_mail(), "a third horse battery")
    assert "This link is no longer good" in again.content.decode()
    assert signs_in(NEW)


def test_link_is_good_for_an_hour(client: Client, owner: User) -> None:
    ask(client, "olga@northwind.example")
    with time_machine.travel(timezone.now() + timedelta(minutes=59)):
        assert choose(Client(), link_of_mail(), "short").status_code == 200
    with time_machine.travel(timezone.now() + timedelta(minutes=61)):
        assert "no longer good" in choose(Client(), link_of_mail()).content.decode()


@pytest.mark.parametrize("key", ["1-x-y", "zzzzzzzzzzzzz-x-y", "0-set-password", "1-%00"])
def test_wrong_link_tells_nothing(client: Client, owner: User, key: str) -> None:
    page = client.get(f"{RESET}key/{key}/").content.decode()
    assert "This link is no longer good" in page
    assert "olga" not in page


def test_weak_password_is_refused_with_a_reason(client: Client, owner: User) -> None:
    ask(client, "olga@northwind.example")
    assert "at least 12 characters" in choose(client, link_of_mail(), "12345678").content.decode()
    assert signs_in(PASSWORD)


def test_unknown_address_gets_the_same_answer(client: Client, owner: User) -> None:
    known = ask(client, "olga@northwind.example")
    unknown = ask(Client(), "nobody@northwind.example")
    assert known.redirect_chain == unknown.redirect_chain
    assert text_of(known) == text_of(unknown)


def test_unknown_address_is_told_by_mail_and_gets_no_link(client: Client, owner: User) -> None:
    ask(client, "nobody@northwind.example")
    (found,) = mail.outbox
    assert found.to == ["nobody@northwind.example"]
    assert "Nobody who works there has this address" in found.body
    assert "http" not in found.body


def test_address_is_found_however_it_is_written(client: Client, owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(email="Olga@Northwind.example")
    ask(client, "oLGA@northwind.EXAMPLE")
    assert mail.outbox[0].to == ["Olga@Northwind.example"]


def test_address_that_was_given_up_opens_nothing(client: Client, owner: User) -> None:
    ask(client, "olga@northwind.example")
    User.objects.filter(pk=owner.pk).update(email="new@northwind.example")
    assert "no longer good" in choose(Client(), link_of_mail()).content.decode()
    mail.outbox.clear()
    ask(client, "olga@northwind.example")
    assert "Nobody who works there" in mail.outbox[0].body


def test_each_user_of_a_shared_address_gets_a_mail(client: Client, owner: User, member: User) -> None:
    User.objects.filter(pk=member.pk).update(email=owner.email)
    ask(client, owner.email)
    assert sorted(re.findall(r"sign in as (\w+)", " ".join(found.body for found in mail.outbox))) == [
        "mia",
        "olga",
    ]


def test_whoever_has_no_password_yet_gets_no_link(client: Client, owner: User) -> None:
    owner.set_unusable_password()
    owner.save()
    ask(client, owner.email)
    assert "Ask an admin of your company" in mail.outbox[0].body
    assert "http" not in mail.outbox[0].body


def test_whoever_is_switched_off_is_nobody(client: Client, owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(is_active=False)
    ask(client, owner.email)
    assert "Nobody who works there" in mail.outbox[0].body


def test_mail_server_that_is_away_changes_no_answer(
    client: Client, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = text_of(ask(Client(), owner.email))

    def refuse(*_args: Any, **_options: Any) -> None:
        raise ConnectionRefusedError("no mail server")

    monkeypatch.setattr("django.core.mail.message.EmailMessage.send", refuse)
    assert text_of(ask(client, owner.email)) == expected


def test_sixth_mail_to_an_address_is_held_up(client: Client, owner: User) -> None:
    answers = [client.post(RESET, {"email": owner.email}).status_code for _ in range(6)]
    assert answers == [302] * 5 + [429]
    assert len(mail.outbox) == 5


@override_settings(PSA_BASE_URL="https://psa.example.com")
def test_link_leads_to_the_public_address(client: Client, owner: User) -> None:
    client.post(RESET, {"email": owner.email}, headers={"Host": "localhost"})
    assert link_of_mail().startswith("https://psa.example.com/accounts/password/reset/key/")


@override_settings(PSA_BASE_URL="")
def test_link_leads_to_the_address_asked_where_no_public_one_is_set(client: Client, owner: User) -> None:
    ask(client, owner.email)
    assert link_of_mail().startswith("http://testserver/accounts/")


def test_reset_ends_every_session_and_no_token(client: Client, owner: User) -> None:
    key = token_create(owner, name="export").key
    elsewhere = Client()
    elsewhere.force_login(owner)
    ask(client, owner.email)
    choose(client, link_of_mail())
    assert elsewhere.get("/integrations/").status_code == 302
    assert client.get("/api/v1/flows/", headers={"Authorization": f"Token {key}"}).status_code == 200


def test_change_ends_the_other_sessions_and_keeps_this_one(client: Client, owner: User) -> None:
    elsewhere = Client()
    for one in (client, elsewhere):
        one.force_login(owner)
    answer = client.post(CHANGE, {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW})
    assert answer["Location"] == "/accounts/"
    assert client.get("/accounts/").status_code == 200
    assert elsewhere.get("/accounts/").status_code == 302
    assert signs_in(NEW)


@pytest.mark.parametrize(
    ("old", "first", "second", "sentence"),
    [
        ("wrong", NEW, NEW, "current password"),
        (PASSWORD, NEW, "something else here", "same password each time"),
        (PASSWORD, "12345678", "12345678", "at least 12 characters"),
    ],
)
def test_change_is_refused_with_a_reason(
    client: Client, owner: User, old: str, first: str, second: str, sentence: str
) -> None:
    client.force_login(owner)
    page = client.post(CHANGE, {"oldpassword": old, "password1": first, "password2": second})
    assert sentence in page.content.decode()
    assert signs_in(PASSWORD)


def test_change_needs_a_sign_in(client: Client, db: None) -> None:
    assert client.get(CHANGE)["Location"] == f"/accounts/login/?next={CHANGE}"


def test_sixth_change_in_a_minute_is_held_up(client: Client, owner: User) -> None:
    client.force_login(owner)
    wrong = {"oldpassword": "wrong", "password1": NEW, "password2": NEW}
    assert [client.post(CHANGE, wrong).status_code for _ in range(6)] == [200] * 5 + [429]
