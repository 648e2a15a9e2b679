"""What a collection does beyond storing: one Behaviour per table, found in BEHAVIOURS.

To add rules for a table, subclass Behaviour in a module named for it and enter it in BEHAVIOURS at the
end of routing.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from psa.providers.connectwise.reference import JsonObject, Operation
from psa.providers.connectwise.sandbox.state import Event, State
from psa.providers.connectwise.sandbox.store import Record
from psa.providers.connectwise.sandbox.validation import BodySchema, Context


@dataclass(slots=True)
class Call:
    """One authorised call on its way through a handler."""

    state: State
    operation: Operation
    params: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    actor: Record
    """The member whose keys are used."""
    sent: JsonObject = field(default_factory=dict)
    """Action members of the body (processNotifications, initialDescription, …); never stored."""

    @property
    def actor_name(self) -> str:
        return str(self.actor.data["identifier"])

    def publish(self, kind: str, action: str, record: Record) -> None:
        """Tell the callbacks, unless the body said skipCallback."""
        if not self.sent.get("skipCallback"):
            actor = self.actor.data
            self.state.publish(Event(kind, action, record.id, record.data, actor))


class Behaviour:
    """Default rules: none."""

    deferred: frozenset[str] = frozenset()
    """Reference fields that prepare and change resolve themselves."""
    actions: frozenset[str] = frozenset()
    """Members of the body that act once and are never stored."""
    callback: str | None = None
    """Callback type that fires on changes."""

    def visible(self, state: State, record: Record) -> bool:
        return True

    def prepare(
        self,
        call: Call,
        schema: BodySchema,
        data: JsonObject,
        parents: tuple[int, ...],
        context: Context,
    ) -> None:
        """Fill the defaults of a new record in place; refuse through context."""

    def change(
        self,
        call: Call,
        schema: BodySchema,
        old: Record,
        data: JsonObject,
        touched: set[str],
        context: Context,
    ) -> None:
        """Bring a changed record in order in place, before it is stored."""

    def created(self, call: Call, record: Record) -> None:
        """Follow-ups of a create, under the lock."""
        if self.callback:
            call.publish(self.callback, "added", record)

    def changed(self, call: Call, old: Record, new: Record) -> None:
        """Follow-ups of a change, under the lock."""
        if self.callback:
            call.publish(self.callback, "updated", new)

    def deleted(self, call: Call, record: Record) -> None:
        """Follow-ups of a delete, under the lock."""
        if self.callback:
            call.publish(self.callback, "deleted", record)

    def create_answer(self, call: Call, record: Record) -> JsonObject:
        """What the create itself answers; later reads may show less."""
        return record.data


class CallbackBehaviour(Behaviour):
    """No rules of its own, but changes fire callbacks of a type."""

    def __init__(self, callback: str) -> None:
        self.callback = callback
