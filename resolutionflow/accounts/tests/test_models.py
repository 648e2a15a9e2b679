"""Tests of people: names, time zones, roles."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from resolutionflow.accounts.models import Account, Membership, Role, User, validate_time_zone
from resolutionflow.accounts.services import membership_set, user_create


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/New_York"])
def test_iana_zones_are_accepted(name: str) -> None:
    validate_time_zone(name)


@pytest.mark.parametrize("name", ["", "Berlin", "../etc/passwd", "Mars/Olympus"])
def test_other_zones_are_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="no time zone"):
        validate_time_zone(name)


def test_name_shown_is_the_full_name(member: User) -> None:
    assert member.display_name == "Mia Stone"


def test_name_shown_falls_back_to_the_user_name(owner: User) -> None:
    assert owner.display_name == "olga"


def test_user_works_in_one_account_only(member: User, other_account: Account) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Membership.objects.create(user=member, account=other_account, role=Role.LEAD)


def test_unknown_role_is_refused_by_the_database(member: User) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Membership.objects.filter(user=member).update(role="owner")


def test_only_admins_may_open_django_admin(owner: User, member: User) -> None:
    assert (owner.is_staff, member.is_staff) == (True, False)


def test_demoted_admin_may_not_open_django_admin(owner: User, account: Account) -> None:
    membership_set(owner, account, Role.ENGINEER)
    assert User.objects.get(pk=owner.pk).is_staff is False


def test_superuser_stays_staff_in_any_role(account: Account) -> None:
    root = User.objects.create_superuser("root", "", "x")
    membership_set(root, account, Role.ENGINEER)
    assert User.objects.get(pk=root.pk).is_staff is True


def test_failed_user_create_leaves_no_half_user(member: User, account: Account) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        user_create(account, username=member.username, password="x")
    assert User.objects.filter(username=member.username).count() == 1
