"""Owns the calls about who of the account is which member of a PSA. Leads and admins change that."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from drf_spectacular.utils import OpenApiExample
from rest_framework import generics, serializers
from rest_framework.exceptions import ParseError
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from psa import selectors, services
from psa.api.permissions import CanLead, CanPost
from psa.api.schema import EnumField, call, shaped
from psa.api.scope import request_scope
from psa.api.serializers import StrictSerializer
from psa.models import MemberMapping
from psa.models.member_mapping import MappedHow
from psa.selectors import PersonRow, Unmatched
from psa.types import Member

ID_MAX_CHARS = 40
"""Longest id of a PSA record, as the database stores it."""
QUERY_MAX_CHARS = 200
CHOICES_MAX = 1_000
"""Mappings one call changes at most: their rows are held while it runs."""

_MAPPING = {
    "user": 3,
    "user_name": "Erin Owens",
    "member": {"id": "105", "name": "Erin Owens", "emails": ["eowens@acme-msp.example"]},
    "how": "email",
    "active": True,
    "member_left": False,
}
_LISTED = OpenApiExample("mapping", value=_MAPPING, response_only=True, status_codes=[200])


class MappingsShown(StrEnum):
    """Which rows a list of mappings has."""

    MAPPED = "mapped"
    """Mappings in force."""
    CLOSED = "closed"
    """Mappings that have ended, the last ended first."""
    UNMAPPED = "unmapped"
    """Active people without a mapping."""
    FREE = "free"
    """Members nobody is mapped to. Asks the PSA; `q` searches names, logins and addresses."""


class MemberSerializer(serializers.Serializer[Any]):
    """A person of the PSA."""

    id = serializers.CharField()
    name = serializers.CharField()
    emails = serializers.ListField(child=serializers.CharField())


class MemberMappingSerializer(serializers.Serializer[Any]):
    """One user and the member they are; either side is null where there is none."""

    user = serializers.IntegerField(allow_null=True)
    user_name = serializers.CharField(allow_blank=True)
    member = MemberSerializer(allow_null=True)
    how = EnumField(MappedHow, allow_null=True)
    active = serializers.BooleanField(help_text="false once the mapping has ended.")
    member_left = serializers.BooleanField(
        help_text="true when the PSA no longer lists the member as active: choose another one."
    )


@shaped({"type": "string", "nullable": True, "example": "105"})
class MemberIdField(serializers.Field[Any, Any, Any, Any]):
    """Id of a member as a string or number, or the member as it was answered; null for none."""

    default_error_messages = {"invalid": "Give the id of a member, or null."}

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_null=True, **options)

    def to_internal_value(self, data: Any) -> str:
        """Return the id."""
        found = data.get("id") if isinstance(data, Mapping) else data
        if isinstance(found, bool) or not isinstance(found, str | int):
            self.fail("invalid")
        text = str(found).strip()
        if not text or len(text) > ID_MAX_CHARS or not text.isprintable():
            self.fail("invalid")
        return text

    def to_representation(self, value: Any) -> Any:
        """Return the id."""
        return value


class MemberMappingChoiceSerializer(StrictSerializer):
    """What one user shall be: a member, or none. What is only answered may be sent along and is not read."""

    user = serializers.IntegerField(min_value=1, max_value=2**63 - 1)
    member = MemberIdField(help_text="null ends the mapping of the user.")
    active = serializers.BooleanField(default=True, help_text="false ends the mapping of the user.")
    user_name = serializers.CharField(read_only=True)
    how = serializers.CharField(read_only=True)
    member_left = serializers.BooleanField(read_only=True)


class MemberMappingQuerySerializer(serializers.Serializer[Any]):
    """Filters of the list."""

    show = EnumField(MappingsShown, default=MappingsShown.MAPPED.value)
    q = serializers.CharField(required=False, allow_blank=True, max_length=QUERY_MAX_CHARS, default="")


class UserWithoutMemberSerializer(serializers.Serializer[Any]):
    """A user whom the match left without a member, and why."""

    user = serializers.IntegerField(source="person.id")
    user_name = serializers.CharField(source="person.name")
    why = EnumField(Unmatched)
    candidates = MemberSerializer(many=True, help_text="Members with the user's address.")


class MatchSerializer(serializers.Serializer[Any]):
    """What a match did: the list of mappings as it stands now, and who is left."""

    count = serializers.IntegerField()
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = MemberMappingSerializer(many=True)
    matched = serializers.IntegerField(help_text="Mappings this match made.")
    ambiguous = UserWithoutMemberSerializer(
        many=True, help_text="Addresses several have: these are never guessed."
    )
    unmatched = UserWithoutMemberSerializer(many=True)


class MemberMappings(generics.GenericAPIView[MemberMapping]):
    """The mappings of a connection. Everyone reads, leads and admins write."""

    serializer_class = MemberMappingSerializer
    queryset = MemberMapping.objects.none()
    filter_backends: list[Any] = []

    def get_permissions(self) -> list[BasePermission]:
        """Ask for a lead before anything is changed."""
        reads = self.request is None or self.request.method in {"GET", "HEAD", "OPTIONS"}
        return [IsAuthenticated(), CanPost() if reads else CanLead()]

    @call(
        "connections_members_list",
        parameters=[MemberMappingQuerySerializer],
        answers={200: MemberMappingSerializer(many=True)},
        refusals=(404, 409, 422, 503),
        examples=[_LISTED],
        tag="members",
    )
    def get(self, request: Request, connection_id: int) -> Response:
        """List who is which member; with `show` also who has none, and which members are free."""
        query = MemberMappingQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        tenant = request_scope(request).tenant
        show = query.validated_data["show"]
        if show == MappingsShown.UNMAPPED:
            people = [row for row in selectors.member_rows(tenant, connection_id) if row.mapping is None]
            page = self.paginate_queryset(people)
            return self.get_paginated_response([_of_person(row) for row in page or ()])
        if show == MappingsShown.FREE:
            found = selectors.members_search(tenant, connection_id, query.validated_data["q"], at_most=None)
            members = self.paginate_queryset(found)
            return self.get_paginated_response([_of_member(member) for member in members or ()])
        rows = selectors.member_mappings(tenant, connection_id, closed=show == MappingsShown.CLOSED)
        return self.get_paginated_response([_of_mapping(row) for row in self.paginate_queryset(rows) or ()])

    @call(
        "connections_members_set",
        body=MemberMappingChoiceSerializer(many=True),
        answers={200: MemberMappingSerializer(many=True)},
        refusals=(400, 404, 409, 422, 503),
        examples=[
            _LISTED,
            OpenApiExample(
                "map one, end another",
                value=[{"user": 3, "member": "105"}, {"user": 4, "member": None}],
                request_only=True,
            ),
        ],
        tag="members",
    )
    def put(self, request: Request, connection_id: int) -> Response:
        """Map the users that are named; the others stay as they are. One object stands for a list of one."""
        rows = read_rows(request, MemberMappingChoiceSerializer, at_most=CHOICES_MAX)
        scope = request_scope(request)
        choices = {row["user"]: row["member"] if row["active"] else None for row in rows}
        if len(choices) < len(rows):
            raise serializers.ValidationError({"user": ["Each user can be named once."]})
        services.member_mappings_set(scope.tenant, connection_id, choices, actor=scope.actor)
        mapped = self.paginate_queryset(selectors.member_mappings(scope.tenant, connection_id))
        return self.get_paginated_response([_of_mapping(row) for row in mapped or ()])


class MemberMatch(generics.GenericAPIView[MemberMapping]):
    """The match by e-mail."""

    permission_classes = [IsAuthenticated, CanLead]
    serializer_class = MemberMappingSerializer
    queryset = MemberMapping.objects.none()
    filter_backends: list[Any] = []

    @call(
        "connections_members_match",
        answers={200: MatchSerializer},
        refusals=(404, 409, 422, 503),
        examples=[
            OpenApiExample(
                "one matched, one ambiguous",
                value={
                    "count": 1,
                    "next": None,
                    "previous": None,
                    "results": [_MAPPING],
                    "matched": 1,
                    "ambiguous": [
                        {
                            "user": 4,
                            "user_name": "Felix Chan",
                            "why": "ambiguous",
                            "candidates": [
                                {
                                    "id": "106",
                                    "name": "Felix Chan",
                                    "emails": ["helpdesk@acme-msp.example"],
                                },
                                {
                                    "id": "107",
                                    "name": "Gia Romano",
                                    "emails": ["helpdesk@acme-msp.example"],
                                },
                            ],
                        }
                    ],
                    "unmatched": [],
                },
                response_only=True,
                status_codes=[200],
            )
        ],
        tag="members",
    )
    def post(self, request: Request, connection_id: int) -> Response:
        """Map everybody whose e-mail names exactly one active member. Nobody is guessed, none is changed."""
        scope = request_scope(request)
        found = services.members_match(scope.tenant, connection_id, actor=scope.actor)
        left = [row for row in found.plan.rows if row.why is not None]
        page = self.paginate_queryset(selectors.member_mappings(scope.tenant, connection_id))
        answer = self.get_paginated_response([_of_mapping(row) for row in page or ()])
        answer.data |= {
            "matched": len(found.made),
            "ambiguous": _unmatched(row for row in left if row.why is Unmatched.AMBIGUOUS),
            "unmatched": _unmatched(row for row in left if row.why is not Unmatched.AMBIGUOUS),
        }
        return answer


def read_rows(request: Request, shape: type[StrictSerializer], *, at_most: int) -> list[dict[str, Any]]:
    """Return the checked rows of a body that is a list of objects, or one object.

    Raises: ParseError (400), for another body; ValidationError (422), by place and field: `0.user`.
    """
    try:
        data = request.data
    except RecursionError as exc:
        raise ParseError("The body is nested too deeply.") from exc
    rows = [data] if isinstance(data, Mapping) else data
    if not isinstance(rows, list):
        raise ParseError("The body must be a JSON list of objects.")
    if len(rows) > at_most:
        raise serializers.ValidationError([f"At most {at_most:,} rows fit in one call."])
    strange = [number for number, row in enumerate(rows) if not isinstance(row, Mapping)]
    if strange:
        raise serializers.ValidationError({str(number): ["This must be an object."] for number in strange})
    body = shape(data=rows, many=True)
    body.is_valid(raise_exception=True)
    found: list[dict[str, Any]] = body.validated_data
    return found


def _unmatched(rows: Any) -> Any:
    return UserWithoutMemberSerializer(list(rows), many=True).data


def _of_mapping(row: MemberMapping) -> Any:
    member = {"id": row.member_id, "name": row.member_name, "emails": row.member_emails}
    return _row(row.user_id, row.user_name, member, row.how, row.active, row.member_left_at is not None)


def _of_person(row: PersonRow) -> Any:
    return _row(row.person.id, row.person.name, None, None, False, False)


def _of_member(member: Member) -> Any:
    return _row(None, "", {"id": member.id, "name": member.name, "emails": member.emails}, None, False, False)


def _row(
    user: int | None, user_name: str, member: Any, how: str | None, active: bool, member_left: bool
) -> Any:
    found = {"user": user, "user_name": user_name, "member": member, "how": how, "active": active}
    return MemberMappingSerializer({**found, "member_left": member_left}).data
