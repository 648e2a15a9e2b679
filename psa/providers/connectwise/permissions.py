"""Owns which security-role rows each product feature needs, and what a probe makes of them.

A feature is one row in `NEEDS`; the feature an operation belongs to is one row in `OPERATION_FEATURES`.
Source: docs/connectwise/quick-reference.md#permissions
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from psa.types import Feature, FeatureResult, FeatureStatus, RecordType

LEVELS = ("add", "edit", "delete", "inquire")


@dataclass(frozen=True, slots=True)
class Need:
    """One row of a security role and the levels a feature needs in it."""

    module: str
    row: str
    levels: tuple[str, ...]
    names: tuple[str, ...] = ()
    """Other names of the row in other releases."""

    @property
    def grant(self) -> str:
        """The row as an administrator finds it: `Service Desk > Service Tickets: Add All, Edit All`."""
        return (
            f"{self.module} > {self.row}: {', '.join(f'{level.capitalize()} All' for level in self.levels)}"
        )


_TICKETS = ("Service Desk", "Service Tickets")
_SETUP = ("System", "Table Setup")

NEEDS: Mapping[Feature, tuple[Need, ...]] = {
    Feature.CONNECTION: (Need("System", "My Company", ("inquire",)),),
    Feature.LISTS: (Need(*_SETUP, ("inquire",)),),
    Feature.MEMBERS: (Need("System", "Member Maintenance", ("inquire",)),),
    Feature.TICKETS: (Need(*_TICKETS, ("inquire",)),),
    Feature.COMPANIES: (Need("Companies", "Company Maintenance", ("inquire",)),),
    Feature.CONTACTS: (Need("Companies", "Contacts", ("inquire",)),),
    Feature.CONFIGURATIONS: (Need("Companies", "Configurations", ("inquire",)),),
    Feature.SLA: (Need("Service Desk", "SLA Dashboard", ("inquire",)),),
    Feature.NOTES: (Need(*_TICKETS, ("add", "edit", "inquire")),),
    Feature.STATUS: (Need(*_TICKETS, ("edit", "inquire")),),
    Feature.STATUS_CLOSE: (Need("Service Desk", "Close Service Tickets", ("edit", "inquire")),),
    Feature.PROJECT_TICKETS: (Need("Project", "Project Tickets", ("add", "edit", "inquire")),),
    Feature.TIME_ENTRIES: (
        Need("Time & Expense", "Time Entry", ("add", "edit", "inquire")),
        Need("Finance", "Billing View Time", ("edit", "inquire")),
    ),
    Feature.DOCUMENTS: (
        Need("Companies", "Manage Attachments", ("add", "edit", "inquire"), ("Manage Documents",)),
    ),
    Feature.AGREEMENTS: (Need("Finance", "Agreements", ("inquire",)),),
    Feature.ARTICLES: (
        Need("Service Desk", "Knowledge Base", ("add", "edit", "inquire")),
        Need("System", "API Reports", ("inquire",)),
    ),
    Feature.CALLBACKS: (Need(*_SETUP, ("add", "edit", "delete", "inquire")),),
}

OPERATION_FEATURES: Mapping[str, Feature] = {
    "check_access": Feature.CONNECTION,
    "probe": Feature.CONNECTION,
    "ticket_get": Feature.TICKETS,
    "ticket_search": Feature.TICKETS,
    "ticket_notes": Feature.TICKETS,
    "note_find": Feature.TICKETS,
    "note_get": Feature.TICKETS,
    "note_add": Feature.NOTES,
    "note_change": Feature.NOTES,
    "note_remove": Feature.NOTES,
    "statuses": Feature.LISTS,
    "status_set": Feature.STATUS,
    "members": Feature.MEMBERS,
    "boards": Feature.LISTS,
    "companies": Feature.COMPANIES,
    "contacts": Feature.CONTACTS,
    "configurations_of": Feature.CONFIGURATIONS,
    "configurations_get": Feature.CONFIGURATIONS,
    "company_get": Feature.COMPANIES,
    "site_get": Feature.COMPANIES,
    "contact_get": Feature.CONTACTS,
    "sla_of": Feature.SLA,
    "articles_search": Feature.ARTICLES,
    "tickets_get": Feature.TICKETS,
    "tickets_changed_since": Feature.TICKETS,
    "callbacks_list": Feature.CALLBACKS,
    "callback_register": Feature.CALLBACKS,
    "callback_activate": Feature.CALLBACKS,
    "callback_remove": Feature.CALLBACKS,
    "agreements_of": Feature.AGREEMENTS,
    "agreement_get": Feature.AGREEMENTS,
    "time_choices": Feature.TIME_ENTRIES,
    "time_check": Feature.TIME_ENTRIES,
    "time_entries_of": Feature.TIME_ENTRIES,
    "time_entry_add": Feature.TIME_ENTRIES,
    "time_entry_find": Feature.TIME_ENTRIES,
    "document_max_bytes": Feature.DOCUMENTS,
    "documents_of": Feature.DOCUMENTS,
    "document_upload": Feature.DOCUMENTS,
    "document_find": Feature.DOCUMENTS,
    "document_open": Feature.DOCUMENTS,
}
"""By the operation name that goes into logs and errors; `project` operations end in `@project`."""

LIST_READS: Mapping[Feature, str] = {
    Feature.LISTS: "/service/boards",
    Feature.MEMBERS: "/system/info/members",
    Feature.TICKETS: "/service/tickets",
    Feature.COMPANIES: "/company/companies",
    Feature.CONTACTS: "/company/contacts",
    Feature.CONFIGURATIONS: "/company/configurations",
    Feature.PROJECT_TICKETS: "/project/tickets",
    Feature.TIME_ENTRIES: "/time/entries",
    Feature.DOCUMENTS: "/system/documents",
    Feature.AGREEMENTS: "/finance/agreements",
    Feature.SLA: "/service/tickets/calculateSla",
    Feature.ARTICLES: "/service/knowledgeBaseArticles",
}
"""Lists that are read, one record each, where the role's rows do not tell. Reading shows Inquire only."""


