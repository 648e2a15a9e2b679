"""The page an invitation leads to: a password is chosen once, and a link that is not good tells nothing."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from django.test import Client

from psa.types import Actor
from resolutionflow.accounts.invitations import invitation_send
from resolutionflow.accounts.models import Account, User
from resolutionflow.accounts.services import user_create

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"


@pytest.fixture
def invited(account: Account) -> User:
    user = user_create(account, username="nina", password=PASSWORD, first_name="Nina", last_name="New")
    user.email = "nina@example.com"
    user.set_unusable_password()
    user.save()
    return user


@pytest.fixture
def link(invited: User) -> str:
    made = invitation_send(invited, actor=Actor(None, "Olga"), base_url="http://testserver")
    return urlsplit(made.link).path


def test_an_invited_person_chooses_a_password_and_signs_in(client: Client, link: str, invited: User) -> None:
    page = client.get(link)
    assert page.status_code == 200
    assert "nina" in page.content.decode()
    answer = client.post(link, {"new_password1": PASSWORD, "new_password2": PASSWORD})
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/login/")
    invited.refresh_from_db()
    assert invited.check_password(PASSWORD)
    assert client.post("/accounts/login/", {"login": "nina", "password": PASSWORD}).status_code == 302


def test_a_link_is_good_once(client: Client, link: str) -> None:
    client.post(link, {"new_password1": PASSWORD, "new_password2": PASSWORD})
    assert client.get(link).status_code == 404
    again = client.post(
        link, {"new_password1": "another horse battery", "new_password2": "another horse battery"}
    )
    assert again.status_code == 404


@pytest.mark.parametrize("end", ["x", "%00", "A" * 300])
def test_a_wrong_link_tells_nothing(client: Client, link: str, end: str) -> None:
    answer = client.get(f"{link.rstrip('/')}{end}/")
    assert answer.status_code == 404
    assert "nina" not in answer.content.decode()


def test_a_weak_password_is_refused_with_a_reason(client: Client, link: str, invited: User) -> None:
    page = client.post(link, {"new_password1": "12345678", "new_password2": "12345678"}).content.decode()
    assert "at least 12 characters" in page
    invited.refresh_from_db()
    assert not invited.has_usable_password()
