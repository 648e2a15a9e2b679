"""Owns the tables of `psa`, one file a migration. Hosts name them as strings (`"psa.TicketLink"`)."""

from psa.models.attempt_total import AttemptCursor, AttemptTotal
from psa.models.callback import CallbackSubscription, WebhookReceipt
from psa.models.connection import AuditEntry, Connection
from psa.models.delivery import Delivery, DeliveryAttempt, WorkUnit
from psa.models.file_block import FileBlock
from psa.models.idempotency import IdempotencyRecord
from psa.models.member_mapping import MemberMapping
from psa.models.member_review import MemberReview
from psa.models.periodic_job import PeriodicJob
from psa.models.status_rule import StatusRule
from psa.models.ticket_link import TicketLink
from psa.models.ticket_sighting import TicketSighting

__all__ = [
    "AttemptCursor",
    "AttemptTotal",
    "AuditEntry",
    "CallbackSubscription",
    "Connection",
    "Delivery",
    "DeliveryAttempt",
    "FileBlock",
    "IdempotencyRecord",
    "MemberMapping",
    "MemberReview",
    "PeriodicJob",
    "StatusRule",
    "TicketLink",
    "TicketSighting",
    "WebhookReceipt",
    "WorkUnit",
]
