"""Owns what every provider must do about changes and callbacks. A provider's tests subclass it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from psa.exceptions import NotFoundError, RejectedError, WebhookRefusedError
from psa.providers.tests.contract import World
from psa.types import CallbackDraft, Capability, RecordType

URL = "https://psa.example.com/psa/webhooks/5f0c/"


def draft(world: World, **changes: str) -> CallbackDraft:
    return CallbackDraft(**{"url": URL, "type": "ticket", "level": "owner", **changes})


class CallbackContract:
    """Subclass it, and provide the fixture `world` of `ProviderContract`."""

    def test_a_callback_is_registered_switched_and_removed(self, world: World) -> None:
        provider = world.provider
        assert provider.supports(Capability.CALLBACKS)
        assert "owner" in provider.callback_levels["ticket"]
        made = provider.callback_register(draft(world))
        assert made.url == provider.callback_url_of(URL)
        assert (made.type, made.level, made.object_id, made.active) == ("ticket", "owner", "", True)
        assert provider.callbacks_list() == [made]
        with pytest.raises(RejectedError):
            provider.callback_register(draft(world))
        assert not provider.callback_activate(made.id, active=False).active
        assert provider.callback_activate(made.id, active=True).active
        board = provider.callback_register(draft(world, level="board", object_id="1"))
        assert (board.level, board.object_id) == ("board", "1")
        provider.callback_remove(made.id)
        provider.callback_remove(made.id)
        assert [one.id for one in provider.callbacks_list()] == [board.id]
        with pytest.raises(NotFoundError):
            provider.callback_activate("99999", active=True)

    @pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"not json", b"{" * 100_000, b"\xff\xfe"])
    def test_what_is_no_message_is_refused(self, world: World, body: bytes) -> None:
        with pytest.raises(WebhookRefusedError):
            world.provider.webhook_read(body, "c2lnbmF0dXJl")

    def test_tickets_of_both_kinds_are_read_by_their_ids(self, world: World) -> None:
        ids = [*world.tickets.values(), "99999999", "nonsense"]
        found = {ticket.id: ticket.record_type for ticket in world.provider.tickets_get(ids)}
        assert found == {number: place for place, number in world.tickets.items()}
        assert world.provider.tickets_get([]) == []

    def test_changed_tickets_come_oldest_change_first(self, world: World) -> None:
        ticket = world.ticket(RecordType.SERVICE)
        assert ticket.updated_at
        found = world.provider.tickets_changed_since(ticket.updated_at)
        assert ticket.id in [one.id for one in found]
        moments = [one.updated_at for one in found if one.updated_at]
        assert moments == sorted(moments)
        assert moments[0] >= ticket.updated_at
        assert world.provider.tickets_changed_since(moments[-1] + timedelta(days=400)) == []
