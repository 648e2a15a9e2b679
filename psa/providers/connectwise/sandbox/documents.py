"""Files of records: uploaded as a multipart form, listed by record, downloaded as bytes.

Source: docs/connectwise/quick-reference.md#files
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message

from requests_toolbelt.multipart.decoder import ImproperBodyPartContentException, MultipartDecoder

from psa.providers.connectwise.reference import JsonObject
from psa.providers.connectwise.sandbox import errors
from psa.providers.connectwise.sandbox.behaviour import Call
from psa.providers.connectwise.sandbox.errors import Item
from psa.providers.connectwise.sandbox.resources import (
    filtered,
    find,
    handle_delete,
    list_answer,
    target_of,
)
from psa.providers.connectwise.sandbox.state import State
from psa.providers.connectwise.sandbox.store import Record, to_json
from psa.providers.connectwise.sandbox.wire import Response

DOCUMENTS, LIMITS = "system/documents", "system/fileuploadsettings"

HOLDERS = {
    "Ticket": "service/tickets",
    "ProjectTicket": "project/tickets",
    "Company": "company/companies",
    "Contact": "company/contacts",
    "Configuration": "company/configurations",
    "Member": "system/members",
}
"""recordType → table of the records that hold files. The others are not played here."""

TICKETS = ("Ticket", "ProjectTicket")
FORM = "multipart/form-data"
MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a form; file_name is None for a plain field."""

    content: bytes
    file_name: str | None = None


def read_form(body: bytes, content_type: str) -> dict[str, Part]:
    """Return the parts by name in lower case. Raises: ApiError for anything but a multipart form."""
    if not content_type.lower().startswith(FORM):
        raise errors.wrong_media_type(content_type, FORM)
    parts: dict[str, Part] = {}
    try:
        for part in MultipartDecoder(body, content_type).parts:
            header = Message()
            header["Content-Disposition"] = part.headers.get(b"Content-Disposition", b"").decode("utf-8")
            name = header.get_param("name", header="Content-Disposition")
            if isinstance(name, str):
                parts[name.lower()] = Part(part.content, _file_name(header))
    except (ImproperBodyPartContentException, ValueError, AttributeError, IndexError) as exc:
        raise errors.coded(400, "InvalidObject", "The body is no multipart form.") from exc
    return parts


def upload(call: Call) -> Response:
    """Attach a file or a link to a record. Whom it is for is told by publicFlag of the answer."""
    form: Mapping[str, Part] = call.body
    fields = {name: part.content.decode("utf-8", "replace").strip() for name, part in form.items()}
    fields.pop("file", None)
    file = form.get("file")
    problems: list[Item] = []
    record = _holder(call, fields, problems)
    if file is None and not fields.get("url"):
        problems.append(Item("MissingRequiredField", "file or url is required.", "file"))
    elif file is not None:
        problems += _file_problems(call.state, file)
    if problems or record is None:
        raise errors.invalid("document", problems)
    content = file.content if file else b""
    name = (file.file_name or "file") if file else fields["url"]
    private = _flag(fields.get("privateflag"))
    data: JsonObject = {
        "title": fields.get("title") or name,
        "fileName": name,
        "serverFileName": f"{uuid.uuid4()}.{name.rpartition('.')[2]}",
        "owner": call.actor_name,
        "linkFlag": file is None,
        "imageFlag": name.lower().endswith((".png", ".jpg", ".jpeg", ".gif")),
        "publicFlag": not private,
        "htmlTemplateFlag": False,
        "readOnlyFlag": _flag(fields.get("readonlyflay") or fields.get("readonlyflag")),
        "size": len(content),
        "urlFlag": file is None,
        "createdOnDate": call.state.now(),
        "guid": str(uuid.uuid4()),
        "_info": {"lastUpdated": call.state.now(), "updatedBy": call.actor_name},
    }
    with call.state.store.lock:
        stored = call.state.store.table(DOCUMENTS).add(data)
        call.state.files[stored.id] = (fields["recordtype"], int(fields["recordid"]), content)
        if fields["recordtype"] in TICKETS:
            call.publish("ticket", "updated", record)
    return Response(call.operation.status, to_json(stored.data))


def list_documents(call: Call) -> Response:
    return list_answer(call, "DocumentInfo", _of_record(call))


def count_documents(call: Call) -> Response:
    rows = filtered(call, "DocumentInfo", _of_record(call), dict(call.query))
    return Response(200, to_json({"count": len(rows)}))


def download(call: Call) -> Response:
    record = find(call, DOCUMENTS, call.params["id"])
    name = str(record.data["fileName"]).encode("latin-1", "replace").decode("latin-1")
    disposition = f'attachment; filename="{name}"'
    content = call.state.files[record.id][2]
    return Response(200, content, "application/octet-stream", [("Content-Disposition", disposition)])


def remove(call: Call) -> Response:
    _table, record = target_of(call)
    answer = handle_delete(call)
    call.state.files.pop(record.id, None)
    return answer


def files_move(state: State, ticket_id: int, table: str) -> None:
    """Let the files of a ticket follow it when it is converted to the other kind."""
    kinds = {HOLDERS[kind]: kind for kind in TICKETS}
    for number, (kind, record_id, content) in list(state.files.items()):
        if kind in TICKETS and record_id == ticket_id:
            state.files[number] = (kinds[table], record_id, content)


def _of_record(call: Call) -> list[Record]:
    kind, number = call.query.get("recordType"), call.query.get("recordId")
    rows = call.state.store.table(DOCUMENTS).of(())
    files = call.state.files
    return [
        row
        for row in rows
        if (kind is None or files[row.id][0].lower() == kind.lower())
        and (number is None or str(files[row.id][1]) == number)
    ]


def _holder(call: Call, fields: Mapping[str, str], problems: list[Item]) -> Record | None:
    kind, number = fields.get("recordtype", ""), fields.get("recordid", "")
    if kind not in HOLDERS:
        problems.append(Item("InvalidField", "recordType names no kind of record.", "recordType"))
        return None
    record = call.state.store.table(HOLDERS[kind]).get(int(number)) if number.isdecimal() else None
    if record is None or call.state.is_hidden(record.data):
        raise errors.record_missing(kind, number)
    return record


def _file_problems(state: State, file: Part) -> list[Item]:
    if not file.content:
        return [Item("InvalidField", "The file is empty.", "file")]
    limit = next((row.data for row in state.store.table(LIMITS).of(())), {}).get("globalFileSizeLimit")
    if limit and len(file.content) > limit * MEGABYTE:
        return [Item("InvalidField", f"The file exceeds the limit of {limit} MB.", "file")]
    if re.search(r'[\\/:*?"<>|\x00-\x1f]', file.file_name or ""):
        return [Item("InvalidField", "The name of the file is not valid.", "file")]
    return []


def _file_name(header: Message) -> str | None:
    name = header.get_filename()
    return None if name is None else name.replace("%22", '"')


def _flag(text: str | None) -> bool:
    return (text or "").lower() in ("true", "1")
