"""Owns the context of a ticket: two rounds of reads, side by side, each part cached on its own.

The first round needs the ticket's number only; the second what the ticket names. A part that fails is named,
and what the PSA told last stands in while it is away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from django.db.models import F
from django.utils.module_loading import import_string

from psa.cache import ConnectionCache, Remembered, Want, remembered_together
from psa.conf import PsaSettings, psa_settings
from psa.exceptions import (
    ConflictError,
    MissingError,
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    PsaError,
)
from psa.models import Connection, TicketLink, TicketSighting
from psa.models.connection import ConnectionState
from psa.provider_pool import provider_for
from psa.providers.base import Provider
from psa.types import (
    Capability,
    Notice,
    PartProblem,
    PastWork,
    RecordType,
    Tenant,
    Ticket,
    TicketContext,
    significant_words,
    ticket_number,
)

T = TypeVar("T")

NOTES_MAX = 1000
"""Newest notes of a ticket that are part of its context."""
MERGES_MAX = 5
"""Merged tickets that are followed, one into the other."""
ARTICLES_MAX = 5
DEVICES_MAX = 100
PAST_MAX = 5
WORDS_MAX = 6

PARTS = {
    "notes": ("The notes", Capability.NOTES),
    "devices": ("The devices", Capability.CONFIGURATIONS),
    "sla": ("The service level", Capability.SLA),
    "company": ("The company", Capability.COMPANIES),
    "contact": ("The contact", Capability.CONTACTS),
    "site": ("The site", Capability.COMPANIES),
    "agreement": ("The agreement", Capability.AGREEMENTS),
    "articles": ("The articles", Capability.ARTICLES),
}
"""Part → what people call it, and what a provider must offer for it."""


def ticket_context(
    tenant: Tenant,
    connection_id: int,
    ticket_id: str,
    record_type: RecordType | None = None,
    *,
    refresh: bool = False,
) -> TicketContext:
    """Return everything known around a ticket; without a record type both places are looked up.

    A merged ticket is followed to the one it became part of. Shape: refresh asks for what is cached, too.
    Raises: MissingError `ticket-not-found`; ConflictError `connection-disabled`; ProviderError, when the
        ticket cannot be read and was never read before.
    """
    connection = Connection.objects.one_of(tenant, connection_id)
    if connection.state == ConnectionState.DISABLED:
        raise ConflictError("The connection is disabled.", code="connection-disabled")
    number = ticket_number(str(ticket_id))
    if not number:
        raise _not_found(str(ticket_id))
    found = _Reading(connection, refresh=refresh).context(number, record_type)
    return replace(found, past=_past(tenant, connection, found))


def link_context(tenant: Tenant, link_id: int, *, refresh: bool = False) -> TicketContext:
    """Return the context of a linked ticket, as it is now: of its parent, once it was merged.

    Raises: as `ticket_context`; ConflictError `connection-deleted`.
    """
    link = TicketLink.objects.filter(tenant=tenant, pk=link_id).first()
    if link is None:
        raise MissingError("There is no such ticket link.")
    lane = TicketLink.objects.lane(link_id)
    if lane.connection.deleted_at is not None:
        raise ConflictError(
            "The connection of this ticket was deleted. Link the ticket again.", code="connection-deleted"
        )
    found = ticket_context(
        tenant, lane.connection_id, lane.ticket_id, RecordType(lane.record_type), refresh=refresh
    )
    if lane.pk != link.pk:
        found = replace(found, notices=(_merged_notice(link.ticket_id, lane.ticket_id), *found.notices))
    return found


class _Reading:
    """One look at one connection: its provider, its cache, and whether it is worth asking."""

    def __init__(self, connection: Connection, *, refresh: bool) -> None:
        self.connection = connection
        self.refresh = refresh
        self.current: PsaSettings = psa_settings()
        self.provider: Provider = provider_for(connection)
        self.store = ConnectionCache(connection.pk, connection.cache_epoch)
        self.ask = refresh or connection.state in (ConnectionState.CONNECTED, ConnectionState.UNVERIFIED)
        """False for a PSA known to be away: nobody waits for it where something is known."""

    def context(self, ticket_id: str, record_type: RecordType | None) -> TicketContext:
        seen: list[str] = []
        notices: list[Notice] = []
        while True:
            seen.append(ticket_id)
            first, place = self._first_round(ticket_id, record_type)
            ticket: Ticket = first["ticket"].value  # type: ignore[union-attr]
            into = ticket.merged_into
            if not into or into in seen or len(seen) > MERGES_MAX:
                break
            notices.append(_merged_notice(ticket_id, into))
            ticket_id, record_type = into, place
        second = self._second_round(ticket, first)
        if ticket.closed and ticket.status is not None:
            notices.append(Notice("closed", f"Ticket {ticket.id} is closed ({ticket.status.name})."))
        found = _assembled(self.connection, self.provider, {**first, **second}, tuple(notices))
        self._remember(found)
        return found

    def _first_round(
        self, ticket_id: str, record_type: RecordType | None
    ) -> tuple[dict[str, Remembered[Any] | PsaError], RecordType]:
        """Read the ticket and what needs its number only. Raises: what reading the ticket raises."""
        refusal: ProviderError | None = None
        for place in self._places(ticket_id, record_type):
            found = self._together(self._first_wants(ticket_id, place))
            ticket = found["ticket"]
            if isinstance(ticket, Remembered):
                return found, place
            if not isinstance(ticket, NotFoundError):
                if isinstance(ticket, PermissionDeniedError) and record_type is None:
                    refusal = ticket
                    continue
                raise ticket
        raise refusal or _not_found(ticket_id)

    def _places(self, ticket_id: str, record_type: RecordType | None) -> list[RecordType]:
        if record_type is not None:
            return [record_type]
        own = {"connection": self.connection, "ticket_id": ticket_id}
        known = [*TicketLink.objects.filter(**own).order_by("-id").values_list("record_type", flat=True)]
        known += TicketSighting.objects.filter(**own).values_list("record_type", flat=True)
        places = [RecordType.SERVICE]
        if self.provider.supports(Capability.PROJECT_TICKETS):
            places.append(RecordType.PROJECT)
        return sorted(places, key=lambda place: place.value not in known[:1])

    def _first_wants(self, ticket_id: str, place: RecordType) -> dict[str, Want[Any]]:
        version = self._version(ticket_id, place)

        def want(part: str, fetch: Callable[[], T]) -> Want[T]:
            name = f"context:{part}:{place}:{ticket_id}"
            return Want(name, self.current.CONTEXT_TTL_S, self._bounded(fetch), version)

        ask = self.provider
        return self._offered(
            {
                "ticket": want("ticket", partial(ask.ticket_get, ticket_id, place)),
                "notes": want("notes", partial(ask.ticket_notes, ticket_id, place, limit=NOTES_MAX)),
                "devices": want("devices", partial(ask.configurations_of, ticket_id, place)),
                "sla": want("sla", partial(ask.sla_of, ticket_id, place)),
            }
        )

    def _second_round(
        self, ticket: Ticket, first: Mapping[str, Remembered[Any] | PsaError]
    ) -> dict[str, Remembered[Any] | PsaError]:
        """Read what the ticket names."""
        customer_s = self.current.CUSTOMER_TTL_S
        ask = self.provider
        wants: dict[str, Want[Any]] = {}

        def want(part: str, own: str, fetch: Callable[[], Any], ttl_s: float = customer_s) -> None:
            wants[part] = Want(f"context:{part}:{own}", ttl_s, self._bounded(fetch))

        if ticket.company is not None:
            company = ticket.company.id
            want("company", company, partial(ask.company_get, company))
            if ticket.site is not None:
                want("site", f"{company}:{ticket.site.id}", partial(ask.site_get, company, ticket.site.id))
        if ticket.contact is not None:
            want("contact", ticket.contact.id, partial(ask.contact_get, ticket.contact.id))
        if ticket.agreement is not None:
            want("agreement", ticket.agreement.id, partial(ask.agreement_get, ticket.agreement.id))
        if words := significant_words(ticket.summary)[:WORDS_MAX]:
            search = partial(ask.articles_search, words, limit=ARTICLES_MAX)
            want("articles", ".".join(words), search, self.current.ARTICLES_TTL_S)
        attached = first.get("devices")
        if isinstance(attached, Remembered) and attached.value:
            ids = [device.id for device in attached.value][:DEVICES_MAX]
            own = hashlib.sha256(",".join(ids).encode()).hexdigest()
            want("devices", own, partial(ask.configurations_get, ids))
        found = self._together(self._offered(wants))
        if isinstance(attached, Remembered) and isinstance(found.get("devices"), Remembered):
            # Devices the list left out are still named.
            full = {device.id: device for device in found["devices"].value}  # type: ignore[union-attr]
            devices = [full.get(device.id, device) for device in attached.value]
            found["devices"] = replace(attached, value=devices)
        return found

    def _offered(self, wants: dict[str, Want[Any]]) -> dict[str, Want[Any]]:
        """Leave out parts that the provider does not offer."""
        return {
            part: want
            for part, want in wants.items()
            if part == "ticket" or self.provider.supports(PARTS[part][1])
        }

    def _together(self, wants: dict[str, Want[Any]]) -> dict[str, Remembered[Any] | PsaError]:
        return remembered_together(self.store, wants, afresh=self.refresh, ask=self.ask)

    def _bounded(self, fetch: Callable[[], T]) -> Callable[[], T]:
        def bounded() -> T:
            with self.provider.http.one_deadline(self.current.CONTEXT_DEADLINE_S):
                return fetch()

        return bounded

    def _version(self, ticket_id: str, place: RecordType) -> str:
        """Return what changes with each write of ours and each change we heard of."""
        own = {"connection": self.connection, "ticket_id": ticket_id}
        links = TicketLink.objects.filter(**own, record_type=place.value)
        if self.refresh:
            links.update(cache_epoch=F("cache_epoch") + 1)
        epoch = links.values_list("cache_epoch", flat=True).first()
        heard = TicketSighting.objects.filter(**own).values_list("changes", flat=True).first()
        return f"{epoch or 0}.{heard or 0}"

    def _remember(self, found: TicketContext) -> None:
        """Keep the customer and the devices with the link: earlier work is found by them."""
        ticket = found.ticket
        company = ticket.company.id if ticket.company else ""
        values: dict[str, Any] = {"company_id": company[:40]}
        if not any(problem.part == "devices" for problem in found.problems):
            values["devices"] = [{"id": one.id, "name": one.name[:200]} for one in found.devices]
        own = {"connection": self.connection, "ticket_id": ticket.id}
        links = TicketLink.objects.filter(**own, record_type=ticket.record_type.value)
        link = links.first()
        if link is not None and any(getattr(link, name) != value for name, value in values.items()):
            links.update(**values)


def _assembled(
    connection: Connection,
    provider: Provider,
    parts: Mapping[str, Remembered[Any] | PsaError],
    notices: tuple[Notice, ...],
) -> TicketContext:
    values: dict[str, Any] = {}
    told: dict[str, datetime] = {}
    problems: list[PartProblem] = []
    away = ""
    for part, found in parts.items():
        if isinstance(found, PsaError):
            problems.append(_problem(part, found))
            continue
        values[part] = tuple(found.value) if isinstance(found.value, (list, tuple)) else found.value
        told[part] = found.fetched_at
        if part == "ticket":
            away = found.away
        elif found.away:
            problems.append(PartProblem(part, "old", f"{PARTS[part][0]} may be old: {found.away}"))
    return TicketContext(
        connection_id=connection.pk,
        provider=provider.label,
        problems=tuple(problems),
        notices=notices,
        told=told,
        away=away,
        **values,
    )


def _problem(part: str, error: PsaError) -> PartProblem:
    label = PARTS[part][0]
    if isinstance(error, PermissionDeniedError):
        remedy = f"Grant {error.grant}." if error.grant else ""
        return PartProblem(part, "permission", f"{label} may not be read by our API member.", remedy)
    if isinstance(error, NotFoundError):
        return PartProblem(part, "not-found", f"{label} could not be found; it may have been deleted.")
    said = error.message if isinstance(error, ProviderError) else str(error)
    return PartProblem(part, "unavailable", f"{label} could not be read: {said}")


def _past(tenant: Tenant, connection: Connection, found: TicketContext) -> tuple[PastWork, ...]:
    path = psa_settings().PAST_WORK
    company = found.ticket.company
    if not path or company is None:
        return ()
    work = import_string(path)(tenant, connection.pk, company.id, [device.id for device in found.devices])
    return tuple(one for one in work if one.ticket_id != found.ticket.id)[:PAST_MAX]


def _merged_notice(ticket_id: str, into: str) -> Notice:
    return Notice("merged", f"Ticket {ticket_id} was merged into {into}, which is shown here.")


def _not_found(ticket_id: str) -> MissingError:
    return MissingError(
        f"Ticket {ticket_id[:40]} does not exist, or its board is hidden from our API member.",
        code="ticket-not-found",
    )
