"""Owns what earlier sessions say about a customer: `psa` asks for it by `PSA["PAST_WORK"]`."""

from __future__ import annotations

from collections.abc import Collection

from psa.types import PastWork
from resolutionflow.accounts.models import Account
from resolutionflow.sessions.models import FlowSession

LOOKED_THROUGH = 50
"""Newest completed sessions of a company among which those of the same devices are looked for."""


def past_work(
    account: Account, connection_id: int, company_id: str, device_ids: Collection[str]
) -> list[PastWork]:
    """Return completed sessions for a company: those on the same devices first, then the newest.

    Devices are those of a session's ticket as its context last told them.
    """
    sessions = (
        FlowSession.objects.of(account)
        .completed()
        .filter(link__connection_id=connection_id, link__company_id=company_id)
        .select_related("link")
        .order_by("-completed_at", "-id")[:LOOKED_THROUGH]
    )
    wanted = set(device_ids)
    found = [_past(session, wanted) for session in sessions]
    return sorted(found, key=lambda work: not work.device)


def _past(session: FlowSession, wanted: set[str]) -> PastWork:
    link = session.link
    devices = link.devices if link is not None else []
    shared = next((device["name"] for device in devices if device.get("id") in wanted), "")
    return PastWork(
        id=str(session.pk),
        title=session.title,
        outcome=session.outcome,
        ended_at=session.completed_at,
        summary=session.resolution,
        ticket_id=link.ticket_id if link is not None else "",
        device=shared,
    )
