"""Owns the calls about sessions themselves; what they post to a ticket is in `api_posting`.

Every member of an account works on all its sessions; another account's do not exist.
"""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, OpenApiParameter
from rest_framework import generics, status
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from psa.api.permissions import CanPost
from psa.api.problems import Problem
from psa.api.schema import call
from psa.api.scope import request_scope
from resolutionflow.sessions import selectors, services
from resolutionflow.sessions.models import FlowSession
from resolutionflow.sessions.serializers import (
    DocumentationSerializer,
    SessionChangeSerializer,
    SessionCreateSerializer,
    SessionSerializer,
    SessionSummarySerializer,
    SessionTicketSerializer,
    StepCreateSerializer,
    StepSerializer,
    TicketLinkSerializer,
)

OPEN = OpenApiParameter(
    "open",
    {"type": "string", "enum": ["discard"]},
    OpenApiParameter.QUERY,
    description="`discard` gives up what this session still has on its way to the ticket it leaves.",
)
_TICKET = {
    "connection": 3,
    "ticket_id": "4711",
    "record_type": "service",
    "summary": "Printer offline",
    "board": "Service Desk",
    "url": "https://na.myconnectwise.net/…",
    "linked_by": "Eva Engineer",
    "linked_at": "2026-03-02T09:02:11Z",
}


class SessionView(APIView):
    """Base of calls about sessions."""

    permission_classes = [IsAuthenticated, CanPost]


class SessionList(generics.GenericAPIView[FlowSession]):
    """The account's sessions."""

    permission_classes = [IsAuthenticated, CanPost]
    serializer_class = SessionSummarySerializer
    queryset = FlowSession.objects.none()
    filter_backends: list[Any] = []

    def get_queryset(self) -> QuerySet[FlowSession]:
        """Return the sessions of whoever asks."""
        return selectors.sessions(request_scope(self.request).tenant)

    @call(
        "sessions_list",
        answers={200: SessionSummarySerializer(many=True)},
        refusals=(404, 422),
        tag="sessions",
    )
    def get(self, request: Request) -> Response:
        """List sessions, the newest first, without their steps."""
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(SessionSummarySerializer(page, many=True).data)

    @call(
        "sessions_create",
        body=SessionCreateSerializer,
        answers={201: SessionSerializer},
        refusals=(400, 422),
        tag="sessions",
    )
    def post(self, request: Request) -> Response:
        """Begin a session."""
        body = SessionCreateSerializer.read(request)
        scope = request_scope(request)
        session = services.session_create(
            scope.tenant, actor=scope.actor, title=body["title"], flow_id=body.get("flow")
        )
        return Response(SessionSerializer(session).data, status.HTTP_201_CREATED)


class SessionDetail(SessionView):
    """One session."""

    @call(
        "sessions_retrieve",
        answers={200: SessionSerializer},
        refusals=(404,),
        tag="sessions",
    )
    def get(self, request: Request, session_id: int) -> Response:
        """Read a session with its steps."""
        session = selectors.session_get(request_scope(request).tenant, session_id)
        return Response(SessionSerializer(session).data)

    @call(
        "sessions_update",
        body=SessionChangeSerializer,
        answers={200: SessionSerializer},
        refusals=(400, 404, 409, 422),
        tag="sessions",
    )
    def patch(self, request: Request, session_id: int) -> Response:
        """Change title, flow or closing summary of an open session."""
        body = SessionChangeSerializer.read(request)
        session = services.session_update(
            request_scope(request).tenant,
            session_id,
            title=body.get("title"),
            flow_id=body.get("flow"),
            clear_flow="flow" in body and body["flow"] is None,
            resolution=body.get("resolution"),
        )
        return Response(SessionSerializer(session).data)


