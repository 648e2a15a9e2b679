"""How seed rows get into the tables: bare, or through the same path as a POST."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from psa.providers.connectwise.reference import JsonObject, Operation, load_reference
from psa.providers.connectwise.sandbox.behaviour import Call
from psa.providers.connectwise.sandbox.resources import collection_of, create
from psa.providers.connectwise.sandbox.state import API_MEMBER_ID, State
from psa.providers.connectwise.sandbox.store import Record, utc_text

BASE_DATE = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
"""The Monday on which the story of the data starts."""


def at(hours: float) -> str:
    """A moment so many hours after BASE_DATE, as answered."""
    return utc_text(BASE_DATE + timedelta(hours=hours))


class Planter:
    """Adds rows to one state."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._operations: dict[str, Operation] = {
            operation.path: operation
            for operation in load_reference().operations
            if operation.method == "post"
        }

    def add(
        self,
        table: str,
        data: JsonObject,
        record_id: int | None = None,
        parents: tuple[int, ...] = (),
        hours: float = 0,
        by: str = "admin",
    ) -> Record:
        """Add a row as given, with `_info` of the moment."""
        moment = at(hours)
        info = {
            "lastUpdated": moment,
            "updatedBy": by,
            "dateEntered": moment,
            "enteredBy": by,
        }
        data = {**data, "_info": {**info, **data.get("_info", {})}}
        return self.state.store.table(table).add(data, parents, record_id)

    def bare(
        self,
        table: str,
        data: JsonObject,
        record_id: int | None = None,
        parents: tuple[int, ...] = (),
    ) -> Record:
        """Add a row of a schema that has no `_info`."""
        return self.state.store.table(table).add(data, parents, record_id)

    def post(
        self,
        path: str,
        body: JsonObject,
        parents: tuple[int, ...] = (),
        hours: float = 0,
        member_id: int = API_MEMBER_ID,
    ) -> Record:
        """Create a row as a POST at that moment would have."""
        operation = self._operations[path]
        actor = self.state.member(member_id)
        params = {n: str(p) for n, p in zip(operation.path_params, parents, strict=True)}
        call = Call(self.state, operation, params, {}, {}, body, actor)
        table = self.state.store.table(collection_of(path))
        self.state.fixed_now = at(hours)
        record = create(call, table, body, parents)
        self.state.fixed_now = None
        return record

    def ref(self, schema: str, record: Record | int) -> JsonObject:
        """Reference to a record, given itself or its id."""
        if isinstance(record, int):
            found, _ = self.state.references.find(schema, {"id": record})
            if found is None:
                raise KeyError(f"{schema} {record}")
            record = found
        return self.state.references.expand(schema, record)

    def by_name(self, schema: str, name: str) -> JsonObject:
        found, _ = self.state.references.find(schema, {"name": name})
        if found is None:
            raise KeyError(f"{schema} {name}")
        return self.state.references.expand(schema, found)
