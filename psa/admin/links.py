"""Owns the admin pages of linked tickets and of the units of work on them."""

from __future__ import annotations

from django.contrib import admin

from psa.admin.base import OwnConnectionFilter, ScopedAdmin, ScopedInline
from psa.models import Delivery, TicketLink, TicketSighting, WorkUnit


@admin.register(TicketLink)
class TicketLinkAdmin(ScopedAdmin):
    """Linked tickets, each the lane of its deliveries."""

    list_display = ["ticket_id", "record_type", "summary", "company_name", "board_name", "connection"]
    list_filter = [("connection", OwnConnectionFilter), "record_type"]
    list_select_related = ["connection"]
    search_fields = ["ticket_id", "summary", "company_name"]
    fields = [
        "connection",
        "ticket_id",
        "record_type",
        "summary",
        "company_name",
        "board_name",
        "url",
        "ticket_created_at",
        "next_seq",
        "lease_expires_at",
        "created_at",
        "updated_at",
    ]


class UnitDeliveries(ScopedInline):
    """The deliveries of a unit, in order."""

    model = Delivery
    ordering = ["seq"]
    fields = ["kind", "seq", "part", "state", "held_by", "external_id", "delivered_at"]


@admin.register(WorkUnit)
class WorkUnitAdmin(ScopedAdmin):
    """Units of work: what a person posted at once."""

    list_display = ["id", "link", "origin", "state", "created_by_name", "created_at"]
    list_filter = ["state"]
    list_select_related = ["link"]
    search_fields = ["origin", "link__ticket_id", "created_by_name"]
    fields = ["link", "origin", "state", "created_by_name", "created_at"]
    inlines = [UnitDeliveries]


@admin.register(TicketSighting)
class TicketSightingAdmin(ScopedAdmin):
    """Tickets the PSA told us about, and when they were read last."""

    list_display = ["ticket_id", "connection", "record_type", "changes", "changed_at", "read_at", "gone_at"]
    list_filter = [("connection", OwnConnectionFilter), "record_type"]
    list_select_related = ["connection"]
    search_fields = ["ticket_id"]
    fields = [
        "connection",
        "ticket_id",
        "record_type",
        "changes",
        "changed_at",
        "read_at",
        "updated_at",
        "gone_at",
        "seen",
    ]
