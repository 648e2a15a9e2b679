"""Owns the answer to "who works here": `PSA["PEOPLE"]` names `people`."""

from __future__ import annotations

from collections.abc import Iterator

from psa.types import Person
from resolutionflow.accounts.models import Account, User


def people(tenant: Account) -> Iterator[Person]:
    """Return everybody who works in an account, by name, those who are switched off included."""
    users = User.objects.filter(membership__account=tenant).order_by("first_name", "last_name", "username")
    for user in users.only("username", "first_name", "last_name", "email", "is_active"):
        yield Person(user.pk, user.display_name, user.email, user.is_active)
