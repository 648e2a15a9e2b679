"""Owns the first-run checklist: what has to be set up before a session's documentation lands on a ticket.

A step is a row in `steps`; it is done once every connection that is on has what the step asks for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from integrations_ui.cards import ConnectionCard
from integrations_ui.wording import FEATURES
from psa import selectors
from psa.types import Scope


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the checklist."""

    title: str
    text: str
    done: bool
    url: str
    """Where it is done; empty while an earlier step has to come first."""
    action: str
    optional: bool = False
    attention: bool = False
    """True when it was begun and something is wrong with it."""

    @property
    def state(self) -> str:
        """The word beside the step."""
        if self.done:
            return "Done"
        if self.attention:
            return "Needs you"
        return "Optional" if self.optional else "To do"


@dataclass(frozen=True, slots=True)
class Checklist:
    """All steps, in the order in which they are done."""

    steps: tuple[Step, ...]

    @property
    def done_count(self) -> int:
        """Steps that are done."""
        return sum(step.done for step in self.steps)

    @property
    def complete(self) -> bool:
        """True once nothing that is needed is left."""
        return all(step.done or step.optional for step in self.steps)


def checklist(scope: Scope, cards: list[ConnectionCard], connect_url: str) -> Checklist:
    """Return the checklist of a tenant, in three queries however many connections it has."""
    used = [card.connection for card in cards if card.is_on]
    mapped = _having(scope, member_mappings__active=True)
    ruled = _having(scope, status_rules__valid=True)
    called = _having(scope, callbacks__state="active")
    denied = {row.pk for row in used if not _may_post(row)}
    sessions = reverse("integrations_ui:sessions")

    def step(title: str, text: str, page: str, action: str, lacking: set[int], **more: bool) -> Step:
        first = next((row.pk for row in used if row.pk in lacking), used[0].pk if used else None)
        url = reverse(f"integrations_ui:{page}", args=[first]) if first is not None else ""
        return Step(title, text, bool(used) and not lacking, url, action, **more)

    every = {row.pk for row in used}
    # Once a test has succeeded the step is done: an outage is no reason to set anything up again.
    unwell = {row.pk for row in used if row.state != "connected" and not row.features}
    looked_at = min(unwell or every, default=None)
    connect = Step(
        "Connect your PSA",
        "Address and API key, tested before they are saved.",
        bool(used) and not unwell,
        connect_url if looked_at is None else reverse("integrations_ui:connection", args=[looked_at]),
        "Connect" if looked_at is None else "Look",
        attention=bool(unwell),
    )
    tried = {row.pk for row in used if row.last_delivered_at}
    return Checklist(
        (
            connect,
            step(
                "Check permissions",
                "What the security role of the API member allows.",
                "permissions",
                "Look",
                denied,
                attention=any(row.features for row in used if row.pk in denied),
            ),
            step(
                "Match members",
                "So that notes carry the name of whoever wrote them.",
                "members",
                "Match",
                every - mapped,
            ),
            step(
                "Choose statuses",
                "Which status a ticket gets when a session ends, board by board.",
                "rules",
                "Choose",
                every - ruled,
            ),
            step(
                "Callbacks",
                "New and changed tickets arrive here by themselves.",
                "callbacks",
                "Look",
                every - called,
                optional=True,
            ),
            Step(
                "Post a test note",
                "Link a session to a ticket and post its documentation.",
                bool(used) and bool(tried),
                sessions if used else "",
                "Sessions",
            ),
        )
    )


def _having(scope: Scope, **condition: Any) -> set[int]:
    found = selectors.connections(scope.tenant).filter(**condition).order_by()
    return set(found.values_list("pk", flat=True).distinct())


def _may_post(connection: Any) -> bool:
    """True when a probe has found nothing essential denied or limited."""
    states = {row["feature"]: row.get("status") for row in connection.features}
    needed = [name for name, words in FEATURES.items() if words.essential]
    return bool(states) and all(states.get(name, "unknown") in ("ok", "unknown") for name in needed)
