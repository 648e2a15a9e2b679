"""Who is calling and which server answers: codebase lookup, keys, the own member, rights, version."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

from psa.providers.connectwise.reference import JsonObject, load_reference
from psa.providers.connectwise.sandbox import errors
from psa.providers.connectwise.sandbox.behaviour import Behaviour, Call
from psa.providers.connectwise.sandbox.resources import answer_record, find, list_answer, stamped
from psa.providers.connectwise.sandbox.security import security_rows
from psa.providers.connectwise.sandbox.sources import slim, slim_member
from psa.providers.connectwise.sandbox.state import API_MEMBER_ID, State
from psa.providers.connectwise.sandbox.store import Record, to_json, utc_text
from psa.providers.connectwise.sandbox.validation import BodySchema, Context, body_schema
from psa.providers.connectwise.sandbox.wire import Response

TOKEN_LIFE = timedelta(hours=4)
"""How long keys of an impersonated member are said to live; the sandbox never ends them."""


def authenticate(state: State, headers: dict[str, str]) -> Record:
    """The member whose keys are used. Raises: ApiError 400 (clientId), 401 (keys), 404 (company)."""
    if headers.get("clientid", "").lower() != state.credentials.client_id.lower():
        raise errors.cannot_route()
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    try:
        decoded = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as exc:
        raise errors.unauthorized() from exc
    user, colon, private_key = decoded.partition(":")
    company, plus, public_key = user.partition("+")
    if scheme.lower() != "basic" or not colon or not plus:
        raise errors.unauthorized()
    if company.lower() != state.credentials.company_id.lower():
        raise errors.route_missing()
    own = (state.credentials.private_key, API_MEMBER_ID)
    keys = {state.credentials.public_key: own, **state.tokens}
    expected, member_id = keys.get(public_key, ("", API_MEMBER_ID))
    if not expected or not hmac.compare_digest(private_key.encode(), expected.encode()):
        raise errors.unauthorized()
    return state.member(member_id)


def company_info(state: State, company_id: str) -> Response:
    """The codebase lookup, open to everyone; JSON null for an unknown company."""
    if unquote(company_id).lower() != state.credentials.company_id.lower():
        return Response(200, b"null")
    codebase = state.settings.codebase
    own = next(iter(state.store.table("company/companies").rows.values())).data
    host = state.site_url.partition("://")[2]
    answer = {
        "CompanyName": own["name"],
        "Codebase": codebase,
        "VersionCode": f"v{state.settings.supported_version}",
        "VersionNumber": f"v{state.settings.supported_version}.104218",
        "CompanyID": state.credentials.company_id,
        "IsCloud": "True" if host.startswith("api-") else "False",
        "SiteUrl": host,
    }
    return Response(200, to_json(answer))


class MemberBehaviour(Behaviour):
    """Identifiers are unique; members fire callbacks."""

    callback = "member"
    actions = frozenset({"password"})

    def prepare(
        self,
        call: Call,
        schema: BodySchema,
        data: JsonObject,
        parents: tuple[int, ...],
        context: Context,
    ) -> None:
        table = call.state.store.table("system/members")
        if table.find("identifier", data["identifier"], lambda d: str(d["identifier"])):
            message = f"Member {data['identifier']} exists already."
            context.refuse("ObjectExists", message, "identifier")
        data.setdefault("inactiveFlag", False)


def my_member(call: Call) -> Response:
    return answer_record(call, slim("MyMember")(_own_data(call)))


def my_member_info(call: Call) -> Response:
    return answer_record(call, slim_member("MyMemberInfo")(_own_data(call)))


def _own_data(call: Call) -> JsonObject:
    """The own member with the boards hidden from it, split by kind."""
    boards = call.state.store.table("service/boards").rows
    hidden = [boards[i] for i in call.state.settings.excluded_boards if i in boards]
    project = [b.id for b in hidden if b.data.get("projectFlag")]
    service = [b.id for b in hidden if not b.data.get("projectFlag")]
    return {**call.actor.data, "excludedServiceBoardIds": service, "excludedProjectBoardIds": project}


def my_security(call: Call) -> Response:
    member = call.state.references.expand("MemberReference", call.actor)
    rows = [Record(row["id"], row, ()) for row in security_rows(call.state, member)]
    return list_answer(call, "MySecurity", rows)


def system_info(call: Call) -> Response:
    names = ("Service", "Project", "Time", "Sales")
    answer = {
        "version": f"v{call.state.settings.supported_version}.104218",
        "isCloud": False,
        "serverTimeZone": "UTC",
        "licenseBits": [{"name": name, "activeFlag": True} for name in names],
        "cloudRegion": "NA",
        "maxWorkFlowRecordsAllowed": 500,
    }
    return answer_record(call, answer)


def issue_token(call: Call) -> Response:
    """Keys that act as another member until the sandbox is reset."""
    table = call.state.store.table("system/members")
    wanted = unquote(call.params["memberIdentifier"])
    member = table.find("identifier", wanted, lambda d: str(d.get("identifier", "")))
    if member is None or member.data.get("inactiveFlag"):
        raise errors.record_missing("Member", wanted)
    public_key, private_key = secrets.token_hex(8), secrets.token_hex(8)
    call.state.tokens[public_key] = (private_key, member.id)
    expiration = utc_text(datetime.now(UTC) + TOKEN_LIFE)
    answer = {"publicKey": public_key, "privateKey": private_key, "expiration": expiration}
    return Response(call.operation.status, to_json(answer))


def deactivate(call: Call) -> Response:
    with call.state.store.lock:
        member = find(call, "system/members", call.params["id"])
        context = Context(call.state.references)
        schema = body_schema("MemberDeactivation")
        data = schema.clean(call.body, context)
        if context.problems:
            raise errors.invalid(schema.resource, context.problems)
        changed = {**member.data, "inactiveFlag": True}
        table = call.state.store.table("system/members")
        new = table.put(member, stamped(call, body_schema("Member"), changed, member.data))
        call.publish("member", "updated", new)
    return Response(call.operation.status, to_json(data))


def check_version(state: State, accept: str, path: str) -> None:
    """Raises: ApiError 400 when the first media type asks for a version that is not served."""
    first = accept.split(",")[0].strip()
    media_type, *parameters = [part.strip() for part in first.split(";")]
    if media_type.lower() != "application/vnd.connectwise.com+json":
        return
    for parameter in parameters:
        name, _, version = parameter.partition("=")
        if name.strip().lower() == "version" and not _is_served(state, version.strip('" ')):
            raise errors.unsupported_version(path, version.strip())


def _is_served(state: State, version: str) -> bool:
    """Years and releases compare as numbers: 2025.16 is newer than 2025.4."""
    try:
        asked = tuple(int(part) for part in version.split("."))
        newest = tuple(int(part) for part in state.settings.supported_version.split("."))
    except ValueError:
        return False
    return len(asked) >= 2 and asked[:2] <= newest[:2]


def api_version() -> str:
    return load_reference().version
