"""Owns the calls about providers and connections. Reading is for everyone, changing for admins."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter
from rest_framework import generics, status
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from psa import exceptions as errors
from psa import selectors, services
from psa.api.permissions import CanManage, CanPost
from psa.api.problems import Problem
from psa.api.schema import call
from psa.api.scope import request_scope
from psa.api.serializers import (
    ConnectionChangeSerializer,
    ConnectionCreateSerializer,
    ConnectionSerializer,
    ConnectionTestSerializer,
    ProviderSerializer,
)
from psa.models import Connection

_CONNECTION = {
    "id": 3,
    "provider": "connectwise",
    "name": "Our ConnectWise",
    "site": "na.myconnectwise.net",
    "state": "connected",
    "last_checked_at": "2026-03-02T09:14:05Z",
    "features": [{"feature": "notes", "status": "ok", "grant": ""}],
    "problem": None,
    "version": "v2025.16.1",
    "hidden_boards": [],
}
_CREDENTIALS = {
    "company_id": "acme",
    "public_key": "your public key",
    "private_key": "your private key",
    "client_id": "00000000-0000-4000-8000-000000000000",
}
_ANSWER = OpenApiExample("connection", value=_CONNECTION, response_only=True, status_codes=[200, 201])


class ProviderList(APIView):
    """The PSA products that can be connected, with the fields of their credential forms."""

    permission_classes = [IsAuthenticated, CanPost]

    @call(
        "providers_list",
        answers={200: ProviderSerializer(many=True)},
        tag="connections",
    )
    def get(self, request: Request) -> Response:
        """List the providers."""
        return Response(ProviderSerializer(selectors.provider_classes(), many=True).data)


class _ManagedByAdmins(generics.GenericAPIView[Connection]):
    """Everyone reads, admins write."""

    serializer_class = ConnectionSerializer
    queryset = Connection.objects.none()
    filter_backends: list[Any] = []

    def get_permissions(self) -> list[BasePermission]:
        """Ask for the admin role before anything is changed."""
        reads = self.request is None or self.request.method in {"GET", "HEAD", "OPTIONS"}
        return [IsAuthenticated(), CanPost() if reads else CanManage()]


class ConnectionList(_ManagedByAdmins):
    """The account's connections."""

    def get_queryset(self) -> QuerySet[Connection]:
        """Return the connections of whoever asks."""
        return selectors.connections(request_scope(self.request).tenant)

    @call(
        "connections_list",
        answers={200: ConnectionSerializer(many=True)},
        refusals=(422,),
        examples=[_ANSWER],
        tag="connections",
    )
    def get(self, request: Request) -> Response:
        """List the connections."""
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(ConnectionSerializer(page, many=True).data)

    @call(
        "connections_create",
        body=ConnectionCreateSerializer,
        answers={201: ConnectionSerializer},
        refusals=(400, 409, 422, 503),
        examples=[
            _ANSWER,
            OpenApiExample(
                "new connection",
                value={
                    "provider": "connectwise",
                    "name": "Our ConnectWise",
                    "site": "na.myconnectwise.net",
                    "credentials": _CREDENTIALS,
                },
                request_only=True,
            ),
        ],
        tag="connections",
    )
    def post(self, request: Request) -> Response:
        """Connect a PSA. It is probed first; what is refused or unreachable is not stored."""
        body = ConnectionCreateSerializer.read(request)
        scope = request_scope(request)
        try:
            connection = services.connection_create(scope.tenant, actor=scope.actor, **body)
        except errors.ProviderError as exc:
            raise _refusal(exc, body) from exc
        return Response(ConnectionSerializer(connection).data, status.HTTP_201_CREATED)


