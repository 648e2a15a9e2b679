"""Owns changes of connections: tested before they are stored, audited, never showing a secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet

from psa.conf import psa_settings
from psa.database import database_now
from psa.exceptions import (
    ConflictError,
    CredentialsUnreadableError,
    InvalidInputError,
    PsaError,
)
from psa.fields import Secret
from psa.models import AuditEntry, Connection, Delivery, TicketLink
from psa.models.connection import ConnectionState
from psa.models.delivery import OPEN_STATES, DeliveryState
from psa.outbox import health
from psa.outbox.lanes import unit_refresh
from psa.provider_pool import config_for, config_of, provider_build
from psa.providers.base import Provider
from psa.providers.registry import UnknownProviderError, provider_class
from psa.services.announce import connection_tell, deliveries_tell, listened_to
from psa.services.callbacks import callbacks_check_soon, callbacks_forget
from psa.services.move import require_same_company
from psa.types import Actor, Endpoint, ProbeResult, Tenant

_AFRESH: dict[str, Any] = {
    "problem": None,
    "auth_failed_at": None,
    "next_probe_at": None,
    "open_until": None,
    "failures": 0,
}
"""Columns of a connection about which nothing is known any more."""


def connection_create(
    tenant: Tenant,
    *,
    actor: Actor,
    provider: str,
    name: str,
    site: str,
    credentials: Mapping[str, object],
    verify: bool = True,
) -> Connection:
    """Return a new connection, probed first: what is refused is not stored.

    Shape: credentials as the provider's `credential_schema` says. verify=False stores it as `unverified`.
    Raises: InvalidInputError (`fields`); ConflictError `connection-exists`; ProviderError.
    """
    cls = _provider_class(provider)
    clean_name, clean_site, clean = _cleaned(cls, name, site, credentials)
    found = _probed(cls, clean_site, clean) if verify else None
    connection = Connection(
        tenant=tenant,
        provider=cls.key,
        name=clean_name,
        site=clean_site,
        company_id=clean.get(cls.account_field, ""),
        credentials=Secret(clean),
        created_by_id=actor.user_id,
        created_by_name=actor.name,
    )
    try:
        with transaction.atomic():
            connection.save()
            _audit(connection, actor, "connection.created", {"name": clean_name, "site": clean_site})
            if found:
                health.probed(connection, *found, database_now())
            else:
                connection_tell(connection.pk)
    except IntegrityError as exc:
        raise _exists(cls) from exc
    return Connection.objects.get(pk=connection.pk)


def connection_update(
    tenant: Tenant,
    connection_id: int,
    *,
    actor: Actor,
    name: str | None = None,
    site: str | None = None,
    credentials: Mapping[str, object] | None = None,
    verify: bool = True,
) -> Connection:
    """Return the changed connection; id, mappings and history stay.

    A blank value keeps the stored one, None removes it. Another site, or another value of an identity field,
    needs every secret again, so that no stored key is ever sent to a host it was not given for; so do stored
    credentials that cannot be decrypted any more.
    Raises: InvalidInputError `secrets-required` and others; ConflictError `other-company`,
        `connection-exists`; ProviderError; MissingError.
    """
    connection = Connection.objects.one_of(tenant, connection_id)
    cls = _provider_class(connection.provider)
    given = dict(credentials or {})
    stored = _stored(cls, connection)
    merged = {**stored, **{key: value for key, value in given.items() if value != ""}}
    only_name = site is None and not given
    clean_name, clean_site, clean = _cleaned(
        cls,
        connection.name if name is None else name,
        connection.site if site is None else site,
        # Another name needs no keys, not even readable ones.
        None if only_name else merged,
    )
    if only_name:
        clean = stored
    moved_site = clean_site != connection.site
    moved = moved_site or any(clean.get(key) != stored.get(key) for key in cls.identity_fields)
    if moved:
        _require_secrets(cls, given, stored)
    reconnect = moved or clean != stored
    found: tuple[Endpoint, ProbeResult] | None = None
    if reconnect and verify:
        found = _probed(cls, clean_site, clean)
    other_account = moved_site or clean.get(cls.account_field, "").lower() != connection.company_id.lower()
    if other_account and TicketLink.objects.filter(connection=connection).exists():
        require_same_company(connection, cls, clean_site, clean)
    before = {"name": connection.name, "site": connection.site, "company_id": connection.company_id}
    connection.name, connection.site = clean_name, clean_site
    connection.company_id = clean.get(cls.account_field, "")
    changed = ["name", "site", "company_id", "updated_at"]
    if reconnect:
        connection.credentials = Secret(clean)
        connection.endpoint = None
        changed += ["credentials", "endpoint"]
    try:
        with transaction.atomic():
            # The probe took seconds: whoever changed or deleted the connection meanwhile comes first.
            unchanged = Connection.objects.live().filter(
                pk=connection.pk, config_version=connection.config_version
            )
            if not unchanged.update(config_version=F("config_version") + 1):
                raise ConflictError(
                    "The connection was changed meanwhile. Look at it and try again.",
                    code="changed-meanwhile",
                )
            connection.config_version += 1
            connection.save(update_fields=changed)
            after = {"name": clean_name, "site": clean_site, "company_id": connection.company_id}
            facts = {"before": before, "after": after, "credentials_changed": clean != stored}
            _audit(connection, actor, "connection.changed", facts)
            if reconnect:
                Connection.objects.filter(pk=connection.pk).update(cache_epoch=F("cache_epoch") + 1)
                callbacks_check_soon(connection.pk)
            if found:
                health.probed(connection, *found, database_now())
            elif reconnect:
                enabled = Connection.objects.filter(pk=connection.pk).exclude(state=ConnectionState.DISABLED)
                if enabled.exclude(state=ConnectionState.UNVERIFIED).exists():
                    connection_tell(connection.pk)
                if enabled.update(state=ConnectionState.UNVERIFIED, **_AFRESH):
                    health.waited_add(connection, database_now())
    except IntegrityError as exc:
        raise _exists(cls) from exc
    return Connection.objects.get(pk=connection.pk)


def connection_test(tenant: Tenant, connection_id: int, *, actor: Actor) -> Connection:
    """Return the connection after a fresh discovery and probe, with state, features and problem.

    Raises: ConflictError `connection-disabled`; InvalidInputError (its provider is no longer configured);
        MissingError, also when it was deleted meanwhile.
    """
    connection = Connection.objects.one_of(tenant, connection_id)
    _provider_class(connection.provider)
    if connection.state == ConnectionState.DISABLED:
        raise ConflictError("The connection is disabled. Enable it to test it.", code="connection-disabled")
    now = database_now()
    try:
        config = config_of(connection, deadline_s=psa_settings().PROBE_DEADLINE_S)
        provider = provider_build(config, connection.provider, epoch=connection.config_version)
        try:
            found = provider.discover()
            result = provider.probe()
            endpoint = provider.endpoint or found
        finally:
            provider.close()
    except PsaError as exc:
        with transaction.atomic():
            health.probe_failed(connection, exc, now, asked=True)
            _audit(connection, actor, "connection.tested", {"result": type(exc).__name__})
    else:
        # In a transaction of its own: it holds the connection, and then releases lanes one by one.
        health.probed(connection, endpoint, result, now)
        _audit(connection, actor, "connection.tested", {"result": "ok"})
    return Connection.objects.one_of(tenant, connection_id)


def connection_disable(tenant: Tenant, connection_id: int, *, actor: Actor) -> Connection:
    """Return the connection switched off: what is queued waits, nothing new is sent."""
    return _switch(tenant, connection_id, actor, ConnectionState.DISABLED, "connection.disabled")


def connection_enable(tenant: Tenant, connection_id: int, *, actor: Actor) -> Connection:
    """Return the connection switched on; the next good answer makes it `connected`."""
    return _switch(tenant, connection_id, actor, ConnectionState.UNVERIFIED, "connection.enabled")


def connection_delete(tenant: Tenant, connection_id: int, *, actor: Actor, force: bool = False) -> None:
    """Wipe a connection's secrets, discard what is queued with a reason, and hide it. Its history stays.

    Raises: ConflictError `deliveries-in-flight`, unless force, while a delivery is in flight.
    """
    connection = Connection.objects.one_of(tenant, connection_id)
    if not force and _flying(connection).exists():
        raise _in_flight()
    # Before the keys are wiped: afterwards the PSA would call for days.
    left_behind = callbacks_forget(connection)
    now = database_now()
    with transaction.atomic():
        # Lock first: a worker that claims right now must see the connection gone, or we must see its claim.
        Connection.objects.filter(pk=connection.pk).update(state=ConnectionState.DISABLED, state_since=now)
        if not force and _flying(connection).exists():
            raise _in_flight()
        open_ones = Delivery.objects.filter(
            connection=connection, state__in=(*OPEN_STATES, DeliveryState.DEAD)
        )
        units = set(open_ones.values_list("unit_id", flat=True))
        told = listened_to(open_ones)
        reason = f"The connection {connection.name} was deleted by {actor.name}."
        count = open_ones.update(state=DeliveryState.DISCARDED, discard_reason=reason[:300])
        _refresh_units(units)
        Connection.objects.filter(pk=connection.pk).update(
            deleted_at=now, endpoint=None, next_probe_at=None, config_version=F("config_version") + 1
        )
        gone = Connection.objects.get(pk=connection.pk)
        gone.credentials = Secret({})
        gone.save(update_fields=["credentials"])
        facts = {"discarded": count, "forced": force, "callbacks_left_behind": left_behind}
        _audit(connection, actor, "connection.deleted", facts)
        deliveries_tell(told)
        connection_tell(connection.pk)


def _flying(connection: Connection) -> QuerySet[Delivery]:
    return Delivery.objects.filter(
        connection=connection, state__in=(DeliveryState.SENDING, DeliveryState.UNKNOWN)
    )


def _in_flight() -> ConflictError:
    return ConflictError(
        "A delivery of this connection is being sent or checked right now. Wait for it, or force.",
        code="deliveries-in-flight",
    )


def _refresh_units(units: set[int]) -> None:
    for unit_id in units:
        unit_refresh(unit_id)


def _switch(
    tenant: Tenant, connection_id: int, actor: Actor, state: ConnectionState, verb: str
) -> Connection:
    """Switch a connection off or on; what is so already stays as it is and leaves no entry in the audit."""
    connection = Connection.objects.one_of(tenant, connection_id)
    off = Q(state=ConnectionState.DISABLED)
    with transaction.atomic():
        now = database_now()
        rows = Connection.objects.live().filter(
            ~off if state == ConnectionState.DISABLED else off, pk=connection.pk
        )
        if rows.update(state=state, state_since=now, **_AFRESH):
            if state != ConnectionState.DISABLED:
                health.waited_add(connection, now)
            _audit(connection, actor, verb, {})
            # The PSA is told, too: it stops calling, or begins again.
            callbacks_check_soon(connection.pk)
            connection_tell(connection.pk)
    return Connection.objects.one_of(tenant, connection_id)


def _provider_class(key: str) -> type[Provider]:
    try:
        return provider_class(key, psa_settings().PROVIDERS)
    except UnknownProviderError as exc:
        raise InvalidInputError(str(exc), fields={"provider": [str(exc)]}) from exc


def _stored(cls: type[Provider], connection: Connection) -> dict[str, Any]:
    """Return the stored credentials, of unreadable ones only the account: it is no secret."""
    try:
        return dict(connection.credentials)
    except CredentialsUnreadableError:
        return {cls.account_field: connection.company_id} if cls.account_field else {}


def _cleaned(
    cls: type[Provider], name: str, site: str, credentials: Mapping[str, object] | None
) -> tuple[str, str, dict[str, str]]:
    """Return name, site and credentials as they are stored. credentials=None leaves those alone: it gives {}.

    Raises: InvalidInputError.
    """
    errors: dict[str, list[str]] = {}
    clean_name = " ".join(name.split())
    if not clean_name or len(clean_name) > 100:
        errors["name"] = ["Give a name of 1 to 100 characters."]
    clean_site = ""
    try:
        clean_site = cls.site_identity(cls.site_clean(site))
    except ValueError as exc:
        errors["site"] = [str(exc)]
    clean, refused = cls.credentials_clean(credentials) if credentials is not None else ({}, {})
    errors |= {f"credentials.{field}": sentences for field, sentences in refused.items()}
    if errors:
        raise InvalidInputError("Some fields need your attention.", fields=errors)
    return clean_name, clean_site, clean


def _require_secrets(cls: type[Provider], given: Mapping[str, object], stored: Mapping[str, object]) -> None:
    needed = [
        entry
        for entry in cls.credential_schema
        if entry.secret and (entry.required or stored.get(entry.name))
    ]
    missing = [entry for entry in needed if given.get(entry.name, "") == ""]
    if missing:
        raise InvalidInputError(
            "A change of the address, company or public key needs every secret again, "
            "so that no stored key is sent to a host it was not given for.",
            code="secrets-required",
            fields={f"credentials.{entry.name}": [f"Enter {entry.label} again."] for entry in missing},
        )


def _probed(cls: type[Provider], site: str, credentials: dict[str, str]) -> tuple[Endpoint, ProbeResult]:
    config = config_for(
        key="new",
        provider=cls.key,
        site=site,
        credentials=credentials,
        deadline_s=psa_settings().PROBE_DEADLINE_S,
    )
    provider = provider_build(config, cls.key)
    try:
        found = provider.discover()
        result = provider.probe()
        # The probe may have learned more, for example which API version the server speaks.
        return provider.endpoint or found, result
    finally:
        provider.close()


def _exists(cls: type[Provider]) -> ConflictError:
    return ConflictError(
        f"There is already a {cls.label} connection to this company and site.", code="connection-exists"
    )


def _audit(connection: Connection, actor: Actor, verb: str, facts: dict[str, Any]) -> None:
    AuditEntry.objects.create(
        tenant_id=connection.tenant_id,
        connection=connection,
        actor_id=actor.user_id,
        actor_name=actor.name,
        verb=verb,
        object_type="connection",
        object_id=str(connection.pk),
        facts=facts,
    )
