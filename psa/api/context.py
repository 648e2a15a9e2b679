"""Owns the call that reads the context of a ticket, and its shape."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from psa import selectors
from psa.api.connections import is_true
from psa.api.schema import EnumField, call
from psa.api.scope import request_scope
from psa.api.serializers import NamedSerializer, TicketSerializer
from psa.api.tickets import Reading
from psa.types import NoteKind, RecordType, TicketContext


class ContextTicketSerializer(TicketSerializer):
    """The ticket of a context: more than a search tells."""

    contact = NamedSerializer(allow_null=True)
    site = NamedSerializer(allow_null=True)
    agreement = NamedSerializer(allow_null=True)
    assigned = serializers.ListField(child=serializers.CharField())
    type = serializers.CharField(allow_blank=True)
    subtype = serializers.CharField(allow_blank=True)
    item = serializers.CharField(allow_blank=True)
    priority = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField(allow_null=True)


class ContextNoteSerializer(serializers.Serializer[Any]):
    """One note. `kind` and `customer_visible` tell who reads it."""

    id = serializers.CharField()
    kind = EnumField(NoteKind)
    text = serializers.CharField()
    customer_visible = serializers.BooleanField()
    author = serializers.CharField(allow_blank=True)
    author_is_contact = serializers.BooleanField()
    from_time_entry = serializers.BooleanField()
    created_at = serializers.DateTimeField(allow_null=True)


class ContextDeviceSerializer(NamedSerializer):
    """One device of the ticket."""

    type = serializers.CharField(allow_blank=True)
    model = serializers.CharField(allow_blank=True)
    serial_number = serializers.CharField(allow_blank=True)
    os = serializers.CharField(allow_blank=True)
    ip_address = serializers.CharField(allow_blank=True)


class ContextSiteSerializer(NamedSerializer):
    """A place of the company."""

    address = serializers.CharField(allow_blank=True)
    phone = serializers.CharField(allow_blank=True)


class ContextCompanySerializer(ContextSiteSerializer):
    """The customer."""

    identifier = serializers.CharField(allow_blank=True)
    website = serializers.CharField(allow_blank=True)


class ContextContactSerializer(NamedSerializer):
    """Who asked."""

    title = serializers.CharField(allow_blank=True)
    emails = serializers.ListField(child=serializers.CharField())
    phones = serializers.ListField(child=serializers.CharField())


class ContextSlaSerializer(serializers.Serializer[Any]):
    """What was promised, and how it stands."""

    name = serializers.CharField(allow_blank=True)
    kept = serializers.BooleanField(allow_null=True)
    respond_by = serializers.DateTimeField(allow_null=True)
    plan_by = serializers.DateTimeField(allow_null=True)
    resolve_by = serializers.DateTimeField(allow_null=True)
    responded_at = serializers.DateTimeField(allow_null=True)
    planned_at = serializers.DateTimeField(allow_null=True)
    resolved_at = serializers.DateTimeField(allow_null=True)


class ContextAgreementSerializer(NamedSerializer):
    """What the customer has contracted for."""

    type = serializers.CharField(allow_blank=True)
    active = serializers.BooleanField()
    starts_at = serializers.DateTimeField(allow_null=True)
    ends_at = serializers.DateTimeField(allow_null=True)


class ContextArticleSerializer(serializers.Serializer[Any]):
    """An article of the PSA's knowledge base."""

    id = serializers.CharField()
    title = serializers.CharField()
    issue = serializers.CharField(allow_blank=True)
    resolution = serializers.CharField(allow_blank=True)
    updated_at = serializers.DateTimeField(allow_null=True)


class ContextSessionSerializer(serializers.Serializer[Any]):
    """Earlier work for the same customer; `device` names one that both have."""

    id = serializers.CharField()
    title = serializers.CharField()
    outcome = serializers.CharField()
    ended_at = serializers.DateTimeField(allow_null=True)
    summary = serializers.CharField(allow_blank=True)
    ticket_id = serializers.CharField(allow_blank=True)
    device = serializers.CharField(allow_blank=True)


class ContextProblemSerializer(serializers.Serializer[Any]):
    """A part that is missing or old."""

    part = serializers.CharField()
    code = serializers.CharField(help_text="`permission`, `not-found`, `unavailable` or `old`.")
    text = serializers.CharField()
    remedy = serializers.CharField(allow_blank=True)


class ContextNoticeSerializer(serializers.Serializer[Any]):
    """Something to know first."""

    code = serializers.CharField(help_text="`merged` or `closed`.")
    text = serializers.CharField()


class ContextSerializer(serializers.Serializer[Any]):
    """Everything known around one ticket. Parts that could not be read are empty and named in `problems`."""

    connection = serializers.IntegerField(source="connection_id")
    provider = serializers.CharField()
    fetched_at = serializers.DateTimeField(help_text="When the PSA told the ticket itself.")
    age_s = serializers.SerializerMethodField()
    stale = serializers.SerializerMethodField()
    away = serializers.CharField(
        allow_blank=True, help_text="Why it is not newer, while the PSA does not answer."
    )
    ticket = ContextTicketSerializer()
    notes = ContextNoteSerializer(many=True)
    devices = ContextDeviceSerializer(many=True)
    company = ContextCompanySerializer(allow_null=True)
    contact = ContextContactSerializer(allow_null=True)
    site = ContextSiteSerializer(allow_null=True)
    sla = ContextSlaSerializer(allow_null=True)
    agreement = ContextAgreementSerializer(allow_null=True)
    articles = ContextArticleSerializer(many=True)
    sessions = ContextSessionSerializer(many=True, source="past")
    problems = ContextProblemSerializer(many=True)
    notices = ContextNoticeSerializer(many=True)
    told = serializers.DictField(child=serializers.DateTimeField(), help_text="Part → when the PSA told it.")

    @extend_schema_field(OpenApiTypes.INT)
    def get_age_s(self, context: TicketContext) -> int:
        """Return whole seconds since the ticket was told."""
        return max(int((timezone.now() - context.fetched_at).total_seconds()), 0)

    @extend_schema_field(OpenApiTypes.BOOL)
    def get_stale(self, context: TicketContext) -> bool:
        """Return True while the PSA is away and something older stands in."""
        return bool(context.away)


class TicketContextRead(Reading):
    """The context of one ticket."""

    serializer_class = ContextSerializer

    @call(
        "connections_tickets_context",
        answers={200: ContextSerializer},
        refusals=(404, 409, 422, 503),
        parameters=[
            OpenApiParameter(
                "record_type",
                OpenApiTypes.STR,
                enum=[kind.value for kind in RecordType],
                description="Where the ticket is looked for; without it in both places.",
            ),
            OpenApiParameter(
                "refresh", OpenApiTypes.BOOL, description="Ask the PSA for what is cached, too."
            ),
        ],
        tag="tickets",
    )
    def get(self, request: Request, connection_id: int, ticket_id: str) -> Response:
        """Read ticket, notes, devices, customer, service level, articles and earlier sessions at once."""
        kind = request.query_params.get("record_type", "").strip()
        if kind and kind not in {known.value for known in RecordType}:
            raise serializers.ValidationError({"record_type": ["Use service or project."]})
        found = selectors.ticket_context(
            request_scope(request).tenant,
            connection_id,
            ticket_id,
            RecordType(kind) if kind else None,
            refresh=is_true(request, "refresh"),
        )
        return Response(ContextSerializer(found).data)
