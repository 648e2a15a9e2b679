"""References between records: found on write by id, identifier or name, answered expanded.

A reference schema is tied to the table that holds its records in TABLES. One without a served table
gets a small lookup table "lookup/<schema>", filled by the seed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

from psa.providers.connectwise.reference import JsonObject, load_reference
from psa.providers.connectwise.sandbox.errors import Item
from psa.providers.connectwise.sandbox.store import Record, Store

TABLES = {
    "ActivityReference": "service/tickets/activities",
    "AgreementReference": "finance/agreements",
    "BoardReference": "service/boards",
    "CommunicationTypeReference": "company/communicationTypes",
    "CompanyReference": "company/companies",
    "CompanyStatusReference": "company/companies/statuses",
    "CompanyTypeReference": "company/companies/types",
    "ConfigurationReference": "company/configurations",
    "ConfigurationStatusReference": "company/configurations/statuses",
    "ConfigurationTypeQuestionReference": "company/configurations/types/questions",
    "ConfigurationTypeReference": "company/configurations/types",
    "ContactDepartmentReference": "company/contacts/departments",
    "ContactReference": "company/contacts",
    "ContactTypeReference": "company/contacts/types",
    "MemberReference": "system/members",
    "MemberTypeReference": "system/members/types",
    "NoteTypeReference": "company/noteTypes",
    "PriorityReference": "service/priorities",
    "ProjectBoardReference": "service/boards",
    "RelationshipReference": "company/contacts/relationships",
    "SLAReference": "service/SLAs",
    "ServiceItemReference": "service/boards/items",
    "ServiceSourceReference": "service/sources",
    "ServiceStatusReference": "service/boards/statuses",
    "ServiceSubTypeReference": "service/boards/subtypes",
    "ServiceTeamReference": "service/boards/teams",
    "ServiceTypeReference": "service/boards/types",
    "SiteReference": "company/companies/sites",
    "SystemDepartmentReference": "system/info/departments",
    "SystemLocationReference": "system/info/locations",
    "TeamRoleReference": "company/teamRoles",
    "TicketReference": "service/tickets",
}

KEYS = ("id", "identifier", "name", "deviceIdentifier", "currencyCode")
"""Members of a reference by which a record is found, in this order."""


def table_of(ref_schema: str) -> str:
    return TABLES.get(ref_schema, f"lookup/{ref_schema}")


def is_reference(schema_name: str | None) -> bool:
    return schema_name is not None and schema_name.endswith("Reference")


def full_name(data: JsonObject) -> str:
    return f"{data.get('firstName', '')} {data.get('lastName', '')}".strip()


def display_name(data: JsonObject) -> str:
    """What a reference calls a record: its name, a person's full name, or its description."""
    if "firstName" in data:
        return full_name(data)
    return str(data.get("name") or data.get("description") or data.get("question") or "")


def _href_label(ref_schema: str) -> str:
    """ServiceSubTypeReference → subType, as in subType_href."""
    label = ref_schema.removesuffix("Reference").removeprefix("Service").removeprefix("System")
    return label.lower() if label.isupper() else label[0].lower() + label[1:]


def _text_of(key: str, data: JsonObject) -> str:
    return str(data.get(key, ""))


@cache
def record_paths() -> dict[str, str]:
    """Collection → path template of one record, such as /service/boards/{}/statuses/{}."""
    paths: dict[str, str] = {}
    for operation in load_reference().operations:
        if operation.method == "get" and operation.path.endswith("{id}"):
            segments = operation.path.strip("/").split("/")
            literals = [s for s in segments if not s.startswith("{")]
            filled = "/".join("{}" if s.startswith("{") else s for s in segments)
            paths.setdefault("/".join(literals), f"/{filled}")
    return paths


@cache
def _expansion(ref_schema: str) -> tuple[str, ...]:
    properties = load_reference().schema(ref_schema)["properties"]
    return tuple(name for name in properties if name != "_info")


class References:
    """Finds and expands references against one store."""

    def __init__(self, store: Store, api_url: Callable[[], str]) -> None:
        self._store = store
        self._api_url = api_url

    def find(self, ref_schema: str, value: JsonObject) -> tuple[Record | None, str]:
        """The record a written reference names, and the key by which it was looked for."""
        table = self._store.table(table_of(ref_schema))
        for key in KEYS:
            wanted = value.get(key)
            if wanted in (None, "", 0):
                continue
            if key == "id":
                return self._by_id(ref_schema, int(wanted)), key
            text_of = display_name if key == "name" else partial(_text_of, key)
            return table.find(key, str(wanted), text_of), key
        return None, "id"

    def _by_id(self, ref_schema: str, record_id: int) -> Record | None:
        record = self._store.table(table_of(ref_schema)).get(record_id)
        if record is None and ref_schema == "TicketReference":
            return self._store.table("project/tickets").get(record_id)
        return record

    def resolve(
        self, ref_schema: str, value: JsonObject, path: str, problems: list[Item]
    ) -> JsonObject | None:
        """Expand a written reference; what cannot be found is added to problems."""
        record, key = self.find(ref_schema, value)
        if record is None:
            what = ref_schema.removesuffix("Reference")
            message = f"{what} {value.get(key, '')} was not found."
            problems.append(Item("NotFound", message, f"{path}/{key}"))
            return None
        return self.expand(ref_schema, record)

    def expand(self, ref_schema: str, record: Record) -> JsonObject:
        """The reference to a record as answers show it; shared, so never change it."""
        made: JsonObject | None = record.derived.get(ref_schema)
        if made is None:
            made = record.derived[ref_schema] = self._make(ref_schema, record)
        return made

    def _make(self, ref_schema: str, record: Record) -> JsonObject:
        data = record.data
        reference: JsonObject = {}
        for name in _expansion(ref_schema):
            value: Any = data.get(name)
            if name == "name":
                value = display_name(data)
            elif name == "sort":
                value = data.get("sortOrder", value)
            if value is not None and not isinstance(value, dict):
                reference[name] = value
        table = table_of(ref_schema)
        info = dict(data["_info"]) if table.startswith("lookup/") and "_info" in data else {}
        href = self.href(table, record)
        if href:
            info[f"{_href_label(ref_schema)}_href"] = href
        if ref_schema == "ConfigurationReference":
            info["name"] = display_name(data)
        if info:
            reference["_info"] = info
        return reference

    def href(self, table: str, record: Record) -> str | None:
        template = record_paths().get(table)
        if template is None or template.count("{}") != len(record.parents) + 1:
            return None
        return self._api_url() + template.format(*record.parents, record.id)
