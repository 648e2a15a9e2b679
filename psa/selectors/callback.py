"""Owns the reads about callbacks."""

from __future__ import annotations

from django.db.models import QuerySet

from psa.conf import psa_settings
from psa.exceptions import MissingError
from psa.models import CallbackSubscription
from psa.models.callback import SubscriptionState
from psa.providers.registry import UnknownProviderError, provider_class
from psa.selectors.connection import connection_get
from psa.types import Tenant


def callbacks(tenant: Tenant, connection_id: int) -> QuerySet[CallbackSubscription]:
    """Return the callbacks of a connection that are wanted."""
    connection = connection_get(tenant, connection_id)
    return CallbackSubscription.objects.filter(connection=connection).exclude(state=SubscriptionState.REMOVED)


def callback_get(tenant: Tenant, connection_id: int, callback_id: int) -> CallbackSubscription:
    """Return one callback. Raises: MissingError."""
    found = callbacks(tenant, connection_id).filter(pk=callback_id).first()
    if found is None:
        raise MissingError("There is no such callback.")
    return found


def callback_levels(tenant: Tenant, connection_id: int) -> dict[str, tuple[str, ...]]:
    """Return what can be asked for: kind of record → levels; nothing where the PSA has no callbacks."""
    connection = connection_get(tenant, connection_id)
    try:
        return dict(provider_class(connection.provider, psa_settings().PROVIDERS).callback_levels)
    except UnknownProviderError:
        return {}
