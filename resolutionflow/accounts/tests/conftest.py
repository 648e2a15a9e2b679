"""Owns the people of the account tests: an owner, a member and an outsider."""

from __future__ import annotations

import pytest

from resolutionflow.accounts.models import Account, Role, User
from resolutionflow.accounts.services import user_create

PASSWORD = "correct horse battery"


@pytest.fixture
def account(db: None) -> Account:
    return Account.objects.create(name="Northwind IT", slug="northwind")


@pytest.fixture
def other_account(db: None) -> Account:
    return Account.objects.create(name="Fabrikam", slug="fabrikam")


@pytest.fixture
def owner(account: Account) -> User:
    return user_create(
        account, username="olga", password=PASSWORD, role=Role.ADMIN, email="olga@northwind.example"
    )


@pytest.fixture
def member(account: Account) -> User:
    return user_create(account, username="mia", password=PASSWORD, first_name="Mia", last_name="Stone")


@pytest.fixture
def outsider(other_account: Account) -> User:
    return user_create(other_account, username="otto", password=PASSWORD, role=Role.ADMIN)
