"""Owns the calls about which status an outcome sets on a board. Leads and admins change that."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from psa import selectors, services
from psa.api.members import read_rows
from psa.api.permissions import CanLead, CanPost
from psa.api.schema import EnumField, call, shaped
from psa.api.scope import request_scope
from psa.api.serializers import StrictSerializer
from psa.models import StatusRule
from psa.models.status_rule import MailChoice
from psa.selectors import RuleWarning

RULES_MAX = 1_000
"""Rules of one connection: a few hundred boards with four outcomes each."""
NAME_MAX_CHARS = 100

_RULE = {
    "board": "1",
    "board_name": "Help Desk",
    "outcome": "resolved",
    "status": "507",
    "status_name": "Closed",
    "mail": "silent",
    "valid": True,
    "warnings": ["mails-customer"],
}
_LISTED = OpenApiExample("rules", value=[_RULE], response_only=True, status_codes=[200])


class StatusRuleSerializer(serializers.Serializer[Any]):
    """Which status an outcome sets on a board."""

    board = serializers.CharField(source="board_id")
    board_name = serializers.CharField()
    outcome = serializers.CharField()
    status = serializers.CharField(source="status_id")
    status_name = serializers.CharField()
    mail = EnumField(MailChoice)
    valid = serializers.BooleanField(
        help_text="false once the status left the board or was switched off: the rule then sets nothing."
    )
    warnings = serializers.SerializerMethodField()

    @shaped(serializers.ListField(child=EnumField(RuleWarning)))
    def get_warnings(self, rule: StatusRule) -> list[str]:
        """Return what a person should know of the rule."""
        return [warning.value for warning in selectors.rule_warnings(rule)]


@shaped({"type": "string", "example": "507"})
class PsaIdField(serializers.CharField):
    """Id of a record of the PSA as a string or number."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=NAME_MAX_CHARS, **options)


class StatusRuleDraftSerializer(StrictSerializer):
    """A rule as it shall be. What is only answered may be sent along and is not read."""

    board = PsaIdField()
    outcome = serializers.CharField(max_length=20)
    status = PsaIdField(help_text="Id or exact name of a status of the board.")
    mail = EnumField(MailChoice, default=MailChoice.SILENT.value)
    board_name = serializers.CharField(read_only=True)
    status_name = serializers.CharField(read_only=True)
    valid = serializers.BooleanField(read_only=True)
    warnings = serializers.ListField(read_only=True)


class StatusRules(APIView):
    """The status rules of a connection. Everyone reads, leads and admins write."""

    def get_permissions(self) -> list[BasePermission]:
        """Ask for a lead before anything is changed."""
        reads = self.request is None or self.request.method in {"GET", "HEAD", "OPTIONS"}
        return [IsAuthenticated(), CanPost() if reads else CanLead()]

    @call(
        "connections_status_rules_list",
        answers={200: StatusRuleSerializer(many=True)},
        refusals=(404,),
        examples=[_LISTED],
        tag="status rules",
    )
    def get(self, request: Request, connection_id: int) -> Response:
        """List all rules. A board without one gets no status."""
        rules = selectors.status_rules(request_scope(request).tenant, connection_id)
        return Response(StatusRuleSerializer(rules, many=True).data)

    @call(
        "connections_status_rules_set",
        body=StatusRuleDraftSerializer(many=True),
        answers={200: StatusRuleSerializer(many=True)},
        refusals=(400, 404, 409, 422, 503),
        examples=[
            _LISTED,
            OpenApiExample(
                "two rules",
                value=[
                    {"board": "1", "outcome": "resolved", "status": "Closed", "mail": "silent"},
                    {"board": "1", "outcome": "escalated", "status": "Escalated"},
                ],
                request_only=True,
            ),
        ],
        tag="status rules",
    )
    def put(self, request: Request, connection_id: int) -> Response:
        """Replace all rules by these. A status its board does not have is refused, with those it has."""
        rows = read_rows(request, StatusRuleDraftSerializer, at_most=RULES_MAX)
        scope = request_scope(request)
        drafts = [services.StatusRuleDraft(**row) for row in rows]
        rules = services.status_rules_set(scope.tenant, connection_id, drafts, actor=scope.actor)
        return Response(StatusRuleSerializer(rules, many=True).data)
