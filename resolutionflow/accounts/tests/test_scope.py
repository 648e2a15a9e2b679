"""Tests of who may do what."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from resolutionflow.accounts.models import Account, Role, User
from resolutionflow.accounts.scope import scope
from resolutionflow.accounts.services import user_create


def ask(user: object) -> object:
    request = HttpRequest()
    request.user = user
    return scope(request)


@pytest.mark.parametrize(
    ("role", "rights"),
    [
        (Role.ADMIN, (True, True, True)),
        (Role.LEAD, (False, True, True)),
        (Role.ENGINEER, (False, False, True)),
    ],
)
def test_role_decides_the_rights(account: Account, role: Role, rights: tuple[bool, bool, bool]) -> None:
    found = ask(user_create(account, username="x", password="x", role=role))
    assert (found.can_manage, found.can_lead, found.can_post) == rights


def test_tenant_is_the_account_of_the_membership(member: User, account: Account) -> None:
    assert ask(member).tenant == account


def test_actor_carries_id_and_shown_name(member: User) -> None:
    actor = ask(member).actor
    assert (actor.user_id, actor.name) == (member.pk, "Mia Stone")


def test_nobody_has_no_scope() -> None:
    assert ask(AnonymousUser()) is None


def test_user_without_membership_has_no_scope(db: None) -> None:
    assert ask(User.objects.create_user("lone")) is None


def test_switched_off_user_has_no_scope(member: User) -> None:
    member.is_active = False
    assert ask(member) is None
