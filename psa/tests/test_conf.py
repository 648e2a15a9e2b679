"""The `PSA` setting: defaults, kinds, and no key that nobody reads."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from psa.conf import PsaSettings, psa_settings


def test_defaults_without_a_setting(settings: Any) -> None:
    settings.PSA = {}  # forgets what an earlier test read; a deletion alone sends no signal
    del settings.PSA
    current = psa_settings()
    assert current == PsaSettings()
    assert current.ENCRYPTION_KEYS == ()
    assert current.SCOPE == "psa.scope.superuser_scope"
    assert list(current.PROVIDERS) == ["connectwise"]
    assert (current.CONNECT_TIMEOUT_S, current.CALL_DEADLINE_S, current.LEASE_S) == (5, 30, 45)
    assert current.RECONCILE_LOOKS_S == (2, 10)
    assert current.DELIVERY_MAX_AGE.days == 7
    assert (current.MAX_WRITES_IN_FLIGHT, current.WORKER_LANES) == (4, 8)
    assert (current.NOTE_MAX_CHARS, current.NOTE_MAX_PARTS) == (15_000, 8)


def test_default_lease_outlasts_a_call() -> None:
    current = PsaSettings()
    assert current.LEASE_S > current.CONNECT_TIMEOUT_S + current.CALL_DEADLINE_S


@pytest.mark.parametrize("entry", dataclasses.fields(PsaSettings), ids=lambda entry: entry.name)
def test_every_key_can_be_given(settings: Any, entry: dataclasses.Field[Any]) -> None:
    given = getattr(PsaSettings(), entry.name)
    settings.PSA = {entry.name: given}
    assert getattr(psa_settings(), entry.name) == given


def test_unknown_key_is_an_error_that_names_it(settings: Any) -> None:
    settings.PSA = {"LEASE_SECONDS": 3, "BASE_URL": ""}
    with pytest.raises(ImproperlyConfigured, match=r"LEASE_SECONDS.*Known: .*LEASE_S"):
        psa_settings()


def test_lists_become_tuples(settings: Any) -> None:
    settings.PSA = {"ENCRYPTION_KEYS": ["a"], "TRUSTED_HOSTS": ["b"], "RECONCILE_LOOKS_S": [1.0]}
    current = psa_settings()
    assert (current.ENCRYPTION_KEYS, current.TRUSTED_HOSTS, current.RECONCILE_LOOKS_S) == (
        ("a",),
        ("b",),
        (1.0,),
    )


def test_settings_are_built_once_and_afresh_after_a_change(settings: Any) -> None:
    assert psa_settings() is psa_settings()
    settings.PSA = {"LEASE_S": 60.0}
    assert psa_settings().LEASE_S == 60.0


def test_repr_shows_no_secret() -> None:
    shown = repr(
        PsaSettings(ENCRYPTION_KEYS=("hidden-key",), DEFAULT_CREDENTIALS={"x": {"client_id": "hidden-id"}})
    )
    assert "hidden" not in shown
