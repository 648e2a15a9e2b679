"""Records in memory, grouped in tables named after their collection path.

`service/boards/{parentId}/statuses` lives in table "service/boards/statuses"; a record keeps the ids
of its parents. Record data is never changed in place: a write puts a new dict, so readers need no lock.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from psa.providers.connectwise.reference import JsonObject


class Record:
    """One stored record: data as answered, ids of its parents, and values derived from data."""

    __slots__ = ("data", "derived", "id", "parents")

    def __init__(self, record_id: int, data: JsonObject, parents: tuple[int, ...]) -> None:
        self.id = record_id
        self.data = data
        self.parents = parents
        self.derived: dict[str, Any] = {}

    def as_json(self) -> bytes:
        """The record as answered; encoded once per version of the record."""
        encoded: bytes | None = self.derived.get("json")
        if encoded is None:
            encoded = self.derived["json"] = to_json(self.data)
        return encoded


class Table:
    """Records of one collection in order of their ids."""

    def __init__(self, name: str, ids: Iterator[int]) -> None:
        self.name = name
        self.rows: dict[int, Record] = {}
        self._ids = ids
        self._by_parents: dict[tuple[int, ...], dict[int, Record]] = {}
        self._version = 0
        self._indexes: dict[str, tuple[int, dict[str, Record]]] = {}

    def add(self, data: JsonObject, parents: tuple[int, ...] = (), record_id: int | None = None) -> Record:
        if record_id is None:
            record_id = next(i for i in self._ids if i not in self.rows)
        data = {"id": record_id, **{k: v for k, v in data.items() if k != "id"}}
        record = Record(record_id, data, parents)
        in_order = not self.rows or record_id > next(reversed(self.rows))
        self.rows[record_id] = record
        self._by_parents.setdefault(parents, {})[record_id] = record
        if not in_order:
            self.rows = dict(sorted(self.rows.items()))
            self._by_parents[parents] = dict(sorted(self._by_parents[parents].items()))
        self._version += 1
        return record

    def put(self, record: Record, data: JsonObject) -> Record:
        """Store a new version of a record and return it."""
        new = Record(record.id, data, record.parents)
        self.rows[record.id] = new
        self._by_parents[record.parents][record.id] = new
        self._version += 1
        return new

    def remove(self, record: Record) -> None:
        self.rows.pop(record.id, None)
        self._by_parents.get(record.parents, {}).pop(record.id, None)
        self._version += 1

    def get(self, record_id: int) -> Record | None:
        return self.rows.get(record_id)

    def of(self, parents: tuple[int, ...]) -> list[Record]:
        """Records below these parents, all records for no parents, in order of their ids."""
        rows = self._by_parents.get(parents, {}) if parents else self.rows
        return list(rows.values())

    def find(self, key: str, text: str, name_of: Callable[[JsonObject], str]) -> Record | None:
        """First record whose key (identifier, name, …) equals text without regard to case."""
        version, index = self._indexes.get(key, (-1, {}))
        if version != self._version:
            index = {}
            for record in list(self.rows.values()):
                index.setdefault(name_of(record.data).lower(), record)
            self._indexes[key] = (self._version, index)
        return index.get(text.lower())


class Store:
    """All tables, one lock for writers and the clock."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.tables: dict[str, Table] = {}
        self._counters: dict[str, itertools.count[int]] = {}

    def table(self, name: str) -> Table:
        table = self.tables.get(name)
        if table is None:
            shared = SHARED_IDS.get(name, name)
            ids = self._counters.setdefault(shared, itertools.count(FIRST_IDS.get(shared, 1)))
            table = self.tables.setdefault(name, Table(name, ids))
        return table

    def start_ids_at(self, name: str, first: int) -> None:
        """Let the next new record of a still unused table get this id."""
        self._counters[SHARED_IDS.get(name, name)] = itertools.count(first)


SHARED_IDS = {
    "project/tickets": "service/tickets",
    "project/tickets/notes": "service/tickets/notes",
}
"""Tables that draw their ids from another table's counter: a ticket keeps its id when converted."""

FIRST_IDS = {"service/tickets": 57001, "service/tickets/notes": 410001, "timeNotes": 900001}
"""Large first ids, so that mixing up a ticket, note or member id shows at once."""


def to_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def join_json(parts: Iterable[bytes]) -> bytes:
    return b"[" + b",".join(parts) + b"]"


def utc_now() -> str:
    """This moment as ConnectWise writes it: UTC, whole seconds, Z."""
    return utc_text(datetime.now(UTC))


def utc_text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