class ConnectionDetail(_ManagedByAdmins):
    """One connection."""

    @call(
        "connections_retrieve",
        answers={200: ConnectionSerializer},
        refusals=(404,),
        examples=[_ANSWER],
        tag="connections",
    )
    def get(self, request: Request, connection_id: int) -> Response:
        """Read a connection."""
        connection = selectors.connection_get(request_scope(request).tenant, connection_id)
        return Response(ConnectionSerializer(connection).data)

    @call(
        "connections_change",
        body=ConnectionChangeSerializer,
        answers={200: ConnectionSerializer},
        refusals=(400, 404, 409, 422, 503),
        examples=[
            _ANSWER,
            OpenApiExample(
                "new keys",
                value={"credentials": {"public_key": "new public key", "private_key": "new private key"}},
                request_only=True,
            ),
            OpenApiExample("switch off", value={"disabled": True}, request_only=True),
        ],
        tag="connections",
    )
    def patch(self, request: Request, connection_id: int) -> Response:
        """Change a connection; it keeps its id and history. New keys are probed before they are stored."""
        body = ConnectionChangeSerializer.read(request)
        scope = request_scope(request)
        disabled = body.pop("disabled", None)
        verify = body.pop("verify")
        connection = selectors.connection_get(scope.tenant, connection_id)
        if body:
            try:
                connection = services.connection_update(
                    scope.tenant, connection_id, actor=scope.actor, verify=verify, **body
                )
            except errors.ProviderError as exc:
                raise _refusal(exc, body) from exc
        if disabled is not None:
            switch = services.connection_disable if disabled else services.connection_enable
            connection = switch(scope.tenant, connection_id, actor=scope.actor)
        return Response(ConnectionSerializer(connection).data)

    @call(
        "connections_delete",
        answers={204: None},
        refusals=(404, 409),
        parameters=[
            OpenApiParameter(
                "force",
                OpenApiTypes.BOOL,
                OpenApiParameter.QUERY,
                description="Delete although a delivery is being sent or looked up at this moment.",
            )
        ],
        tag="connections",
    )
    def delete(self, request: Request, connection_id: int) -> Response:
        """Delete a connection: its secrets are wiped, what is queued is discarded, its history stays."""
        scope = request_scope(request)
        force = is_true(request, "force")
        services.connection_delete(scope.tenant, connection_id, actor=scope.actor, force=force)
        return Response(status=status.HTTP_204_NO_CONTENT)


class ConnectionTest(APIView):
    """Test a connection."""

    permission_classes = [IsAuthenticated, CanPost]

    @call(
        "connections_test",
        answers={200: ConnectionTestSerializer},
        refusals=(404, 409, 422, 503),
        tag="connections",
    )
    def post(self, request: Request, connection_id: int) -> Response:
        """Ask the PSA what each feature may do. Nothing is written there."""
        scope = request_scope(request)
        connection = services.connection_test(scope.tenant, connection_id, actor=scope.actor)
        return Response(ConnectionTestSerializer(connection).data)


def is_true(request: Request, name: str) -> bool:
    """Return a switch of the query string, false where it is left out.

    Raises: Problem 422, for a value that is neither true nor false.
    """
    text = request.query_params.get(name, "").strip().lower()
    if text in {"1", "true", "yes", "on"}:
        return True
    if text in {"", "0", "false", "no", "off"}:
        return False
    raise Problem(422, "invalid", f"{name} must be true or false.", {name: ["Write true or false."]})


def _refusal(exc: errors.ProviderError, body: dict[str, Any]) -> Exception:
    """Return what is raised when a PSA does not take what was just typed: the field to correct is named.

    Everywhere else the same refusals are the state of a stored connection (409).
    """
    if isinstance(exc, errors.AuthenticationFailedError):
        return Problem(422, "connection-refused", exc.message, {"credentials": [exc.message]})
    if isinstance(exc, errors.ClientIdRefusedError) and (body.get("credentials") or {}).get("client_id"):
        return Problem(422, "client-id-refused", exc.message, {"credentials.client_id": [exc.message]})
    if isinstance(exc, errors.NotFoundError):
        return Problem(422, "connection-refused", exc.message, {"site": [exc.message]})
    if isinstance(exc, errors.RejectedError) and exc.fields:
        fields = {
            name if name in {"site", "provider", "name"} else f"credentials.{name}": sentences
            for name, sentences in exc.fields.items()
        }
        return Problem(422, "connection-refused", exc.message, fields)
    return exc