def feature_of(operation: str) -> Feature | None:
    """Return the product feature an operation belongs to."""
    name, _, place = operation.partition("@")
    if place == "project" and name not in ("statuses", "configurations_of"):
        return Feature.PROJECT_TICKETS
    return OPERATION_FEATURES.get(name)


def grant_for(feature: Feature | None) -> str:
    """Return what to grant for a feature, in ConnectWise's words."""
    if feature is None:
        return ""
    return "; ".join(need.grant for need in NEEDS[feature])


def removal_grant(record_type: RecordType) -> str:
    """Return what to grant so that notes can be removed: no feature needs it, so no probe asks for it."""
    feature = Feature.PROJECT_TICKETS if record_type is RecordType.PROJECT else Feature.NOTES
    return "; ".join(replace(need, levels=("delete",)).grant for need in NEEDS[feature])


def judge_rows(rows: Sequence[Mapping[str, Any]]) -> dict[Feature, FeatureResult]:
    """Return what the role's rows say of each feature; a feature whose rows are missing is left out."""
    found: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        for key in ("moduleFunctionName", "moduleFunctionDescription"):
            name = row.get(key)
            if isinstance(name, str):
                found.setdefault(name.strip().casefold(), row)
    results: dict[Feature, FeatureResult] = {}
    for feature, needs in NEEDS.items():
        levels: list[str] = []
        short: list[str] = []
        for need in needs:
            matched = next(
                (found[name.casefold()] for name in (need.row, *need.names) if name.casefold() in found), None
            )
            if matched is None:
                break
            got = [str(matched.get(f"{level}Level") or "None") for level in need.levels]
            levels += got
            if any(level != "All" for level in got):
                short.append(need.grant)
        else:
            results[feature] = FeatureResult(feature, _status(levels), "; ".join(short))
    return results


def _status(levels: Sequence[str]) -> FeatureStatus:
    lowered = {level.casefold() for level in levels}
    if lowered == {"all"}:
        return FeatureStatus.OK
    return FeatureStatus.LIMITED if lowered <= {"all", "my", "mine"} else FeatureStatus.DENIED
