"""Each way to misconfigure `PSA` has a number and a hint; a good setting has neither."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.checks import registry

from psa.checks import check_psa_settings

GOOD = {"ENCRYPTION_KEYS": ["dGVzdHMtb25seS10ZXN0cy1vbmx5LXRlc3RzLW9ubHk="]}


def found(settings: Any, **changes: Any) -> list[str]:
    settings.PSA = {**GOOD, **changes}
    return [message.id for message in check_psa_settings(None)]


def test_good_settings_pass(settings: Any) -> None:
    assert found(settings) == []


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"NOT_A_KEY": 1}, "psa.E001"),
        ({"ENCRYPTION_KEYS": []}, "psa.E002"),
        ({"ENCRYPTION_KEYS": ["short"]}, "psa.E002"),
        ({"PROVIDERS": {"x": "psa.nowhere.Provider"}}, "psa.E003"),
        ({"PROVIDERS": {"x": "psa.types.Ticket"}}, "psa.E003"),
        ({"PROVIDERS": {"x": "psa.providers.dummy.provider.DummyProvider"}}, "psa.E003"),
        ({"SCOPE": "psa.nowhere.scope"}, "psa.E004"),
        ({"PEOPLE": "psa.nowhere.people"}, "psa.E009"),
        ({"PAST_WORK": "psa.nowhere.past_work"}, "psa.E010"),
        ({"LEASE_S": 35.0}, "psa.E005"),
        ({"UNMAPPED_AUTHOR": "nobody"}, "psa.E006"),
        ({"IDEMPOTENCY_KEEP": None}, "psa.E007"),
        ({"ATTEMPTS_KEEP": 90}, "psa.E007"),
        ({"RECEIPTS_KEEP": timedelta(0)}, "psa.E007"),
        ({"DELIVERIES_KEEP": timedelta(days=-1)}, "psa.E007"),
        ({"DELIVERIES_KEEP": timedelta(days=89)}, "psa.W001"),
        ({"DELIVERIES_KEEP": timedelta(days=99), "ATTEMPTS_KEEP": None}, "psa.W001"),
        ({"ENGINE": "Celery"}, "psa.E008"),
    ],
)
def test_mistake_has_its_number(settings: Any, changes: dict[str, Any], number: str) -> None:
    assert found(settings, **changes) == [number]


@pytest.mark.parametrize(
    "changes",
    [
        {"ATTEMPTS_KEEP": None, "RECEIPTS_KEEP": None, "DELIVERIES_KEEP": None},
        {"DELIVERIES_KEEP": timedelta(days=90)},
    ],
)
def test_keeping_for_ever_and_long_enough_pass(settings: Any, changes: dict[str, Any]) -> None:
    assert found(settings, **changes) == []


def test_each_bad_time_is_named(settings: Any) -> None:
    settings.PSA = {**GOOD, "ATTEMPTS_KEEP": 90, "DELIVERIES_KEEP": timedelta(0)}
    messages = check_psa_settings(None)
    assert [message.id for message in messages] == ["psa.E007", "psa.E007"]
    assert ["ATTEMPTS_KEEP" in messages[0].msg, "DELIVERIES_KEEP" in messages[1].msg] == [True, True]
    assert all(message.hint for message in messages)


def test_several_mistakes_are_told_at_once(settings: Any) -> None:
    assert found(settings, ENCRYPTION_KEYS=[], LEASE_S=1.0) == ["psa.E002", "psa.E005"]


def test_message_shows_no_key(settings: Any) -> None:
    settings.PSA = {"ENCRYPTION_KEYS": ["hidden-key"]}
    (message,) = check_psa_settings(None)
    assert "hidden-key" not in f"{message.msg} {message.hint}"


def test_checks_are_registered() -> None:
    assert check_psa_settings in registry.registry.get_checks()
