"""Owns a tenant whose connections and deliveries tests put into any state, without a worker."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from psa.models import Connection, Delivery, TicketLink, WorkUnit
from psa.types import Actor, Scope
from resolutionflow.accounts.models import Account, Role, User
from resolutionflow.accounts.services import user_create

REFUSED = {"code": "psa-refused", "text": "The PSA refused this.", "remedy": "Change the text or discard it."}
GAVE_UP = {"code": "gave-up", "text": "Sent 8 times.", "remedy": "Look at the ticket."}
DENIED = {"code": "psa-permission", "text": "Not allowed.", "remedy": "Grant the API member Notes: Add All."}
DOUBLED = {"code": "duplicate", "text": "This note stands 2 times on the ticket.", "remedy": "Remove one."}
LEAKED = {"code": "shown-to-customer", "text": "The customer sees this note.", "remedy": "Hide it now."}
UNSETTLED = {"code": "correction-unknown", "text": "No clear answer.", "remedy": "Do the same again."}
KEPT = {"code": "not-removed", "text": "It stands on ticket 2 and here.", "remedy": "Remove it in the PSA."}
CLIENT_ID = {"code": "client-id-refused", "text": "The PSA refused the client ID.", "remedy": "Wait."}
SILENT = {"code": "unreachable", "text": "The PSA cannot be reached.", "remedy": "Nothing to do."}


class Desk:
    """One account with a lead and two engineers."""

    def __init__(self, name: str = "Northwind") -> None:
        self.account = Account.objects.create(name=name, slug=name.lower())
        self.lead = user_create(self.account, username=f"{name}-lea", password="x", role=Role.LEAD)
        self.eva = user_create(self.account, username=f"{name}-eva", password="x")
        self.ben = user_create(self.account, username=f"{name}-ben", password="x")

    def scope(self, user: User) -> Scope:
        """Return what a user may do."""
        leads = user == self.lead
        return Scope(self.account, Actor(user.pk, user.username), can_lead=leads, can_post=True)

    def connection(self, state: str = "connected", **values: Any) -> Connection:
        """Store a connection of the provider in memory."""
        number = Connection.objects.count()
        given = {"provider": "dummy", "name": f"PSA {number}", "site": f"psa{number}.example", "state": state}
        secrets = {"credentials": {"api_key": "k"}}
        return Connection.objects.create(tenant=self.account, **{**given, **secrets, **values})

    def link(self, connection: Connection) -> TicketLink:
        """Store a lane of its own."""
        number = str(1000 + TicketLink.objects.count())
        return TicketLink.objects.create(
            tenant=self.account,
            connection=connection,
            record_type="service",
            ticket_id=number,
            board_id="1",
            next_seq=90,
        )

    def unit(self, link: TicketLink, by: User | None = None) -> WorkUnit:
        """Store a unit without deliveries."""
        person = by or self.eva
        return WorkUnit.objects.create(
            tenant=self.account, link=link, created_by=person, created_by_name=person.username
        )

    def delivery(
        self,
        connection: Connection,
        state: str = "dead",
        *,
        link: TicketLink | None = None,
        unit: WorkUnit | None = None,
        by: User | None = None,
        **values: Any,
    ) -> Delivery:
        """Store a delivery at the end of a lane; without a link in a lane of its own."""
        link = link or (unit.link if unit else self.link(connection))
        unit = unit or self.unit(link, by)
        given = {
            "kind": "analysis",
            "seq": Delivery.objects.filter(link=link).count() + 1,
            "payload": {"text": "Restarted the spooler.", "notify": False},
            "due_at": timezone.now(),
            "created_by": unit.created_by,
            "created_by_name": unit.created_by_name,
        }
        return Delivery.objects.create(
            tenant=self.account,
            connection=connection,
            link=link,
            unit=unit,
            state=state,
            **{**given, **values},
        )

    def held(self, connection: Connection, **values: Any) -> Delivery:
        """Store a delivery that waits for a permission."""
        return self.delivery(connection, "ready", held_by="permission", problem=DENIED, **values)
