"""Owns comparing the callbacks we want with those that are registered; nobody else's are ever touched."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.urls import NoReverseMatch, reverse

from psa.conf import psa_settings
from psa.exceptions import OutcomeUnknownError, PermissionDeniedError, ProviderError, RejectedError
from psa.models import CallbackSubscription, Connection
from psa.models.callback import SubscriptionState
from psa.models.connection import ConnectionState
from psa.providers.base import Provider
from psa.types import Callback, CallbackDraft

log = logging.getLogger("psa.webhooks")

CHECK_EVERY = timedelta(minutes=15)
CHECK_AGAIN = timedelta(minutes=1)
"""The same after something went wrong."""


@dataclass
class Compared:
    """What became of one callback."""

    subscription: CallbackSubscription
    values: dict[str, Any] = field(default_factory=dict)
    healed: bool = False
    """True when it had been switched off and was switched on again."""


def wanted_url(subscription: CallbackSubscription) -> str:
    """Return our own address of a callback, without what a PSA appends; empty without a public URL."""
    base = psa_settings().BASE_URL.rstrip("/")
    try:
        path = reverse("psa_webhooks:receive", args=[subscription.secret_id])
    except NoReverseMatch:  # the host does not include psa.webhooks.urls
        return ""
    return base + path if base else ""


def compare(
    provider: Provider, connection: Connection, subscriptions: Sequence[CallbackSubscription]
) -> list[Compared]:
    """Make what is registered what we want, and return what to store of each. No database.

    Raises: ProviderError, when the PSA cannot be asked at all.
    """
    present = provider.callbacks_list()
    asleep = connection.state == ConnectionState.DISABLED or connection.deleted_at is not None
    return [_compare_one(provider, subscription, present, asleep) for subscription in subscriptions]


def _compare_one(
    provider: Provider, subscription: CallbackSubscription, present: Sequence[Callback], asleep: bool
) -> Compared:
    found = Compared(subscription)
    # Its address holds a secret nobody else has: that makes a registration ours beyond doubt.
    mine = [one for one in present if str(subscription.secret_id) in one.url]
    try:
        if subscription.state == SubscriptionState.REMOVED:
            for one in mine:
                provider.callback_remove(one.id)
            found.values = {"external_id": "", "problem": None}
            return found
        kept = _register(provider, subscription, mine)
        for one in mine:
            if one.id != kept.id:
                provider.callback_remove(one.id)
        if kept.active == asleep:
            provider.callback_activate(kept.id, active=not asleep)
            found.healed = not asleep
        found.values = {
            "external_id": kept.id,
            "url": kept.url[:500],
            "state": SubscriptionState.PAUSED if asleep else SubscriptionState.ACTIVE,
            "problem": None,
        }
    except ProviderError as exc:
        found.values = failed(exc)
    return found


def _register(provider: Provider, subscription: CallbackSubscription, mine: Sequence[Callback]) -> Callback:
    address = wanted_url(subscription)
    if not address:
        raise RejectedError("This installation has no public address, so nothing can call it.")
    draft = CallbackDraft(address, subscription.type, subscription.level, subscription.object_id)
    if subscription.level == "owner":
        draft = CallbackDraft(address, subscription.type, subscription.level)
    facts = (provider.callback_url_of(address), draft.type, draft.level, draft.object_id)
    for one in mine:
        if (one.url, one.type, one.level, one.object_id) == facts:
            return one
    return provider.callback_register(draft)


def failed(exc: ProviderError) -> dict[str, Any]:
    """Return what to store of a callback that could not be registered."""
    if isinstance(exc, PermissionDeniedError):
        remedy = f"Grant {exc.grant}." if exc.grant else "Look at the permissions of the API member."
        problem = {"code": "psa-permission", "text": exc.message, "remedy": remedy}
        return {"state": SubscriptionState.FAILED, "problem": problem}
    if exc.permanent:
        problem = {"code": "psa-refused", "text": exc.message, "remedy": "Remove it and add it again."}
        return {"state": SubscriptionState.FAILED, "problem": problem}
    text = exc.message
    if isinstance(exc, OutcomeUnknownError):
        text = "There was no clear answer; what is registered is looked at again."
    return {"problem": {"code": "unreachable", "text": text, "remedy": "Nothing to do: it is tried again."}}


def store(found: Sequence[Compared], now: datetime) -> None:
    """Write down what became of callbacks; one that was removed or changed meanwhile keeps its new wish."""
    for one in found:
        wrong = bool(one.values.get("problem"))
        following = now + (CHECK_AGAIN if wrong else CHECK_EVERY)
        rows = CallbackSubscription.objects.filter(pk=one.subscription.pk, state=one.subscription.state)
        rows.update(next_check_at=following, **one.values)
        if one.healed:
            log.warning("callback %s had been switched off and was switched on again", one.subscription.pk)
