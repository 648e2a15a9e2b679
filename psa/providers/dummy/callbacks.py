"""Owns callbacks of the dummy PSA: kept in memory, signed with the API key."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime

from psa.exceptions import NotFoundError, RejectedError, WebhookRefusedError
from psa.providers.base import Provider
from psa.providers.dummy.server import DummyServer
from psa.types import Callback, CallbackDraft, Ticket, WebhookAction, WebhookEvent


class DummyCallbacks(Provider):
    """Registrations, messages, and tickets that changed."""

    server: DummyServer
    _reading: Callable[[str], AbstractContextManager[None]]
    _writing: Callable[[str], AbstractContextManager[None]]

    def tickets_get(self, ids: Sequence[str]) -> list[Ticket]:
        with self._reading("tickets_get"):
            return [ticket for (_, number), ticket in self.server.tickets.items() if number in set(ids)]

    def tickets_changed_since(self, moment: datetime, *, limit: int = 500) -> list[Ticket]:
        with self._reading("tickets_changed_since"):
            dated = [(ticket.updated_at, ticket) for ticket in self.server.tickets.values()]
            found = [(when, ticket) for when, ticket in dated if when is not None and when >= moment]
            return [ticket for _, ticket in sorted(found, key=lambda pair: pair[0])][:limit]

    def callbacks_list(self) -> list[Callback]:
        with self._reading("callbacks_list"):
            return list(self.server.callbacks.values())

    def callback_register(self, draft: CallbackDraft) -> Callback:
        with self._writing("callback_register"):
            facts = (draft.url, draft.type, draft.level, draft.object_id)
            if facts in [(c.url, c.type, c.level, c.object_id) for c in self.server.callbacks.values()]:
                sentence = "This callback is registered already."
                raise RejectedError(sentence, fields={"object_id": [sentence]})
            made = Callback(str(len(self.server.calls) + 100), *facts)
            self.server.callbacks[made.id] = made
            return made

    def callback_activate(self, callback_id: str, *, active: bool) -> Callback:
        with self._writing("callback_activate"):
            if callback_id not in self.server.callbacks:
                raise NotFoundError(f"There is no callback {callback_id[:40]}.", status=404)
            self.server.callbacks[callback_id] = replace(self.server.callbacks[callback_id], active=active)
            return self.server.callbacks[callback_id]

    def callback_remove(self, callback_id: str) -> None:
        with self._writing("callback_remove"):
            self.server.callbacks.pop(callback_id, None)

    def webhook_read(self, body: bytes, signature: str) -> WebhookEvent:
        key = str(self.config.credentials.get("api_key"))
        if not hmac.compare_digest(webhook_signature(key, body), signature):
            raise WebhookRefusedError("signature", "The signature does not fit the message.")
        try:
            said = json.loads(body)
            return WebhookEvent(WebhookAction(said["action"]), "ticket", str(said["id"]))
        except (ValueError, KeyError, TypeError) as exc:
            raise WebhookRefusedError("shape", "The message tells neither record nor action.") from exc


def webhook_signature(key: str, body: bytes) -> str:
    """Return the signature of a message."""
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
