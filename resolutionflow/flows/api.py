"""Owns `GET/POST /api/v1/flows/`. Every member reads and adds flows; nobody sees another account's."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework import generics, serializers, status
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from resolutionflow.accounts.models import Account
from resolutionflow.accounts.scope import scope
from resolutionflow.flows import selectors, services
from resolutionflow.flows.models import Flow, FlowStep


class IsMember(BasePermission):
    """True for everyone who works in an account."""

    message = "Your user belongs to no account."
    code = "role"

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return True when the user has a membership."""
        return scope(request) is not None


class FlowStepSerializer(serializers.ModelSerializer[FlowStep]):
    """One step: `{position, title, body}`; position is given by the order."""

    class Meta:
        model = FlowStep
        fields = ["position", "title", "body"]
        read_only_fields = ["position"]


class FlowSerializer(serializers.ModelSerializer[Flow]):
    """A flow with its steps."""

    keywords = serializers.ListField(
        child=serializers.CharField(max_length=services.KEYWORD_MAX_CHARS),
        required=False,
        max_length=services.KEYWORDS_MAX,
        help_text="Words of a ticket this flow fits.",
    )
    boards = serializers.ListField(
        child=serializers.CharField(max_length=services.NAME_MAX_CHARS),
        required=False,
        max_length=services.NAMES_MAX,
        help_text="Names of the boards it is made for; empty: all.",
    )
    ticket_types = serializers.ListField(
        child=serializers.CharField(max_length=services.NAME_MAX_CHARS),
        required=False,
        max_length=services.NAMES_MAX,
        help_text="Types of tickets it is made for, `Email` or `Email/Outlook`; empty: all.",
    )
    steps = FlowStepSerializer(many=True, required=False)

    class Meta:
        model = Flow
        fields = [
            "id",
            "title",
            "description",
            "keywords",
            "boards",
            "ticket_types",
            "published",
            "steps",
            "created_at",
            "updated_at",
        ]
        read_only_fields = ["created_at", "updated_at"]

    def create(self, validated_data: dict[str, Any]) -> Flow:
        """Store the flow through the service."""
        steps = [services.StepDraft(**step) for step in validated_data.pop("steps", [])]
        return services.flow_create(steps=steps, **validated_data)


class FlowList(generics.ListCreateAPIView[Flow]):
    """List the account's flows, or add one with its steps."""

    permission_classes = [IsAuthenticated, IsMember]
    serializer_class = FlowSerializer
    queryset = Flow.objects.none()
    filter_backends: list[Any] = []

    def get_queryset(self) -> QuerySet[Flow]:
        """Return the flows of whoever asks."""
        return selectors.flows(self._account())

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Add a flow."""
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        serializer.save(account=self._account())
        return Response(serializer.data, status=status.HTTP_201_CREATED)

    def _account(self) -> Account:
        found = scope(self.request)
        assert found is not None, "IsMember lets nobody else in"  # noqa: S101
        account: Account = found.tenant
        return account
