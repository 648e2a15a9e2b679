"""Owns the reads about status rules: what is set, what is doubtful, where a rule is missing.

Not called `status_rule`: the function of that name in `selectors.delivery` would be hidden by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from django.db.models.query import QuerySet

from psa.conf import psa_settings
from psa.models import StatusRule
from psa.selectors.connection import boards, connection_get
from psa.types import Board, Status, Tenant


class RuleWarning(StrEnum):
    """What a person should know of a rule, or of a status before they choose it."""

    NOT_VALID = "not-valid"
    """The status left the board or was switched off: the rule sets nothing until another one is chosen."""
    NO_TIME_ENTRIES = "no-time-entries"
    """The status takes no time entries."""
    MAILS_CUSTOMER = "mails-customer"
    """The status has a mail template: setting it can mail the customer."""
    NOT_CLOSED = "not-closed"
    """The status leaves the ticket open, although the work is done."""


def outcomes() -> Mapping[str, bool]:
    """Return the words a rule may be about, and whether a ticket should be closed then."""
    return psa_settings().OUTCOMES


def status_rules(tenant: Tenant, connection_id: int) -> QuerySet[StatusRule]:
    """Return the rules of a connection, by board and outcome."""
    rows = StatusRule.objects.filter(connection=connection_get(tenant, connection_id))
    return rows.order_by("board_name", "board_id", "outcome")


def rule_warnings(rule: StatusRule) -> list[RuleWarning]:
    """Return what is doubtful about a rule, as its status was last read."""
    if not rule.valid:
        return [RuleWarning.NOT_VALID]
    return _warnings(
        rule.outcome,
        no_time_entries=rule.no_time_entries,
        mails_customer=rule.mails_customer,
        closes=rule.closes,
    )


def status_warnings(status: Status, outcome: str) -> list[RuleWarning]:
    """Return what would be doubtful about a rule that sets a status at an outcome."""
    if not status.active:
        return [RuleWarning.NOT_VALID]
    return _warnings(
        outcome,
        no_time_entries=not status.time_entry_allowed,
        mails_customer=status.mails_customer,
        closes=status.closed,
    )


def boards_without_rule(tenant: Tenant, connection_id: int) -> list[Board]:
    """Return the active boards on which no outcome sets a status.

    Raises: MissingError; ConflictError `connection-disabled`; ProviderError.
    """
    found = boards(tenant, connection_id)
    ruled = set(status_rules(tenant, connection_id).values_list("board_id", flat=True))
    return [board for board in found if board.id not in ruled]


def _warnings(
    outcome: str, *, no_time_entries: bool, mails_customer: bool, closes: bool | None
) -> list[RuleWarning]:
    found = []
    if no_time_entries:
        found.append(RuleWarning.NO_TIME_ENTRIES)
    if mails_customer:
        found.append(RuleWarning.MAILS_CUSTOMER)
    if closes is False and outcomes().get(outcome, False):
        found.append(RuleWarning.NOT_CLOSED)
    return found
