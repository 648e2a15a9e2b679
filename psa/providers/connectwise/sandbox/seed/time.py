"""A time entry of each of two engineers, on the sheets they made."""

from __future__ import annotations

from psa.providers.connectwise.sandbox.seed.planting import Planter, at

ENTRIES = ((57001, 103, 3.0, 3.5), (57002, 104, 4.0, 5.25))
"""(ticket, member, start and end in hours of the story)."""


def fill_time(planter: Planter) -> None:
    for ticket, member, start, end in ENTRIES:
        body = {
            "chargeToId": ticket,
            "chargeToType": "ServiceTicket",
            "member": {"id": member},
            "timeStart": at(start),
            "timeEnd": at(end),
            "notes": "Remote support.",
            "addToDetailDescriptionFlag": False,
        }
        planter.post("/time/entries", body, (), end)
