"""Two admins who switch each other off at the same moment do not leave their account without one."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection as database

from psa.exceptions import ConflictError
from psa.types import Actor
from resolutionflow.accounts import services
from resolutionflow.accounts.models import Account, Role, User
from resolutionflow.accounts.services import user_create, user_deactivate


@pytest.mark.django_db(transaction=True)
def test_two_admins_switch_each_other_off(
    account: Account, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = user_create(account, username="second", password="x", role=Role.ADMIN)
    begun = threading.Barrier(2)
    colleague = services._colleague
    if database.vendor != "sqlite":  # there the second transaction does not begin before the first has ended

        def both_have_begun(*args: Any) -> User:
            found = colleague(*args)
            begun.wait(10)
            return found

        monkeypatch.setattr(services, "_colleague", both_have_begun)
    answers: list[str] = []

    def switch_off(target: User, by: User) -> None:
        try:
            user_deactivate(account, target.pk, actor=Actor(by.pk, by.username))
            answers.append("off")
        except ConflictError as exc:
            answers.append(exc.code)
        finally:
            database.close()

    threads = [threading.Thread(target=switch_off, args=pair) for pair in ((owner, second), (second, owner))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(answers) == ["last-admin", "off"]
    assert User.objects.filter(is_active=True, membership__role=Role.ADMIN).count() == 1
