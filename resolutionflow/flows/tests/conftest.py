"""Owns the people of the flow tests: a member of one account and an outsider."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from resolutionflow.accounts.models import Account, User
from resolutionflow.accounts.services import user_create


@pytest.fixture
def account(db: None) -> Account:
    return Account.objects.create(name="Northwind IT", slug="northwind")


@pytest.fixture
def member(account: Account) -> User:
    return user_create(account, username="mia", password="x")


@pytest.fixture
def outsider(db: None) -> User:
    return user_create(
        Account.objects.create(name="Fabrikam", slug="fabrikam"), username="otto", password="x"
    )


@pytest.fixture
def api(member: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(member)
    return client


@pytest.fixture
def outsider_api(outsider: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(outsider)
    return client
