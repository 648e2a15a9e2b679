"""Owns the reads of the audit: who did what through the connections of a tenant."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Exists, OuterRef, Q, Subquery, Value
from django.db.models.functions import Coalesce
from django.db.models.query import QuerySet

from psa.models import AuditEntry, TicketLink
from psa.types import Tenant


def audit_entries(
    tenant: Tenant,
    *,
    who: str = "",
    ticket_id: str = "",
    connection_id: int | None = None,
    company: str = "",
    verb: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
) -> QuerySet[AuditEntry]:
    """Return a tenant's audit entries, newest first, each with `company`: the ticket's company, or "".

    Shape: who is the id of a user or a part of a stored name; company a part of a name; verb a whole one
        (`note.hidden`) or what it begins with (`note.`); since is included, until is not.
    """
    links = TicketLink.objects.filter(
        connection_id=OuterRef("connection_id"), ticket_id=OuterRef("ticket_id")
    )
    named = Subquery(links.order_by("pk").values("company_name")[:1])
    found = AuditEntry.objects.filter(tenant=tenant).select_related("connection")
    found = found.annotate(company=Coalesce(named, Value("")))
    if who:
        by_name = Q(actor_name__icontains=who)
        is_id = who.isascii() and who.isdecimal() and len(who) < 19
        found = found.filter(by_name | Q(actor_id=int(who)) if is_id else by_name)
    if ticket_id:
        found = found.filter(ticket_id=ticket_id)
    if connection_id is not None:
        found = found.filter(connection_id=connection_id)
    if company:
        found = found.filter(Exists(links.filter(company_name__icontains=company)))
    if verb:
        found = found.filter(verb__startswith=verb) if verb.endswith(".") else found.filter(verb=verb)
    if since is not None:
        found = found.filter(created_at__gte=since)
    if until is not None:
        found = found.filter(created_at__lt=until)
    return found.order_by("-pk")
