"""Owns the system checks of `psa`: misconfiguration is found at start, with a hint, under a number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from psa import crypto
from psa.conf import PsaSettings, keep_problems, psa_settings
from psa.providers.registry import UnknownProviderError, provider_class


@register("psa")
def check_psa_settings(app_configs: Sequence[Any] | None, **_kwargs: Any) -> list[CheckMessage]:
    """Return what is wrong with the `PSA` setting."""
    try:
        current = psa_settings()
    except ImproperlyConfigured as exc:
        return [Error(str(exc), hint="See psa/conf.py for every key.", id="psa.E001")]
    found: list[CheckMessage] = []
    try:
        crypto.newest_key_id()
    except ImproperlyConfigured as exc:
        found.append(Error(str(exc), hint="Newest key first.", id="psa.E002"))
    for key in current.PROVIDERS:
        try:
            provider_class(key, current.PROVIDERS)
        except (ImportError, TypeError, UnknownProviderError) as exc:
            found.append(
                Error(
                    f"PSA['PROVIDERS'][{key!r}] cannot be loaded: {exc}",
                    hint="Give the dotted path of a Provider class with that key.",
                    id="psa.E003",
                )
            )
    try:
        import_string(current.SCOPE)
    except ImportError as exc:
        found.append(
            Error(
                f"PSA['SCOPE'] cannot be loaded: {exc}",
                hint="Give the dotted path of scope(request) -> psa.types.Scope | None.",
                id="psa.E004",
            )
        )
    found += _path_errors(current)
    if current.LEASE_S <= current.CONNECT_TIMEOUT_S + current.CALL_DEADLINE_S:
        found.append(
            Error(
                "PSA['LEASE_S'] must be longer than CONNECT_TIMEOUT_S + CALL_DEADLINE_S, "
                "else a lane is taken over while its call is still running.",
                id="psa.E005",
            )
        )
    if current.UNMAPPED_AUTHOR not in ("api_member", "hold"):
        found.append(Error("PSA['UNMAPPED_AUTHOR'] must be 'api_member' or 'hold'.", id="psa.E006"))
    if current.ENGINE not in ("embedded", "celery"):
        found.append(
            Error(
                "PSA['ENGINE'] must be 'embedded' or 'celery'.",
                hint="'embedded' is manage.py psa_worker.",
                id="psa.E008",
            )
        )
    unusable = keep_problems(current)
    found += [
        Error(
            f"PSA[{name!r}] {problem}",
            hint="Give datetime.timedelta(days=90)"
            + ("." if name == "IDEMPOTENCY_KEEP" else ", or None to keep for ever."),
            id="psa.E007",
        )
        for name, problem in unusable
    ]
    whole = None if unusable else current.DELIVERIES_KEEP
    attempts = current.ATTEMPTS_KEEP
    if whole is not None and (attempts is None or attempts > whole):
        found.append(
            Warning(
                "PSA['ATTEMPTS_KEEP'] is longer than DELIVERIES_KEEP: attempts go with their delivery.",
                hint="Raise DELIVERIES_KEEP, or shorten ATTEMPTS_KEEP to what really is kept.",
                id="psa.W001",
            )
        )
    return found


OPTIONAL_PATHS = (
    ("PEOPLE", "psa.E009", "people(tenant) -> Iterable[psa.types.Person]"),
    (
        "PAST_WORK",
        "psa.E010",
        "past_work(tenant, connection_id, company_id, device_ids) -> Iterable[psa.types.PastWork]",
    ),
)
"""Keys that may name a function of the host: key, number of the error, what is expected."""


def _path_errors(current: PsaSettings) -> list[CheckMessage]:
    """Return an error for each optional dotted path that leads nowhere."""
    found: list[CheckMessage] = []
    for name, number, shape in OPTIONAL_PATHS:
        try:
            if path := getattr(current, name):
                import_string(path)
        except ImportError as exc:
            hint = f"Give the dotted path of {shape}, or leave it out."
            found.append(Error(f"PSA[{name!r}] cannot be loaded: {exc}", hint=hint, id=number))
    return found
