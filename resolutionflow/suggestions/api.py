"""Owns the calls about suggested flows."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import generics, serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from psa.api.permissions import CanPost
from psa.api.schema import EnumField, call
from psa.api.scope import request_scope
from psa.api.serializers import StrictSerializer
from resolutionflow.sessions.api import SessionView
from resolutionflow.sessions.serializers import SessionSerializer
from resolutionflow.suggestions import selectors, services
from resolutionflow.suggestions.models import Suggestion, SuggestionState


class SuggestedFlowSerializer(serializers.Serializer[Any]):
    """A flow that fits, and why."""

    flow = serializers.IntegerField()
    title = serializers.CharField()
    score = serializers.FloatField(help_text="Only its order means something.")
    reasons = serializers.ListField(child=serializers.CharField())


class RankedFlowSerializer(SuggestedFlowSerializer):
    """The same, ranked just now."""

    flow = serializers.IntegerField(source="flow_id")


class SuggestionSerializer(serializers.Serializer[Any]):
    """Flows suggested for a ticket. `for_user` is null while the ticket is nobody's."""

    id = serializers.IntegerField()
    connection = serializers.IntegerField(source="connection_id")
    ticket_id = serializers.CharField()
    record_type = serializers.CharField()
    summary = serializers.CharField(allow_blank=True)
    board = serializers.CharField(source="board_name", allow_blank=True)
    company = serializers.CharField(source="company_name", allow_blank=True)
    url = serializers.CharField(allow_blank=True)
    why = serializers.CharField(help_text="`created`, `assigned`, `board` or `type`.")
    flows = SuggestedFlowSerializer(many=True)
    for_user = serializers.IntegerField(source="for_user_id", allow_null=True)
    state = EnumField(SuggestionState)
    session = serializers.IntegerField(source="session_id", allow_null=True)
    created_at = serializers.DateTimeField()
    changed_at = serializers.DateTimeField()


class AcceptSerializer(StrictSerializer):
    """Which of the suggested flows; the best one without."""

    flow = serializers.IntegerField(required=False, min_value=1)


class _Suggestions(generics.GenericAPIView[Suggestion]):
    permission_classes = [IsAuthenticated, CanPost]
    serializer_class: Any = SuggestionSerializer
    queryset = Suggestion.objects.none()
    filter_backends: list[Any] = []


class SuggestionList(_Suggestions):
    """What is suggested to whoever asks."""

    @call(
        "suggestions_list",
        answers={200: SuggestionSerializer(many=True)},
        refusals=(422,),
        parameters=[
            OpenApiParameter(
                "state",
                OpenApiTypes.STR,
                enum=SuggestionState.values,
                description="Without it: open ones.",
            )
        ],
        tag="suggestions",
    )
    def get(self, request: Request) -> Response:
        """List your suggestions, and those of tickets nobody has yet, the newest first."""
        scope = request_scope(request)
        state = request.query_params.get("state", "").strip()
        if state and state not in SuggestionState.values:
            raise serializers.ValidationError({"state": [f"Use one of {', '.join(SuggestionState.values)}."]})
        rows = selectors.suggestions_shown(scope)
        if state:
            rows = selectors.suggestions(scope.tenant).shown_to(scope.actor.user_id).filter(state=state)
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(SuggestionSerializer(page, many=True).data)


class SuggestionAccept(_Suggestions):
    """Beginning with a suggested flow."""

    serializer_class = SessionSerializer

    @call(
        "suggestions_accept",
        body=AcceptSerializer,
        answers={201: SessionSerializer},
        refusals=(400, 404, 409, 422, 503),
        tag="suggestions",
    )
    def post(self, request: Request, suggestion_id: int) -> Response:
        """Begin a session with the flow, linked to the ticket. Again answers the same session."""
        body = AcceptSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        scope = request_scope(request)
        session = services.suggestion_accept(scope, suggestion_id, flow_id=body.validated_data.get("flow"))
        return Response(SessionSerializer(session).data, status=201)


class SuggestionDismiss(_Suggestions):
    """Putting a suggestion away."""

    @call("suggestions_dismiss", answers={200: SuggestionSerializer}, refusals=(404, 409), tag="suggestions")
    def post(self, request: Request, suggestion_id: int) -> Response:
        """Dismiss: the flow counts less for similar tickets."""
        found = services.suggestion_dismiss(request_scope(request), suggestion_id)
        return Response(SuggestionSerializer(found).data)


class SuggestionRestore(_Suggestions):
    """Taking a dismissal back."""

    @call("suggestions_restore", answers={200: SuggestionSerializer}, refusals=(404, 409), tag="suggestions")
    def post(self, request: Request, suggestion_id: int) -> Response:
        """Take a dismissal back."""
        found = services.suggestion_restore(request_scope(request), suggestion_id)
        return Response(SuggestionSerializer(found).data)


class SessionSuggestions(SessionView):
    """Flows that fit a session's ticket."""

    @call(
        "sessions_suggestions",
        answers={200: RankedFlowSerializer(many=True)},
        refusals=(404, 409, 503),
        tag="suggestions",
    )
    def get(self, request: Request, session_id: int) -> Response:
        """Rank the published flows for the session's ticket as it is now, each with its reasons."""
        found = selectors.flows_for_session(request_scope(request).tenant, session_id)
        return Response(RankedFlowSerializer(found, many=True).data)
