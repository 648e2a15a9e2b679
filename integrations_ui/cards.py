"""Owns what a connection says at a glance: state, problem, last check and last delivery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from integrations_ui.practice import is_test_system
from integrations_ui.providers import provider_labels
from integrations_ui.wording import FEATURES, STATE_HELP, state_words
from psa import selectors
from psa.types import Scope


@dataclass(frozen=True, slots=True)
class ConnectionCard:
    """One connection as lists and the head of its own pages show it."""

    connection: Any
    provider_label: str
    state: str
    tone: str
    state_help: str
    is_test: bool
    limits: tuple[str, ...]
    """Names of features that are denied or limited, essential ones first."""

    @property
    def problem(self) -> Mapping[str, str]:
        """What is wrong: {"code", "text", "remedy"}, empty when all is well."""
        return self.connection.problem or {}

    @property
    def needs_key(self) -> bool:
        """True when nothing but another API key helps."""
        return bool(self.connection.state == "broken")

    @property
    def is_on(self) -> bool:
        """True unless somebody has switched it off."""
        return bool(self.connection.state != "disabled")


def connection_cards(scope: Scope) -> list[ConnectionCard]:
    """Return the cards of a tenant's connections, in one query."""
    labels = provider_labels()
    return [card_of(connection, labels) for connection in selectors.connections(scope.tenant)]


def card_of(connection: Any, labels: Mapping[str, str] | None = None) -> ConnectionCard:
    """Return the card of one connection."""
    state, tone = state_words(connection.state, connection.problem)
    known = provider_labels() if labels is None else labels
    return ConnectionCard(
        connection=connection,
        # A provider that was taken out of the settings leaves its connections behind: then the key must do.
        provider_label=known.get(connection.provider, connection.provider),
        state=state,
        tone=tone,
        state_help=STATE_HELP[connection.state],
        is_test=is_test_system(connection.site),
        limits=_limits(connection.features),
    )


def _limits(features: list[dict[str, Any]]) -> tuple[str, ...]:
    short = [row["feature"] for row in features if row.get("status") in ("denied", "limited")]
    order = list(FEATURES)
    known = [name for name in short if name in FEATURES]
    return tuple(FEATURES[name].label for name in sorted(known, key=order.index))