class SessionSteps(SessionView):
    """The steps of a session."""

    @call(
        "sessions_steps_create",
        body=StepCreateSerializer,
        answers={201: StepSerializer},
        refusals=(400, 404, 409, 422),
        examples=[
            OpenApiExample(
                "step",
                value={"title": "Spooler", "body": "Restarted the spooler.", "result": "Prints again."},
                request_only=True,
            )
        ],
        tag="sessions",
    )
    def post(self, request: Request, session_id: int) -> Response:
        """Add a step behind the last one; 409 `session-completed` once the session has ended."""
        body = StepCreateSerializer.read(request)
        scope = request_scope(request)
        step = services.step_add(scope.tenant, session_id, actor=scope.actor, **body)
        return Response(StepSerializer(step).data, status.HTTP_201_CREATED)


class SessionPause(SessionView):
    """Rest."""

    @call(
        "sessions_pause",
        answers={200: SessionSerializer},
        refusals=(404, 409),
        tag="sessions",
    )
    def post(self, request: Request, session_id: int) -> Response:
        """Let work rest; it comes off everybody's time. One that rests already keeps its pause."""
        scope = request_scope(request)
        session = services.session_pause(scope.tenant, session_id, actor=scope.actor)
        return Response(SessionSerializer(session).data)


class SessionResume(SessionView):
    """The end of a rest."""

    @call(
        "sessions_resume",
        answers={200: SessionSerializer},
        refusals=(404, 409),
        tag="sessions",
    )
    def post(self, request: Request, session_id: int) -> Response:
        """Let work go on. A new step and the completion do it, too."""
        session = services.session_resume(request_scope(request).tenant, session_id)
        return Response(SessionSerializer(session).data)


class SessionTicket(SessionView):
    """The ticket a session is about."""

    @call(
        "sessions_ticket_link",
        body=TicketLinkSerializer,
        parameters=[OPEN],
        answers={200: SessionTicketSerializer},
        refusals=(400, 404, 409, 422, 503),
        examples=[
            OpenApiExample("ticket", value={"connection": 3, "ticket_id": "4711"}, request_only=True),
            OpenApiExample("linked", value=_TICKET, response_only=True, status_codes=[200]),
        ],
        tag="sessions",
    )
    def put(self, request: Request, session_id: int) -> Response:
        """Link a ticket the PSA knows; 409 `open-deliveries` while posts to another one are on their way."""
        body = TicketLinkSerializer.read(request)
        scope = request_scope(request)
        session = services.ticket_link(
            scope.tenant,
            session_id,
            body["connection"],
            body["ticket_id"],
            actor=scope.actor,
            record_type=body.get("record_type"),
            discard_open=_discards_open(request),
        )
        return Response(SessionTicketSerializer(session).data)

    @call(
        "sessions_ticket_unlink",
        parameters=[OPEN],
        answers={204: None},
        refusals=(404, 409, 422),
        tag="sessions",
    )
    def delete(self, request: Request, session_id: int) -> Response:
        """Take the session off its ticket; 409 `open-deliveries` while posts to it are on their way."""
        scope = request_scope(request)
        services.ticket_unlink(
            scope.tenant, session_id, actor=scope.actor, discard_open=_discards_open(request)
        )
        return Response(status=status.HTTP_204_NO_CONTENT)


class SessionDocumentation(SessionView):
    """What a session would post."""

    @call(
        "sessions_documentation_retrieve",
        answers={200: DocumentationSerializer},
        refusals=(404,),
        tag="sessions",
    )
    def get(self, request: Request, session_id: int) -> Response:
        """Read both texts as they read now, with times in your own zone."""
        scope = request_scope(request)
        found = selectors.documentation(scope.tenant, session_id, actor=scope.actor)
        return Response(DocumentationSerializer(found).data)


def _discards_open(request: Request) -> bool:
    """Return whether the caller gives up what is on its way.

    Raises: Problem 422, for any other value: a misspelt `discard` must not look like a conflict.
    """
    text = request.query_params.get("open", "")
    if text not in {"", "discard"}:
        raise Problem(
            422, "invalid", "open can only be discard.", {"open": ["Write discard, or leave it out."]}
        )
    return text == "discard"
