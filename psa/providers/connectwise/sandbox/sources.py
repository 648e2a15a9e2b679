"""Where the rows of a collection come from: its own table, or a view over another one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from psa.providers.connectwise.reference import JsonObject, load_reference
from psa.providers.connectwise.sandbox.references import full_name
from psa.providers.connectwise.sandbox.state import State
from psa.providers.connectwise.sandbox.store import Record

Shape = Callable[[JsonObject], JsonObject]
Keep = Callable[[State, Record], bool]


@dataclass(frozen=True, slots=True)
class Source:
    """Rows of one table, some of them left out, each shown in another shape.

    shape is cached on the record, so it may depend on nothing but the record.
    """

    table: str
    name: str
    keep: Keep | None = None
    shape: Shape | None = None
    all_parents: bool = False
    """True when the rows of every parent are listed together."""

    def rows(self, state: State, parents: tuple[int, ...]) -> list[Record]:
        rows = state.store.table(self.table).of(() if self.all_parents else parents)
        if self.keep is not None:
            keep = self.keep
            rows = [row for row in rows if keep(state, row)]
        return [self.show(state, row) for row in rows] if self.shape else rows

    def show(self, state: State, record: Record) -> Record:
        if self.shape is None:
            return record
        shown: Record | None = record.derived.get(self.name)
        if shown is None:
            shown = Record(record.id, self.shape(record.data), record.parents)
            record.derived[self.name] = shown
        return shown


@cache
def _names(schema: str) -> frozenset[str]:
    return frozenset(load_reference().schema(schema)["properties"])


def slim(schema: str, **renamed: str) -> Shape:
    """Shape that keeps the members a smaller schema has; renamed maps its own words."""

    def shape(data: JsonObject) -> JsonObject:
        names = _names(schema)
        shown = {name: value for name, value in data.items() if name in names}
        shown.update({new: data[old] for new, old in renamed.items() if old in data})
        return shown

    return shape


def member_mail(data: JsonObject) -> str:
    """The address that a member's defaultEmail names."""
    named = str(data.get("defaultEmail", "Office")).lower()
    return str(data.get(f"{named}Email") or data.get("primaryEmail") or "")


def slim_member(schema: str) -> Shape:
    plain = slim(schema)

    def shape(data: JsonObject) -> JsonObject:
        shown = {**plain(data), "fullName": full_name(data), "defaultEmail": member_mail(data)}
        return {name: value for name, value in shown.items() if value != ""}

    return shape


def _service_team(data: JsonObject) -> JsonObject:
    shown = slim("ServiceTeam", leader="teamLeader", deleteNotifyFlag="notifyOnTicketDelete")(data)
    return shown


def _is_open_board(state: State, record: Record) -> bool:
    return not record.data.get("inactiveFlag")


def _is_shown(state: State, record: Record) -> bool:
    return not state.is_hidden(record.data)


def _has_sso(state: State, record: Record) -> bool:
    return "ssoSettings" in record.data


VIEWS: dict[str, Source] = {
    source.name: source
    for source in (
        Source("service/tickets", "service/tickets", _is_shown),
        Source("project/tickets", "project/tickets", _is_shown),
        Source("service/tickets", "service/tickets/info", _is_shown, slim("TicketInfo")),
        Source("service/boards", "service/info/boards", shape=slim("BoardInfo")),
        Source("service/boards", "service/info/boards/active", _is_open_board, slim("BoardInfo")),
        Source(
            "service/boards/statuses",
            "service/boards/statuses/info",
            shape=slim("BoardStatusInfo", inactiveFlag="inactive", closedFlag="closedStatus"),
        ),
        Source("service/boards/subtypes", "service/boards/subtypes/info", shape=slim("BoardSubTypeInfo")),
        Source("service/boards/teams", "service/boards/teams/info", shape=slim("BoardTeamInfo")),
        Source("service/boards/teams", "service/teams", shape=_service_team, all_parents=True),
        Source("service/SLAs", "service/SLAs/info"),
        Source("system/info/departments", "system/info/departments", shape=slim("DepartmentInfo")),
        Source("system/members", "system/info/members", shape=slim_member("MemberInfo")),
        Source("system/members", "system/members/withSso", _has_sso),
        Source("lookup/WorkRoleReference", "time/workRoles/info"),
        Source("lookup/WorkTypeReference", "time/workTypes/info"),
    )
}
"""Collections that are no table of their own."""


@cache
def source_of(collection: str) -> Source:
    return VIEWS.get(collection) or Source(collection, collection)
