"""Owns the calls that take back what stands on a ticket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from psa import selectors, services
from psa.api.permissions import CanPost
from psa.api.schema import call, shaped
from psa.api.scope import request_scope
from psa.api.serializers import DeliveryDetailSerializer, StrictSerializer, TextField
from psa.exceptions import InvalidInputError, MissingError
from psa.models import Delivery
from psa.services import Corrected
from psa.types import Scope

ACTIONS = ("text", "hide", "move_to", "remove")


@shaped({"oneOf": [{"type": "string"}, {"type": "integer"}]})
class TicketNumberField(serializers.CharField):
    """The number of a ticket: a string or an integer."""


class CorrectSerializer(StrictSerializer):
    """Exactly one of `text`, `hide`, `move_to` and `remove`."""

    text = TextField(required=False, help_text="The new text; author, readers and marker stay.")
    hide = serializers.BooleanField(required=False, help_text="true: only staff reads it from then on.")
    move_to = TicketNumberField(required=False, max_length=40, help_text="Number of the right ticket.")
    connection = serializers.IntegerField(
        min_value=1,
        max_value=2**63 - 1,
        required=False,
        help_text="Connection of that ticket, with `move_to`; without it the one of the note.",
    )
    remove = serializers.BooleanField(required=False, help_text="true: take it off the ticket.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return what to do. Raises: ValidationError, unless it is exactly one thing."""
        given = [name for name in ACTIONS if name in attrs]
        if len(given) != 1:
            raise serializers.ValidationError(f"Give exactly one of {', '.join(ACTIONS)}.")
        if attrs[given[0]] is False:
            raise serializers.ValidationError({given[0]: ["Only true has a meaning here."]})
        if "connection" in attrs and "move_to" not in attrs:
            raise serializers.ValidationError({"connection": ["Only move_to takes a connection."]})
        return attrs


class CorrectedSerializer(DeliveryDetailSerializer):
    """The delivery as it is now, and what the person should know."""

    notice = serializers.CharField(
        allow_null=True, help_text="Sentences for a person: a mail stays sent, the PSA refused, …"
    )
    replacement = serializers.IntegerField(
        allow_null=True,
        help_text="Id of what was queued: the copy of a move, or a note that asks to ignore this one.",
    )


_ANSWER = {
    "id": 40,
    "unit": 31,
    "kind": "analysis",
    "part": 1,
    "parts": 1,
    "state": "delivered",
    "held_by": None,
    "attempts": 1,
    "external_id": "410224",
    "problem": None,
    "next_attempt_at": None,
    "author": {"name": "Eva Engineer", "kind": "member"},
    "created_at": "2026-03-02T09:14:05Z",
    "delivered_at": "2026-03-02T09:14:07Z",
    "connection": 3,
    "ticket": {"id": "4711", "record_type": "service", "summary": "Printer offline", "url": ""},
    "supersedes": None,
    "created_by": "Eva Engineer",
    "text": "Restarted the spooler.",
    "corrections": [{"what": "hidden", "by": "Eva Engineer", "at": "2026-03-02T09:20:31Z"}],
    "notice": "A mail already sent cannot be recalled.",
    "replacement": None,
}
_HIDDEN = OpenApiExample("hidden", value=_ANSWER, response_only=True, status_codes=[200])


class DeliveryCorrect(APIView):
    """A change of a note that stands on its ticket."""

    permission_classes = [IsAuthenticated, CanPost]

    @call(
        "deliveries_correct",
        body=CorrectSerializer,
        answers={200: CorrectedSerializer},
        refusals=(400, 404, 409, 422, 503),
        examples=[
            _HIDDEN,
            OpenApiExample("hide", value={"hide": True}, request_only=True),
            OpenApiExample("correct", value={"text": "Replaced the spooler."}, request_only=True),
            OpenApiExample("move", value={"move_to": "4712"}, request_only=True),
            OpenApiExample("remove", value={"remove": True}, request_only=True),
        ],
        tag="deliveries",
    )
    def post(self, request: Request, delivery_id: int) -> Response:
        """Hide a delivered note from the customer, correct it, move it to another ticket, or remove it."""
        scope = request_scope(request)
        body = CorrectSerializer.read(request)
        delivery = _visible(scope, delivery_id)
        return _answer(scope, _correct(scope, delivery, body))


class DeliveryRemoveDouble(APIView):
    """The end of what a note left on its ticket a second time."""

    permission_classes = [IsAuthenticated, CanPost]

    @call(
        "deliveries_remove_double",
        answers={200: CorrectedSerializer},
        refusals=(404, 409, 422, 503),
        tag="deliveries",
    )
    def post(self, request: Request, delivery_id: int) -> Response:
        """Keep the first of the notes with this delivery's marker, remove the others, and look again."""
        scope = request_scope(request)
        _visible(scope, delivery_id)
        return _answer(scope, services.double_remove(scope.tenant, delivery_id, scope=scope))


def _correct(scope: Scope, delivery: Delivery, body: Mapping[str, Any]) -> Corrected:
    if "text" in body:
        return services.note_correct(scope.tenant, delivery.pk, scope=scope, text=body["text"])
    if "hide" in body:
        return services.note_hide(scope.tenant, delivery.pk, scope=scope)
    if "remove" in body:
        return services.note_remove(scope.tenant, delivery.pk, scope=scope)
    connection_id = body.get("connection", delivery.connection_id)
    try:
        link = services.ticket_link(scope.tenant, connection_id, body["move_to"])
    except InvalidInputError as exc:
        fields = {"move_to" if name == "ticket_id" else name: said for name, said in exc.fields.items()}
        raise InvalidInputError(exc.message, code=exc.code, fields=fields) from exc
    return services.note_move(scope.tenant, delivery.pk, link.pk, scope=scope)


def _visible(scope: Scope, delivery_id: int) -> Delivery:
    """Return a delivery the person may see: another engineer's is no more there than another tenant's."""
    delivery = selectors.delivery_get(scope.tenant, delivery_id)
    own = scope.actor.user_id is not None and delivery.created_by_id == scope.actor.user_id
    if not (scope.can_lead or own):
        raise MissingError("There is no such delivery.")
    return delivery


def _answer(scope: Scope, result: Corrected) -> Response:
    delivery = selectors.delivery_get(scope.tenant, result.delivery.pk)
    shown = DeliveryDetailSerializer(delivery).data
    replacement = result.replacement.pk if result.replacement else None
    return Response({**shown, "notice": result.notice, "replacement": replacement})
