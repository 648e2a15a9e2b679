"""Owns the border for customers: companies, sites, contacts, devices and agreements."""

from __future__ import annotations

from collections.abc import Mapping

from psa.providers.connectwise.raw_values import named, part, record_id, ref, text, utc
from psa.types import Agreement, Company, Configuration, Contact, Raw, Site


def company(raw: Raw) -> Company:
    """Return a company."""
    return Company(
        id=record_id(raw),
        identifier=text(raw, "identifier"),
        name=text(raw, "name"),
        address=_address(raw),
        phone=text(raw, "phoneNumber"),
        website=text(raw, "website"),
        raw=raw,
    )


def site(raw: Raw) -> Site:
    """Return a place of a company."""
    return Site(
        id=record_id(raw),
        name=text(raw, "name"),
        address=_address(raw),
        phone=text(raw, "phoneNumber"),
        raw=raw,
    )


def contact(raw: Raw) -> Contact:
    """Return a contact; its mail addresses and phone numbers are communication items."""
    emails: dict[str, None] = {}
    phones: dict[str, None] = {}
    items = raw.get("communicationItems")
    for item in items if isinstance(items, list) else ():
        if not isinstance(item, Mapping) or not text(item, "value"):
            continue
        if item.get("communicationType") == "Email":
            emails[text(item, "value").lower()] = None
        elif item.get("communicationType") == "Phone":
            phones[text(item, "value")] = None
    if text(raw, "defaultPhoneNbr"):
        phones[text(raw, "defaultPhoneNbr")] = None
    return Contact(
        id=record_id(raw),
        name=" ".join(word for word in (text(raw, "firstName"), text(raw, "lastName")) if word),
        title=text(raw, "title"),
        company=ref(raw, "company"),
        emails=tuple(emails),
        phones=tuple(phones),
        raw=raw,
    )


def configuration(raw: Raw) -> Configuration:
    """Return a device. As a ticket names it, ConnectWise tells its id and its device identifier only."""
    own_id = record_id(raw)
    name = text(raw, "name") or text(raw, "deviceIdentifier") or text(part(raw, "_info"), "name")
    return Configuration(
        id=own_id,
        name=name or f"#{own_id}",
        type=text(part(raw, "type"), "name"),
        company=ref(raw, "company"),
        model=text(raw, "modelNumber"),
        serial_number=text(raw, "serialNumber"),
        os=text(raw, "osType") or text(raw, "osInfo"),
        ip_address=text(raw, "ipAddress"),
        raw=raw,
    )


def agreement(raw: Raw) -> Agreement:
    """Return an agreement; one whose status is not told counts unless it was cancelled."""
    status = text(raw, "agreementStatus")
    return Agreement(
        id=record_id(raw),
        name=text(raw, "name"),
        type=text(part(raw, "type"), "name"),
        company=ref(raw, "company"),
        active=status in ("", "Active") and raw.get("cancelledFlag") is not True,
        starts_at=utc(raw.get("startDate")),
        ends_at=None if raw.get("noEndingDateFlag") is True else utc(raw.get("endDate")),
        raw=raw,
    )


def _address(raw: Raw) -> str:
    """Return street, city, state and country in one line."""
    lines = [text(raw, "addressLine1"), text(raw, "addressLine2")]
    state = named(part(raw, "stateReference")) or text(raw, "state")
    lines.append(" ".join(word for word in (text(raw, "city"), state, text(raw, "zip")) if word))
    lines.append(named(part(raw, "country")))
    return ", ".join(line.strip() for line in lines if line.strip())
