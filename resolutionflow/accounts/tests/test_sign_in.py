"""Tests of signing in and out."""

from __future__ import annotations

import pytest
from django.test import Client

from resolutionflow.accounts.models import User
from resolutionflow.accounts.tests.conftest import PASSWORD

LOGIN = "/accounts/login/"


def test_signs_in_by_user_name(client: Client, member: User) -> None:
    answer = client.post(LOGIN, {"login": "mia", "password": PASSWORD})
    assert (answer.status_code, answer["Location"]) == (302, "/integrations/")


def test_signs_in_by_email(client: Client, owner: User) -> None:
    assert client.post(LOGIN, {"login": "olga@northwind.example", "password": PASSWORD}).status_code == 302


def test_wrong_password_is_told_without_saying_which(client: Client, member: User) -> None:
    known = client.post(LOGIN, {"login": "mia", "password": "wrong"}).content.decode()
    assert "not correct" in known


def test_sixth_wrong_password_is_held_up_even_when_right(client: Client, member: User) -> None:
    for _ in range(5):
        client.post(LOGIN, {"login": "mia", "password": "wrong"})
    answer = client.post(LOGIN, {"login": "mia", "password": PASSWORD})
    assert answer.status_code != 302


def test_sign_out_needs_a_post(client: Client, member: User) -> None:
    client.force_login(member)
    client.get("/accounts/logout/")
    assert client.get("/integrations/").status_code == 200


def test_sign_out_leads_to_the_sign_in_page(client: Client, member: User) -> None:
    client.force_login(member)
    assert client.post("/accounts/logout/")["Location"] == LOGIN


@pytest.mark.parametrize("path", ["/accounts/signup/", "/accounts/password/set/"])
def test_closed_doors_lead_to_the_sign_in_page(client: Client, db: None, path: str) -> None:
    assert client.get(path)["Location"] == LOGIN


def test_admin_uses_the_same_sign_in_page(client: Client, db: None) -> None:
    answer = client.get("/admin/login/", {"next": "/admin/"})
    assert answer["Location"].startswith(LOGIN)


def test_strange_redirect_after_sign_in_is_ignored(client: Client, member: User) -> None:
    answer = client.post(LOGIN, {"login": "mia", "password": PASSWORD, "next": "https://evil.example/"})
    assert answer["Location"] == "/integrations/"


def test_person_can_open_the_second_factor_page(client: Client, member: User) -> None:
    client.force_login(member)
    assert client.get("/accounts/2fa/").status_code == 200


def test_second_factor_is_started_after_the_password_was_asked_again(client: Client, member: User) -> None:
    client.force_login(member)
    answer = client.get("/accounts/2fa/totp/activate/")
    client.post(answer["Location"], {"password": PASSWORD})
    assert "data:image/svg" in client.get("/accounts/2fa/totp/activate/").content.decode()
