"""Completeness by loop: each operation of the reference is served and answers what its schema says."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from jsonschema import Draft4Validator, FormatChecker

from psa.providers.connectwise.reference import Operation, load_reference
from psa.providers.connectwise.sandbox.resources import collection_of, parent_tables
from psa.providers.connectwise.sandbox.routing import handler_of
from psa.providers.connectwise.sandbox.seed.filler import sample
from psa.providers.connectwise.sandbox.seed.planting import Planter
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.providers.connectwise.sandbox.sources import source_of
from psa.providers.connectwise.sandbox.tests.conftest import Api

REFERENCE = load_reference()

API_OPERATIONS = [o for o in REFERENCE.operations if not o.path.startswith("/login/")]
READS = [o for o in API_OPERATIONS if o.method == "get"]
WRITES = [o for o in API_OPERATIONS if o.method != "get"]

DATES = FormatChecker(formats=["date-time"])

BODIES: dict[str, Any] = {
    "/company/companies/{id}/merge": {"toCompanyId": 2},
    "/company/communicationTypes": {"description": "Pager", "phoneFlag": True},
    "/company/contacts": {"firstName": "Vera"},
    "/company/contacts/requestPassword": {"email": "nora.whitfield@harborpointdental.example"},
    "/project/ticketNote/{id}/markAs/": {"resolutionFlag": True},
    "/project/tickets": {"summary": "x", "phase": {"id": 1}},
    "/service/boards/copy": {"id": 1, "name": "Copy"},
    "/service/tickets": {
        "summary": "x", "company": {"id": 2}, "severity": "Low", "impact": "Low",
    },
    "/service/tickets/{parentId}/attachChildren": {"childTicketIds": [57002]},
    "/service/tickets/{parentId}/merge": {"mergeTicketIds": [57005], "status": {"name": "Closed"}},
    "/system/callbacks": {
        "url": "http://127.0.0.1:9/y?id=", "objectId": 1, "type": "ticket", "level": "owner",
    },
    "/time/entries": {
        "chargeToId": 57001, "chargeToType": "ServiceTicket", "notes": "x",
        "timeStart": "2026-03-02T09:00:00Z", "timeEnd": "2026-03-02T09:30:00Z",
    },
}  # fmt: skip
"""Bodies where a made-up record would be refused; a path ending in {id} uses its collection's."""


