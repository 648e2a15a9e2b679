"""Owns what people do about callbacks: ask for one, take it back, have a message judged again."""

from __future__ import annotations

import logging
from typing import Any

from django.db import IntegrityError, transaction

from psa.conf import psa_settings
from psa.database import database_now
from psa.exceptions import ConflictError, InvalidInputError, MissingError, ProviderError, PsaError
from psa.models import AuditEntry, CallbackSubscription, Connection, WebhookReceipt
from psa.models.callback import SubscriptionState
from psa.models.connection import ConnectionState
from psa.provider_pool import provider_for
from psa.providers.registry import provider_class
from psa.types import Actor, Capability, Tenant
from psa.webhooks import receipts, subscriptions

log = logging.getLogger("psa.webhooks")

AT_ONCE_S = 10.0
"""Longest a person waits for a callback to be registered or removed; a worker goes on after that."""
OBJECT_ID_MAX_CHARS = 40


def callback_add(
    tenant: Tenant,
    connection_id: int,
    *,
    actor: Actor,
    type: str = "ticket",
    level: str = "owner",
    object_id: str = "",
) -> CallbackSubscription:
    """Return a callback that is wanted from now on, registered at once where the PSA answers.

    Shape: level `owner` tells of all records, another one of those of object_id.
    Raises: MissingError; InvalidInputError; UnsupportedOperationError; ConflictError `callback-exists`,
        `base-url-missing`, `connection-disabled`.
    """
    connection = Connection.objects.one_of(tenant, connection_id)
    cls = provider_class(connection.provider, psa_settings().PROVIDERS)
    cls.require(Capability.CALLBACKS)
    if connection.state == ConnectionState.DISABLED:
        raise ConflictError("The connection is disabled.", code="connection-disabled")
    if not subscriptions.wanted_url(CallbackSubscription()):
        raise ConflictError(
            "This installation has no public address yet, so nothing could call it. Set PSA_BASE_URL.",
            code="base-url-missing",
        )
    object_id = _checked(cls.callback_levels, type, level, str(object_id).strip())
    try:
        with transaction.atomic():
            made = CallbackSubscription.objects.create(
                tenant_id=connection.tenant_id,
                connection=connection,
                type=type,
                level=level,
                object_id=object_id,
            )
            _audit(connection, actor, "callback.added", made)
    except IntegrityError as exc:
        raise ConflictError("This callback is there already.", code="callback-exists") from exc
    _compare_now(connection, made)
    return CallbackSubscription.objects.get(pk=made.pk)


def callback_remove(tenant: Tenant, connection_id: int, callback_id: int, *, actor: Actor) -> None:
    """Take a callback back; a PSA that does not answer is asked again until it is gone there, too.

    Raises: MissingError.
    """
    connection = Connection.objects.one_of(tenant, connection_id)
    with transaction.atomic():
        rows = CallbackSubscription.objects.filter(connection=connection, pk=callback_id).exclude(
            state=SubscriptionState.REMOVED
        )
        found = rows.first()
        if found is None or not rows.update(state=SubscriptionState.REMOVED, next_check_at=None):
            raise MissingError("There is no such callback.")
        _audit(connection, actor, "callback.removed", found)
    found.refresh_from_db()
    if found.external_id or found.url:
        _compare_now(connection, found)


def callbacks_forget(connection: Connection) -> int:
    """Take all callbacks of a connection back while its keys are still there; return how many stay behind."""
    wanted = CallbackSubscription.objects.filter(connection=connection).exclude(external_id="")
    wanted.update(state=SubscriptionState.REMOVED, next_check_at=None)
    CallbackSubscription.objects.filter(connection=connection).update(state=SubscriptionState.REMOVED)
    rows = list(wanted)
    if rows:
        _compare_now(connection, *rows)
    return wanted.all().count()


def callbacks_check_soon(connection_id: int) -> None:
    """Let a worker compare the callbacks of a connection with what is registered, as soon as it can."""
    CallbackSubscription.objects.filter(connection_id=connection_id).update(next_check_at=None)


def receipt_replay(tenant: Tenant, receipt_id: int, *, actor: Actor) -> WebhookReceipt:
    """Have a message judged again, and return it: what it says of a ticket counts once more.

    Raises: MissingError; ConflictError `not-judged`, when that cannot be told now.
    """
    found = (
        WebhookReceipt.objects.filter(subscription__tenant=tenant, pk=receipt_id)
        .select_related("subscription__connection")
        .first()
    )
    if found is None:
        raise MissingError("There is no such message.")
    try:
        replayed = receipts.receipt_replay(found, database_now())
    except ProviderError as exc:
        raise ConflictError(f"It cannot be judged now. {exc.message}", code="not-judged") from exc
    _audit(found.subscription.connection, actor, "callback.replayed", found.subscription, receipt=found.pk)
    return replayed


def _checked(levels: Any, type_: str, level: str, object_id: str) -> str:
    """Return the id of the record a level needs. Raises: InvalidInputError by field."""
    errors: dict[str, list[str]] = {}
    if type_ not in levels:
        errors["type"] = [f"Use {', '.join(levels)}."]
    elif level not in levels[type_]:
        errors["level"] = [f"Use {', '.join(levels[type_])}."]
    elif level != "owner" and not (
        object_id.isascii() and object_id.isdigit() and len(object_id) <= OBJECT_ID_MAX_CHARS
    ):
        errors["object_id"] = [f"Enter the id of a {level}."]
    if errors:
        raise InvalidInputError("Some values are wrong.", fields=errors)
    return "" if level == "owner" else object_id


def _compare_now(connection: Connection, *rows: CallbackSubscription) -> None:
    """Compare at once, in the caller's time; what goes wrong is left to a worker and stands in the rows."""
    try:
        provider = provider_for(connection)
        with provider.http.one_deadline(AT_ONCE_S):
            found = subscriptions.compare(provider, connection, rows)
    except ProviderError as exc:
        found = [subscriptions.Compared(row, subscriptions.failed(exc)) for row in rows]
    except PsaError as exc:
        log.warning("callbacks of connection %s are left to a worker: %s", connection.pk, exc)
        return
    subscriptions.store(found, database_now())


def _audit(
    connection: Connection, actor: Actor, verb: str, callback: CallbackSubscription, **facts: Any
) -> None:
    # Never the address: it holds the secret.
    about = {"type": callback.type, "level": callback.level, "object_id": callback.object_id}
    AuditEntry.objects.create(
        tenant_id=connection.tenant_id,
        connection=connection,
        actor_id=actor.user_id,
        actor_name=actor.name[:200],
        verb=verb,
        object_type="callback",
        object_id=str(callback.pk),
        facts={**about, **facts},
    )
