"""Owns what the admin does to connections: test, re-check, re-encrypt, replace keys, disable, enable."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import messages

from psa import selectors, services
from psa.admin.asked import Asked, Told
from psa.admin.base import problem_text
from psa.exceptions import InvalidInputError, PsaError
from psa.models import Connection
from psa.models.connection import ConnectionState
from psa.types import CredentialField, Scope

_KEY = "credentials."
"""Before the name of a credential in its form, as services name the fields they refuse."""
_TESTED_AT_MOST = 10
"""A test may take 15 seconds, and somebody waits for all of them."""


def features_text(features: Iterable[dict[str, Any]]) -> str:
    """Return features with what their permission lacks: `notes: denied (Service Desk: Notes); …`."""
    return "; ".join(
        f"{entry['feature']}: {entry['status']}" + (f" ({entry['grant']})" if entry.get("grant") else "")
        for entry in features
    )


def _is_on(connection: Connection) -> bool:
    return connection.state != ConnectionState.DISABLED


def _state_told(connection: Connection) -> Told:
    """Return how a connection fares, as its test found out."""
    well = connection.state == ConnectionState.CONNECTED and not connection.problem
    text = f"{connection.get_state_display()}."
    if connection.problem:
        text += f" {problem_text(connection)}"
    return messages.SUCCESS if well else messages.WARNING, text


def _test(scope: Scope, connection: Connection, _filled: dict[str, Any]) -> Told:
    return _state_told(services.connection_test(scope.tenant, connection.pk, actor=scope.actor))


def _recheck(scope: Scope, connection: Connection, _filled: dict[str, Any]) -> Told:
    found = services.connection_test(scope.tenant, connection.pk, actor=scope.actor)
    level, text = _state_told(found)
    if level != messages.SUCCESS:
        return level, f"The permissions could not be read, those shown are of an earlier test. {text}"
    short = [entry for entry in found.features if entry["status"] != "ok"]
    if not short:
        return messages.SUCCESS, "Every permission that is asked for is granted."
    return messages.WARNING, f"Not everything is granted. {features_text(short)}."


def _reencrypt(scope: Scope, connection: Connection, _filled: dict[str, Any]) -> Told:
    done = services.connection_reencrypt(scope.tenant, connection.pk, actor=scope.actor)
    moved = f"{done.rewritten} of its stored secrets are encrypted under the newest key now."
    if done.unreadable:
        text = (
            f"{done.unreadable} of its stored secrets cannot be decrypted and stay as they are. Enter the "
            "keys again with Replace keys, or ask the operator for the key they were encrypted with."
        )
        return messages.ERROR, f"{moved} {text}" if done.rewritten else text
    if done.rewritten:
        return messages.SUCCESS, moved
    return messages.INFO, "Everything is encrypted under the newest key already. Nothing was changed."


def _disable(scope: Scope, connection: Connection, _filled: dict[str, Any]) -> Told:
    services.connection_disable(scope.tenant, connection.pk, actor=scope.actor)
    if not _is_on(connection):
        return messages.INFO, "It was switched off already. Nothing was changed."
    return messages.SUCCESS, "Switched off. What is queued waits."


def _enable(scope: Scope, connection: Connection, filled: dict[str, Any]) -> Told:
    if _is_on(connection):
        return messages.INFO, "It is switched on already. Nothing was changed."
    services.connection_enable(scope.tenant, connection.pk, actor=scope.actor)
    try:
        level, text = _test(scope, connection, filled)
    except PsaError as exc:
        level, text = messages.WARNING, str(exc)
    return level, f"Switched on. {text}"


def _keys_replace(scope: Scope, connection: Connection, filled: dict[str, Any]) -> Told:
    if not filled:
        raise InvalidInputError(f"The provider {connection.provider} is no longer configured here.")
    given = {name.removeprefix(_KEY): value for name, value in filled.items() if value}
    if not given:
        sentence = "Enter what is to be replaced."
        raise InvalidInputError(sentence, fields={"": [sentence]})
    found = services.connection_update(scope.tenant, connection.pk, actor=scope.actor, credentials=given)
    if found.state in (ConnectionState.BROKEN, ConnectionState.DEGRADED):
        # The very keys that are stored were entered, so nothing was tested. They may work again by now.
        found = services.connection_test(scope.tenant, connection.pk, actor=scope.actor)
    level, text = _state_told(found)
    return level, f"The new keys are stored. {text}"


def _keys_form(connection: Connection) -> type[forms.Form]:
    """Return a form of a connection's credentials, always empty: what is stored is never shown."""
    fields: dict[str, Any] = {}
    for cls in selectors.provider_classes():
        if cls.key == connection.provider:
            for entry in cls.credential_schema:
                if entry.name != cls.account_field:
                    fields[f"{_KEY}{entry.name}"] = _key_field(entry)
    return type("KeysForm", (forms.Form,), fields)


def _key_field(entry: CredentialField) -> forms.CharField:
    attributes = {"autocomplete": "new-password" if entry.secret else "off", "class": "vTextField"}
    widget = forms.PasswordInput if entry.secret else forms.TextInput
    help_text = f"{entry.help} Blank keeps what is stored.".strip()
    return forms.CharField(
        label=entry.label, required=False, help_text=help_text, widget=widget(attrs=attributes)
    )


CONNECTION_ACTIONS = (
    Asked(
        name="test",
        label="Test connection",
        follows="The PSA is asked now whether it answers and takes the stored keys. Nothing is written to "
        "it. It may take 15 seconds for each connection.",
        run=_test,
        fits=_is_on,
        at_most=_TESTED_AT_MOST,
    ),
    Asked(
        name="recheck",
        label="Re-check permissions",
        follows="The PSA is asked now what the security role of the API member allows. What waits for a "
        "permission that is granted by now goes out. It may take 15 seconds for each connection.",
        run=_recheck,
        fits=_is_on,
        at_most=_TESTED_AT_MOST,
    ),
    Asked(
        name="reencrypt",
        label="Re-encrypt",
        follows="The stored keys, and those its members gave, are encrypted under the newest encryption key. "
        "The keys themselves stay as they are.",
        run=_reencrypt,
    ),
    Asked(
        name="keys",
        label="Replace keys",
        follows="What you enter takes the place of what is stored, if the PSA accepts it. It is never shown.",
        run=_keys_replace,
        form=_keys_form,
        on_list=False,
    ),
    Asked(
        name="disable",
        label="Disable",
        follows="Nothing is read from the PSA or sent to it until somebody enables the connection again. "
        "What is queued waits and is not lost; new posts are refused.",
        run=_disable,
        fits=_is_on,
    ),
    Asked(
        name="enable",
        label="Enable",
        follows="The connection is tested at once, and what is queued goes out.",
        run=_enable,
        fits=lambda connection: not _is_on(connection),
        at_most=_TESTED_AT_MOST,
    ),
)
