"""Owns the calls about callbacks: what a PSA is asked to tell us."""

from __future__ import annotations

import re
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema_field
from rest_framework import serializers
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from psa import selectors, services
from psa.api.permissions import CanManage, CanPost
from psa.api.schema import EnumField, call
from psa.api.scope import request_scope
from psa.api.serializers import ReasonField, StrictSerializer
from psa.api.status_rules import PsaIdField
from psa.models.callback import SubscriptionState

_SECRET = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class CallbackSerializer(serializers.Serializer[Any]):
    """One callback. The secret part of `url` is shown to admins only."""

    id = serializers.IntegerField()
    type = serializers.CharField()
    level = serializers.CharField()
    object_id = serializers.CharField(allow_blank=True)
    url = serializers.SerializerMethodField()
    state = EnumField(SubscriptionState)
    problem = ReasonField(allow_null=True)
    last_received_at = serializers.DateTimeField(allow_null=True)
    verified = serializers.IntegerField(help_text="Messages whose signature held.")
    rejected = serializers.IntegerField(help_text="Messages that were forged, altered or not for us.")

    @extend_schema_field(OpenApiTypes.STR)
    def get_url(self, callback: Any) -> str:
        """Return the registered address; only admins see the part that makes it secret."""
        return str(callback.url) if self.context.get("can_manage") else _SECRET.sub("…", callback.url)


class CallbackDraftSerializer(StrictSerializer):
    """A callback as it shall be."""

    type = serializers.CharField(default="ticket", max_length=30)
    level = serializers.CharField(default="owner", max_length=30, help_text="`owner`: all; `board`: one.")
    object_id = PsaIdField(default="", allow_blank=True, help_text="Id of the board.")


_EXAMPLE = OpenApiExample(
    "callback",
    value={
        "id": 1,
        "type": "ticket",
        "level": "board",
        "object_id": "7",
        "url": "https://psa.example.com/psa/webhooks/…/?recordId=",
        "state": "active",
        "problem": None,
        "last_received_at": "2026-03-02T09:14:05Z",
        "verified": 210,
        "rejected": 0,
    },
    response_only=True,
    status_codes=[200, 201],
)


class _Callbacks(APIView):
    def get_permissions(self) -> list[BasePermission]:
        """Ask for an admin before anything is changed."""
        reads = self.request is None or self.request.method in {"GET", "HEAD", "OPTIONS"}
        return [IsAuthenticated(), CanPost() if reads else CanManage()]


class CallbackList(_Callbacks):
    """The callbacks of a connection. Everyone reads, admins write."""

    @call(
        "connections_callbacks_list",
        answers={200: CallbackSerializer(many=True)},
        refusals=(404,),
        examples=[_EXAMPLE],
        tag="callbacks",
    )
    def get(self, request: Request, connection_id: int) -> Response:
        """List the callbacks that are wanted, with what arrives."""
        scope = request_scope(request)
        rows = selectors.callbacks(scope.tenant, connection_id)
        context = {"can_manage": scope.can_manage}
        return Response(CallbackSerializer(rows, many=True, context=context).data)

    @call(
        "connections_callbacks_create",
        body=CallbackDraftSerializer,
        answers={201: CallbackSerializer},
        refusals=(400, 404, 409, 422),
        examples=[_EXAMPLE],
        tag="callbacks",
    )
    def post(self, request: Request, connection_id: int) -> Response:
        """Ask the PSA to tell of changes. While it is away the callback waits, and is registered later."""
        scope = request_scope(request)
        body = CallbackDraftSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        made = services.callback_add(scope.tenant, connection_id, actor=scope.actor, **body.validated_data)
        return Response(CallbackSerializer(made, context={"can_manage": True}).data, status=201)


class CallbackDetail(_Callbacks):
    """One callback."""

    @call("connections_callbacks_delete", answers={204: None}, refusals=(404,), tag="callbacks")
    def delete(self, request: Request, connection_id: int, callback_id: int) -> Response:
        """Take a callback back: nothing more is taken at its address from now on."""
        scope = request_scope(request)
        services.callback_remove(scope.tenant, connection_id, callback_id, actor=scope.actor)
        return Response(status=204)
