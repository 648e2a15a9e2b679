"""The data a sandbox starts with: the same at every start, believable for a small MSP.

`fill` is the only door. Set-up tables always exist; customers, devices and tickets only if not empty.
"""

from __future__ import annotations

from psa.providers.connectwise.sandbox.seed.agreements import fill_agreements
from psa.providers.connectwise.sandbox.seed.articles import fill_articles
from psa.providers.connectwise.sandbox.seed.customers import fill_customers, fill_own_company
from psa.providers.connectwise.sandbox.seed.files import fill_files, fill_limits
from psa.providers.connectwise.sandbox.seed.filler import fill_gaps
from psa.providers.connectwise.sandbox.seed.lookups import fill_lookups
from psa.providers.connectwise.sandbox.seed.people import fill_members
from psa.providers.connectwise.sandbox.seed.planting import Planter
from psa.providers.connectwise.sandbox.seed.service_desk import fill_service_desk
from psa.providers.connectwise.sandbox.seed.tickets import fill_tickets
from psa.providers.connectwise.sandbox.seed.time import fill_time
from psa.providers.connectwise.sandbox.state import State


def fill(state: State, *, empty: bool) -> None:
    """Fill a new state. Shape: empty leaves out tickets and all companies but the own one."""
    planter = Planter(state)
    fill_lookups(planter)
    fill_members(planter)
    fill_service_desk(planter)
    fill_own_company(planter)
    fill_limits(planter)
    if not empty:
        fill_customers(planter)
        fill_agreements(planter)
        fill_articles(planter)
        fill_tickets(planter)
        fill_time(planter)
        fill_files(planter)
        fill_gaps(planter)
    state.mails.clear()
