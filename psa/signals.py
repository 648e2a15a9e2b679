"""Owns the signals hosts may listen to. A failing listener harms nothing.

They are sent after the commit, unless they say otherwise.
"""

from django.dispatch import Signal

delivery_changed = Signal()
"""A delivery reached another state. Argument: delivery."""

connection_changed = Signal()
"""A connection reached another state. Argument: connection_id."""

ticket_changed = Signal()
"""A ticket of the PSA was created, assigned, moved, closed or deleted, whoever did it.

Arguments: connection, ticket_id, ticket (`types.Ticket`, None once it is gone), what (frozenset of `created`,
`assigned`, `board`, `type`, `closed`, `reopened`, `gone`), user_ids (mapped users it is assigned to),
details (`types.TicketDetails`: what was asked for, and the devices; empty where they could not be read).
Sent in the transaction that stores what was seen: what a listener writes is stored with it, and a worker that
dies in between tells it again.
"""

bulk_changed = Signal()
"""So many tickets changed at once that nothing is told of each.

Arguments: connection, tickets (how many), since. Sent like `ticket_changed`.
"""