def strict(schema: Any) -> Any:
    """OpenAPI 3.0 as JSON Schema: nothing beyond the listed properties, null where nullable."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items() if key != "example"}
    if isinstance(made.get("properties"), dict) and made.get("type") == "object":
        made.setdefault("additionalProperties", False)
    return made


@cache
def components() -> Any:
    return strict(REFERENCE.document["components"])


def violations(schema: Any, value: Any) -> list[str]:
    validator = Draft4Validator({**strict(schema), "components": components()}, format_checker=DATES)
    return [f"{list(error.path)}: {error.message[:200]}" for error in validator.iter_errors(value)]


def address(sandbox: SandboxServer, operation: Operation) -> str:
    """The path with ids of records that exist, of parents that have children where possible."""
    path, parents = operation.path, ()
    attached = sandbox.gateway.state.attached
    collection = collection_of(operation.path.partition("/{id}")[0])
    for name, table in parent_tables(operation.path):
        if name == "memberIdentifier":
            return path.replace("{memberIdentifier}", "bkeller")
        rows = sandbox.store.table(table).of(parents)
        children = sandbox.store.table(collection)
        fitting = [r for r in rows if children.of((*parents, r.id)) or r.id in attached]
        record = (fitting or rows)[0]
        parents = (*parents, record.id)
        path = path.replace(f"{{{name}}}", str(record.id))
    if "{id}" not in path:
        return path
    if collection.endswith("tickets/configurations"):
        return path.replace("{id}", str(attached[parents[0]][0]))
    source = source_of(collection)
    table = {"project/ticketNote": "project/tickets/notes"}.get(collection, source.table)
    rows = sandbox.store.table(table).of(() if source.all_parents else parents)
    record = rows[-1] if operation.method == "delete" else rows[0]
    return path.replace("{id}", str(record.id))


def body_for(sandbox: SandboxServer, operation: Operation, path: str) -> Any:
    if operation.operation_id == "deleteCompanyConfigurationsBulk":
        return [{"id": 2}]
    if operation.takes_patch:
        return []
    if operation.body is None:
        return None
    if "/tickets/{parentId}/notes" in operation.path:
        return {"text": "x", "internalAnalysisFlag": True}
    if operation.path.endswith("tickets/{parentId}/configurations"):
        return {"id": 30}
    known = BODIES.get(operation.path) or BODIES.get(operation.path.removesuffix("/{id}"))
    if known is not None:
        return known
    name = REFERENCE.schema_name(operation.body)
    assert name is not None
    if name == "DocumentFormData":
        return None
    body = sample(Planter(sandbox.gateway.state), name)
    if name == "BoardItemAssociation":
        body["id"] = 1
    if operation.body.get("type") == "array":
        return [{**body, "id": 1}]
    return body


@pytest.fixture(scope="module")
def prepared(running: SandboxServer) -> SandboxServer:
    running.reset()
    client = Api(running)
    client.post("/system/callbacks", {**BODIES["/system/callbacks"], "url": "http://127.0.0.1:9/z?id="})
    client.http.close()
    return running


def test_every_operation_has_a_handler() -> None:
    assert len(REFERENCE.operations) == 527
    unserved = [o.operation_id for o in API_OPERATIONS if handler_of(o) is None]
    assert unserved == []


@pytest.mark.parametrize("operation", READS, ids=lambda o: o.operation_id)
def test_read_answers_its_schema(prepared: SandboxServer, operation: Operation) -> None:
    client = Api(prepared)
    answer = client.get(address(prepared, operation))
    client.http.close()
    assert answer.status_code == 200, answer.text
    if operation.media_type != "application/json":
        assert answer.headers["Content-Type"] == operation.media_type
        return
    found = answer.json()
    assert violations(operation.response, found) == []
    if operation.answers_list:
        assert found


@pytest.mark.parametrize("operation", WRITES, ids=lambda o: o.operation_id)
def test_write_answers_its_schema(api: Api, operation: Operation) -> None:
    if operation.path.startswith("/system/callbacks/"):
        entry = {**BODIES["/system/callbacks"], "url": "http://127.0.0.1:9/z?id="}
        api.post("/system/callbacks", entry)
    path = address(api.sandbox, operation)
    body: Any = {"json": body_for(api.sandbox, operation, path)}
    if operation.body_media_type == "multipart/form-data":
        body = {"data": {"recordType": "Ticket", "recordId": 57001}, "files": {"file": ("x.txt", b"x")}}
    answer = api.call(operation.method.upper(), path, **body)
    assert answer.status_code == operation.status, answer.text
    if operation.response is not None:
        assert violations(operation.response, answer.json()) == []


def test_every_row_of_every_list_fits_its_schema(prepared: SandboxServer) -> None:
    client = Api(prepared)
    for operation in READS:
        if operation.answers_list and not operation.path_params:
            rows = client.get(operation.path, pageSize=1000).json()
            assert violations(operation.response, rows) == [], operation.path
    client.http.close()


def test_empty_sandbox_has_setup_but_no_tickets() -> None:
    with SandboxServer(empty=True) as sandbox:
        client = Api(sandbox)
        assert client.get("/service/tickets").json() == []
        assert len(client.get("/company/companies").json()) == 1
        assert len(client.get("/service/boards").json()) == 5
        made = client.post("/service/tickets", {"summary": "x", "company": {"id": 1}})
        assert made.status_code == 201, made.text
        client.http.close()
