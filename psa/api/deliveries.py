"""Owns the calls about units of work and deliveries. Leads see everyone's, engineers their own."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
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
    DeliveryDetailSerializer,
    DeliveryQuerySerializer,
    DeliverySerializer,
    DiscardSerializer,
    EditSerializer,
    UnitSerializer,
)
from psa.exceptions import MissingError
from psa.models import Delivery
from psa.types import Scope

_DELIVERY = {
    "id": 40,
    "unit": 31,
    "kind": "analysis",
    "part": 1,
    "parts": 1,
    "state": "dead",
    "held_by": None,
    "attempts": 1,
    "external_id": None,
    "problem": {
        "code": "psa-rejected",
        "text": "The PSA refused the note: text is too long.",
        "remedy": "Shorten the note.",
    },
    "next_attempt_at": None,
    "author": {"name": "Eva Engineer", "kind": "member"},
    "created_at": "2026-03-02T09:14:05Z",
    "delivered_at": None,
    "connection": 3,
    "ticket": {"id": "4711", "record_type": "service", "summary": "Printer offline", "url": ""},
    "supersedes": None,
    "created_by": "Eva Engineer",
}
_LISTED = OpenApiExample("delivery", value=_DELIVERY, response_only=True, status_codes=[200])
_SHOWN = OpenApiExample(
    "delivery", value={**_DELIVERY, "text": "Restarted the spooler."}, response_only=True, status_codes=[200]
)


class UnitDetail(APIView):
    """One unit of work."""

    permission_classes = [IsAuthenticated, CanPost]

    @call("units_retrieve", answers={200: UnitSerializer}, refusals=(404,), tag="deliveries")
    def get(self, request: Request, unit_id: int) -> Response:
        """Read a unit with all its deliveries."""
        scope = request_scope(request)
        unit = selectors.unit_get(scope.tenant, unit_id)
        if not _may_see(scope, unit.created_by_id):
            raise MissingError("There is no such unit of work.")
        return Response(UnitSerializer(unit).data)


class DeliveryList(generics.GenericAPIView[Delivery]):
    """Deliveries, the newest first."""

    permission_classes = [IsAuthenticated, CanPost]
    serializer_class = DeliverySerializer
    queryset = Delivery.objects.none()
    filter_backends: list[Any] = []

    def get_queryset(self) -> QuerySet[Delivery]:
        """Return the deliveries the person may see, as far as the filters let them through."""
        scope = request_scope(self.request)
        query = DeliveryQuerySerializer(data=self.request.query_params)
        query.is_valid(raise_exception=True)
        wanted = query.validated_data
        found = selectors.deliveries(scope.tenant)
        if not scope.can_lead:
            found = found.filter(created_by_id=scope.actor.user_id)
        if state := wanted.get("state"):
            found = found.filter(state=state)
        if session := wanted.get("session"):
            found = found.filter(unit__origin=f"session:{session}", unit__tenant=scope.tenant)
        if connection := wanted.get("connection"):
            found = found.filter(connection_id=connection)
        return found

    @call(
        "deliveries_list",
        parameters=[DeliveryQuerySerializer],
        answers={200: DeliverySerializer(many=True)},
        refusals=(422,),
        examples=[_LISTED],
        tag="deliveries",
    )
    def get(self, request: Request) -> Response:
        """List deliveries."""
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(DeliverySerializer(page, many=True).data)


class DeliveryDetail(APIView):
    """One delivery."""

    permission_classes = [IsAuthenticated, CanPost]

    @call(
        "deliveries_retrieve",
        answers={200: DeliveryDetailSerializer},
        refusals=(404,),
        examples=[_SHOWN],
        tag="deliveries",
    )
    def get(self, request: Request, delivery_id: int) -> Response:
        """Read a delivery with its text."""
        scope = request_scope(request)
        return Response(DeliveryDetailSerializer(_visible(scope, delivery_id)).data)

    @call(
        "deliveries_edit",
        body=EditSerializer,
        answers={200: DeliveryDetailSerializer},
        refusals=(400, 404, 409, 422),
        examples=[
            _SHOWN,
            OpenApiExample("shorter", value={"text": "Restarted the spooler."}, request_only=True),
        ],
        tag="deliveries",
    )
    def patch(self, request: Request, delivery_id: int) -> Response:
        """Edit a note that could not be posted: a new delivery, whose `supersedes` names the old one."""
        scope = request_scope(request)
        body = EditSerializer.read(request)
        _visible(scope, delivery_id)
        delivery = services.delivery_edit(scope.tenant, delivery_id, scope=scope, text=body["text"])
        return Response(_shown(scope, delivery.pk))


class DeliveryRetry(APIView):
    """Another try at a delivery."""

    permission_classes = [IsAuthenticated, CanPost]

    @call(
        "deliveries_retry",
        answers={200: DeliveryDetailSerializer},
        refusals=(404, 409),
        tag="deliveries",
    )
    def post(self, request: Request, delivery_id: int) -> Response:
        """Try a delivery again now."""
        scope = request_scope(request)
        _visible(scope, delivery_id)
        delivery = services.delivery_retry(scope.tenant, delivery_id, scope=scope)
        return Response(_shown(scope, delivery.pk))


class DeliveryDiscard(APIView):
    """The end of a delivery that nobody wants any more."""

    permission_classes = [IsAuthenticated, CanPost]

    @call(
        "deliveries_discard",
        body=DiscardSerializer,
        answers={200: DeliveryDetailSerializer},
        refusals=(400, 404, 409, 422),
        examples=[
            OpenApiExample(
                "only this part", value={"reason": "Posted by hand", "rest": "continue"}, request_only=True
            )
        ],
        tag="deliveries",
    )
    def post(self, request: Request, delivery_id: int) -> Response:
        """Give a delivery up, and the rest of its unit with it unless `rest` is `continue`."""
        scope = request_scope(request)
        body = DiscardSerializer.read(request)
        _visible(scope, delivery_id)
        delivery = services.delivery_discard(
            scope.tenant, delivery_id, scope=scope, reason=body["reason"], rest=body["rest"]
        )
        return Response(_shown(scope, delivery.pk))


def _may_see(scope: Scope, created_by_id: int | None) -> bool:
    return scope.can_lead or (created_by_id is not None and created_by_id == scope.actor.user_id)


def _visible(scope: Scope, delivery_id: int) -> Delivery:
    """Return a delivery the person may see: another engineer's is no more there than another tenant's."""
    delivery = selectors.delivery_get(scope.tenant, delivery_id)
    if not _may_see(scope, delivery.created_by_id):
        raise MissingError("There is no such delivery.")
    return delivery


def _shown(scope: Scope, delivery_id: int) -> dict[str, Any]:
    """Return a delivery as it stands after a change, with everything its answer needs joined."""
    data: dict[str, Any] = DeliveryDetailSerializer(selectors.delivery_get(scope.tenant, delivery_id)).data
    return data
