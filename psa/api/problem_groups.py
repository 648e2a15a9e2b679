"""Owns the calls about what needs a person, by cause. What an error looks like is `psa.api.problems`."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample
from rest_framework import generics
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from psa import selectors, services
from psa.api.permissions import CanPost
from psa.api.schema import call
from psa.api.scope import request_scope
from psa.api.serializers import (
    ProblemGroupChangeSerializer,
    ProblemGroupDiscardSerializer,
    ProblemGroupSerializer,
)
from psa.models import Delivery

_LISTED = OpenApiExample(
    "a missing permission",
    value={
        "id": 3174379628094461,
        "code": "psa-permission",
        "text": "The security role of the API member does not allow notes yet.",
        "remedy": "Grant the API member Service Desk > Service Tickets: Add All, Edit All, Inquire All.",
        "scope": "deliveries",
        "connection": {"id": 3, "name": "Our ConnectWise"},
        "count": 12,
        "oldest_at": "2026-03-02T09:14:05Z",
        "deliveries": [52, 51, 50, 48, 40],
        "can_retry": True,
        "can_discard": True,
    },
    response_only=True,
    status_codes=[200],
)
_CHANGED = OpenApiExample("all of them", value={"changed": 12}, response_only=True, status_codes=[200])


class ProblemList(generics.GenericAPIView[Delivery]):
    """What needs a person, one entry a cause."""

    permission_classes = [IsAuthenticated, CanPost]
    serializer_class = ProblemGroupSerializer
    queryset = Delivery.objects.none()
    filter_backends: list[Any] = []

    @call(
        "problems_list",
        answers={200: ProblemGroupSerializer(many=True)},
        refusals=(422,),
        examples=[_LISTED],
        tag="problems",
    )
    def get(self, request: Request) -> Response:
        """List what needs a person. Leads see everyone's deliveries in it, engineers their own."""
        scope = request_scope(request)
        found = selectors.problems(scope.tenant, created_by=selectors.problem_sight(scope))
        page = self.paginate_queryset(found)
        return self.get_paginated_response(ProblemGroupSerializer(page, many=True).data)


class ProblemRetry(APIView):
    """Another try at everything with one cause."""

    permission_classes = [IsAuthenticated, CanPost]

    @call(
        "problems_retry",
        answers={200: ProblemGroupChangeSerializer},
        refusals=(404, 409),
        examples=[_CHANGED],
        tag="problems",
    )
    def post(self, request: Request, problem_id: int) -> Response:
        """Try all deliveries of a problem again, or test the connection it is about."""
        scope = request_scope(request)
        changed = services.problem_retry(scope.tenant, problem_id, scope=scope)
        return Response(ProblemGroupChangeSerializer({"changed": changed}).data)


class ProblemDiscard(APIView):
    """The end of everything with one cause."""

    permission_classes = [IsAuthenticated, CanPost]

    @call(
        "problems_discard",
        body=ProblemGroupDiscardSerializer,
        answers={200: ProblemGroupChangeSerializer},
        refusals=(400, 404, 409, 422),
        examples=[
            _CHANGED,
            OpenApiExample("with a reason", value={"reason": "Posted by hand"}, request_only=True),
        ],
        tag="problems",
    )
    def post(self, request: Request, problem_id: int) -> Response:
        """Give up all deliveries of a problem; of notes that are on their ticket, say that you looked."""
        scope = request_scope(request)
        body = ProblemGroupDiscardSerializer.read(request)
        changed = services.problem_discard(scope.tenant, problem_id, scope=scope, reason=body["reason"])
        return Response(ProblemGroupChangeSerializer({"changed": changed}).data)
