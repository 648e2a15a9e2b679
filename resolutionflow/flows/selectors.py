"""Owns reads of flows. The account always comes first."""

from __future__ import annotations

from django.db.models import QuerySet

from psa.exceptions import MissingError
from resolutionflow.accounts.models import Account
from resolutionflow.flows.models import Flow


def flows(account: Account) -> QuerySet[Flow]:
    """Return the account's flows with their steps, by title. Costs two queries, however many there are."""
    return Flow.objects.filter(account=account).prefetch_related("steps")


def flow_get(account: Account, flow_id: int) -> Flow:
    """Return one flow of the account.

    Raises: MissingError, also for a flow of another account.
    """
    found = flows(account).filter(pk=flow_id).first()
    if found is None:
        raise MissingError("There is no such flow.")
    return found
