"""Owns the public door for writes; the tenant always comes first. Reads are in `psa.selectors`."""

from psa.services.callbacks import callback_add, callback_remove, receipt_replay
from psa.services.connections import (
    connection_create,
    connection_delete,
    connection_disable,
    connection_enable,
    connection_test,
    connection_update,
)
from psa.services.context import context_handed_out
from psa.services.corrections import double_remove, note_correct, note_hide, note_remove
from psa.services.deliveries import (
    delivery_discard,
    delivery_edit,
    delivery_retry,
    open_deliveries_discard,
    status_check,
    unit_enqueue,
    unit_preview,
)
from psa.services.hand_over import deliveries_hand_over
from psa.services.links import ticket_link
from psa.services.members import (
    Matched,
    member_mappings_close,
    member_mappings_set,
    member_news_clear,
    members_match,
)
from psa.services.note_moves import note_move
from psa.services.problems import problem_discard, problem_retry
from psa.services.reencryption import Reencrypted, connection_reencrypt
from psa.services.standing import Corrected
from psa.services.status_rules import StatusRuleDraft, status_rules_refresh, status_rules_set

__all__ = [
    "Corrected",
    "Matched",
    "Reencrypted",
    "StatusRuleDraft",
    "callback_add",
    "callback_remove",
    "connection_create",
    "connection_delete",
    "connection_disable",
    "connection_enable",
    "connection_reencrypt",
    "connection_test",
    "connection_update",
    "context_handed_out",
    "deliveries_hand_over",
    "delivery_discard",
    "delivery_edit",
    "delivery_retry",
    "double_remove",
    "member_mappings_close",
    "member_mappings_set",
    "member_news_clear",
    "members_match",
    "note_correct",
    "note_hide",
    "note_move",
    "note_remove",
    "open_deliveries_discard",
    "problem_discard",
    "problem_retry",
    "receipt_replay",
    "status_check",
    "status_rules_refresh",
    "status_rules_set",
    "ticket_link",
    "unit_enqueue",
    "unit_preview",
]
